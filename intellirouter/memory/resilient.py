"""ResilientStore: a shared store that may go away without anybody waiting for it.

While the store answers, every call goes to it, and what it says is remembered (`outage/`). A call that is not answered
within `patience`, or fails, turns the store *away*: that call and all that follow are served at once from what is
remembered and from a journal on this node's disk. An owner task asks the store again, merges the journal when it
answers, and only then turns to it again.

While it is away:
- counters and reservations go on from the level last seen, counted by this node alone;
- values, logs: what was seen or written is read back; what is not known raises `StateUnavailable`, never a false absence;
- leases are not granted (`StateUnavailable`): two nodes must not both hold one;
- events reach the subscribers of this process.

A write whose answer was lost may have taken place: it is counted again from the journal (the error is bounded by what
was in flight).
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import structlog

from intellirouter import tasks
from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateUnavailable
from intellirouter.memory.bus import EventBus, Subscription
from intellirouter.memory.outage.local import LocalState
from intellirouter.memory.outage.merge import MergeTarget, merge
from intellirouter.memory.outage.shadow import UNKNOWN
from intellirouter.memory.patience import Patience
from intellirouter.memory.store import (
    Claim,
    Event,
    Lease,
    Reservation,
    StateHealth,
    Versioned,
    check_claims,
)

T = TypeVar("T")

PROBE_FIRST = 0.05
PROBE_LONGEST = 1.0
"""Seconds between two questions whether the store is back; the first comes soon, then they spread out."""

log = structlog.get_logger(__name__)


class ResilientStore:
    """See the module. `directory` is this node's data directory."""

    def __init__(self, shared: MergeTarget, directory: Path | None, section: MemorySection) -> None:
        self._shared = shared
        self._local = LocalState(None if directory is None else directory / "outage.db")
        self._bus = EventBus()
        self._patience = min(section.patience, section.timeout)
        self._timeout = section.timeout
        self._owner_name = uuid.uuid4().hex
        self._here = False
        self._since = time.time()
        self._reason = "not asked yet"
        self._turned = asyncio.Condition()
        self._lost = asyncio.Event()
        self._locals = 0
        self._no_locals = asyncio.Event()
        self._no_locals.set()
        self._owner: asyncio.Task[None] | None = None

    async def open(self) -> ResilientStore:
        """Start, with or without the shared store. Raises `StateUnavailable` only for this node's own disk."""
        await self._local.journal.open()
        try:
            async with asyncio.timeout(self._timeout):
                await self._shared.ping()
                await self._return()
        except (StateUnavailable, TimeoutError) as error:
            self._reason = str(error) or "it did not answer in time"
            log.warning("state.away", reason=self._reason)
            self._lost.set()
        self._owner = asyncio.create_task(self._watch(), name="state owner")
        self._owner.add_done_callback(_report)
        return self

    async def get(self, key: str) -> bytes | None:
        """See `StateStore.get`."""
        asked = time.time()
        try:
            value = await self._ask(lambda: self._shared.get(key))
        except StateUnavailable:
            return (await self._local.get(key)).value
        self._local.seen.saw_value(key, value, asked)
        return value

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `StateStore.get_many`."""
        asked = time.time()
        try:
            values = await self._ask(lambda: self._shared.get_many(keys))
        except StateUnavailable:
            return [(await self._local.get(key)).value for key in keys]
        for key, value in zip(keys, values, strict=True):
            self._local.seen.saw_value(key, value, asked)
        return values

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if_absent: bool = False
    ) -> bool:
        """See `StateStore.set`."""
        asked = time.time()
        try:
            done = await self._ask(
                lambda: self._shared.set(key, value, ttl=ttl, only_if_absent=only_if_absent)
            )
        except StateUnavailable:
            with self._serving_locally():
                return await self._local.set(key, value, ttl, only_if_absent)
        if done:
            self._local.seen.saw_value(key, value, asked, UNKNOWN, ttl)
        return done

    async def delete(self, *keys: str) -> int:
        """See `StateStore.delete`. While the store is away, counts the keys known to exist."""
        asked = time.time()
        try:
            count = await self._ask(lambda: self._shared.delete(*keys))
        except StateUnavailable:
            with self._serving_locally():
                return await self._local.delete(keys)
        for key in keys:
            self._local.seen.forget(key, asked)
        return count

    async def scan(self, prefix: str) -> AsyncIterator[str]:
        """See `StateStore.scan`. Raises `StateUnavailable` while the store is away."""
        if not self._here:
            raise StateUnavailable(f"the shared store is away: {self._reason}")
        async for key in self._shared.scan(prefix):
            yield key

    async def get_versioned(self, key: str) -> Versioned:
        """See `StateStore.get_versioned`."""
        asked = time.time()
        try:
            read = await self._ask(lambda: self._shared.get_versioned(key))
        except StateUnavailable:
            known = await self._local.get(key)
            if known.version == UNKNOWN:
                raise
            return known
        self._local.seen.saw_value(key, read.value, asked, read.version)
        return read

    async def put_if(self, key: str, value: bytes, version: int, *, ttl: float | None = None) -> int | None:
        """See `StateStore.put_if`. While the store is away, a version that is not known is taken at its word."""
        asked = time.time()
        try:
            new = await self._ask(lambda: self._shared.put_if(key, value, version, ttl=ttl))
        except StateUnavailable:
            with self._serving_locally():
                return await self._local.put_if(key, value, version, ttl)
        if new is not None:
            self._local.seen.saw_value(key, value, asked, new, ttl)
        return new

    async def add(self, key: str, amount: float, *, window: float = 0) -> float:
        """See `StateStore.add`."""
        asked = time.time()
        try:
            level = await self._ask(lambda: self._shared.add(key, amount, window=window))
        except StateUnavailable:
            with self._serving_locally():
                return await self._local.add(key, amount, window)
        self._local.seen.saw_level(key, window, level, asked)
        return level

    async def add_all(self, amounts: Mapping[str, float]) -> list[float]:
        """See `StateStore.add_all`."""
        asked = time.time()
        try:
            levels = await self._ask(lambda: self._shared.add_all(amounts))
        except StateUnavailable:
            with self._serving_locally():
                return [await self._local.add(key, amount, 0) for key, amount in amounts.items()]
        for key, level in zip(amounts, levels, strict=True):
            self._local.seen.saw_level(key, 0, level, asked)
        return levels

    async def level(self, key: str, *, window: float = 0) -> float:
        """See `StateStore.level`."""
        asked = time.time()
        try:
            level = await self._ask(lambda: self._shared.level(key, window=window))
        except StateUnavailable:
            return await self._local.level(key, window)
        self._local.seen.saw_level(key, window, level, asked)
        return level

    async def reserve(self, claims: Sequence[Claim]) -> Reservation:
        """See `StateStore.reserve`."""
        check_claims(claims)
        asked = time.time()
        try:
            taken = await self._ask(lambda: self._shared.reserve(claims))
        except StateUnavailable:
            with self._serving_locally():
                return await self._local.reserve(claims)
        for claim, level in zip(claims, taken.levels, strict=True):
            self._local.seen.saw_level(claim.key, claim.window, level, asked)
        return taken

    async def append(
        self,
        key: str,
        items: Sequence[bytes],
        *,
        expected_length: int | None = None,
        ttl: float | None = None,
    ) -> int | None:
        """See `StateStore.append`. While the store is away, the length of a log not seen before is a lower bound."""
        asked = time.time()
        try:
            length = await self._ask(
                lambda: self._shared.append(key, items, expected_length=expected_length, ttl=ttl)
            )
        except StateUnavailable:
            with self._serving_locally():
                return await self._local.append(key, items, expected_length, ttl)
        if length is not None:
            self._local.seen.appended(key, items, length, asked)
        return length

    async def replace(
        self, key: str, items: Sequence[bytes], *, expected_length: int, ttl: float | None = None
    ) -> bool:
        """See `StateStore.replace`. While the store is away, it raises `StateUnavailable`."""
        return await self._ask(
            lambda: self._shared.replace(key, items, expected_length=expected_length, ttl=ttl)
        )

    async def slice(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """See `StateStore.slice`."""
        asked = time.time()
        try:
            items = await self._ask(lambda: self._shared.slice(key, start, stop))
        except StateUnavailable:
            return (await self._local.log(key))[start:stop]
        if start == 0 and stop is None:
            self._local.seen.saw_log(key, items, asked)
        return items

    async def acquire(self, name: str, owner: str, ttl: float) -> Lease | None:
        """See `StateStore.acquire`. Raises `StateUnavailable` while the store is away."""
        return await self._ask(lambda: self._shared.acquire(name, owner, ttl))

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """See `StateStore.renew`. Raises `StateUnavailable` while the store is away."""
        return await self._ask(lambda: self._shared.renew(lease, ttl))

    async def release(self, lease: Lease) -> None:
        """See `StateStore.release`. While the store is away the lease runs out by itself."""
        try:
            await self._ask(lambda: self._shared.release(lease))
        except StateUnavailable as error:
            log.info("state.release_left_to_expiry", lease=lease.name, reason=error.message)

    async def publish(self, channel: str, payload: bytes) -> None:
        """See `StateStore.publish`. While the store is away, only this process hears it."""
        try:
            await self._ask(lambda: self._shared.publish(channel, payload))
        except StateUnavailable:
            self._bus.publish(Event(channel, payload))

    @asynccontextmanager
    async def subscribe(self, *patterns: str) -> AsyncIterator[AsyncIterator[Event]]:
        """See `StateStore.subscribe`. The subscription outlives outages."""
        subscription = self._bus.join(*patterns)
        connected = asyncio.Event()
        pump = asyncio.create_task(self._pump(subscription, patterns, connected), name="state events")
        try:
            if self._here:
                async with _at_most(self._timeout):
                    await connected.wait()
            yield subscription
        finally:
            self._bus.leave(subscription)
            await tasks.end(pump)

    def health(self) -> StateHealth:
        """See `StateStore.health`."""
        if self._here:
            return StateHealth("healthy", "redis", since=self._since)
        return StateHealth("degraded", "redis", f"serving from local state: {self._reason}", self._since)

    async def aclose(self) -> None:
        """See `StateStore.aclose`. What is not merged stays in the journal for the next start."""
        owner, self._owner = self._owner, None
        if owner is not None:
            await tasks.end(owner)
        self._bus.close()
        await self._shared.aclose()
        await self._local.journal.close()

    # -- the shared store

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        if not self._here:
            raise StateUnavailable(f"the shared store is away: {self._reason}")
        try:
            async with Patience(self._patience):
                return await question()
        except StateUnavailable as error:
            self._leave(error.message)
            raise
        except TimeoutError as error:
            self._leave(f"it did not answer within {self._patience * 1000:.0f} ms")
            raise StateUnavailable("the shared store does not answer") from error

    def _leave(self, reason: str) -> None:
        if self._here:
            self._here, self._reason, self._since = False, reason, time.time()
            self._lost.set()
            log.warning("state.away", reason=reason)

    async def _return(self) -> None:
        """Merge, turn to the shared store, and merge what came in between. Raises `StateUnavailable`."""
        await self._merge()
        self._here, self._since = True, time.time()
        async with self._turned:
            self._turned.notify_all()
        await self._no_locals.wait()  # calls that were served locally before the turn
        await self._merge()

    async def _merge(self) -> None:
        while True:
            if await merge(self._local.journal, self._shared, self._owner_name):
                return await self._local.absorb()
            await asyncio.sleep(PROBE_FIRST)  # another process of this node is merging

    async def _watch(self) -> None:
        while True:
            await self._lost.wait()
            self._lost.clear()
            await self._shared.disconnect()
            wait = PROBE_FIRST
            while not self._here:
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311  spreads the nodes, no secret
                wait = min(wait * 1.5, PROBE_LONGEST)
                await self._probe()

    async def _probe(self) -> None:
        away_since = self._since
        try:
            async with asyncio.timeout(self._timeout):
                await self._shared.ping()
            await self._return()
        except (StateUnavailable, TimeoutError) as error:
            self._leave(str(error) or "it did not answer in time")
            log.debug("state.still_away", reason=str(error))
        except Exception:
            log.exception("state.merge_failed")
            self._here = False
        else:
            log.info("state.back", away_seconds=round(time.time() - away_since, 3))

    async def _pump(
        self, subscription: Subscription, patterns: tuple[str, ...], connected: asyncio.Event
    ) -> None:
        while True:
            async with self._turned:
                await self._turned.wait_for(lambda: self._here)
            try:
                async with self._shared.subscribe(*patterns) as events:
                    connected.set()
                    async for event in events:
                        subscription.offer(event)
            except StateUnavailable as error:
                self._leave(error.message)
            except Exception:  # whatever it is, the subscriber must hear again
                log.exception("state.subscription_failed")
            await asyncio.sleep(PROBE_FIRST)

    # -- local state

    @contextmanager
    def _serving_locally(self) -> Iterator[None]:
        """Counts the calls under way on local state, so that a return can wait for them."""
        self._locals += 1
        self._no_locals.clear()
        try:
            yield
        finally:
            self._locals -= 1
            if not self._locals:
                self._no_locals.set()


def _report(owner: asyncio.Task[None]) -> None:
    if not owner.cancelled() and (error := owner.exception()) is not None:
        log.error("state.owner_ended", exc_info=error)


@asynccontextmanager
async def _at_most(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        return
