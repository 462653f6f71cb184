"""What was acknowledged during an outage and is not in the shared store yet.

Counters are kept as what was added, values as they were last written, logs as the items appended.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from intellirouter.memory.embedded import counters
from intellirouter.memory.embedded.tables import SCHEMA as EMBEDDED_SCHEMA
from intellirouter.memory.embedded.tables import now_us

SCHEMA = (
    EMBEDDED_SCHEMA
    + """
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
create table if not exists emptied (key text primary key, version integer not null);
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
    """Items appended to one log, oldest first. `attempted`: they may be in the shared log already.

    `emptied`: the log was deleted before them, at this version; 0 when it was not.
    """

    key: str
    emptied: int
    ids: tuple[int, ...]
    items: list[bytes]
    ttl: float | None
    attempted: bool


def counted(connection: sqlite3.Connection, key: str, window: float) -> float:
    """What a counter gained in the current window, in portions that are being merged."""
    row = connection.execute(
        'select total(amount) from merging where key = ? and "window" = ? and bucket = ?',
        (key, window, counters.bucket_of(window, time.time())),
    ).fetchone()
    return float(row[0])


def set_aside(connection: sqlite3.Connection) -> list[Count]:
    """Make portions of what was counted so far; some of all that are not merged, oldest first."""
    connection.execute(
        'insert into merging (key, "window", bucket, amount) '
        'select key, "window", bucket, level from counter where level != 0'
    )
    connection.execute("delete from counter")
    rows = connection.execute(
        'select sequence, key, "window", bucket, amount from merging order by sequence limit ?', (PAGE,)
    )
    return [Count(*row) for row in rows]


def written(connection: sqlite3.Connection, key: str) -> Written | None:
    """What was written to this key."""
    row = connection.execute(
        "select key, value, version, expires from written where key = ?", (key,)
    ).fetchone()
    return None if row is None else Written(*row)


def write(
    connection: sqlite3.Connection, key: str, value: bytes | None, after: int, ttl: float | None
) -> int:
    """Write a value (None: delete), at a version later than `after`; that version."""
    known = written(connection, key)
    version = max(after + 1, known.version + 1 if known else 0, now_us())
    expires = None if ttl is None else time.time() + ttl
    connection.execute(
        "insert or replace into written (key, value, version, expires) values (?, ?, ?, ?)",
        (key, value, version, expires),
    )
    return version


def emptied(connection: sqlite3.Connection, key: str) -> bool:
    """True when the log was deleted before what `items` says."""
    return connection.execute("select 1 from emptied where key = ?", (key,)).fetchone() is not None


def items(connection: sqlite3.Connection, key: str) -> list[bytes]:
    """What was appended."""
    return [row[0] for row in connection.execute("select item from tail where key = ? order by id", (key,))]


def append(connection: sqlite3.Connection, key: str, new: list[bytes], ttl: float | None) -> None:
    """Append to a log; `ttl` counts from the merge."""
    connection.executemany("insert into tail (key, item) values (?, ?)", [(key, item) for item in new])
    if ttl is not None:
        connection.execute("insert or replace into tail_ttl values (?, ?)", (key, ttl))


def empty(connection: sqlite3.Connection, key: str) -> None:
    """Delete a log."""
    connection.execute("delete from tail where key = ?", (key,))
    connection.execute("insert or replace into emptied values (?, ?)", (key, now_us()))


def attempt_tails(connection: sqlite3.Connection) -> list[Tail]:
    """The logs to merge, some items of each; from now on they count as attempted."""
    keys = connection.execute(
        "select key from tail union select key from emptied limit ?", (PAGE,)
    ).fetchall()
    tails = []
    for (key,) in keys:
        rows = connection.execute(
            "select id, item, attempted from tail where key = ? order by id limit ?", (key, TAIL_PAGE)
        ).fetchall()
        attempted = [row for row in rows if row[2]]
        rows = attempted or rows  # a repeat sends exactly what was sent before
        ttl = connection.execute("select ttl from tail_ttl where key = ?", (key,)).fetchone()
        version = connection.execute("select version from emptied where key = ?", (key,)).fetchone()
        ids = tuple(row[0] for row in rows)
        connection.executemany("update tail set attempted = 1 where id = ?", [(number,) for number in ids])
        said = [row[1] for row in rows]
        tails.append(
            Tail(key, version[0] if version else 0, ids, said, ttl[0] if ttl else None, bool(attempted))
        )
    return tails


def drop_tail(connection: sqlite3.Connection, tail: Tail) -> None:
    """These items are in the shared store; what was appended or deleted since stays."""
    connection.execute("delete from emptied where key = ? and version = ?", (tail.key, tail.emptied))
    connection.executemany("delete from tail where id = ?", [(number,) for number in tail.ids])
    connection.execute("delete from tail_ttl where key not in (select key from tail)")


def is_empty(connection: sqlite3.Connection) -> bool:
    """True when all is merged."""
    tables = ("merging", "written", "tail", "emptied")
    if connection.execute("select 1 from counter where level != 0 limit 1").fetchone():
        return False
    return not any(connection.execute(f"select 1 from {table} limit 1").fetchone() for table in tables)  # noqa: S608
