"""What the RagManager asks of a vector index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Shape (n, dimension), rows of unit length."""

MAX_BATCH = 5_000
"""Items in one call (Chroma's own limit is 5,461)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A stored vector near a query; `score` is the cosine similarity."""

    id: str
    score: float


class VectorIndex(Protocol):
    """Vectors by id, in named collections. Raises `StateUnavailable` when the index does not answer in time.

    A name is 3 to 512 ASCII letters, digits and dashes. A collection that is not there is empty: it is made by the first
    `upsert`, and its dimension is that of the first vector.
    """

    async def upsert(self, name: str, ids: Sequence[str], vectors: Vectors) -> None:
        """Write up to `MAX_BATCH` vectors; one that exists is replaced. Returns once they are kept."""

    async def delete(self, name: str, ids: Sequence[str]) -> None:
        """Remove what is there of `ids`."""

    async def drop(self, name: str) -> None:
        """Remove the collection, if there is one."""

    async def query(self, name: str, vector: Vectors, limit: int) -> list[Hit]:
        """The nearest, best first. `vector` has the shape (dimension,)."""

    async def fetch(self, name: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those of `ids` that are there."""

    async def ids(self, name: str) -> set[str]:
        """Every id of the collection."""

    async def too_few(self, name: str) -> set[str]:
        """Ids that lie in fewer copies than they should. One that has no copies knows none."""

    async def ping(self) -> None:
        """Return when the index answers."""

    async def close(self) -> None:
        """Release what it holds."""
