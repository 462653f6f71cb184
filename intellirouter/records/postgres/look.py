"""A look at the record's Postgres that changes nothing, for whoever examines a node."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from intellirouter.errors import StateUnavailable
from intellirouter.records.postgres.schema import SCHEMA_NAME
from intellirouter.records.row import time_of


def look(url: str, seconds: float, asked: str) -> tuple[str, bool, bool, float | None, Any]:
    """Version, whether it is a standby, whether the record is there, when its newest row ended, and a row of what is asked besides.

    Raises `StateUnavailable`.
    """
    options = f"-c statement_timeout={int(seconds * 1e3)}"
    try:
        with psycopg.connect(
            url, autocommit=True, connect_timeout=max(2, round(seconds)), options=options
        ) as connection:
            words = (
                "select current_setting('server_version'), pg_is_in_recovery(), to_regclass(%s) is not null"
            )
            found = connection.execute(words, (f"{SCHEMA_NAME}.requests",)).fetchone()
            version, follows, there = found or ("", False, False)
            newest = None
            if there:
                table = sql.Identifier(SCHEMA_NAME, "requests")
                line = connection.execute(sql.SQL("select max(id) from {}").format(table)).fetchone()
                newest = time_of(line[0]) if line and line[0] is not None else None
            return version, follows, there, newest, connection.execute(asked.encode()).fetchone()
    except psycopg.Error as error:
        raise StateUnavailable(str(error).partition("\n")[0]) from error
