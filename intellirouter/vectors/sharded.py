"""One index over several: each vector lies on one shard, a query asks all.

Rendezvous hashing (Thaler and Ravishankar 1998) of the id picks the shard that a vector is written to. Reading asks every
shard, so a vector is found wherever it lies: adding a shard moves nothing, and what a shard that is taken away held shows as
missing. Ids are hashes of what they stand for, so an id on two shards has the same vector on both.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import structlog

from intellirouter.errors import StateUnavailable
from intellirouter.vectors.index import Hit, VectorIndex, Vectors

T = TypeVar("T")
log = structlog.get_logger(__name__)


class ShardsAway(StateUnavailable):
    """Some shards did not answer. `found` is what the others did, for whoever can do with that."""

    def __init__(self, away: Mapping[str, Exception], found: Any) -> None:
        names = ", ".join(away)
        super().__init__(f"{len(away)} of the vector shards did not answer: {names}")
        self.found = found


class ShardedIndex:
    """`VectorIndex` over shards by name. A name is what places vectors: keep it when the shard moves."""

    def __init__(self, shards: Mapping[str, VectorIndex]) -> None:
        self._shards = dict(shards)

    def owner(self, id_: str) -> str:
        """The shard that a vector is written to."""
        return max(self._shards, key=lambda name: hashlib.sha256(f"{name}\0{id_}".encode()).digest())

    async def upsert(self, name: str, ids: Sequence[str], vectors: Vectors) -> None:
        """Write each where it belongs."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, id_ in enumerate(ids):
            rows[self.owner(id_)].append(row)
        await self._each(
            {
                shard: self._shards[shard].upsert(name, [ids[row] for row in mine], vectors[mine])
                for shard, mine in rows.items()
            }
        )

    async def delete(self, name: str, ids: Sequence[str]) -> None:
        """Remove them wherever they lie."""
        await self._each({shard: index.delete(name, ids) for shard, index in self._shards.items()})

    async def drop(self, name: str) -> None:
        """Remove the collection everywhere."""
        await self._each({shard: index.drop(name) for shard, index in self._shards.items()})

    async def query(self, name: str, vector: Vectors, limit: int) -> list[Hit]:
        """The nearest of all. Raises `ShardsAway` with those of the shards that answered."""
        asked = {shard: index.query(name, vector, limit) for shard, index in self._shards.items()}

        def merged(parts: Sequence[Sequence[Hit]]) -> list[Hit]:
            every = {hit.id: hit for part in parts for hit in part}
            return sorted(every.values(), key=lambda hit: (-hit.score, hit.id))[:limit]

        try:
            return merged(await self._each(asked))
        except ShardsAway as away:
            away.found = merged(away.found)
            raise

    async def fetch(self, name: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors that are there. Raises `ShardsAway` with those of the shards that answered."""
        asked = {shard: index.fetch(name, ids) for shard, index in self._shards.items()}

        def merged(parts: Sequence[Mapping[str, Vectors]]) -> dict[str, Vectors]:
            return {id_: vector for part in parts for id_, vector in part.items()}

        try:
            return merged(await self._each(asked))
        except ShardsAway as away:
            away.found = merged(away.found)
            raise

    async def ids(self, name: str) -> set[str]:
        """Every id, wherever it lies."""
        return set().union(
            *await self._each({shard: index.ids(name) for shard, index in self._shards.items()})
        )

    async def ping(self) -> None:
        """Return when every shard answers."""
        await self._each({shard: index.ping() for shard, index in self._shards.items()})

    async def close(self) -> None:
        """Release what the shards hold."""
        for index in self._shards.values():
            await index.close()

    async def _each(self, calls: Mapping[str, Coroutine[Any, Any, T]]) -> list[T]:
        """What the shards answered. Raises `ShardsAway` with the answers that came, any other error as it is."""
        results = await asyncio.gather(*calls.values(), return_exceptions=True)
        found: list[T] = []
        away: dict[str, Exception] = {}
        for shard, result in zip(calls, results, strict=True):
            if isinstance(result, StateUnavailable):
                away[shard] = result
            elif isinstance(result, BaseException):
                raise result
            else:
                found.append(result)
        if away:
            log.warning("vectors.shards_away", shards=sorted(away))
            raise ShardsAway(away, found)
        return found
