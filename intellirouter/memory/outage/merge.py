"""Bring what a journal holds into the shared store, each thing once, however often the attempt is cut short."""

from __future__ import annotations

import time
from typing import Protocol

import structlog

from intellirouter.memory.outage.journal import Journal
from intellirouter.memory.outage.pending import Count, Tail, Written
from intellirouter.memory.outage.shadow import SeenValue
from intellirouter.memory.store import StateStore, Versioned

LOCK_TTL = 30.0

log = structlog.get_logger(__name__)


class MergeTarget(StateStore, Protocol):
    """A store that can take what was written elsewhere during an outage."""

    async def ping(self) -> None:
        """Raise `StateUnavailable` unless it can be read and written."""

    async def disconnect(self) -> None:
        """Drop connections that an outage left useless."""

    async def merge_counter(
        self, key: str, window: float, bucket: int, journal: str, sequence: int, amount: float
    ) -> float | None:
        """Add `amount` once, however often this portion is sent; the new level. None when the window is over."""

    async def merge_value(
        self, key: str, value: bytes | None, version: int, ttl: float | None
    ) -> tuple[Versioned, float | None] | None:
        """Write unless a later version is there: then that value stands, with the seconds it has left to live."""


async def merge(journal: Journal, target: MergeTarget, owner: str) -> bool:
    """Bring all over; False when another process of this node is doing so. Raises `StateUnavailable`."""
    lease = await journal.lock(owner, LOCK_TTL)
    if lease is None:
        return False
    try:
        while not await journal.empty():
            for count in await journal.counts():
                await _merge_count(journal, target, count)
            for written in await journal.writes():
                await _merge_value(journal, target, written)
            for tail in await journal.tails():
                start = await _merge_tail(target, tail)
                await journal.merged_tail(tail, start, time.time())
            if await journal.lock(owner, LOCK_TTL) is None:
                return False
    finally:
        await journal.unlock(lease)
    return True


async def _merge_count(journal: Journal, target: MergeTarget, count: Count) -> None:
    asked = time.time()
    level = await target.merge_counter(
        count.key, count.window, count.bucket, journal.id, count.sequence, count.amount
    )
    await journal.merged_count(count, level, asked)


async def _merge_value(journal: Journal, target: MergeTarget, written: Written) -> None:
    asked = time.time()
    left = None if written.expires is None else written.expires - asked
    value = written.value if left is None or left > 0 else None
    later = await target.merge_value(written.key, value, written.version, left if value is not None else None)
    if later is None:
        standing, expires = Versioned(value, 0 if value is None else written.version), written.expires
    else:
        log.warning("state.merge_kept_later_write", key=written.key)
        standing, expires = later[0], None if later[1] is None else asked + later[1]
    await journal.merged_write(written, SeenValue(standing, expires, asked))


async def _merge_tail(target: MergeTarget, tail: Tail) -> int:
    """The position of the first item in the shared log."""
    if tail.attempted:
        whole = await target.slice(tail.key)
        if whole[-len(tail.items) :] == tail.items:
            return len(whole) - len(tail.items)  # the attempt that was not answered had arrived
    if tail.emptied:
        await target.delete(tail.key)
    if not tail.items:
        return 0
    length = await target.append(tail.key, tail.items, ttl=tail.ttl)
    return (length or 0) - len(tail.items)
