"""What an FTS5 index keeps, read in large pieces."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import numpy as np

from intellirouter.roles.rag_manager.phrase import Asked, Phrase
from intellirouter.roles.rag_manager.postings import (
    CHUNK,
    COLUMNS,
    OFFSET,
    Floats,
    Numbers,
    Postings,
    column,
    in_a_row,
    postings,
)


def has_as_many(db: sqlite3.Connection, table: str, least: int) -> bool:
    """Whether it has so many chunks."""
    words = f"select 1 from {table}_docsize limit 1 offset ?"  # noqa: S608 - a name of ours, here and below
    return db.execute(words, (least - 1,)).fetchone() is not None


def lengths(db: sqlite3.Connection, table: str, after: int) -> tuple[Numbers, Floats]:
    """Rows behind the row `after`, in order, and how many words each has in all columns."""
    words = f"from (select id, sz from {table}_docsize where id > ? order by id)"  # noqa: S608
    ids, sizes = db.execute(
        f"select group_concat(id), group_concat(hex(sz), '') {words}", (after,)
    ).fetchone()
    rows = np.fromstring(ids or "", np.int64, sep=",")
    raw = np.frombuffer(bytes.fromhex(sizes or ""), np.uint8)
    # SQLite's variable-length integers: seven bits a byte, the last byte of each without the eighth
    ends = np.flatnonzero(raw < 0x80)
    behind = ends[np.searchsorted(ends, np.arange(len(raw)))] - np.arange(len(raw))
    values = (raw & 0x7F).astype(np.float64) * 128.0**behind
    each = np.add.reduceat(values, np.r_[0, ends[:-1] + 1]) if len(ends) else values
    return rows, each.reshape(len(rows), -1).sum(1) if len(rows) else each


def read(db: sqlite3.Connection, table: str, phrase: Phrase, stems: Sequence[str], rows: Numbers) -> Postings:
    """The phrase's. `stems` are those of its words; `rows` says which row each number is, in order: no others are looked at."""
    last = len(stems) - 1
    each = [
        _places(db, table, stem, rows, begins=phrase.begins and number == last)
        for number, stem in enumerate(stems)
    ]
    places = in_a_row(each)
    if phrase.column:
        places = places[column(places) == COLUMNS.index(phrase.column)]
    return postings(places, max(1, len(stems)))


def _places(db: sqlite3.Connection, table: str, stem: str, rows: Numbers, *, begins: bool) -> Numbers:
    number = " ".join(f"when '{name}' then {place}" for place, name in enumerate(COLUMNS))
    wanted, values = "term = ?", [stem]
    if begins:
        wanted, values = "term >= ? and term < ?", [stem, stem[:-1] + chr(ord(stem[-1]) + 1)]
    (found,) = db.execute(
        f"select group_concat((doc << {CHUNK}) + (case col {number} end << {OFFSET}) + offset) "  # noqa: S608
        f"from {_vocabulary(db, table)} where {wanted}",
        values,
    ).fetchone()
    places = np.fromstring(found or "", np.int64, sep=",")
    if begins:  # of several stems
        places.sort()
    of_rows = places >> CHUNK
    numbers = np.minimum(np.searchsorted(rows, of_rows), len(rows) - 1)
    known = rows[numbers] == of_rows
    found_places: Numbers = (numbers[known] << CHUNK) + (places[known] & (1 << CHUNK) - 1)
    return found_places


def _vocabulary(db: sqlite3.Connection, table: str) -> str:
    """The table that lists every word of the index where it stands; it is this connection's own and takes no room."""
    name = f"temp.each_{table}"
    if not db.execute("select 1 from temp.sqlite_master where name = ?", (f"each_{table}",)).fetchone():
        (reads_only,) = db.execute("pragma query_only").fetchone()
        db.execute("pragma query_only = off")
        try:
            db.execute(f"create virtual table {name} using fts5vocab (main, {table}, instance)")
        finally:
            db.execute(f"pragma query_only = {reads_only:d}")
    return name


def newer(db: sqlite3.Connection, table: str, asked: Asked, last: int) -> dict[int, float]:
    """BM25 by row of what was added behind the row `last`."""
    words = f"select rowid, -bm25({table}, 2.0, 2.0, 1.0) from {table} where {table} match ? and rowid > ?"  # noqa: S608
    return dict(db.execute(words, (asked.match, last)).fetchall())


def count_newer(db: sqlite3.Connection, table: str, phrase: Phrase, last: int) -> int:
    """How many of what was added behind the row `last` have the phrase."""
    words = f"select count(*) from {table} where {table} match ? and rowid > ?"  # noqa: S608
    return int(db.execute(words, (phrase.match, last)).fetchone()[0])


def shown(db: sqlite3.Connection, rows: Sequence[int]) -> list[tuple[str, int]]:
    """Ids and rows of those that are shown, in the order of `rows`."""
    words = "select c.id, c.row from json_each(?) i cross join chunks c on c.row = i.value where c.ready = 1 order by i.key"
    return db.execute(words, (json.dumps(rows),)).fetchall()
