"""Large collections are searched in memory; what is found, and its score, is what FTS5 says."""

from __future__ import annotations

import random
import sqlite3

import pytest

from intellirouter.roles.rag_manager import catalog, lexical
from intellirouter.roles.rag_manager.filters import condition_of
from intellirouter.roles.rag_manager.sealed_catalog import connections
from intellirouter.roles.rag_manager.word_scores import SECONDS, WordScores
from intellirouter.security.sealing import Sealer

COLLECTION = "ir-0b"
VOCABULARY = (
    *(
        "the file files printed prints print word words worded standard input output newline count counts".split()
    ),
    *(
        "AB-12345-X max_body_bytes 10.0.3.17 naß Straße 紫色 大象住在 카메라 カメラ หลวง ОЁлка café x y z".split()
    ),
)
QUERIES = [
    "print newline, word, and byte counts for each file",
    "files of the file",
    "standard input and standard output",
    "Where is AB-12345-X in max_body_bytes?",
    "10.0.3.17",
    "max_body_bytes",
    "紫色 大象 strasse",
    "象",
    "ёлка cafe",
    "absent",
    "x",
    "the and of",
    "printed _ file __ words",
]


@pytest.fixture(params=[sqlite3.Connection, connections(Sealer((b"1" * 32,)))], ids=["words", "hashes"])
def index(request: pytest.FixtureRequest) -> sqlite3.Connection:
    """A collection of 400 chunks, some of them not shown, on a connection that reads only unless it is told to write."""
    db = sqlite3.connect(":memory:", factory=request.param, isolation_level=None)
    db.executescript(catalog.SCHEMA)
    catalog.add_collection(db, catalog.CollectionRow(COLLECTION, "a", "docs", "model", 0))
    db.execute(
        "insert into documents values ('d', ?, 'd', '', 0, 'ready', null, '{\"a\": 1}', 0)", (COLLECTION,)
    )
    _add(db, 0, 400)
    db.execute("pragma query_only = on")
    return db


def _add(db: sqlite3.Connection, first: int, behind: int) -> None:
    db.execute("pragma query_only = off")
    dice = random.Random(first)

    def some(least: int, most: int) -> str:
        skewed = (int(len(VOCABULARY) * dice.random() ** 2) for _ in range(dice.randint(least, most)))
        return " ".join(VOCABULARY[number] for number in skewed)

    rows = [
        (f"{number}", COLLECTION, number, some(0, 2), some(0, 3), some(1, 60), number % 10 != 7)
        for number in range(first, behind)
    ]
    db.executemany("insert into chunks values (null, ?, ?, 'd', ?, ?, ?, ?, ?, '')", rows)
    lexical.add(db, COLLECTION, [id_ for id_, *_ in rows])
    db.execute("pragma query_only = on")


def _remove(db: sqlite3.Connection, *ids: str) -> None:
    db.execute("pragma query_only = off")
    catalog.drop_chunks(db, COLLECTION, ids)
    db.execute("pragma query_only = on")


def _same(db: sqlite3.Connection, scores: WordScores, query: str, limit: int = 20) -> None:
    found, wanted = (search(db, COLLECTION, query, limit) for search in (scores.search, lexical.search))
    # whoever has the last score among several is nobody's choice
    least = min(wanted.values(), default=0.0)
    assert list(found.values()) == pytest.approx(list(wanted.values()))
    assert {id_: score for id_, score in found.items() if score > least + 1e-9} == pytest.approx(
        {id_: score for id_, score in wanted.items() if score > least + 1e-9}
    )


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("limit", [20, 500])
def test_scores_are_those_of_the_index(index: sqlite3.Connection, query: str, limit: int) -> None:
    scores = WordScores(least=1)
    _same(index, scores, query, limit)
    _same(index, scores, query, limit)


@pytest.mark.parametrize("query", QUERIES)
def test_whatever_came_or_went_since(index: sqlite3.Connection, query: str) -> None:
    now = 0.0
    scores = WordScores(least=1, clock=lambda: now)
    for first in (400, 410, 480):  # ever more than may be looked up apart, which takes until it is read anew
        _same(index, scores, query)
        _add(index, first, first + 10 if first == 400 else first + 70)
        _same(index, scores, query)
        now += SECONDS / 2
        _same(index, scores, query)
    _remove(index, *map(str, range(30)), "549")
    _same(index, scores, query)
    _add(index, 1_000, 1_005)  # in the place of the last, which went
    _same(index, scores, query)
    now += SECONDS
    _same(index, scores, query)
    _same(index, scores, query)


def test_little_memory_is_enough(index: sqlite3.Connection) -> None:
    scores = WordScores(least=1, most_bytes=1)
    for query in (*QUERIES, *QUERIES):
        _same(index, scores, query)


def test_a_filter_is_heeded(index: sqlite3.Connection) -> None:
    scores = WordScores(least=1)
    for wanted, found in ((1, 10), (2, 0)):
        condition = condition_of({"type": "eq", "key": "a", "value": wanted})
        assert len(scores.search(index, COLLECTION, "file", 10, condition)) == found


def test_a_small_collection_is_left_to_the_index(index: sqlite3.Connection) -> None:
    asked: list[str] = []
    index.set_trace_callback(asked.append)
    WordScores(least=401).search(index, COLLECTION, "file", 10)
    assert any(" match " in words for words in asked)
    asked.clear()
    WordScores(least=400).search(index, COLLECTION, "file", 10)
    assert not any(" match " in words for words in asked)
