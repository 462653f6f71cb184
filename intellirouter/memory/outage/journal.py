"""The file that carries a node through an outage, shared by its processes; what they share, they agree on.

Questions come with what the asking process saw of the shared store; an answer is the later of that and what was settled
at the last merge, with what is pending on top, all read in one transaction.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from intellirouter.memory.embedded import counters, leases
from intellirouter.memory.embedded.engine import Engine
from intellirouter.memory.embedded.tables import sweep
from intellirouter.memory.outage import pending, settled
from intellirouter.memory.outage.pending import Count, Tail, Written
from intellirouter.memory.outage.shadow import SeenLevel, SeenLog, SeenValue
from intellirouter.memory.store import Claim, Lease, Reservation, Versioned

SCHEMA = (
    pending.SCHEMA
    + settled.SCHEMA
    + """
create table if not exists journal (id text not null);
"""
)


class Journal:
    """The file. Every method is durable when it returns."""

    def __init__(self, path: Path | None) -> None:
        self._engine = Engine(path, SCHEMA, _sweep)
        self.id = ""

    async def open(self) -> None:
        """Open it. Raises `StateUnavailable`."""
        await self._engine.start()
        self.id = await self._engine.write(_identify)

    async def close(self) -> None:
        """Let go."""
        await self._engine.stop()

    # -- counters

    async def add(self, key: str, amount: float, window: float, seen: SeenLevel | None) -> float:
        """Count; the level."""

        def take(connection: sqlite3.Connection) -> float:
            return counters.add(connection, key, amount, window) + _below(connection, key, window, seen)

        return await self._engine.write(take)

    async def level(self, key: str, window: float, seen: SeenLevel | None) -> float:
        """The level."""

        def read(connection: sqlite3.Connection) -> float:
            return counters.level(connection, key, window) + _below(connection, key, window, seen)

        return await self._engine.read(read)

    async def reserve(self, claims: Sequence[Claim], seen: Sequence[SeenLevel | None]) -> Reservation:
        """Take all or none."""

        def take(connection: sqlite3.Connection) -> Reservation:
            below = [
                _below(connection, claim.key, claim.window, level)
                for claim, level in zip(claims, seen, strict=True)
            ]
            room = [
                Claim(claim.key, claim.amount, claim.limit - level, claim.window)
                for claim, level in zip(claims, below, strict=True)
            ]
            taken = counters.reserve(connection, room)
            levels = tuple(map(sum, zip(taken.levels, below, strict=True)))
            return Reservation(taken.granted, levels, taken.denied, taken.retry_after)

        return await self._engine.write(take)

    # -- values

    async def value(self, key: str, seen: SeenValue | None) -> Versioned | None:
        """The value, or None when it is not known."""
        return await self._engine.read(lambda c: _value(c, key, seen))

    async def write(
        self,
        key: str,
        value: bytes,
        ttl: float | None,
        seen: SeenValue | None,
        only_if: Callable[[Versioned | None], bool],
        after: int = 0,
    ) -> int | None:
        """Write if what is known allows it, at a version later than `after`; that version, None when it does not."""

        def store(connection: sqlite3.Connection) -> int | None:
            if not only_if(_value(connection, key, seen)):
                return None
            return pending.write(connection, key, value, after, ttl)

        return await self._engine.write(store)

    async def delete(self, key: str, seen: SeenValue | None, seen_log: SeenLog | None) -> bool:
        """Remove the value and the log; whether one of them was known to exist."""

        def drop(connection: sqlite3.Connection) -> bool:
            known = _value(connection, key, seen)
            existed = known is not None and known.version != 0
            existed = existed or bool(_log(connection, key, seen_log))
            pending.write(connection, key, None, 0, None)
            pending.empty(connection, key)
            return existed

        return await self._engine.write(drop)

    # -- logs

    async def log(self, key: str, seen: SeenLog | None) -> list[bytes] | None:
        """The whole log, or None when a part of it is not known."""
        return await self._engine.read(lambda c: _log(c, key, seen))

    async def append(
        self,
        key: str,
        items: Sequence[bytes],
        seen: SeenLog | None,
        expected: int | None,
        ttl: float | None,
    ) -> int | None:
        """Append to a log; its new length, None when it is not as expected.

        The length of a log that is not known is taken from who expects one, and is a lower bound otherwise.
        """

        def store(connection: sqlite3.Connection) -> int | None:
            known, said = _log(connection, key, seen), pending.items(connection, key)
            if known is not None:
                length = len(known)
            else:
                length = max(len(said), expected or 0)
                if expected == len(said):  # the caller says there is nothing below
                    settled.keep_empty(connection, key, time.time())
            if expected is not None and expected != length:
                return None
            pending.append(connection, key, list(items), ttl)
            return length + len(items)

        return await self._engine.write(store)

    async def logs_since(self, at: float) -> dict[str, list[settled.Row]]:
        """What `settled.extend` takes, of the logs merged after `at`."""
        return await self._engine.read(lambda c: settled.logs_since(c, at))

    # -- merging

    async def empty(self) -> bool:
        """True when all is merged."""
        return await self._engine.read(pending.is_empty)

    async def lock(self, owner: str, ttl: float) -> Lease | None:
        """The right to merge: one process of the node at a time."""
        return await self._engine.write(lambda c: leases.acquire(c, "merge", owner, ttl))

    async def unlock(self, lease: Lease) -> None:
        """Give it back."""
        await self._engine.write(lambda c: leases.release(c, lease))

    async def counts(self) -> list[Count]:
        """Portions of counters to merge."""
        return await self._engine.write(pending.set_aside)

    async def merged_count(self, count: Count, level: float | None, at: float) -> None:
        """This portion is in the shared store, whose level is this now; None: its window is over."""

        def store(connection: sqlite3.Connection) -> None:
            connection.execute("delete from merging where sequence = ?", (count.sequence,))
            if level is not None:
                settled.keep_level(connection, count.key, count.window, count.bucket, level, at)

        await self._engine.write(store)

    async def writes(self) -> list[Written]:
        """Some of the values to merge."""
        query = "select key, value, version, expires from written order by version limit ?"
        return await self._engine.read(lambda c: [Written(*row) for row in c.execute(query, (pending.PAGE,))])

    async def merged_write(self, written: Written, standing: SeenValue) -> None:
        """The shared store holds this value or a later one: what it holds. What was written here since stays."""

        def store(connection: sqlite3.Connection) -> None:
            row = (written.key, written.version)
            connection.execute("delete from written where key = ? and version = ?", row)
            settled.keep_value(connection, written.key, standing)

        await self._engine.write(store)

    async def tails(self) -> list[Tail]:
        """Some of the logs to merge, some items of each."""
        return await self._engine.write(pending.attempt_tails)

    async def merged_tail(self, tail: Tail, start: int, at: float) -> None:
        """These items are in the shared log, the first of them at position `start`."""

        def store(connection: sqlite3.Connection) -> None:
            pending.drop_tail(connection, tail)
            if tail.emptied:
                settled.keep_empty(connection, tail.key, at)
            settled.keep_items(connection, tail.key, start, tail.items, at)

        await self._engine.write(store)


def _identify(connection: sqlite3.Connection) -> str:
    row = connection.execute("select id from journal").fetchone()
    if row is None:
        row = (uuid.uuid4().hex[:16],)
        connection.execute("insert into journal values (?)", row)
    return str(row[0])


def _sweep(connection: sqlite3.Connection) -> bool:
    settled.trim(connection)
    return sweep(connection)


def _below(connection: sqlite3.Connection, key: str, window: float, seen: SeenLevel | None) -> float:
    shared = settled.level(connection, key, window, seen)
    return shared + pending.counted(connection, key, window)


def _value(connection: sqlite3.Connection, key: str, seen: SeenValue | None) -> Versioned | None:
    written = pending.written(connection, key)
    if written is None:
        return settled.value(connection, key, seen)
    value = written.current
    return Versioned(value, 0 if value is None else written.version)


def _log(connection: sqlite3.Connection, key: str, seen: SeenLog | None) -> list[bytes] | None:
    below = [] if pending.emptied(connection, key) else settled.log(connection, key, seen)
    return None if below is None else below + pending.items(connection, key)
