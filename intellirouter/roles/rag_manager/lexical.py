"""The words of a collection: one FTS5 index each, so that BM25 knows the collection's own word frequencies and no other's.

The text itself lies in `chunks` only. Rows come and go with those of `chunks`, in the same transaction. What a word is in
scripts other than Latin, `terms.py` says. Where the node has a key the index holds hashes of words (`hashed_words.py`).
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

from intellirouter.roles.rag_manager import terms
from intellirouter.roles.rag_manager.filters import ALL, Condition
from intellirouter.roles.rag_manager.hashed_words import HashedWords
from intellirouter.roles.rag_manager.phrase import Asked, Phrase
from intellirouter.roles.rag_manager.stems import TOKENIZER

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
_BORDER = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
"""Between a letter and a digit."""
MAX_TERMS, MAX_SPELLINGS = 64, 32
SCHEMA = """
create table if not exists word_removals (collection text primary key, times integer not null) without rowid;
create table if not exists words_removed (
    collection text not null, number integer not null, rows text, primary key (collection, number)) without rowid;
"""
"""How often chunks were taken out of an index, and of the last times which: whoever keeps what stands in it in memory sees that by it."""
NOTED_TIMES, NOTED_ROWS = 200, 2_000
"""Removals that are noted of a collection, and how many chunks at once; of more at once only that it was."""


def create(db: sqlite3.Connection, collection: str) -> None:
    """Make the index of a new collection."""
    table = table_of(db, collection)
    if hashed_by(db) is not None:
        db.execute(
            f"create virtual table if not exists {table} using fts5 (title, location, text, signs, content = '')"
        )
        return
    db.execute(
        f"create virtual table if not exists {table} using fts5 (title, location, text, "
        f"content = 'chunks', content_rowid = 'row', tokenize = \"{TOKENIZER}\")"
    )


def drop(db: sqlite3.Connection, collection: str) -> None:
    """Remove the index."""
    db.execute(f"drop table if exists {table_of(db, collection)}")
    for noted in ("word_removals", "words_removed"):
        db.execute(f"delete from {noted} where collection = ?", (collection,))  # noqa: S608 - names of ours


def migrate(db: sqlite3.Connection) -> None:
    """Index anew the collections that an earlier version, or a node with another key or none, indexed in its own way."""
    known: dict[str, set[str]] = {}
    for (name,) in db.execute("select name from main.sqlite_master where type = 'table'"):
        known.setdefault(name.rpartition("_")[2], set()).add(name)
    for (collection,) in db.execute("select id from collections").fetchall():
        table, there = table_of(db, collection), known.get(_digits(collection), set())
        if table not in there:
            create(db, collection)
            _insert(db, collection, "collection = ?", collection)
        for other in there - {table}:
            db.execute(f"drop table if exists {other}")


def add(db: sqlite3.Connection, collection: str, ids: Sequence[str]) -> None:
    """Take in chunks just written."""
    _insert(db, collection, "id in (select value from json_each(?))", json.dumps(ids))


def remove(db: sqlite3.Connection, collection: str, ids: Sequence[str]) -> None:
    """Forget chunks that are about to be deleted."""
    table = table_of(db, collection)
    columns, marks = _columns(db)
    gone: list[int] = []

    def indexed() -> Iterator[list[Any]]:
        for values in _as_indexed(db, collection, "id in (select value from json_each(?))", json.dumps(ids)):
            gone.append(values[0])
            yield values

    db.executemany(
        f"insert into {table} ({table}, rowid, {columns}) values ('delete', ?, {marks})",  # noqa: S608
        indexed(),
    )
    if not gone:
        return
    (number,) = db.execute(
        "insert into word_removals values (?, 1) on conflict (collection) do update set times = times + 1 "
        "returning times",
        (collection,),
    ).fetchone()
    rows = json.dumps(gone) if len(gone) <= NOTED_ROWS else None
    db.execute("insert into words_removed values (?, ?, ?)", (collection, number, rows))
    db.execute(
        "delete from words_removed where collection = ? and number <= ?", (collection, number - NOTED_TIMES)
    )


def _insert(db: sqlite3.Connection, collection: str, condition: str, value: str) -> None:
    columns, marks = _columns(db)
    db.executemany(
        f"insert into {table_of(db, collection)} (rowid, {columns}) values (?, {marks})",  # noqa: S608
        _as_indexed(db, collection, condition, value),
    )


def _columns(db: sqlite3.Connection) -> tuple[str, str]:
    """Of the index, and a mark for the value of each."""
    if hashed_by(db) is None:
        return "title, location, text", "?, ?, ?"
    return "title, location, text, signs", "?, ?, ?, ?"


def _as_indexed(db: sqlite3.Connection, collection: str, condition: str, value: str) -> Iterator[list[Any]]:
    """The same for a chunk whenever it is asked: FTS5 forgets by being told again what it was given."""
    found = db.execute(f"select row, title, location, context, text from chunks where {condition}", (value,))  # noqa: S608
    hashed = hashed_by(db)
    for row, title, location, context, text in found.fetchall():
        texts = (title, location, f"{context}\n{text}" if context else text)
        columns = hashed.columns(collection, texts) if hashed is not None else map(terms.indexed, texts)
        yield [row, *columns]


def search(
    db: sqlite3.Connection, collection: str, query: str, limit: int, condition: Condition = ALL
) -> dict[str, float]:
    """BM25 of words and of pairs that stand near, by the id of a ready chunk whose document meets the condition; higher is better.

    Titles and headings count double.
    """
    wanted = asked(db, collection, query).match
    if not wanted:
        return {}
    table = table_of(db, collection)
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


def removals(db: sqlite3.Connection, collection: str) -> int:
    """How often chunks were taken out of the collection's index."""
    row = db.execute("select times from word_removals where collection = ?", (collection,)).fetchone()
    return int(row[0]) if row else 0


