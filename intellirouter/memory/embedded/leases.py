"""Leases with fencing tokens (M. Kleppmann, "How to do distributed locking", 2016)."""

from __future__ import annotations

import sqlite3
import time

from intellirouter.errors import LeaseLost
from intellirouter.memory.embedded.tables import now_us
from intellirouter.memory.store import Lease


def acquire(connection: sqlite3.Connection, name: str, owner: str, ttl: float) -> Lease | None:
    """Take it if it is free or already the owner's."""
    now = time.time()
    row = connection.execute("select owner, token, expires from lease where name = ?", (name,)).fetchone()
    held = row is not None and row[0] is not None and row[2] > now
    if held and row[0] != owner:
        return None
    token = int(row[1]) if held else max((row[1] if row else 0) + 1, now_us())
    connection.execute(
        "insert or replace into lease (name, owner, token, expires) values (?, ?, ?, ?)",
        (name, owner, token, now + ttl),
    )
    return Lease(name, owner, token, ttl)


def renew(connection: sqlite3.Connection, lease: Lease, ttl: float) -> Lease:
    """Hold it longer. Raises `LeaseLost`."""
    now = time.time()
    done = connection.execute(
        "update lease set expires = ? where name = ? and owner = ? and token = ? and expires > ?",
        (now + ttl, lease.name, lease.owner, lease.token, now),
    )
    if not done.rowcount:
        raise LeaseLost(f"the lease {lease.name} is no longer held by {lease.owner}")
    return Lease(lease.name, lease.owner, lease.token, ttl)


def release(connection: sqlite3.Connection, lease: Lease) -> None:
    """Give it back if it is still held; the token stays remembered."""
    connection.execute(
        "update lease set owner = null, expires = ? where name = ? and owner = ? and token = ?",
        (time.time(), lease.name, lease.owner, lease.token),
    )
