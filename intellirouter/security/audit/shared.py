"""The copy of every node's journal in the store that they share: so that each shows all, and a journal cut short is found out.

A node's lines of a day are one log, `audit:NODE:DAY`; they are read from its files, so that nothing is lost while the store is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from intellirouter.security.audit.chain import Head, Signer
from intellirouter.security.audit.journal import files_of, read_head
from intellirouter.security.audit.search import Query
from intellirouter.security.audit.verify import Verdict, Verifier

PREFIX = "audit:"
HEAD = "audit-head:"
PAGE = 500


class Store(Protocol):
    """What of the shared state is needed; see `memory.store.StateStore`."""

    async def get(self, key: str) -> bytes | None:
        """A value."""

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if_absent: bool = False
    ) -> bool:
        """Write one."""

    def scan(self, prefix: str) -> AsyncIterator[str]:
        """Keys that begin so."""

    async def append(
        self,
        key: str,
        items: Sequence[bytes],
        *,
        expected_length: int | None = None,
        ttl: float | None = None,
    ) -> int | None:
        """Add to a log."""

    async def slice(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """Of a log."""


class SharedCopy:
    """Copies one node's journal. `lines` is false where no other node uses the store: only where it ends is kept there."""

    def __init__(self, store: Store, directory: Path, node: str, seconds: float, *, lines: bool) -> None:
        self._store = store
        self._directory = directory
        self._node = node
        self._seconds = seconds
        self._lines = lines
        self._done: dict[str, int] = {}

    async def catch_up(self) -> None:
        """Copy what is not there yet. Raises `StateError`."""
        head = await asyncio.to_thread(read_head, self._directory)
        if self._lines:
            days = sorted({file.name[:10] for file in files_of(self._directory)})
            for day in days[-3:]:  # a store away for longer than that has lost its older days anyhow
                await self._copy(day)
        if head is not None:
            await self._store.set(HEAD + self._node, msgspec.json.encode(head))

    async def _copy(self, day: str) -> None:
        key = f"{PREFIX}{self._node}:{day}"
        done = self._done.get(day)
        if done is None:
            done = await _length(self._store, key)
        while lines := await asyncio.to_thread(_lines, self._directory, day, done):
            length = await self._store.append(key, lines, expected_length=done, ttl=self._seconds)
            done = (
                await _length(self._store, key) if length is None else length
            )  # another process copied them
        self._done[day] = done


async def _length(store: Store, key: str) -> int:
    done = 0
    while items := await store.slice(key, done, done + 4 * PAGE):
        done += len(items)
    return done


def _lines(directory: Path, day: str, skip: int) -> list[bytes]:
    """The next lines of a day after the first `skip`."""
    found: list[bytes] = []
    for file in (file for file in files_of(directory) if file.name[:10] == day):
        with file.open("rb") as handle:
            for line in handle:
                if skip > 0:
                    skip -= 1
                elif line.endswith(b"\n"):
                    found.append(line)
                    if len(found) >= PAGE:
                        return found
    return found


async def nodes(store: Store) -> dict[str, list[str]]:
    """The days that are there of each node."""
    found: dict[str, list[str]] = {}
    async for key in store.scan(PREFIX):
        node, _, day = key.removeprefix(PREFIX).rpartition(":")
        found.setdefault(node, []).append(day)
    return {node: sorted(days) for node, days in sorted(found.items())}


async def newest_first(store: Store, query: Query) -> AsyncIterator[bytes]:
    """The lines of every node that can hold such records: of a day those of one node after the other, the newest first each."""
    by_day: dict[str, list[str]] = {}
    for node, days in (await nodes(store)).items():
        if not query.node or query.node == node:
            for day in filter(query.may_hold, days):
                by_day.setdefault(day, []).append(node)
    for day in sorted(by_day, reverse=True):
        for node in by_day[day]:
            end = 0
            while items := await store.slice(f"{PREFIX}{node}:{day}", end - PAGE, end or None):
                for item in reversed(items):
                    yield item
                if len(items) < PAGE:
                    break
                end -= PAGE


async def head_of(store: Store, node: str) -> Head | None:
    """Where a node last said that its journal ends."""
    value = await store.get(HEAD + node)
    try:
        return None if value is None else msgspec.json.decode(value, type=Head)
    except msgspec.MsgspecError:
        return Head(0, "")


async def verify_copy(store: Store, node: str, days: Sequence[str], signer: Signer) -> Verdict:
    """The copy of a node's journal."""
    head = await head_of(store, node)
    verifier = Verifier(signer, node, whole=False)
    for day in days:
        done = 0
        while items := await store.slice(f"{PREFIX}{node}:{day}", done, done + PAGE):
            for number, item in enumerate(items, done + 1):
                verifier.take(item, (f"copy of {day}", number))
            done += len(items)
    return verifier.verdict([("the shared store", head)] if head is not None else [])
