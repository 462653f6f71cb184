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
from intellirouter.vectors.index import VectorIndex, Vectors

BATCH = 100
"""Chunks in one piece of work: between two checkpoints of a job."""
TOGETHER = 256
"""Chunks a node embeds at once, where so many wait: the more, the more find others of like length to share a batch with."""
WAITING = 16
"""Pieces that wait to be embedded; whoever brings more waits too."""
log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Piece:
    collection: str
    rows: Sequence[ChunkRow]
    embedder: Embedder
    stored: asyncio.Future[bool]


class Writer:
    """Two stages, run by `work`. Up to `BATCH` chunks a piece, up to `WAITING` pieces."""

    def __init__(self, engine: Engine, index: VectorIndex, metrics: RagMetrics, nodes: int = 1) -> None:
        self._together = TOGETHER * nodes
        self._metrics = metrics
        self._engine = engine
        self._index = index
        self._pieces: asyncio.Queue[_Piece] = asyncio.Queue(WAITING)
        self._embedded: asyncio.Queue[list[tuple[_Piece, Vectors]]] = asyncio.Queue(1)

    async def put(
        self, collection: str, rows: Sequence[ChunkRow], embedder: Embedder
    ) -> asyncio.Future[bool]:
        """Take chunks in; the future is True once all are stored, False when their document went away meanwhile.

        It raises what embedding or storing raised, `StateUnavailable` above all.
        """
        piece = _Piece(collection, rows, embedder, asyncio.get_running_loop().create_future())
        await self._pieces.put(piece)
        return piece.stored

    async def work(self) -> None:
        """Embed and store, for as long as the process lives."""
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._embed())
            stages.create_task(self._store())

    async def _embed(self) -> None:
        waiting: _Piece | None = None
        while True:
            taken = [waiting or await self._pieces.get()]
            embedder, waiting = taken[0].embedder, None
            while sum(len(piece.rows) for piece in taken) < self._together and not self._pieces.empty():
                piece = self._pieces.get_nowait()
                if piece.embedder != embedder:  # asked in another name
                    waiting = piece
                    break
                taken.append(piece)
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
            by_collection: dict[str, list[tuple[_Piece, Vectors]]] = defaultdict(list)
            for piece, vectors in await self._embedded.get():
                by_collection[piece.collection].append((piece, vectors))
            for collection, pairs in by_collection.items():
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
        ready = await self._engine.write(partial(catalog.mark_ready, ids=ids))
        if gone := [id_ for id_ in ids if id_ not in ready]:
            await self._index.delete(collection, gone)
        self._metrics.chunks.labels().inc(len(ready))
        for piece in pieces:
            if not piece.stored.done():
                piece.stored.set_result(all(row.id in ready for row in piece.rows))


def embedded_text(row: ChunkRow) -> str:
    """What the embedder sees of a chunk."""
    return f"{row.title}\n{row.location}\n{row.text}"


def _fail(pieces: Sequence[_Piece], error: Exception) -> None:
    for piece in pieces:
        if not piece.stored.done():
            piece.stored.set_exception(error)
