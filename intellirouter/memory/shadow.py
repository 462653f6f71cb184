"""What this process last saw of a store: enough to go on from while the store is away.

Bounded by entries and bytes, the least recently used forgotten first. What is not here is unknown, never absent.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from intellirouter.memory.embedded.counters import bucket_of
from intellirouter.memory.store import Versioned

MAX_ENTRIES = 50_000
MAX_BYTES = 32 * 1024 * 1024

K = TypeVar("K")
V = TypeVar("V")


class BoundedMap(Generic[K, V]):
    """A mapping that forgets what was used longest ago. `put` names the weight of what it keeps, in bytes."""

    def __init__(self, entries: int = MAX_ENTRIES, weight: int = MAX_BYTES) -> None:
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._entries = entries
        self._most = self._room = weight

    def __len__(self) -> int:
        return len(self._items)

    @property
    def weight(self) -> int:
        """The bytes of all that is kept."""
        return self._most - self._room

    def get(self, key: K) -> V | None:
        """The value, which now counts as used."""
        found = self._items.get(key)
        if found is None:
            return None
        self._items.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, weight: int = 0) -> None:
        """Keep it; what no longer fits goes."""
        self.drop(key)
        self._items[key] = (value, weight)
        self._room -= weight
        while self._items and (len(self._items) > self._entries or self._room < 0):
            _, (_, freed) = self._items.popitem(last=False)
            self._room += freed

    def drop(self, key: K) -> None:
        """Forget it."""
        found = self._items.pop(key, None)
        if found is not None:
            self._room += found[1]


@dataclass(slots=True)
class _Seen:
    entry: Versioned
    expires: float | None


class Shadow:
    """Values, logs and counter levels as last seen."""

    def __init__(self) -> None:
        self._values: BoundedMap[str, _Seen] = BoundedMap()
        self._logs: BoundedMap[str, list[bytes]] = BoundedMap()
        self._levels: BoundedMap[tuple[str, float], tuple[int, float]] = BoundedMap()

    def saw_value(
        self, key: str, value: bytes | None, version: int | None = None, ttl: float | None = None
    ) -> None:
        """Remember a value. Without `version` the one known stays when the value is the same, else it is unknown (-1)."""
        if version is None:
            known = self._values.get(key)
            same = known is not None and known.entry.value == value
            version = 0 if value is None else known.entry.version if known is not None and same else -1
        expires = None if ttl is None else time.monotonic() + ttl
        self._values.put(key, _Seen(Versioned(value, version), expires), len(value or b""))

    def value(self, key: str) -> Versioned | None:
        """The value as last seen (version -1 when unknown), or None when nothing is known."""
        seen = self._values.get(key)
        if seen is None:
            return None
        if seen.expires is not None and seen.expires <= time.monotonic():
            return Versioned(None, 0)
        return seen.entry

    def saw_log(self, key: str, items: list[bytes]) -> None:
        """Remember a whole log."""
        self._logs.put(key, items, sum(map(len, items)))

    def appended(self, key: str, items: list[bytes], length: int) -> None:
        """Items were added and the log is `length` long now: what is known grows if it was whole."""
        known = self._logs.get(key)
        before = length - len(items)
        if before == 0:
            self.saw_log(key, items)
        elif known is not None and len(known) == before:
            self.saw_log(key, known + items)
        else:
            self._logs.drop(key)

    def log(self, key: str) -> list[bytes] | None:
        """The whole log as last seen, or None."""
        return self._logs.get(key)

    def forget(self, key: str) -> None:
        """The key was deleted: its value is known to be absent, its log to be empty."""
        self.saw_value(key, None, 0)
        self.saw_log(key, [])

    def saw_level(self, key: str, window: float, level: float) -> None:
        """Remember a counter's level in its current window."""
        self._levels.put((key, window), (bucket_of(window, time.time()), level))

    def level(self, key: str, window: float) -> float:
        """The level last seen in the current window; 0 when none was."""
        seen = self._levels.get((key, window))
        return seen[1] if seen is not None and seen[0] == bucket_of(window, time.time()) else 0.0
