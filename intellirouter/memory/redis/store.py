"""RedisStore: the StateStore on Redis."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import LeaseLost, StateError, StateUnavailable
from intellirouter.memory.redis import scripts
from intellirouter.memory.redis.connect import connect
from intellirouter.memory.redis.events import RedisEvents
from intellirouter.memory.redis.keys import Keys, escape
from intellirouter.memory.redis.switches import Switches
from intellirouter.memory.redis.waits import Waits
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

LEASE_MEMORY_MS = 7 * 86_400_000
SCAN_PAGE = 500
PASSING = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF", "OOM")
"""What a server answers when it cannot serve now but may later."""


class RedisStore:
    """See `StateStore`. Raises `StateUnavailable` when Redis does not answer within `[memory] timeout`."""

    def __init__(self, section: MemorySection) -> None:
        self._client = connect(section)
        self._cluster = self._client if isinstance(self._client, RedisCluster) else None
        self._keys = Keys(section.namespace)
        self._timeout = section.timeout
        self._places = asyncio.Semaphore(section.pool_size)
        self._waits = Waits()
        self._events = RedisEvents(self._client, self._keys, self._waits)
        self._since = time.time()
        self._switches = (
            Switches(self._client, section.redis_sentinel_master, self.disconnect)
            if section.redis_sentinels
            else None
        )

    async def ping(self) -> None:
        """Ask whether Redis answers and can be written to."""
        await self.set("ping", b"1", ttl=60)

    async def get(self, key: str) -> bytes | None:
        """See `StateStore.get`."""
        value: bytes | None = await self._ask(lambda: self._client.hget(self._keys.value(key), "v"))
        return value

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `StateStore.get_many`."""
        if not keys:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hget(self._keys.value(key), "v")
        values: list[bytes | None] = await self._ask(pipeline.execute)
        return values

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if_absent: bool = False
    ) -> bool:
        """See `StateStore.set`."""
        arguments = (value, _milliseconds(ttl), int(only_if_absent))
        return bool(await self._eval(scripts.SET, (self._keys.value(key),), arguments))

    async def delete(self, *keys: str) -> int:
        """See `StateStore.delete`."""
        if not keys:
            return 0
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.delete(self._keys.value(key))
            pipeline.delete(self._keys.log(key))
        counts = await self._ask(pipeline.execute)
        return sum(bool(counts[i] or counts[i + 1]) for i in range(0, len(counts), 2))

    async def scan(self, prefix: str) -> AsyncIterator[str]:
        """See `StateStore.scan`."""
        seen: set[str] = set()
        for space in (self._keys.values, self._keys.logs):
            pattern = escape(space + prefix).replace("*", "\\*") + "*"
            names = self._client.scan_iter(match=pattern, count=SCAN_PAGE)
            while (name := await self._ask(lambda: anext(names, None))) is not None:  # noqa: B023  asked at once
                key = name.decode().removeprefix(space)
                if key not in seen:
                    seen.add(key)
                    yield key

    async def get_versioned(self, key: str) -> Versioned:
        """See `StateStore.get_versioned`."""
        value, version = await self._ask(lambda: self._client.hmget(self._keys.value(key), ["v", "n"]))
        return Versioned(value, int(version or 0))

    async def put_if(self, key: str, value: bytes, version: int, *, ttl: float | None = None) -> int | None:
        """See `StateStore.put_if`."""
        arguments = (value, _milliseconds(ttl), version)
        new = await self._eval(scripts.PUT_IF, (self._keys.value(key),), arguments)
        return None if new is None else int(new)

    async def add(self, key: str, amount: float, *, window: float = 0) -> float:
        """See `StateStore.add`."""
        counter = self._keys.counter(key, window)
        return float(await self._eval(scripts.ADD, (counter,), (repr(float(amount)), window)))

    async def add_all(self, amounts: Mapping[str, float]) -> list[float]:
        """See `StateStore.add_all`."""
        check_family(amounts)
        if not amounts:
            return []
        names = [self._keys.counter(key, 0) for key in amounts]
        levels = await self._eval(
            scripts.ADD_ALL, names, [repr(float(amount)) for amount in amounts.values()]
        )
        return [float(level) for level in levels]

    async def level(self, key: str, *, window: float = 0) -> float:
        """See `StateStore.level`."""
        return float(await self._eval(scripts.LEVEL, (self._keys.counter(key, window),), (window,)))

    async def reserve(self, claims: Sequence[Claim]) -> Reservation:
        """See `StateStore.reserve`."""
        check_claims(claims)
        if not claims:
            return Reservation(True, ())
        counters = [self._keys.counter(claim.key, claim.window) for claim in claims]
        arguments = [part for claim in claims for part in (claim.amount, claim.limit, claim.window)]
        denied, wait, *levels = await self._eval(scripts.RESERVE, counters, arguments)
        taken = tuple(map(float, levels))
        if denied:
            return Reservation(False, taken, int(denied) - 1, float(wait))
        return Reservation(True, taken)

    async def append(
        self,
        key: str,
        items: Sequence[bytes],
        *,
        expected_length: int | None = None,
        ttl: float | None = None,
    ) -> int | None:
        """See `StateStore.append`."""
        expected = -1 if expected_length is None else expected_length
        arguments = (expected, _milliseconds(ttl), *items)
        length = await self._eval(scripts.APPEND, (self._keys.log(key),), arguments)
        return None if length is None else int(length)

    async def replace(
        self, key: str, items: Sequence[bytes], *, expected_length: int, ttl: float | None = None
    ) -> bool:
        """See `StateStore.replace`."""
        arguments = (expected_length, _milliseconds(ttl), *items)
        return bool(await self._eval(scripts.REPLACE, (self._keys.log(key),), arguments))

    async def slice(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """See `StateStore.slice`."""
        if stop == 0 or (stop is not None and (start < 0) == (stop < 0) and stop <= start):
            return []
        last = -1 if stop is None else stop - 1
        return list(await self._ask(lambda: self._client.lrange(self._keys.log(key), start, last)))

    async def acquire(self, name: str, owner: str, ttl: float) -> Lease | None:
        """See `StateStore.acquire`."""
        token = await self._eval(scripts.ACQUIRE, (self._keys.lease(name),), (owner, ttl, LEASE_MEMORY_MS))
        return None if token is None else Lease(name, owner, int(token), ttl)

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """See `StateStore.renew`."""
        arguments = (lease.owner, lease.token, ttl, LEASE_MEMORY_MS)
        if not await self._eval(scripts.RENEW, (self._keys.lease(lease.name),), arguments):
            raise LeaseLost(f"the lease {lease.name} is no longer held by {lease.owner}")
        return Lease(lease.name, lease.owner, lease.token, ttl)

    async def release(self, lease: Lease) -> None:
        """See `StateStore.release`."""
        await self._eval(scripts.RELEASE, (self._keys.lease(lease.name),), (lease.owner, lease.token))

    async def publish(self, channel: str, payload: bytes) -> None:
        """See `StateStore.publish`."""
        await self._ask(lambda: self._client.execute_command("PUBLISH", self._keys.channel(channel), payload))

    def subscribe(self, *patterns: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """See `StateStore.subscribe`. The iterator raises `StateUnavailable` when the connection breaks."""
        return self._events.subscribe(*patterns)

    async def merge_counter(
        self, key: str, window: float, bucket: int, journal: str, sequence: int, amount: float
    ) -> float | None:
        """Add what `journal` counted during an outage, once however often it is sent; the new level.

        None when the window is over.
        """
        arguments = (window, bucket, journal, sequence, repr(amount))
        level = await self._eval(scripts.MERGE_COUNTER, (self._keys.counter(key, window),), arguments)
        return None if level is None else float(level)

    async def merge_value(
        self, key: str, value: bytes | None, version: int, ttl: float | None
    ) -> tuple[Versioned, float | None] | None:
        """Write a value (None: delete) of an outage unless a later one is there: that one, and its seconds to live."""
        arguments = (value or b"", _milliseconds(ttl), version, int(value is None))
        later = await self._eval(scripts.MERGE_VALUE, (self._keys.value(key),), arguments)
        if later is None:
            return None
        return Versioned(later[0], int(later[1])), later[2] / 1000 if later[2] >= 0 else None

    def health(self) -> StateHealth:
        """See `StateStore.health`. This store does not watch; `ResilientStore` does."""
        return StateHealth("healthy", "redis", since=self._since)

    async def disconnect(self) -> None:
        """Give up what is asked and drop every connection: after an outage, or with another master, each would fail once."""
        self._waits.give_up()
        with contextlib.suppress(RedisError, OSError):  # they are useless already
            if isinstance(self._client, RedisCluster):
                await self._client.aclose()
            else:
                pool: Any = self._client.connection_pool
                await pool.update_active_connections_for_reconnect()  # those whose answer is there already
                await pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """See `StateStore.aclose`."""
        if self._switches is not None:
            await self._switches.aclose()
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()

    async def _eval(self, script: scripts.Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        try:
            return await self._ask(lambda: self._client.evalsha(script.sha, len(keys), *keys, *arguments))
        except _Unknown:
            return await self._ask(lambda: self._client.eval(script.text, len(keys), *keys, *arguments))

    async def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            async with asyncio.timeout(self._timeout), self._places, self._waits.one():
                if self._cluster is not None:  # redis-py 8 sends what comes before this to nodes at random
                    await self._cluster.initialize()
                return await question()
        except NoScriptError as error:
            raise _Unknown from error
        except ResponseError as error:
            if not str(error).startswith(PASSING) and type(error) is ResponseError:
                raise StateError(f"Redis refused a command: {error}") from error
            raise StateUnavailable(f"Redis cannot serve: {error}") from error
        except RedisClusterException as error:
            raise StateUnavailable(f"Redis does not answer as a Cluster: {error}") from error
        except (RedisError, OSError, TimeoutError) as error:
            raise StateUnavailable(f"Redis does not answer: {str(error) or type(error).__name__}") from error


class _Unknown(Exception):
    """The server does not know the script."""


def _milliseconds(ttl: float | None) -> int:
    return 0 if ttl is None else max(1, math.ceil(ttl * 1000))
