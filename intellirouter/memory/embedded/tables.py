"""The schema of the embedded store, and the clock its rows live by."""

from __future__ import annotations

import sqlite3
import time

SCHEMA = """
create table if not exists entry (
    key text primary key, value blob not null, version integer not null, expires real
);
create index if not exists entry_expires on entry (expires) where expires is not null;
create table if not exists counter (
    key text not null, "window" real not null, bucket integer not null, level real not null,
    primary key (key, "window")
) without rowid;
create table if not exists log (key text not null, position integer not null, item blob not null,
    primary key (key, position));
create table if not exists log_expiry (key text primary key, expires real not null) without rowid;
create table if not exists lease (
    name text primary key, owner text, token integer not null, expires real not null
) without rowid;
create table if not exists event (
    id integer primary key autoincrement, origin text not null, at real not null,
    channel text not null, payload blob not null
);
"""

EVENT_LIFE = 30.0
"""Seconds an event waits for the other processes to pick it up."""

LEASE_MEMORY = 7 * 86_400.0
"""Seconds an expired lease is remembered, so that its token keeps growing even if the clock steps back."""


def now_us() -> int:
    """Microseconds since the epoch: what versions and tokens grow by."""
    return time.time_ns() // 1000


SWEPT = 500
"""Values forgotten at once: about ten milliseconds, for which everybody waits."""


def sweep(connection: sqlite3.Connection) -> bool:
    """Forget what has expired; True when there is more of it than is forgotten at once."""
    now = time.time()
    some = "delete from entry where rowid in (select rowid from entry where expires <= ? limit ?)"
    swept = connection.execute(some, (now, SWEPT)).rowcount
    connection.execute(
        """delete from counter where "window" > 0 and (bucket + 1) * "window" <= ?""", (now - 60,)
    )
    connection.execute("delete from log where key in (select key from log_expiry where expires <= ?)", (now,))
    connection.execute("delete from log_expiry where expires <= ?", (now,))
    connection.execute("delete from lease where expires <= ?", (now - LEASE_MEMORY,))
    connection.execute("delete from event where at <= ?", (now - EVENT_LIFE,))
    return swept == SWEPT
