"""Where answers are kept: in this process, bounded by bytes, and in the shared store for the others."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import structlog

from intellirouter.bounds.kept import BoundedMap
from intellirouter.config.schema.cache import CacheSection
from intellirouter.errors import StateError
from intellirouter.inference.cache.entry import Entry, decode, encode
from intellirouter.memory.store import StateStore

PREFIX = "cache:"
MAX_ENTRIES = 100_000

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Stats:
    """Since the start of this process."""

    hits: int = 0
    misses: int = 0
    stale: int = 0
    canned: int = 0
    stored: int = 0
    too_long: int = 0


class ResponseCache:
    """Answers by key. A shared store that does not answer is no reason to fail a request."""

    def __init__(self, section: CacheSection, store: StateStore) -> None:
        self.section = section
        self.stats = Stats()
        self._store = store
        self._near: BoundedMap[str, bytes] = BoundedMap(MAX_ENTRIES, section.max_bytes)

    async def get(self, key: str) -> Entry | None:
        """The answer kept under this key, however old."""
        data = self._near.get(key)
        if data is None and self.section.shared:
            with contextlib.suppress(StateError):
                data = await self._store.get(PREFIX + key)
            if data is not None:
                self._near.put(key, data, len(data))
        if data is None:
            return None
        try:
            entry = decode(data)
        except msgspec.MsgspecError:  # written by another version
            self._near.drop(key)
            return None
        if time.time() - entry.made > self.section.ttl + self.section.stale_ttl:
            self._near.drop(key)
            return None
        return entry

    async def put(self, key: str, entry: Entry) -> None:
        """Keep an answer, unless it is too long."""
        data = encode(entry)
        if len(data) > self.section.max_entry_bytes:
            self.stats.too_long += 1
            return
        self.stats.stored += 1
        self._near.put(key, data, len(data))
        if self.section.shared:
            try:
                ttl = self.section.ttl + self.section.stale_ttl
                await self._store.set(PREFIX + key, data, ttl=ttl)
            except StateError as error:
                log.debug("cache.not_shared", reason=error.message)

    def fresh(self, entry: Entry, max_age: float | None) -> bool:
        """Whether the answer may be given as it is."""
        age = time.time() - entry.made
        return age <= (self.section.ttl if max_age is None else min(max_age, self.section.ttl))

    async def clear(self) -> int:
        """Forget every answer; how many the shared store held. Raises `StateUnavailable`."""
        self._near = BoundedMap(MAX_ENTRIES, self.section.max_bytes)
        if not self.section.shared:
            return 0
        keys = [key async for key in self._store.scan(PREFIX)]
        return sum([await self._store.delete(*keys[i : i + 500]) for i in range(0, len(keys), 500)])

    def shown(self) -> dict[str, Any]:
        """For the admin API."""
        asked = self.stats.hits + self.stats.misses
        return {
            **asdict(self.stats),
            "hit_rate": round(self.stats.hits / asked, 4) if asked else None,
            "entries": len(self._near),
            "bytes": self._near.weight,
            "max_bytes": self.section.max_bytes,
            "ttl_seconds": self.section.ttl,
        }
