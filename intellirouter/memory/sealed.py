"""A StateStore that keeps what people said encrypted; all else as it is.

`SEALED` names the families of keys whose values are sealed, each for a purpose of its own and bound to the whole key, which has
the tenant in it. Counters, leases, channels and small facts are not content and pass as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from intellirouter.memory.store import (
    Claim,
    Event,
    Lease,
    Reservation,
    StateHealth,
    StateStore,
    Versioned,
    family,
)

SEALED = frozenset(
    {"conversation", "conversation-summary", "response", "cache", "settings", "people", "grant"}
)
"""Conversations and their summaries, kept responses, cached answers, settings made at run time (providers' keys are among them),
people with the key that tokens are signed with, and what providers of identities gave for them."""


TRIES = 20
"""Of a log that somebody adds to again and again; what is left is taken by the next run."""


class Sealing(Protocol):
    """See `security.sealing.Sealer`."""

    def seal(self, purpose: str, place: str, value: bytes) -> bytes:
        """Encrypt."""

    def open(self, purpose: str, place: str, value: bytes) -> bytes:
        """Decrypt."""

    def is_current(self, value: bytes) -> bool:
        """Whether the key that seals now sealed it."""


class SealedStore:
    """See `StateStore`."""

    def __init__(self, store: StateStore, sealer: Sealing) -> None:
        self.inner = store
        self._sealer = sealer

    def _seal(self, key: str, value: bytes) -> bytes:
        name = family(key)
        return self._sealer.seal(name, key, value) if name in SEALED else value

    def _open(self, key: str, value: bytes | None) -> bytes | None:
        return value if value is None else self._opened(key, value)

    def _opened(self, key: str, value: bytes) -> bytes:
        name = family(key)
        return self._sealer.open(name, key, value) if name in SEALED else value

    async def get(self, key: str) -> bytes | None:
        """See `StateStore.get`."""
        return self._open(key, await self.inner.get(key))

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `StateStore.get_many`."""
        return [
            self._open(key, value) for key, value in zip(keys, await self.inner.get_many(keys), strict=True)
        ]

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if_absent: bool = False
    ) -> bool:
        """See `StateStore.set`."""
        return await self.inner.set(key, self._seal(key, value), ttl=ttl, only_if_absent=only_if_absent)

    async def delete(self, *keys: str) -> int:
        """See `StateStore.delete`."""
        return await self.inner.delete(*keys)

    def scan(self, prefix: str) -> AsyncIterator[str]:
        """See `StateStore.scan`."""
        return self.inner.scan(prefix)

    async def get_versioned(self, key: str) -> Versioned:
        """See `StateStore.get_versioned`."""
        found = await self.inner.get_versioned(key)
        return Versioned(self._open(key, found.value), found.version)

    async def put_if(self, key: str, value: bytes, version: int, *, ttl: float | None = None) -> int | None:
        """See `StateStore.put_if`."""
        return await self.inner.put_if(key, self._seal(key, value), version, ttl=ttl)

    async def add(self, key: str, amount: float, *, window: float = 0) -> float:
        """See `StateStore.add`."""
        return await self.inner.add(key, amount, window=window)

    async def add_all(self, amounts: Mapping[str, float]) -> list[float]:
        """See `StateStore.add_all`."""
        return await self.inner.add_all(amounts)

    async def level(self, key: str, *, window: float = 0) -> float:
        """See `StateStore.level`."""
        return await self.inner.level(key, window=window)

    async def reserve(self, claims: Sequence[Claim]) -> Reservation:
        """See `StateStore.reserve`."""
        return await self.inner.reserve(claims)

    async def append(
        self,
        key: str,
        items: Sequence[bytes],
        *,
        expected_length: int | None = None,
        ttl: float | None = None,
    ) -> int | None:
        """See `StateStore.append`."""
        sealed = [self._seal(key, item) for item in items]
        return await self.inner.append(key, sealed, expected_length=expected_length, ttl=ttl)

    async def replace(
        self, key: str, items: Sequence[bytes], *, expected_length: int, ttl: float | None = None
    ) -> bool:
        """See `StateStore.replace`."""
        sealed = [self._seal(key, item) for item in items]
        return await self.inner.replace(key, sealed, expected_length=expected_length, ttl=ttl)

    async def slice(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """See `StateStore.slice`."""
        return [self._opened(key, item) for item in await self.inner.slice(key, start, stop)]

    async def acquire(self, name: str, owner: str, ttl: float) -> Lease | None:
        """See `StateStore.acquire`."""
        return await self.inner.acquire(name, owner, ttl)

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """See `StateStore.renew`."""
        return await self.inner.renew(lease, ttl)

    async def release(self, lease: Lease) -> None:
        """See `StateStore.release`."""
        await self.inner.release(lease)

    async def publish(self, channel: str, payload: bytes) -> None:
        """See `StateStore.publish`."""
        await self.inner.publish(channel, payload)

    def subscribe(self, *patterns: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """See `StateStore.subscribe`."""
        return self.inner.subscribe(*patterns)

    def health(self) -> StateHealth:
        """See `StateStore.health`."""
        return self.inner.health()

    async def aclose(self) -> None:
        """See `StateStore.aclose`."""
        await self.inner.aclose()


class Resealing:
    """Seals anew what is not sealed with the current key. Killed at any moment, it goes on where it was when it is asked again."""

    def __init__(self, store: SealedStore, sealer: Sealing, ttl_of: Callable[[str], float | None]) -> None:
        """`ttl_of` says how long the value of a key is kept, in seconds; None: for ever."""
        self._store = store
        self._inner = store.inner
        self._sealer = sealer
        self._ttl_of = ttl_of

    async def all(self, families: Iterable[str] = sorted(SEALED)) -> int:
        """Every value and log of these families; how many were sealed anew. Raises `NotOpened`, `StateError`."""
        count = 0
        for name in families:
            async for key in self._inner.scan(f"{name}:"):
                if family(key) == name:
                    count += await self._one(key, self._ttl_of(key))
        return count

    async def _one(self, key: str, ttl: float | None) -> int:
        found = await self._inner.get_versioned(key)
        if found.value is not None:
            if self._sealer.is_current(found.value):
                return 0
            value = self._sealer.open(family(key), key, found.value)
            sealed = self._sealer.seal(family(key), key, value)
            # whoever wrote meanwhile wrote with the current key
            return int(await self._inner.put_if(key, sealed, found.version, ttl=ttl) is not None)
        return await self._log(key, ttl)

    async def _log(self, key: str, ttl: float | None) -> int:
        for _ in range(TRIES):
            items = await self._inner.slice(key)
            if not items or all(map(self._sealer.is_current, items)):
                return 0
            name = family(key)
            fresh = [self._sealer.seal(name, key, self._sealer.open(name, key, item)) for item in items]
            # at once, so that nobody finds it empty; where somebody added to it meanwhile, once more
            if await self._inner.replace(key, fresh, expected_length=len(items), ttl=ttl):
                return 1
        return 0
