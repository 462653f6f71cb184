"""The words of a collection: one FTS5 index each, so that BM25 knows the collection's own word frequencies and no other's.

The text itself lies in `chunks` only. Rows come and go with those of `chunks`, in the same transaction. What a word is in
scripts other than Latin, `terms.py` says.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from intellirouter.roles.rag_manager import terms
from intellirouter.roles.rag_manager.filters import ALL, Condition

_CONTRACTION = re.compile(r"(?:\b\w+n['’]t|['’](?:d|ll|m|re|s|ve))\b")
"""Whole ("don't" tells nothing), or what hangs on a word ("object's"): pieces of them would match pieces of others."""
_COMMON = frozenset(
    "a an and are as at be by can do does for from how i if in is it its my of on or that the this to was what when "
    "where which who why will with you your".split()
)
_PARTICLES = frozenset("的了吗嗎呢吧嘛啊")
_KANA_PARTICLES = frozenset("のはがをにへとでもやか")
_HIRAGANA = re.compile("[\u3041-\u3096]")
"""Particles of Chinese, and those of Japanese, which tell nothing beside a sign that is no hiragana: の in 猫の, but not in もの."""
_ID = re.compile(r"ir-([0-9a-f]+)")
_PREFIX = "words_"
"""Of the tables' names: another one whenever the same text is indexed in another way."""
_IDENTIFIER = re.compile(r"[^\W_]+(?:[_/.:@#-][_/.:@#-]?[^\W_]+)+")
"""A part number, error code, address, path or dotted name: its pieces in their order are a term of their own."""
MAX_TERMS = 64
NEAR = 8
"""Neighbouring words of a query that stand within so many of one another in a chunk count once more, as a term of their own.
Metzler and Croft 2005, "A Markov random field model for term dependencies", unordered window."""


def create(db: sqlite3.Connection, collection: str) -> None:
    """Make the index of a new collection."""
    db.execute(
        f"create virtual table if not exists {_table(collection)} using fts5 (title, location, text, "
        "content = 'chunks', content_rowid = 'row', tokenize = \"porter unicode61 categories 'L* N* Co Mn Mc'\")"
    )


def drop(db: sqlite3.Connection, collection: str) -> None:
    """Remove the index."""
    db.execute(f"drop table if exists {_table(collection)}")


def migrate(db: sqlite3.Connection) -> None:
    """Index anew the collections that an earlier version indexed in its own way."""
    known = {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")}
    for (collection,) in db.execute("select id from collections").fetchall():
        table = _table(collection)
        if table in known:
            continue
        create(db, collection)
        _insert(db, table, "collection = ?", collection)
        db.execute(f"drop table if exists {table.replace(_PREFIX, 'terms_')}")


def add(db: sqlite3.Connection, collection: str, ids: Sequence[str]) -> None:
    """Take in chunks just written."""
    _insert(db, _table(collection), "id in (select value from json_each(?))", json.dumps(ids))


def remove(db: sqlite3.Connection, collection: str, ids: Sequence[str]) -> None:
    """Forget chunks that are about to be deleted."""
    table = _table(collection)
    db.executemany(
        f"insert into {table} ({table}, rowid, title, location, text) values ('delete', ?, ?, ?, ?)",  # noqa: S608
        _as_indexed(db, "id in (select value from json_each(?))", json.dumps(ids)),
    )


def _insert(db: sqlite3.Connection, table: str, condition: str, value: str) -> None:
    db.executemany(
        f"insert into {table} (rowid, title, location, text) values (?, ?, ?, ?)",  # noqa: S608
        _as_indexed(db, condition, value),
    )


def _as_indexed(db: sqlite3.Connection, condition: str, value: str) -> Iterator[tuple[int, str, str, str]]:
    """The same for a chunk whenever it is asked: FTS5 forgets by being told again what it was given."""
    found = db.execute(f"select row, title, location, text from chunks where {condition}", (value,))  # noqa: S608
    for row, *columns in found.fetchall():
        title, location, text = (terms.indexed(column) for column in columns)
        yield row, title, location, text


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
            f"join documents d on d.id = c.document where {table} match ? and c.ready = 1 and {condition.sql} "
            "order by score desc limit ?"
        )
        return dict(db.execute(filtered, (wanted, *condition.values, limit)).fetchall())
    words = (
        f"select c.id, -t.score from (select rowid, bm25({table}, 2.0, 2.0, 1.0) as score from {table} "  # noqa: S608
        f"where {table} match ? order by score limit ?) t join chunks c on c.row = t.rowid where c.ready = 1 limit ?"
    )
    return dict(db.execute(words, (wanted, 2 * limit, limit)).fetchall())  # staged chunks are among them


def _expression(query: str) -> str:
    """What FTS5 is asked: any of the words that tell something, or all where none does."""
    words = _words(query)
    wanted = [word for word in words if not _tells_nothing(word)] or words
    pairs = dict.fromkeys((one, two) for one, two in pairwise(wanted) if one != two)
    exact = (" ".join(terms.words(found)) for found in _IDENTIFIER.findall(query)[:MAX_TERMS])
    return " OR ".join(
        [
            *(_term(word) for word in dict.fromkeys(wanted)),
            *(f"NEAR({_term(one)} {_term(two)}, {NEAR})" for one, two in pairs),
            *(f'"{phrase}"' for phrase in dict.fromkeys(exact) if " " in phrase or "_" in phrase),
        ]
    )


def telling(query: str) -> list[str]:
    """The words of a query that tell something, each once."""
    return list(dict.fromkeys(word for word in _words(query) if not _tells_nothing(word)))


def _tells_nothing(word: str) -> bool:
    """A word that most texts have, or a pair of signs across a particle: it says what stands before or behind one."""
    if word in _COMMON:
        return True
    if len(word) != 2 or not terms.is_run(word) or word.endswith("*"):
        return False
    one, two = word[0], word[1]
    if one in _PARTICLES or two in _PARTICLES:
        return True
    kana = _HIRAGANA.match(one) is not None, _HIRAGANA.match(two) is not None
    return kana[0] != kana[1] and (one if kana[0] else two) in _KANA_PARTICLES


def _words(query: str) -> list[str]:
    return list(islice(terms.words(_CONTRACTION.sub(" ", query.casefold())), MAX_TERMS))


def _term(word: str) -> str:
    return f'"{word[:-1]}" *' if word.endswith("*") else f'"{word}"'


def _table(collection: str) -> str:
    """A name made of hexadecimal digits only, safe to write into a statement."""
    found = _ID.fullmatch(collection)
    if found is None:
        raise ValueError(f"no collection id: {collection!r}")
    return f"{_PREFIX}{found[1]}"
