"""One index over several: each vector lies on one shard, or on so many as there are copies, and a query asks all.

Rendezvous hashing of the id picks the shards that a vector is written to. Reading asks every
shard, so a vector is found wherever it lies: adding a shard moves nothing, and what a shard that is taken away held shows as
missing. Ids are hashes of what they stand for, so an id on two shards has the same vector on both. While fewer shards are away
than there are copies, the others together hold everything: reading goes on, writing waits for them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import structlog

from intellirouter.errors import StateUnavailable
from intellirouter.vectors.index import Hit, VectorIndex, Vectors
from intellirouter.vectors.rendezvous import owners

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

    def __init__(self, shards: Mapping[str, VectorIndex], copies: int = 1) -> None:
        self._shards = dict(shards)
        self._copies = copies

    def owners(self, id_: str) -> list[str]:
        """The shards that a vector is written to."""
        return owners(self._shards, id_, self._copies)

    async def upsert(self, name: str, ids: Sequence[str], vectors: Vectors) -> None:
        """Write each where it belongs."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, id_ in enumerate(ids):
            for shard in self.owners(id_):
                rows[shard].append(row)
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
            return merged(await self._each(asked, spare=self._copies - 1))
        except ShardsAway as away:
            away.found = merged(away.found)
            raise

    async def fetch(self, name: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors that are there. Raises `ShardsAway` with those of the shards that answered."""
        asked = {shard: index.fetch(name, ids) for shard, index in self._shards.items()}

        def merged(parts: Sequence[Mapping[str, Vectors]]) -> dict[str, Vectors]:
            return {id_: vector for part in parts for id_, vector in part.items()}

        try:
            return merged(await self._each(asked, spare=self._copies - 1))
        except ShardsAway as away:
            away.found = merged(away.found)
            raise

    async def ids(self, name: str) -> set[str]:
        """Every id, wherever it lies."""
        asked = {shard: index.ids(name) for shard, index in self._shards.items()}
        return set().union(*await self._each(asked, spare=self._copies - 1))

    async def too_few(self, name: str) -> set[str]:
        """Ids on fewer shards than there are copies. Raises `ShardsAway` when a shard does not say what it holds."""
        if self._copies == 1:
            return set()
        asked = {shard: index.ids(name) for shard, index in self._shards.items()}
        held = Counter(id_ for ids in await self._each(asked) for id_ in ids)
        return {id_ for id_, count in held.items() if count < self._copies}

    async def ping(self) -> None:
        """Return when every shard answers."""
        await self._each({shard: index.ping() for shard, index in self._shards.items()})

    async def close(self) -> None:
        """Release what the shards hold."""
        for index in self._shards.values():
            await index.close()

    async def _each(self, calls: Mapping[str, Coroutine[Any, Any, T]], spare: int = 0) -> list[T]:
        """What the shards answered. Raises `ShardsAway` with the answers that came when more than `spare` are away, any other
        error as it is."""
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
            if len(away) > spare:
                raise ShardsAway(away, found)
        return found
