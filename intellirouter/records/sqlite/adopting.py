"""Rows of other nodes' records in this one, each once: which there are is kept beside them, and forgotten with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from intellirouter.records.questions import RATE, ratings
from intellirouter.records.row import Row
from intellirouter.records.sqlite.outgoing import stay

_TABLES = (
    "create table if not exists adopted (source text, own integer, id integer, primary key (source, own)) without rowid",
    "create index if not exists adopted_by_id on adopted (id)",
    "create trigger if not exists adopted_out after delete on requests begin delete from adopted where id = old.id; end",
)
"""Made by the first row that is adopted: whoever adopts none does not pay for them."""


def adopt(
    connection: sqlite3.Connection,
    source: str,
    rows: Sequence[tuple[int, Row]],
    write: Callable[[sqlite3.Connection, Sequence[Row]], None],
) -> int:
    """See `Store.adopt`. Within a transaction; raises `sqlite3.IntegrityError` for an id that is another row's."""
    for words in _TABLES:
        connection.execute(words)
    new = [
        row
        for own, row in rows
        if connection.execute(
            "insert or ignore into adopted values (?, ?, ?)", (source, own, row.id)
        ).rowcount
    ]
    if new:
        write(connection, new)
        connection.executemany(RATE, ratings(new))
        stay(connection, [row.id for row in new])
    return len(new)
