"""Append-only logs, each with one expiry."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence


def append(
    connection: sqlite3.Connection, key: str, items: Sequence[bytes], expected: int | None, ttl: float | None
) -> int | None:
    """Append all or none; the new length."""
    now = time.time()
    expiry = connection.execute("select expires from log_expiry where key = ?", (key,)).fetchone()
    if expiry is not None and expiry[0] <= now:
        connection.execute("delete from log where key = ?", (key,))
        connection.execute("delete from log_expiry where key = ?", (key,))
    length = _stored_length(connection, key)
    if expected is not None and length != expected:
        return None
    connection.executemany(
        "insert into log (key, position, item) values (?, ?, ?)",
        [(key, length + offset, item) for offset, item in enumerate(items)],
    )
    if ttl is not None:
        connection.execute("insert or replace into log_expiry (key, expires) values (?, ?)", (key, now + ttl))
    return length + len(items)


def replace(
    connection: sqlite3.Connection, key: str, items: Sequence[bytes], expected: int, ttl: float | None
) -> bool:
    """Put these in place of all that is there; False when that is not `expected` long."""
    if append(connection, key, (), expected, None) is None:
        return False
    connection.execute("delete from log where key = ?", (key,))
    connection.execute("delete from log_expiry where key = ?", (key,))
    append(connection, key, items, None, ttl)
    return True


def read(connection: sqlite3.Connection, key: str, start: int, stop: int | None) -> list[bytes]:
    """Items from `start` to before `stop`, as a Python slice would take them."""
    expiry = connection.execute("select expires from log_expiry where key = ?", (key,)).fetchone()
    if expiry is not None and expiry[0] <= time.time():
        return []
    first, last, _ = slice(start, stop).indices(_stored_length(connection, key))
    rows = connection.execute(
        "select item from log where key = ? and position >= ? and position < ? order by position",
        (key, first, last),
    )
    return [row[0] for row in rows]


def _stored_length(connection: sqlite3.Connection, key: str) -> int:
    row = connection.execute("select max(position) from log where key = ?", (key,)).fetchone()
    return 0 if row[0] is None else int(row[0]) + 1
