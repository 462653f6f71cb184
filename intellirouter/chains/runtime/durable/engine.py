"""The database of durable runs."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from intellirouter.chains.runtime.durable.words import HELP
from intellirouter.errors import Conflict, StateUnavailable

INCREMENTAL = 2
_MAKING = 0x494E54454C4C49
"""The advisory lock of Postgres under which tables are made."""
PORTION = 500
"""Pages, of 4 kB, that are given back in one transaction."""
SUBSECONDS = (3, 42)
"""The SQLite that knows `unixepoch('subsec')`, by which runs are timed (`clock.py`); those of many distributions have an older one, in
which the answer is null."""


def open_engine(url: str) -> sa.Engine:
    """SQLite (`sqlite:////path`) with a write-ahead log, or Postgres (`postgresql://…`). Never SQLite on a network disk."""
    if not url.startswith("sqlite"):
        return sa.create_engine(
            sa.make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=20,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={
                "application_name": "intellirouter-chains",
                "connect_timeout": 10,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                # a frozen node must not hold its locks for long
                "options": "-c idle_in_transaction_session_timeout=5000",
            },
        )
    engine = sa.create_engine(url, pool_size=10, max_overflow=0)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = "IMMEDIATE"  # a reader that turns writer would deadlock
        for pragma in (
            "auto_vacuum=INCREMENTAL",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=30000",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        if sqlite3.sqlite_version_info < SUBSECONDS:
            connection.create_function("unixepoch", 1, _unixepoch)

    return engine


@contextlib.contextmanager
def making_tables(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction to make what is missing in: nodes that start at once on one Postgres do so one after another.

    `create table if not exists` alone does not end that race, in Postgres either. A SQLite file has a `sole_owner`.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
        yield connection


def give_back(engine: sa.Engine) -> None:
    """Return the pages of what was deleted to the disk, a portion at a time: nobody waits for more than one."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return  # Postgres does so by itself
    with contextlib.closing(sqlite3.connect(engine.url.database, 30, isolation_level=None)) as db:

        def number(pragma: str) -> int:
            return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])

        if number("auto_vacuum") != INCREMENTAL:
            if number("freelist_count") * 2 > number(
                "page_count"
            ):  # a file from before: it is written anew, once
                db.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
                db.execute("VACUUM")
            return
        while number("freelist_count") > PORTION:
            db.execute(f"PRAGMA incremental_vacuum({PORTION})").fetchall()


@contextlib.contextmanager
def sole_owner(engine: sa.Engine) -> Iterator[None]:
    """Hold a SQLite file for this process: a second one would take the first one's runs for abandoned.

    Raises `Conflict`, or `StateUnavailable` for a file that cannot be written. A database that nodes may share is not held.
    """
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(Path(f"{file}.lock").open("w"))
        except OSError as cause:
            raise _not_opened(f"{file}.lock", cause.strerror) from cause
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise Conflict(f"Another process runs chains on {file}; many nodes need Postgres.") from cause
        try:
            _written(engine)
        except sa.exc.DatabaseError as cause:
            raise _not_opened(file, cause.orig) from cause
        yield


def _written(engine: sa.Engine) -> None:
    """Write what is there already, as whoever cannot will fail later."""
    with engine.begin() as connection:
        found = connection.exec_driver_sql("pragma user_version").scalar()
        connection.exec_driver_sql(f"pragma user_version = {int(found or 0)}")


def _not_opened(file: str, why: object) -> StateUnavailable:
    return StateUnavailable(f"The database of the chains, {file}, cannot be opened: {why}. {HELP}")


def _unixepoch(modifier: str) -> float:
    """`unixepoch('subsec')`: seconds with fractions."""
    if modifier != "subsec":
        raise ValueError(f"unixepoch({modifier!r}) is not known to this SQLite")
    return time.time()
