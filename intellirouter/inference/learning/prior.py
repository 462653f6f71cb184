"""How hard a question looks before anything was learnt here: `prior.npz`, from published outcomes of two models.

Two heads say how likely a small and a large model of their day were to succeed. A target stands between them by its
rating, 0 to 1: its price among those it is compared with, until its own outcomes say otherwise.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, field
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from intellirouter.inference.learning.basis import Basis
from intellirouter.inference.learning.features import STRUCTURE, VERSION, Features, Floats
from intellirouter.inference.learning.grams import BySlot

FILE = "prior.npz"
KINDS = ("easy", "medium", "hard")
_EASY, _MEDIUM = 0.76, 0.64
"""Thirds of the questions the prior was learnt from."""


@dataclass(frozen=True, slots=True)
class Prior:
    """`heads` (2, WIDTH + 1): weights of the basis and a constant; `slots` (2, 2^15): of the n-grams.

    `source` says what it was learnt from: the hash of the file.
    """

    basis: Basis
    heads: Floats
    slots: Floats
    source: str = ""
    _grams: BySlot = field(init=False, repr=False, compare=False)
    _plain: Floats = field(init=False, repr=False, compare=False)
    """`heads` without the constants, row after row."""
    _constants: tuple[float, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_grams", BySlot(self.slots))
        object.__setattr__(self, "slots", self._grams.rows)
        object.__setattr__(self, "_plain", np.ascontiguousarray(self.heads[:, :-1]))
        object.__setattr__(self, "_constants", tuple(self.heads[:, -1].tolist()))

    def of(self, features: Features, basis: NDArray[np.float32]) -> tuple[float, float]:
        """The expected success of the small and of the large model."""
        small, large = self._plain.dot(basis).tolist()
        of_small, of_large = self._constants
        grams = self._grams.of(features.slots)
        return small + of_small + grams[0], large + of_large + grams[1]


def between(pair: tuple[float, float], rating: float) -> float:
    """The expected success of a target of this rating."""
    return min(0.99, max(0.02, pair[0] + rating * (pair[1] - pair[0])))


def kind_of(weak: float) -> str:
    """Whether a question is easy, medium or hard, by how likely the small model is held to answer it."""
    return KINDS[0] if weak >= _EASY else KINDS[1] if weak >= _MEDIUM else KINDS[2]


def write(mean: Floats, spread: Floats, heads: Floats, slots: Floats, *, source: str) -> bytes:
    """The file: the n-grams' weights in steps of a 127th of the greatest, the rest in half precision."""
    scale = np.abs(slots).max(axis=1, keepdims=True) / 127 + 1e-12
    out = io.BytesIO()
    np.savez_compressed(
        out,
        version=np.array(VERSION),
        mean=mean.astype(np.float32),
        spread=spread.astype(np.float32),
        heads=heads.astype(np.float32),
        slots=np.rint(slots / scale).astype(np.int8),
        scale=scale.astype(np.float32),
        source=np.array(source),
    )
    return out.getvalue()


def read(data: bytes) -> Prior:
    """The prior of a file that `write` made. Raises `ValueError` for one of other features."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        if int(file["version"]) != VERSION:
            raise ValueError(f"the prior is of version {int(file['version'])}, and this is {VERSION}")
        slots = file["slots"].astype(np.float32) * file["scale"]
        return Prior(Basis(file["mean"], file["spread"]), file["heads"], slots, str(file["source"]))


@functools.cache
def shipped() -> Prior:
    """The prior in the wheel."""
    prior = read((files(__package__) / FILE).read_bytes())
    if prior.heads.shape[0] != 2 or STRUCTURE <= 0:
        raise ValueError("the prior in the wheel is damaged")
    return prior
