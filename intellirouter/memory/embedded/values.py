"""Values with a version and an expiry: functions of a connection, run by the engine inside a transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from intellirouter.memory.embedded.tables import now_us
from intellirouter.memory.store import Versioned

ABSENT = Versioned(None, 0)


def read(connection: sqlite3.Connection, key: str) -> Versioned:
    """The value as it stands."""
    row = connection.execute("select value, version, expires from entry where key = ?", (key,)).fetchone()
    if row is None or (row[2] is not None and row[2] <= time.time()):
        return ABSENT
    return Versioned(row[0], row[1])


def read_many(connection: sqlite3.Connection, keys: Sequence[str]) -> list[bytes | None]:
    """The values in the order of the keys."""
    return [read(connection, key).value for key in keys]


def write(
    connection: sqlite3.Connection, key: str, value: bytes, ttl: float | None, only_if_absent: bool
) -> bool:
    """Write; False only when the key exists and must not."""
    current = read(connection, key)
    if only_if_absent and current.version:
        return False
    store(connection, key, value, max(current.version + 1, now_us()), ttl)
    return True


def write_if(
    connection: sqlite3.Connection, key: str, value: bytes, version: int, ttl: float | None
) -> int | None:
    """Write if nobody else did; the new version."""
    current = read(connection, key)
    if current.version != version:
        return None
    new = max(version + 1, now_us())
    store(connection, key, value, new, ttl)
    return new


def store(connection: sqlite3.Connection, key: str, value: bytes, version: int, ttl: float | None) -> None:
    """Write unconditionally, with this version."""
    expires = None if ttl is None else time.time() + ttl
    connection.execute(
        "insert into entry (key, value, version, expires) values (?, ?, ?, ?) on conflict (key) do update "
        "set value = excluded.value, version = excluded.version, expires = excluded.expires",
        (key, value, version, expires),
    )


def remove(connection: sqlite3.Connection, keys: Sequence[str]) -> int:
    """Delete values and logs; how many of the keys existed."""
    now, found = time.time(), 0
    for key in keys:
        entry = connection.execute(
            "delete from entry where key = ? returning expires is null or expires > ?", (key, now)
        ).fetchone()
        expired = connection.execute(
            "delete from log_expiry where key = ? returning expires <= ?", (key, now)
        )
        gone = expired.fetchone()
        items = connection.execute("delete from log where key = ?", (key,)).rowcount
        found += bool(entry and entry[0]) or bool(items and not (gone and gone[0]))
    return found


def page(connection: sqlite3.Connection, prefix: str, after: str, size: int) -> list[str]:
    """The next keys of values and logs with this prefix, in order."""
    now = time.time()
    rows = connection.execute(
        "select key from entry where key > ?1 and key >= ?2 and substr(key, 1, ?3) = ?2 "
        "and (expires is null or expires > ?4) "
        "union select distinct log.key from log left join log_expiry on log_expiry.key = log.key "
        "where log.key > ?1 and log.key >= ?2 and substr(log.key, 1, ?3) = ?2 "
        "and (log_expiry.expires is null or log_expiry.expires > ?4) order by key limit ?5",
        (after, prefix, len(prefix), now, size),
    )
    return [row[0] for row in rows]
