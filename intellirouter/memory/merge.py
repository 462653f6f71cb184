"""Bring what a journal holds into the shared store, each thing once, however often the attempt is cut short."""

from __future__ import annotations

import time
from typing import Protocol

import structlog

from intellirouter.memory.journal import Journal, Tail
from intellirouter.memory.store import StateStore

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
    ) -> None:
        """Add `amount` once, however often this portion is sent; nothing when the window is over."""

    async def merge_value(self, key: str, value: bytes | None, version: int, ttl: float | None) -> bool:
        """Write unless a later version is there; whether it was written."""


async def merge(journal: Journal, target: MergeTarget, owner: str) -> bool:
    """Bring all over; False when another process of this node is doing so. Raises `StateUnavailable`."""
    lease = await journal.lock(owner, LOCK_TTL)
    if lease is None:
        return False
    try:
        while not await journal.empty():
            await _merge_page(journal, target)
            if await journal.lock(owner, LOCK_TTL) is None:
                return False
    finally:
        await journal.unlock(lease)
    return True


async def _merge_page(journal: Journal, target: MergeTarget) -> None:
    for count in await journal.counts():
        await target.merge_counter(
            count.key, count.window, count.bucket, journal.id, count.sequence, count.amount
        )
        await journal.merged_count(count)
    for written in await journal.writes():
        left = None if written.expires is None else written.expires - time.time()
        value = written.value if left is None or left > 0 else None
        ttl = left if value is not None else None
        if not await target.merge_value(written.key, value, written.version, ttl):
            log.warning("state.merge_kept_later_write", key=written.key)
        await journal.merged_write(written)
    for tail in await journal.tails():
        await _merge_tail(target, tail)
        await journal.merged_tail(tail)


async def _merge_tail(target: MergeTarget, tail: Tail) -> None:
    if tail.cleared and not tail.attempted:
        await target.delete(tail.key)
    if not tail.items:
        return
    if tail.attempted and await target.slice(tail.key, -len(tail.items)) == tail.items:
        return  # the attempt that was not answered had arrived
    await target.append(tail.key, tail.items, ttl=tail.ttl)