def removed(db: sqlite3.Connection, collection: str, after: int) -> list[int] | None:
    """The rows that were taken out since the removal of number `after`; None where that is no longer known."""
    words = "select rows from words_removed where collection = ? and number > ?"
    noted = [rows for (rows,) in db.execute(words, (collection, after))]
    if len(noted) < removals(db, collection) - after or None in noted:
        return None
    return [row for rows in noted for row in json.loads(rows)]


def asked(db: sqlite3.Connection, collection: str, query: str) -> Asked:
    """What the collection's index is asked: any of the words that tell something, or all where none does."""
    words = [word for word in _words(query) if word.strip("_")]  # the index has no others
    wanted = [word for word in words if not _tells_nothing(word)] or words
    pairs = dict.fromkeys((one, two) for one, two in pairwise(wanted) if one != two)
    exact = (" ".join(terms.words(found)) for found in _IDENTIFIER.findall(query)[:MAX_TERMS])
    names = [name for name in dict.fromkeys(exact) if " " in name or "_" in name]
    names += [name for name in spellings(wanted, names) if name not in names]
    hashed = hashed_by(db)
    if hashed is None:
        phrases = [Phrase(word.removesuffix("*"), begins=word.endswith("*")) for word in (*wanted, *names)]
    else:
        phrases = hashed.phrases(collection, [*wanted, *names])
        pairs = {pair: None for pair in pairs if not any(word.endswith("*") for word in pair)}
    term = dict(zip(wanted, phrases, strict=False))
    return Asked(
        (*term.values(), *phrases[len(wanted) :]), tuple((term[one], term[two]) for one, two in pairs)
    )


def spellings(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Other ways of writing what may be the name of something: AB12 for AB-12 and AB 12, and the other way round."""
    joined = [name.replace(" ", "") for name in names]
    joined += [one + two for one, two in pairwise(words) if _BORDER.search(f"{one[-1]}{two[0]}")]
    apart = [_BORDER.sub(" ", word) for word in words if _BORDER.search(word)]
    known = set(words)
    found = (name for name in (*joined, *apart) if name.isascii() and name not in known)
    return list(islice(dict.fromkeys(found), MAX_SPELLINGS))


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


def hashed_by(db: sqlite3.Connection) -> HashedWords | None:
    """What hashes words on this connection, where the node has a key."""
    return getattr(db, "words", None)


def table_of(db: sqlite3.Connection, collection: str) -> str:
    """The index's name, made of letters, lines and hexadecimal digits only, safe to write into a statement."""
    hashed = hashed_by(db)
    prefix = _PREFIX if hashed is None else f"hashed_{hashed.name}_"
    return f"{prefix}{_digits(collection)}"


def _digits(collection: str) -> str:
    found = _ID.fullmatch(collection)
    if found is None:
        raise ValueError(f"no collection id: {collection!r}")
    return found[1]
