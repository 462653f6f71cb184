"""Words are looked up in the catalogue's thread for reads; a large collection that changed much is read anew beside it."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial

import structlog

from intellirouter.errors import StateUnavailable
from intellirouter.memory.embedded.engine import Engine
from intellirouter.roles.rag_manager.filters import Condition
from intellirouter.roles.rag_manager.phrase import Phrase
from intellirouter.roles.rag_manager.word_scores import WordScores

log = structlog.get_logger(__name__)


class WordLookup:
    """No search waits for a collection to be read anew: until that is done, it goes by what was read before and what changed."""

    def __init__(self, engine: Engine, scores: WordScores | None = None) -> None:
        self._engine = engine
        self._scores = scores or WordScores()
        self._waiting: asyncio.Queue[tuple[str, tuple[Phrase, ...]]] = asyncio.Queue()
        self._under_way: set[str] = set()
        """Those that wait to be read or are: each is one that is kept, so there are few."""

    async def search(self, collection: str, query: str, limit: int, condition: Condition) -> dict[str, float]:
        """See `lexical.search`."""

        def look(db: sqlite3.Connection) -> tuple[dict[str, float], tuple[Phrase, ...] | None]:
            found = self._scores.search(db, collection, query, limit, condition)
            return found, None if collection in self._under_way else self._scores.due(collection)

        found, phrases = await self._engine.read(look)
        if phrases is not None and collection not in self._under_way:
            self._under_way.add(collection)
            self._waiting.put_nowait((collection, phrases))
        return found

    async def work(self) -> None:
        """Read anew what is due, for as long as the process lives."""
        while True:
            collection, phrases = await self._waiting.get()
            try:
                read = partial(self._scores.read, collection=collection, phrases=phrases)
                found = await self._engine.read_aside(read)
                await self._engine.read(lambda _db: self._scores.take(collection, found))  # noqa: B023 - awaited here
            except StateUnavailable as error:  # what was read before still serves; it is tried again
                log.warning("rag.words_not_read", collection=collection, reason=error.message)
            finally:
                self._under_way.discard(collection)
