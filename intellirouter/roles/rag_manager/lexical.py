"""The words of a collection: one FTS5 index each, so that BM25 knows the collection's own word frequencies and no other's.

The text itself lies in `chunks` only. Rows come and go with those of `chunks`, in the same transaction.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from itertools import pairwise

from intellirouter.roles.rag_manager.filters import ALL, Condition

_WORD = re.compile(r"\w+")
_CONTRACTION = re.compile(r"(?:\b\w+n['’]t|['’](?:d|ll|m|re|s|ve))\b")
"""Whole ("don't" tells nothing), or what hangs on a word ("object's"): pieces of them would match pieces of others."""
_COMMON = frozenset(
    "a an and are as at be by can do does for from how i if in is it its my of on or that the this to was what when "
    "where which who why will with you your".split()
)
_ID = re.compile(r"ir-([0-9a-f]+)")
MAX_TERMS = 64
NEAR = 8
"""Neighbouring words of a query that stand within so many of one another in a chunk count once more, as a term of their own.
Metzler and Croft 2005, "A Markov random field model for term dependencies", unordered window."""


def create(db: sqlite3.Connection, collection: str) -> None:
    """Make the index of a new collection."""
    db.execute(
        f"create virtual table if not exists {_table(collection)} using fts5 "
        "(title, location, text, content = 'chunks', content_rowid = 'row', tokenize = 'porter unicode61')"
    )


def drop(db: sqlite3.Connection, collection: str) -> None:
    """Remove the index."""
    db.execute(f"drop table if exists {_table(collection)}")


def add(db: sqlite3.Connection, collection: str, ids: Sequence[str]) -> None:
    """Take in chunks just written."""
    db.execute(
        f"insert into {_table(collection)} (rowid, title, location, text) select row, title, location, text from chunks "  # noqa: S608
        "where id in (select value from json_each(?))",
        (json.dumps(ids),),
    )


def remove(db: sqlite3.Connection, collection: str, ids: Sequence[str]) -> None:
    """Forget chunks that are about to be deleted."""
    table = _table(collection)
    db.execute(
        f"insert into {table} ({table}, rowid, title, location, text) select 'delete', row, title, location, text from chunks "  # noqa: S608
        "where id in (select value from json_each(?))",
        (json.dumps(ids),),
    )


def search(
    db: sqlite3.Connection, collection: str, query: str, limit: int, condition: Condition = ALL
) -> dict[str, float]:
    """BM25 of words and of pairs that stand near, by the id of a ready chunk whose document meets the condition; higher is better.

    Titles and headings count double.
    """
    wanted = _expression(query)
    if not wanted:
        return {}
    table = _table(collection)
    if condition is not ALL:
        filtered = (
            f"select c.id, -bm25({table}, 2.0, 2.0, 1.0) as score from {table} t join chunks c on c.row = t.rowid "  # noqa: S608
            f"join documents d on d.id = c.document where {table} match ? and c.ready and {condition.sql} "
            "order by score desc limit ?"
        )
        return dict(db.execute(filtered, (wanted, *condition.values, limit)).fetchall())
    words = (
        f"select c.id, -t.score from (select rowid, bm25({table}, 2.0, 2.0, 1.0) as score from {table} "  # noqa: S608
        f"where {table} match ? order by score limit ?) t join chunks c on c.row = t.rowid where c.ready"
    )
    return dict(db.execute(words, (wanted, limit)).fetchall())


def _expression(query: str) -> str:
    """What FTS5 is asked: any of the words that tell something, or all where none does."""
    words = _WORD.findall(_CONTRACTION.sub(" ", query.lower()))[:MAX_TERMS]
    telling = [word for word in words if word not in _COMMON] or words
    pairs = dict.fromkeys((one, two) for one, two in pairwise(telling) if one != two)
    return " OR ".join(
        [
            *(f'"{word}"' for word in dict.fromkeys(telling)),
            *(f'NEAR("{one}" "{two}", {NEAR})' for one, two in pairs),
        ]
    )


def _table(collection: str) -> str:
    """A name made of hexadecimal digits only, safe to write into a statement."""
    found = _ID.fullmatch(collection)
    if found is None:
        raise ValueError(f"no collection id: {collection!r}")
    return f"terms_{found[1]}"
