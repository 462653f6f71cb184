"""EmbeddedStore: the StateStore on one SQLite file, or on process memory."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from intellirouter.memory.embedded import counters, leases, logs, values
from intellirouter.memory.embedded.engine import Engine
from intellirouter.memory.embedded.events import EmbeddedEvents
from intellirouter.memory.embedded.tables import SCHEMA
from intellirouter.memory.store import (
    Claim,
    Event,
    Lease,
    Reservation,
    StateHealth,
    Versioned,
    check_claims,
    check_family,
)

SCAN_PAGE = 500


class EmbeddedStore:
    """See `StateStore`. `path` None keeps everything in this process's memory."""

    def __init__(self, path: Path | None = None) -> None:
        self._engine = Engine(path, SCHEMA)
        self._events = EmbeddedEvents(self._engine)
        self._since = time.time()

    async def open(self) -> EmbeddedStore:
        """Open the file. Raises `StateUnavailable`."""
        await self._engine.start()
        return self

    async def get(self, key: str) -> bytes | None:
        """See `StateStore.get`."""
        return (await self._engine.read(lambda c: values.read(c, key))).value

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `StateStore.get_many`."""
        return await self._engine.read(lambda c: values.read_many(c, keys))

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if_absent: bool = False
    ) -> bool:
        """See `StateStore.set`."""
        return await self._engine.write(lambda c: values.write(c, key, value, ttl, only_if_absent))

    async def delete(self, *keys: str) -> int:
        """See `StateStore.delete`."""
        return await self._engine.write(lambda c: values.remove(c, keys))

    async def scan(self, prefix: str) -> AsyncIterator[str]:
        """See `StateStore.scan`."""
        after = ""
        while True:
            page = await self._page(prefix, after)
            for key in page:
                yield key
            if len(page) < SCAN_PAGE:
                return
            after = page[-1]

    async def get_versioned(self, key: str) -> Versioned:
        """See `StateStore.get_versioned`."""
        return await self._engine.read(lambda c: values.read(c, key))

    async def put_if(self, key: str, value: bytes, version: int, *, ttl: float | None = None) -> int | None:
        """See `StateStore.put_if`."""
        return await self._engine.write(lambda c: values.write_if(c, key, value, version, ttl))

    async def add(self, key: str, amount: float, *, window: float = 0) -> float:
        """See `StateStore.add`."""
        return await self._engine.write(lambda c: counters.add(c, key, amount, window))

    async def add_all(self, amounts: Mapping[str, float]) -> list[float]:
        """See `StateStore.add_all`."""
        check_family(amounts)
        return await self._engine.write(lambda c: counters.add_all(c, amounts))

    async def level(self, key: str, *, window: float = 0) -> float:
        """See `StateStore.level`."""
        return await self._engine.read(lambda c: counters.level(c, key, window))

    async def reserve(self, claims: Sequence[Claim]) -> Reservation:
        """See `StateStore.reserve`."""
        check_claims(claims)
        return await self._engine.write(lambda c: counters.reserve(c, claims))

    async def append(
        self,
        key: str,
        items: Sequence[bytes],
        *,
        expected_length: int | None = None,
        ttl: float | None = None,
    ) -> int | None:
        """See `StateStore.append`."""
        return await self._engine.write(lambda c: logs.append(c, key, items, expected_length, ttl))

    async def replace(
        self, key: str, items: Sequence[bytes], *, expected_length: int, ttl: float | None = None
    ) -> bool:
        """See `StateStore.replace`."""
        return await self._engine.write(lambda c: logs.replace(c, key, items, expected_length, ttl))

    async def slice(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """See `StateStore.slice`."""
        return await self._engine.read(lambda c: logs.read(c, key, start, stop))

    async def acquire(self, name: str, owner: str, ttl: float) -> Lease | None:
        """See `StateStore.acquire`."""
        return await self._engine.write(lambda c: leases.acquire(c, name, owner, ttl))

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """See `StateStore.renew`."""
        return await self._engine.write(lambda c: leases.renew(c, lease, ttl))

    async def release(self, lease: Lease) -> None:
        """See `StateStore.release`."""
        await self._engine.write(lambda c: leases.release(c, lease))

    async def publish(self, channel: str, payload: bytes) -> None:
        """See `StateStore.publish`."""
        await self._events.publish(channel, payload)

    def subscribe(self, *patterns: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """See `StateStore.subscribe`."""
        return self._events.subscribe(*patterns)

    def health(self) -> StateHealth:
        """See `StateStore.health`."""
        if trouble := self._engine.trouble:
            return StateHealth("unhealthy", "embedded", f"cannot be written: {trouble}", since=self._since)
        return StateHealth("healthy", "embedded", since=self._since)

    async def aclose(self) -> None:
        """See `StateStore.aclose`."""
        await self._events.close()
        await self._engine.stop()

    async def _page(self, prefix: str, after: str) -> list[str]:
        return await self._engine.read(lambda c: values.page(c, prefix, after, SCAN_PAGE))
