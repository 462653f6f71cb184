"""Counters in fixed windows, and reservations over several of them."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Mapping, Sequence

from intellirouter.memory.store import Claim, Reservation

TOLERANCE = 1e-9
"""What floating-point addition may be off by before a limit counts as passed."""


def bucket_of(window: float, now: float) -> int:
    """The number of the window that `now` lies in; 0 for a counter without one."""
    return math.floor(now / window) if window else 0


def level(connection: sqlite3.Connection, key: str, window: float) -> float:
    """The level in the current window."""
    row = connection.execute(
        'select bucket, level from counter where key = ? and "window" = ?', (key, window)
    ).fetchone()
    return row[1] if row is not None and row[0] == bucket_of(window, time.time()) else 0.0


def add(connection: sqlite3.Connection, key: str, amount: float, window: float) -> float:
    """Add in the current window; the new level."""
    row = connection.execute(
        'insert into counter (key, "window", bucket, level) values (?, ?, ?, ?) on conflict (key, "window") do update '
        "set level = case when bucket = excluded.bucket then level + excluded.level else excluded.level end, "
        "bucket = excluded.bucket returning level",
        (key, window, bucket_of(window, time.time()), amount),
    ).fetchone()
    return float(row[0])


def add_all(connection: sqlite3.Connection, amounts: Mapping[str, float]) -> list[float]:
    """Add to counters without a window; the new levels."""
    return [add(connection, key, amount, 0) for key, amount in amounts.items()]


def reserve(connection: sqlite3.Connection, claims: Sequence[Claim]) -> Reservation:
    """Take every claim or none."""
    levels: list[float] = []
    pending: dict[tuple[str, float], float] = {}
    for claim in claims:
        counter = (claim.key, claim.window)
        pending[counter] = pending.get(counter, 0.0) + claim.amount
        levels.append(level(connection, claim.key, claim.window))
    for index, claim in enumerate(claims):
        if levels[index] + pending[claim.key, claim.window] > claim.limit + TOLERANCE:
            return Reservation(False, tuple(levels), index, until_next(claim.window, time.time()))
    for claim in claims:
        add(connection, claim.key, claim.amount, claim.window)
    return Reservation(True, tuple(level(connection, claim.key, claim.window) for claim in claims))


def until_next(window: float, now: float) -> float:
    """Seconds until the window ends; 0 for a counter without one, which no waiting empties."""
    return window - now % window if window else 0.0
