"""A mapping with a bound on its entries and on the bytes they weigh: the least recently used goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

MAX_ENTRIES = 50_000
MAX_BYTES = 32 * 1024 * 1024

K = TypeVar("K")
V = TypeVar("V")


class BoundedMap(Generic[K, V]):
    """A mapping that forgets what was used longest ago. `put` names the weight of what it keeps, in bytes. Threads may share it."""

    def __init__(self, entries: int = MAX_ENTRIES, weight: int = MAX_BYTES) -> None:
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._entries = entries
        self._most = self._room = weight
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def weight(self) -> int:
        """The bytes of all that is kept."""
        return self._most - self._room

    def get(self, key: K) -> V | None:
        """The value, which now counts as used."""
        with self._lock:
            found = self._items.get(key)
            if found is None:
                return None
            self._items.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int = 0) -> None:
        """Keep it; what no longer fits goes."""
        with self._lock:
            self._drop(key)
            self._items[key] = (value, weight)
            self._room -= weight
            while self._items and (len(self._items) > self._entries or self._room < 0):
                _, (_, freed) = self._items.popitem(last=False)
                self._room += freed

    def drop(self, key: K) -> None:
        """Forget it."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: K) -> None:
        found = self._items.pop(key, None)
        if found is not None:
            self._room += found[1]
