"""Jobs: parse, chunk, embed, commit. A job that is done again skips what is there: ids are hashes of the content."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog

from intellirouter.errors import InvalidRequest
from intellirouter.memory.embedded.engine import Engine
from intellirouter.roles.rag_manager import catalog
from intellirouter.roles.rag_manager.catalog import ChunkRow, Row
from intellirouter.roles.rag_manager.chunking import VERSION, Chunk, Chunker
from intellirouter.roles.rag_manager.embedding.embedder import Embedder
from intellirouter.roles.rag_manager.parsing.run import ParseLimits, parse_file
from intellirouter.vectors.index import MAX_BATCH, VectorIndex

BATCH = 100
"""Chunks between two checkpoints."""
HEAD_TOKENS = 40
"""Kept free of a chunk's tokens for the title and location that are embedded with it."""
_UPLOADED = re.compile("^file-[0-9a-f]{24}/")
"""Before the name of an uploaded file, to keep two of one name apart; nothing to embed."""
log = structlog.get_logger(__name__)


class Cancelled(Exception):
    """The job was cancelled or superseded."""


class Ingester:
    """Runs one job at a time."""

    def __init__(
        self, engine: Engine, index: VectorIndex, blobs: Path, limits: ParseLimits, *, size: int, overlap: int
    ) -> None:
        self._engine = engine
        self._index = index
        self._blobs = blobs
        self._limits = limits
        self._size = size
        self._overlap = overlap

    async def run(self, job: Row, embedder: Embedder) -> None:
        """Bring the document's chunks to what its blob says.

        Raises `InvalidRequest` for a document that cannot be read, `StateUnavailable` when the vectors cannot be written,
        `Cancelled`.
        """
        if embedder.model != job["model"]:
            raise InvalidRequest(
                f"The collection is pinned to {job['model']}; this node embeds with {embedder.model}."
            )
        title, blocks = await parse_file(self._blobs / job["sha256"], job["name"], self._limits)
        chunker = Chunker(self._size, self._overlap, embedder.max_tokens - HEAD_TOKENS, embedder.count)
        chunks = await asyncio.to_thread(chunker.cut, blocks)
        if not chunks:
            raise InvalidRequest(f"'{job['name']}' holds no text.")
        rows = _rows(job, title or _UPLOADED.sub("", job["name"]), chunks)
        known = await self._engine.read(partial(catalog.chunk_states, document=job["document"]))
        fresh = [row for row in rows if not known.get(row.id)]
        done = len(rows) - len(fresh)
        for start in range(0, len(fresh), BATCH):
            await self._checkpoint(job, done + start, len(rows))
            await self._write(job["collection"], fresh[start : start + BATCH], embedder)
        await self._checkpoint(job, len(rows), len(rows))
        wanted = {row.id for row in rows}
        await self.remove(job["collection"], [id_ for id_ in known if id_ not in wanted])

    async def remove(self, collection: str, ids: Sequence[str]) -> None:
        """Vectors first: what the catalogue still lists can be removed again after a crash."""
        for start in range(0, len(ids), MAX_BATCH):
            part = ids[start : start + MAX_BATCH]
            await self._index.delete(collection, part)
            await self._engine.write(partial(catalog.drop_chunks, ids=part))

    async def _write(self, collection: str, rows: Sequence[ChunkRow], embedder: Embedder) -> None:
        await self._engine.write(partial(catalog.add_chunks, collection=collection, chunks=rows))
        await self.embed(collection, rows, embedder)
        await self._engine.write(partial(catalog.mark_ready, ids=[row.id for row in rows]))

    async def embed(self, collection: str, rows: Sequence[ChunkRow], embedder: Embedder) -> None:
        """Write the vectors of `rows`."""
        vectors = await embedder.embed([f"{row.title}\n{row.location}\n{row.text}" for row in rows])
        await self._index.upsert(collection, [row.id for row in rows], vectors)

    async def _checkpoint(self, job: Row, done: int, total: int) -> None:
        if not await self._engine.write(partial(catalog.advance, job=job["id"], done=done, total=total)):
            raise Cancelled


def _rows(job: Row, title: str, chunks: Sequence[Chunk]) -> list[ChunkRow]:
    """Chunks with their ids; the same text twice in a document is told apart by its occurrence."""
    seen: Counter[tuple[str, str]] = Counter()
    rows = []
    for position, chunk in enumerate(chunks):
        occurrence = seen[chunk.location, chunk.text]
        seen[chunk.location, chunk.text] += 1
        parts = (
            job["collection"],
            job["document"],
            title,
            chunk.location,
            chunk.text,
            str(occurrence),
            VERSION,
            job["model"],
        )
        id_ = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        rows.append(ChunkRow(id_, job["document"], position, title, chunk.location, chunk.text))
    return rows
