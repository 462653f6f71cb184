"""What the shared store held right after a merge, by its own word: levels, values, logs.

The next outage may come before anybody has read them again. Kept in the journal's file, for all processes of the node,
and bounded: what was settled longest ago goes, and what nobody can tell from a later write of another node goes after
`LIFE`. Counters without a window stay, since a level that is too old is better than one of 0.

A log is kept as the items that were merged, each at its position. Position -1 says that the log was empty before the
items at 0 and after it: what was seen of the log earlier is void.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence

from intellirouter.memory.embedded.counters import bucket_of
from intellirouter.memory.outage.shadow import SeenLevel, SeenLog, SeenValue
from intellirouter.memory.store import Versioned

SCHEMA = """
create table if not exists settled_level (
    key text not null, "window" real not null, bucket integer not null, level real not null, at real not null,
    primary key (key, "window")
) without rowid;
create table if not exists settled_value (
    key text primary key, value blob, version integer not null, expires real, at real not null
);
create table if not exists settled_item (
    key text not null, position integer not null, item blob, at real not null, primary key (key, position)
);
"""

MAX_LEVELS = 50_000
MAX_BYTES = 32 * 1024 * 1024
"""Of values, and again of logs."""
LIFE = 3600.0
VOID = -1
ROW_BYTES = 64
"""What a row weighs besides its value."""

Row = tuple[int, bytes | None, float]


def keep_level(
    connection: sqlite3.Connection, key: str, window: float, bucket: int, level: float, at: float
) -> None:
    """The store has this level in the window numbered `bucket`."""
    connection.execute(
        "insert or replace into settled_level values (?, ?, ?, ?, ?)", (key, window, bucket, level, at)
    )


def level(connection: sqlite3.Connection, key: str, window: float, seen: SeenLevel | None) -> float:
    """The shared level in the current window, as last known; 0 when it is not."""
    row = connection.execute(
        'select bucket, level, at from settled_level where key = ? and "window" = ?', (key, window)
    ).fetchone()
    now = bucket_of(window, time.time())
    known = [one for one in (seen, row and SeenLevel(*row)) if one is not None and one.bucket == now]
    return max(known, key=lambda one: one.at).level if known else 0.0


def keep_value(connection: sqlite3.Connection, key: str, value: SeenValue) -> None:
    """The store has this value."""
    entry = value.entry
    connection.execute(
        "insert or replace into settled_value values (?, ?, ?, ?, ?)",
        (key, entry.value, entry.version, value.expires, value.at),
    )


def value(connection: sqlite3.Connection, key: str, seen: SeenValue | None) -> Versioned | None:
    """The shared value as last known, or None when it is not."""
    row = connection.execute(
        "select value, version, expires, at from settled_value where key = ?", (key,)
    ).fetchone()
    if row is not None and (seen is None or row[3] > seen.at):
        seen = SeenValue(Versioned(row[0], row[1]), row[2], row[3])
    return None if seen is None else seen.current


def keep_empty(connection: sqlite3.Connection, key: str, at: float) -> None:
    """The log is empty in the store."""
    connection.execute("delete from settled_item where key = ?", (key,))
    connection.execute("insert into settled_item values (?, ?, null, ?)", (key, VOID, at))


def keep_items(
    connection: sqlite3.Connection, key: str, start: int, items: Sequence[bytes], at: float
) -> None:
    """The log in the store ends with these items, the first of them at position `start`."""
    if start == 0:
        keep_empty(connection, key, at)
    connection.execute("delete from settled_item where key = ? and position >= ?", (key, start))
    connection.executemany(
        "insert into settled_item values (?, ?, ?, ?)",
        [(key, start + offset, item, at) for offset, item in enumerate(items)],
    )


def log(connection: sqlite3.Connection, key: str, seen: SeenLog | None) -> list[bytes] | None:
    """The whole shared log as last known, or None when it is not."""
    rows = connection.execute(
        "select position, item, at from settled_item where key = ? order by position", (key,)
    )
    known = extend(seen, rows)
    return None if known is None else known.items


def logs_since(connection: sqlite3.Connection, at: float) -> dict[str, list[Row]]:
    """All rows of the logs that were merged after `at`."""
    found: dict[str, list[Row]] = {}
    for key, *row in connection.execute(
        "select key, position, item, at from settled_item where key in "
        "(select key from settled_item where at > ?) order by key, position",
        (at,),
    ):
        found.setdefault(key, []).append((row[0], row[1], row[2]))
    return found


def extend(seen: SeenLog | None, rows: Iterable[Row]) -> SeenLog | None:
    """A log as it is once the rows settled after it was seen are added; None when a part of it is not known."""
    items = None if seen is None else list(seen.items)
    at = before = 0.0 if seen is None else seen.at
    for position, item, settled in rows:
        if settled <= before:
            continue
        at = max(at, settled)
        if item is None:
            items = []
        elif items is None or position > len(items):
            return None  # another node wrote in between
        elif position == len(items):
            items.append(item)
    return None if items is None else SeenLog(items, at)


def trim(connection: sqlite3.Connection) -> None:
    """Keep to the bounds."""
    now = time.time()
    connection.execute(
        'delete from settled_level where "window" > 0 and (bucket + 1) * "window" <= ?', (now,)
    )
    connection.execute(
        'delete from settled_level where (key, "window") in '
        '(select key, "window" from settled_level order by at desc limit -1 offset ?)',
        (MAX_LEVELS,),
    )
    connection.execute("delete from settled_value where at <= ? or expires <= ?", (now - LIFE, now))
    _trim_bytes(connection, "settled_value", "value")
    connection.execute(
        "delete from settled_item where key in (select key from settled_item group by key having max(at) <= ?)",
        (now - LIFE,),
    )
    _trim_bytes(connection, "settled_item", "item")


def _trim_bytes(connection: sqlite3.Connection, table: str, column: str) -> None:
    """Whole keys go: a part of a log says nothing."""
    connection.execute(
        f"""
        delete from {table} where key in (
            select key from (
                select key, sum(bytes) over (order by at desc, key) as total from (
                    select key, max(at) as at, sum(ifnull(length({column}), 0) + {ROW_BYTES}) as bytes
                    from {table} group by key
                )
            ) where total > ?
        )
        """,  # noqa: S608  two names of our own
        (MAX_BYTES,),
    )
