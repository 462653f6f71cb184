"""What this process last saw of a store: enough to go on from while the store is away.

Bounded by entries and bytes, the least recently used forgotten first. What is not here is unknown, never absent. Each
thing carries when it was asked for (Unix seconds), so that the later of two sights of it can be told.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from intellirouter.bounds.kept import BoundedMap
from intellirouter.memory.embedded.counters import bucket_of
from intellirouter.memory.store import Versioned

UNKNOWN = -1
"""The version of a value that was read or written without learning its version."""


@dataclass(frozen=True, slots=True)
class SeenValue:
    """A value as it stood at `at`; `expires` in Unix seconds."""

    entry: Versioned
    expires: float | None
    at: float

    @property
    def current(self) -> Versioned:
        """The value, unless it has expired."""
        over = self.expires is not None and self.expires <= time.time()
        return Versioned(None, 0) if over else self.entry


@dataclass(frozen=True, slots=True)
class SeenLevel:
    """A counter's level in the window numbered `bucket`."""

    bucket: int
    level: float
    at: float


@dataclass(frozen=True, slots=True)
class SeenLog:
    """A whole log."""

    items: list[bytes]
    at: float


class Shadow:
    """Values, logs and counter levels as last seen."""

    def __init__(self) -> None:
        self._values: BoundedMap[str, SeenValue] = BoundedMap()
        self._logs: BoundedMap[str, SeenLog] = BoundedMap()
        self._levels: BoundedMap[tuple[str, float], SeenLevel] = BoundedMap()

    def saw_value(
        self, key: str, value: bytes | None, at: float, version: int | None = None, ttl: float | None = None
    ) -> None:
        """Remember a value. Without `version` the one known stays when the value is the same, else it is `UNKNOWN`."""
        if version is None:
            known = self._values.get(key)
            same = known is not None and known.entry.value == value
            version = 0 if value is None else known.entry.version if known is not None and same else UNKNOWN
        expires = None if ttl is None else at + ttl
        self._values.put(key, SeenValue(Versioned(value, version), expires, at), len(value or b""))

    def value(self, key: str) -> SeenValue | None:
        """The value as last seen, or None when nothing is known."""
        return self._values.get(key)

    def saw_log(self, key: str, items: list[bytes], at: float) -> None:
        """Remember a whole log."""
        self._logs.put(key, SeenLog(items, at), sum(map(len, items)))

    def appended(self, key: str, items: Sequence[bytes], length: int, at: float) -> None:
        """Items were added and the log is `length` long now: what is known grows if it was whole."""
        known = self._logs.get(key)
        before = length - len(items)
        if before == 0:
            self.saw_log(key, list(items), at)
        elif known is not None and len(known.items) == before:
            self.saw_log(key, [*known.items, *items], at)
        else:
            self._logs.drop(key)

    def log(self, key: str) -> SeenLog | None:
        """The whole log as last seen, or None."""
        return self._logs.get(key)

    def forget(self, key: str, at: float) -> None:
        """The key was deleted: its value is known to be absent, its log to be empty."""
        self.saw_value(key, None, at, 0)
        self.saw_log(key, [], at)

    def saw_level(self, key: str, window: float, level: float, at: float) -> None:
        """Remember a counter's level in its current window."""
        self._levels.put((key, window), SeenLevel(bucket_of(window, time.time()), level, at))

    def level(self, key: str, window: float) -> SeenLevel | None:
        """The level last seen, of this window or an earlier one."""
        return self._levels.get((key, window))
