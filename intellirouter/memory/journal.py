"""What was acknowledged while the shared store was away: kept on this node's disk until it is merged.

The processes of a node share one file, so they agree among themselves during an outage and a restart loses nothing.
Counters are kept as what was added, values as they were last written, logs as the items appended.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from intellirouter.memory.embedded import counters, leases
from intellirouter.memory.embedded.engine import Engine
from intellirouter.memory.embedded.tables import SCHEMA as EMBEDDED_SCHEMA
from intellirouter.memory.embedded.tables import now_us
from intellirouter.memory.store import Claim, Lease, Reservation

SCHEMA = (
    EMBEDDED_SCHEMA
    + """
create table if not exists journal (id text not null);
create table if not exists merging (
    sequence integer primary key autoincrement, key text not null, "window" real not null, bucket integer not null,
    amount real not null
);
create table if not exists written (
    key text primary key, value blob, version integer not null, expires real
);
create table if not exists tail (
    id integer primary key autoincrement, key text not null, item blob not null, attempted integer not null default 0
);
create index if not exists tail_key on tail (key, id);
create table if not exists tail_ttl (key text primary key, ttl real not null);
create table if not exists cleared (key text primary key);
"""
)

PAGE = 500
TAIL_PAGE = 200


@dataclass(frozen=True, slots=True)
class Count:
    """What one counter gained; `sequence` names this portion of it."""

    sequence: int
    key: str
    window: float
    bucket: int
    amount: float


@dataclass(frozen=True, slots=True)
class Written:
    """A value (None: deleted) written at `version`; `expires` in Unix seconds."""

    key: str
    value: bytes | None
    version: int
    expires: float | None

    @property
    def current(self) -> bytes | None:
        """The value, unless it has expired."""
        return None if self.expires is not None and self.expires <= time.time() else self.value


@dataclass(frozen=True, slots=True)
class Tail:
    """Items appended to one log, oldest first. `attempted`: they may be in the shared log already."""

    key: str
    cleared: bool
    ids: tuple[int, ...]
    items: list[bytes]
    ttl: float | None
    attempted: bool


class Journal:
    """The file. Every method is durable when it returns."""

    def __init__(self, path: Path | None) -> None:
        self._engine = Engine(path, SCHEMA)
        self.id = ""

    async def open(self) -> None:
        """Open it. Raises `StateUnavailable`."""
        await self._engine.start()
        self.id = await self._engine.write(_identify)

    async def close(self) -> None:
        """Let go."""
        await self._engine.stop()

    async def add(self, key: str, amount: float, window: float) -> float:
        """Count; what this journal has counted in the current window and not merged."""
        return await self._engine.write(
            lambda c: counters.add(c, key, amount, window) + _in_merge(c, key, window)
        )

    async def level(self, key: str, window: float) -> float:
        """What is counted and not merged."""
        return await self._engine.read(lambda c: counters.level(c, key, window) + _in_merge(c, key, window))

    async def reserve(self, claims: Sequence[Claim], seen: Sequence[float]) -> Reservation:
        """Take all or none, on top of the levels last `seen` in the shared store."""

        def take(connection: sqlite3.Connection) -> Reservation:
            below = [
                level + _in_merge(connection, claim.key, claim.window)
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

    async def written(self, key: str) -> Written | None:
        """What was written to this key, if anything."""
        return await self._engine.read(lambda c: _written(c, key))

    async def write(self, key: str, value: bytes | None, after: int, ttl: float | None) -> int:
        """Write a value (None: delete), at a version later than `after`; that version."""

        def store(connection: sqlite3.Connection) -> int:
            known = _written(connection, key)
            version = max(after + 1, known.version + 1 if known else 0, now_us())
            expires = None if ttl is None else time.time() + ttl
            connection.execute(
                "insert or replace into written (key, value, version, expires) values (?, ?, ?, ?)",
                (key, value, version, expires),
            )
            return version

        return await self._engine.write(store)

    async def tail(self, key: str) -> tuple[bool, list[bytes]]:
        """Whether the log was deleted before, and the items appended since."""
        return await self._engine.read(lambda c: (_cleared(c, key), _items(c, key)))

    async def append(
        self, key: str, items: Sequence[bytes], base: int, expected: int | None, ttl: float | None
    ) -> int | None:
        """Append to a log that is `base` long in the shared store; the new length, None when not as expected."""

        def store(connection: sqlite3.Connection) -> int | None:
            before = (0 if _cleared(connection, key) else base) + len(_items(connection, key))
            if expected is not None and expected != before:
                return None
            connection.executemany(
                "insert into tail (key, item) values (?, ?)", [(key, item) for item in items]
            )
            if ttl is not None:
                connection.execute("insert or replace into tail_ttl values (?, ?)", (key, ttl))
            return before + len(items)

        return await self._engine.write(store)

    async def clear(self, key: str) -> None:
        """Delete a log."""

        def store(connection: sqlite3.Connection) -> None:
            connection.execute("delete from tail where key = ?", (key,))
            connection.execute("insert or ignore into cleared values (?)", (key,))

        await self._engine.write(store)

    async def empty(self) -> bool:
        """True when all is merged."""
        return await self._engine.read(_is_empty)

    async def lock(self, owner: str, ttl: float) -> Lease | None:
        """The right to merge: one process of the node at a time."""
        return await self._engine.write(lambda c: leases.acquire(c, "merge", owner, ttl))

    async def unlock(self, lease: Lease) -> None:
        """Give it back."""
        await self._engine.write(lambda c: leases.release(c, lease))

    async def counts(self) -> list[Count]:
        """Set aside what was counted so far; all portions not merged yet, oldest first."""
        return await self._engine.write(_set_aside)

    async def merged_count(self, count: Count) -> None:
        """This portion is in the shared store."""
        await self._engine.write(
            lambda c: c.execute("delete from merging where sequence = ?", (count.sequence,))
        )

    async def writes(self) -> list[Written]:
        """Some of the values to merge."""
        query = "select key, value, version, expires from written order by version limit ?"
        return await self._engine.read(lambda c: [Written(*row) for row in c.execute(query, (PAGE,))])

    async def merged_write(self, written: Written) -> None:
        """This version is in the shared store; a later one stays."""
        row = (written.key, written.version)
        await self._engine.write(
            lambda c: c.execute("delete from written where key = ? and version = ?", row)
        )

    async def tails(self) -> list[Tail]:
        """The logs to merge, some items of each; from now on they count as attempted."""
        return await self._engine.write(_attempt_tails)

    async def merged_tail(self, tail: Tail) -> None:
        """These items are in the shared store."""

        def store(connection: sqlite3.Connection) -> None:
            connection.execute("delete from cleared where key = ?", (tail.key,))
            connection.executemany("delete from tail where id = ?", [(number,) for number in tail.ids])
            connection.execute("delete from tail_ttl where key not in (select key from tail)")

        await self._engine.write(store)


def _identify(connection: sqlite3.Connection) -> str:
    row = connection.execute("select id from journal").fetchone()
    if row is None:
        row = (uuid.uuid4().hex[:16],)
        connection.execute("insert into journal values (?)", row)
    return str(row[0])


def _in_merge(connection: sqlite3.Connection, key: str, window: float) -> float:
    row = connection.execute(
        'select total(amount) from merging where key = ? and "window" = ? and bucket = ?',
        (key, window, counters.bucket_of(window, time.time())),
    ).fetchone()
    return float(row[0])


def _set_aside(connection: sqlite3.Connection) -> list[Count]:
    connection.execute(
        'insert into merging (key, "window", bucket, amount) '
        'select key, "window", bucket, level from counter where level != 0'
    )
    connection.execute("delete from counter")
    rows = connection.execute(
        'select sequence, key, "window", bucket, amount from merging order by sequence limit ?', (PAGE,)
    )
    return [Count(*row) for row in rows]


def _written(connection: sqlite3.Connection, key: str) -> Written | None:
    row = connection.execute(
        "select key, value, version, expires from written where key = ?", (key,)
    ).fetchone()
    return None if row is None else Written(*row)


def _cleared(connection: sqlite3.Connection, key: str) -> bool:
    return connection.execute("select 1 from cleared where key = ?", (key,)).fetchone() is not None


def _items(connection: sqlite3.Connection, key: str) -> list[bytes]:
    return [row[0] for row in connection.execute("select item from tail where key = ? order by id", (key,))]


def _attempt_tails(connection: sqlite3.Connection) -> list[Tail]:
    keys = connection.execute(
        "select key from tail union select key from cleared limit ?", (PAGE,)
    ).fetchall()
    tails = []
    for (key,) in keys:
        rows = connection.execute(
            "select id, item, attempted from tail where key = ? order by id limit ?", (key, TAIL_PAGE)
        ).fetchall()
        attempted = [row for row in rows if row[2]]
        rows = attempted or rows  # a repeat sends exactly what was sent before
        ttl = connection.execute("select ttl from tail_ttl where key = ?", (key,)).fetchone()
        ids = tuple(row[0] for row in rows)
        connection.executemany("update tail set attempted = 1 where id = ?", [(number,) for number in ids])
        items = [row[1] for row in rows]
        tails.append(
            Tail(key, _cleared(connection, key), ids, items, ttl[0] if ttl else None, bool(attempted))
        )
    return tails


def _is_empty(connection: sqlite3.Connection) -> bool:
    tables = ("merging", "written", "tail", "cleared")
    if connection.execute("select 1 from counter where level != 0 limit 1").fetchone():
        return False
    return not any(connection.execute(f"select 1 from {table} limit 1").fetchone() for table in tables)  # noqa: S608
