"""Chunks of several jobs together: embedded in full batches, while the batch before is being stored.

A chunk is noted in the catalogue first, then its vector is written, then it is ready: what is ready has its vector.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import structlog

from intellirouter.errors import StateUnavailable
from intellirouter.memory.embedded.engine import Engine
from intellirouter.roles.rag_manager import catalog
from intellirouter.roles.rag_manager.catalog import ChunkRow
from intellirouter.roles.rag_manager.embedding.embedder import Embedder
from intellirouter.roles.rag_manager.metrics import RagMetrics
from intellirouter.roles.rag_manager.turns import Turns
from intellirouter.vectors.index import VectorIndex, Vectors

BATCH = 100
"""Chunks in one piece of work: between two checkpoints of a job."""
TOGETHER = 256
"""Chunks a node embeds at once, where so many wait: the more, the more find others of like length to share a batch with."""
FEW = 16
"""Pieces of so few chunks, of small documents, are embedded beside the others and need not wait until those are through."""
log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Piece:
    collection: str
    rows: Sequence[ChunkRow]
    embedder: Embedder
    state: int
    stored: asyncio.Future[bool]


class Writer:
    """Two stages, run by `work`. Pieces have up to `BATCH` chunks, and whoever brings them waits for some before it brings more."""

    def __init__(self, engine: Engine, index: VectorIndex, metrics: RagMetrics, nodes: int = 1) -> None:
        self._together = TOGETHER * nodes
        self._metrics = metrics
        self._engine = engine
        self._index = index
        self._pieces: tuple[Turns[_Piece], Turns[_Piece]] = (Turns(), Turns())
        self._embedded: asyncio.Queue[list[tuple[_Piece, Vectors]]] = asyncio.Queue(1)

    def put(
        self,
        tenant: str,
        collection: str,
        rows: Sequence[ChunkRow],
        embedder: Embedder,
        state: int = catalog.SHOWN,
    ) -> asyncio.Future[bool]:
        """Take chunks in; the future is True once all are stored, False when their document went away meanwhile.

        It raises what embedding or storing raised, `StateUnavailable` above all. `state` is what the chunks are then.
        """
        piece = _Piece(collection, rows, embedder, state, asyncio.get_running_loop().create_future())
        self._pieces[len(rows) <= FEW].put(tenant, collection, piece)
        return piece.stored

    async def work(self) -> None:
        """Embed and store, for as long as the process lives."""
        async with asyncio.TaskGroup() as stages:
            many, few = self._pieces
            stages.create_task(self._embed(many, self._together))
            stages.create_task(self._embed(few, 2 * FEW))
            stages.create_task(self._store())

    async def _embed(self, pieces: Turns[_Piece], together: int) -> None:
        while True:
            taken = [await pieces.wait(lambda _: True)]
            embedder, count = taken[0].embedder, len(taken[0].rows)

            def fits(piece: _Piece, embedder: Embedder = embedder) -> bool:
                return piece.embedder == embedder  # not asked in another name

            while count < together and (piece := pieces.next(fits)) is not None:
                taken.append(piece)
                count += len(piece.rows)
            texts = [embedded_text(row) for piece in taken for row in piece.rows]
            try:
                vectors = await embedder.embed(texts)
            except Exception as error:  # noqa: BLE001 - handed to the jobs, which say why they failed
                _fail(taken, error)
                continue
            start = 0
            pairs = []
            for piece in taken:
                pairs.append((piece, vectors[start : start + len(piece.rows)]))
                start += len(piece.rows)
            await self._embedded.put(pairs)

    async def _store(self) -> None:
        while True:
            together: dict[tuple[str, int], list[tuple[_Piece, Vectors]]] = defaultdict(list)
            for piece, vectors in await self._embedded.get():
                together[piece.collection, piece.state].append((piece, vectors))
            for (collection, _), pairs in together.items():
                pieces = [piece for piece, _ in pairs]
                try:
                    await self._store_together(collection, pieces, np.vstack([part for _, part in pairs]))
                except Exception as error:  # noqa: BLE001 - the same
                    if not isinstance(error, StateUnavailable):
                        log.warning("rag.store_failed", collection=collection, error=type(error).__name__)
                    _fail(pieces, error)

    async def _store_together(self, collection: str, pieces: Sequence[_Piece], vectors: Vectors) -> None:
        rows = [row for piece in pieces for row in piece.rows]
        ids = [row.id for row in rows]
        await self._engine.write(partial(catalog.add_chunks, collection=collection, chunks=rows))
        await self._index.upsert(collection, ids, vectors)
        ready = await self._engine.write(partial(catalog.mark_ready, ids=ids, state=pieces[0].state))
        if gone := [id_ for id_ in ids if id_ not in ready]:
            await self._index.delete(collection, gone)
        self._metrics.chunks.labels().inc(len(ready))
        for piece in pieces:
            if not piece.stored.done():
                piece.stored.set_result(all(row.id in ready for row in piece.rows))


def embedded_text(row: ChunkRow) -> str:
    """What the embedder sees of a chunk."""
    return "\n".join((row.title, row.location, *((row.context,) if row.context else ()), row.text))


def _fail(pieces: Sequence[_Piece], error: Exception) -> None:
    for piece in pieces:
        if not piece.stored.done():
            piece.stored.set_exception(error)
