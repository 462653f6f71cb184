"""The weights of n-grams, laid out as a question reads them: what several models hold of one n-gram lies side by side."""

from __future__ import annotations

import numpy as np

from intellirouter.inference.learning.features import MAX_SLOTS, Floats, Slots

_ONES = np.ones(MAX_SLOTS, np.float32)


class BySlot:
    """The weights of some models, from (models, 2^15). An n-gram is then one place in memory, however many models there are."""

    def __init__(self, rows: Floats) -> None:
        self._slots = np.ascontiguousarray(rows.T, np.float32)

    @property
    def rows(self) -> Floats:
        """The weights as they were given, of which no copy need be kept."""
        return self._slots.T

    def of(self, slots: Slots) -> list[float]:
        """Of each model the sum over the n-grams of a question, over the root of their number; 0 where it has none."""
        count = len(slots)
        ones = _ONES[:count] if count <= MAX_SLOTS else np.ones(count, np.float32)
        summed = ones.dot(self._slots.take(slots, axis=0))  # a product: numpy would add row by row
        size = max(1, count) ** -0.5
        return [value * size for value in summed.tolist()]
