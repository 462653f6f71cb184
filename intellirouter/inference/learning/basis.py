"""The structure of a question as smooth, bounded numbers that a linear model can bend with.

Random Fourier features of a Gaussian kernel (Rahimi and Recht, 2007), orthogonal by blocks (Yu et al., 2016): a linear
model over them is kernel regression over the structure, with a fixed number of weights. The same seed gives the same
basis on every node; `VERSION` of the features goes with the weights.
"""

from __future__ import annotations

import numpy as np

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
        # as arrays: numpy takes twice as long over a scalar
        self._most = np.full(STRUCTURE, _LIMIT, np.float32)
        self._least, self._norm = -self._most, np.full(WIDTH, _NORM, np.float32)

    def of(self, features: Features) -> Floats:
        """The numbers of one question."""
        return self.of_many(features.structure)

    def of_many(self, structures: Floats) -> Floats:
        """The numbers of many: (n, `STRUCTURE`) → (n, `WIDTH`)."""
        scaled = structures - self._mean
        scaled /= self._spread
        np.minimum(np.maximum(scaled, self._least, out=scaled), self._most, out=scaled)
        turned: Floats = scaled.dot(self._matrix)
        turned += self._phase
        np.cos(turned, out=turned)
        turned *= self._norm
        return turned
