"""The structure of a question as smooth, bounded numbers that a linear model can bend with.

Random Fourier features of a Gaussian kernel (Rahimi and Recht, 2007), orthogonal by blocks (Yu et al., 2016): a linear
model over them is kernel regression over the structure, with a fixed number of weights. The same seed gives the same
basis on every node; `VERSION` of the features goes with the weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from intellirouter.inference.learning.features import STRUCTURE, Features, Floats

WIDTH = 252
"""Numbers of the basis: seven orthogonal blocks."""
_SCALE, _SEED, _LIMIT = 0.14, 2, 4.0
_NORM = np.float32(6.0 * (2.0 / WIDTH) ** 0.5)
"""Chosen with the penalty of `estimator.py`, by cross-validation on the development half."""


class Basis:
    """From `Features` to `WIDTH` numbers. `mean` and `spread` of each structural number come with the prior."""

    def __init__(self, mean: Floats, spread: Floats) -> None:
        chance = np.random.RandomState(_SEED)
        blocks = []
        for _ in range(-(-WIDTH // STRUCTURE)):
            turned, _r = np.linalg.qr(chance.randn(STRUCTURE, STRUCTURE))
            blocks.append(turned * np.sqrt(chance.chisquare(STRUCTURE, STRUCTURE)))
        matrix = np.concatenate(blocks, axis=1)[:, :WIDTH] * _SCALE
        self._matrix = np.ascontiguousarray(matrix, np.float32)
        self._phase = (chance.rand(WIDTH) * 2 * np.pi).astype(np.float32)
        self._mean = mean.astype(np.float32)
        self._spread = spread.astype(np.float32)

    def of(self, features: Features) -> NDArray[np.float32]:
        """The numbers of one question."""
        row: NDArray[np.float32] = self.of_many(features.structure[np.newaxis])[0]
        return row

    def of_many(self, structures: Floats) -> NDArray[np.float32]:
        """The numbers of many: (n, `STRUCTURE`) → (n, `WIDTH`)."""
        scaled = (structures - self._mean) / self._spread
        np.minimum(np.maximum(scaled, -_LIMIT, out=scaled), _LIMIT, out=scaled)
        turned = np.asarray(scaled @ self._matrix, np.float32)
        turned += self._phase
        np.cos(turned, out=turned)
        turned *= _NORM
        return turned
