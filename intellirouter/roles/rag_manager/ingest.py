"""Jobs: parse, chunk, write. A job that is done again skips what is there: ids are hashes of the content."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import structlog

from intellirouter.chat.tokens import CHARACTERS_PER_TOKEN
from intellirouter.errors import InvalidRequest
from intellirouter.memory.embedded.engine import Engine
from intellirouter.roles.rag_manager import catalog, catalog_jobs
from intellirouter.roles.rag_manager.assist.contexts import CONTEXT_TOKENS, SUMMARY, Contexts, Written
from intellirouter.roles.rag_manager.blobs import Blobs
from intellirouter.roles.rag_manager.catalog import SHOWN, STAGED, ChunkRow, Row
from intellirouter.roles.rag_manager.chunking import VERSION, Block, Chunk, Chunker
from intellirouter.roles.rag_manager.embedding.embedder import Behalf, Embedder
from intellirouter.roles.rag_manager.parsing.run import Parsers
from intellirouter.roles.rag_manager.writer import BATCH, Writer
from intellirouter.vectors.index import MAX_BATCH, VectorIndex

AHEAD = 3
"""Pieces of one job under way at once, so that the embedder never waits for the store."""
HEAD_TOKENS = 40
"""Kept free of a chunk's tokens for the title and location that are embedded with it."""
_UPLOADED = re.compile("^file-[0-9a-f]{24}/")
"""Before the name of an uploaded file, to keep two of one name apart; nothing to embed."""
log = structlog.get_logger(__name__)


class Cancelled(Exception):
    """The job was cancelled or superseded."""


class Ingester:
    """Runs jobs, several at a time: while one is parsed, chunks of others are embedded."""

    def __init__(
        self,
        engine: Engine,
        index: VectorIndex,
        writer: Writer,
        parsers: Parsers,
        blobs: Blobs,
        contexts: Contexts,
        *,
        size: int,
        overlap: int,
    ) -> None:
        self._engine = engine
        self._index = index
        self._writer = writer
        self._parsers = parsers
        self._blobs = blobs
        self._contexts = contexts
        self._size = size
        self._overlap = overlap

    async def run(self, job: Row, embedder: Embedder, behalf: Behalf) -> str:
        """Bring the document's chunks to what its blob says; what was done without, or nothing.

        A newer version of a document is shown in one step, when all of it is there; a new document as it comes.
        Raises `InvalidRequest` for a document that cannot be read, `StateUnavailable` when the vectors cannot be written,
        `Cancelled`.
        """
        if embedder.model != job["model"]:
            raise InvalidRequest(
                f"The collection is pinned to {job['model']}; this node embeds with {embedder.model}."
            )
        digest, charset = job["sha256"], str(job["charset"] or "")
        data = await asyncio.to_thread(self._blobs.opened, digest)
        place = self._blobs.place(digest)
        title, blocks = await self._parsers.parse(
            place, job["name"], job["tenant"], charset, job["bytes"], data
        )
        del data  # what follows may take minutes
        assist = self._contexts.row(job)
        head = HEAD_TOKENS + (CONTEXT_TOKENS if assist is not None and assist.contexts else 0)
        chunker = Chunker(self._size, self._overlap, max(1, embedder.max_tokens - head), embedder.count)
        if tokens := job["chunk_tokens"]:  # whoever attached the file says how it is cut
            characters, overlap = tokens * CHARACTERS_PER_TOKEN, job["overlap_tokens"] * CHARACTERS_PER_TOKEN
            chunker = replace(
                chunker, size=characters, overlap=overlap, max_tokens=min(chunker.max_tokens, tokens)
            )
        name, written = title or _UPLOADED.sub("", job["name"]), None
        chunks = await asyncio.to_thread(chunker.cut, blocks)
        if not chunks:
            raise InvalidRequest(f"'{job['name']}' holds no text.")
        if assist is not None:
            alive = partial(self._checkpoint, job, 0, len(chunks))
            written = await self._contexts.written(assist, job, name, chunks, behalf, alive)
        rows = await asyncio.to_thread(_rows, job, name, chunks, written, chunker)
        known = await self._engine.read(partial(catalog.chunk_states, document=job["document"]))
        places = {row.id: row.position for row in rows}
        replaces = any(state == SHOWN and id_ not in places for id_, state in known.items())
        fresh = [row for row in rows if known.get(row.id) not in (SHOWN, STAGED)]
        await self._write(job, fresh, len(rows), embedder, STAGED if replaces else SHOWN)
        show = partial(
            catalog.publish,
            job=job["id"],
            collection=job["collection"],
            document=job["document"],
            places=places,
        )
        if not await self._engine.write(show):
            raise Cancelled
        await self.remove(job["collection"], [id_ for id_ in known if id_ not in places])
        if written is not None:
            await self._contexts.forget(job, written)
        return written.note if written is not None else ""

    async def remove(self, collection: str, ids: Sequence[str]) -> None:
        """Vectors first: what the catalogue still lists can be removed again after a crash."""
        for start in range(0, len(ids), MAX_BATCH):
            part = ids[start : start + MAX_BATCH]
            await self._index.delete(collection, part)
            await self._engine.write(partial(catalog.drop_chunks, collection=collection, ids=part))

    async def _write(
        self, job: Row, fresh: Sequence[ChunkRow], total: int, embedder: Embedder, state: int
    ) -> None:
        """Piece by piece, a few ahead; what is stored is noted in order."""
        done = total - len(fresh)
        await self._checkpoint(job, done, total)
        under_way: deque[tuple[int, asyncio.Future[bool]]] = deque()
        starts = range(0, len(fresh), BATCH)
        try:
            for start in (*starts, *[None] * AHEAD):
                if start is not None:
                    rows = fresh[start : start + BATCH]
                    stored = self._writer.put(job["tenant"], job["collection"], rows, embedder, state)
                    under_way.append((len(rows), stored))
                if under_way and (start is None or len(under_way) >= AHEAD):
                    count, stored = under_way.popleft()
                    if not await stored:
                        raise Cancelled
                    done += count
                    await self._checkpoint(job, done, total)
        finally:
            await asyncio.gather(*(stored for _, stored in under_way), return_exceptions=True)

    async def _checkpoint(self, job: Row, done: int, total: int) -> None:
        if not await self._engine.write(partial(catalog_jobs.advance, job=job["id"], done=done, total=total)):
            raise Cancelled


def _rows(
    job: Row, title: str, chunks: Sequence[Chunk], written: Written | None, chunker: Chunker
) -> list[ChunkRow]:
    """Chunks with their ids; the same text twice in a document is told apart by its occurrence. A summary goes behind them."""
    seen: Counter[tuple[str, str]] = Counter()
    rows = []
    contexts = written.contexts if written is not None else [""] * len(chunks)
    if written is not None and written.summary:
        summary = chunker.cut([Block(written.summary, SUMMARY)])
        chunks, contexts = [*chunks, *summary], [*contexts, *[""] * len(summary)]
    for position, (chunk, context) in enumerate(zip(chunks, contexts, strict=True)):
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
            *((context,) if context else ()),
        )
        id_ = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        rows.append(ChunkRow(id_, job["document"], position, title, chunk.location, chunk.text, context))
    return rows
