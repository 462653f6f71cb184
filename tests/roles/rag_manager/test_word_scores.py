"""Large collections are searched in memory; what is found, and its score, is what FTS5 says."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from pathlib import Path

import pytest

from intellirouter.memory.embedded.engine import Engine
from intellirouter.roles.rag_manager import catalog, lexical
from intellirouter.roles.rag_manager.filters import ALL, condition_of
from intellirouter.roles.rag_manager.phrase import Phrase
from intellirouter.roles.rag_manager.sealed_catalog import connections
from intellirouter.roles.rag_manager.word_lookup import WordLookup
from intellirouter.roles.rag_manager.word_scores import SECONDS, WordScores
from intellirouter.roles.rag_manager.words_kept import Read, WordsKept
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
    _filled(db)
    db.execute("pragma query_only = on")
    return db


def _filled(db: sqlite3.Connection) -> None:
    catalog.add_collection(db, catalog.CollectionRow(COLLECTION, "a", "docs", "model", 0))
    db.execute(
        "insert into documents values ('d', ?, 'd', '', 0, 'ready', null, '{\"a\": 1}', 0)", (COLLECTION,)
    )
    _add(db, 0, 400)


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
    if db.isolation_level is None and not db.in_transaction:
        db.execute("pragma query_only = on")


def _remove(db: sqlite3.Connection, *ids: str) -> None:
    db.execute("pragma query_only = off")
    catalog.drop_chunks(db, COLLECTION, ids)
    db.execute("pragma query_only = on")


def _read_anew(db: sqlite3.Connection, scores: WordScores) -> bool:
    """Whether it was time for that."""
    phrases = scores.due(COLLECTION)
    if phrases is not None:
        scores.take(COLLECTION, scores.read(db, COLLECTION, phrases))
    return phrases is not None


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
        assert _read_anew(index, scores) == (first == 410)
        _same(index, scores, query)
    _remove(index, *map(str, range(30)), "549")
    _same(index, scores, query)
    _add(index, 1_000, 1_005)  # in the place of the last, which went
    _same(index, scores, query)
    now += SECONDS
    assert _read_anew(index, scores)
    _same(index, scores, query)


@pytest.mark.parametrize("seed", range(12))
def test_removals_and_replacements_between_searches(index: sqlite3.Connection, seed: int) -> None:
    """Whatever the order: chunks come, go and are replaced, the last above all, whose rows SQLite gives away again; now and then the
    collection is read anew, what was read being taken only after more has changed."""
    dice, now = random.Random(seed), 0.0
    scores = WordScores(least=1, clock=lambda: now)
    there, next_ = [str(number) for number in range(400)], 400
    under_way: Read | None = None
    for _ in range(60):
        what = dice.choice(("add", "remove", "remove last", "replace", "search", "search", "read", "take"))
        if what in ("add", "replace"):
            count = dice.randint(1, 12)
            added = [str(number) for number in range(next_, next_ + count)]
        if what in ("remove", "replace"):
            gone = dice.sample(there, min(len(there) - 1, dice.randint(1, 12)))
        if what == "remove last":
            gone = there[-min(len(there) - 1, dice.randint(1, 5)) :]
        if what.startswith(("remove", "replace")):
            _remove(index, *gone)
            there = [id_ for id_ in there if id_ not in gone]
        if what in ("add", "replace"):
            _add(index, next_, next_ + count)
            there, next_ = there + added, next_ + count
        if what == "read":
            now += SECONDS
            if (phrases := scores.due(COLLECTION)) is not None:
                under_way = scores.read(index, COLLECTION, phrases)
        if what == "take" and under_way is not None:
            scores.take(COLLECTION, under_way)
            under_way = None
        _same(index, scores, dice.choice(QUERIES), dice.choice((5, 20, 500)))


def test_nothing_is_read_anew_for_what_was_taken_out(index: sqlite3.Connection) -> None:
    """A removal costs a search neither FTS5's look at every chunk nor the reading of the whole index."""
    now, query = 0.0, "print newline, word, and byte counts for each file"
    scores = WordScores(least=1, clock=lambda: now)
    _same(index, scores, query)
    for number in range(100):
        _remove(index, str(number))
        now += SECONDS
        asked: list[str] = []
        index.set_trace_callback(asked.append)
        scores.search(index, COLLECTION, query, 20)
        index.set_trace_callback(None)
        assert not [words for words in asked if "match" in words or "each_" in words]
    _same(index, scores, query)


def test_more_went_than_is_noted(index: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexical, "NOTED_ROWS", 3)
    monkeypatch.setattr(lexical, "NOTED_TIMES", 4)
    for times in ([4], [1] * 5, [396]):
        scores = WordScores(least=1)
        _same(index, scores, "files of the file")
        (first,) = index.execute("select min(position) from chunks").fetchone()
        for count in times:
            _remove(index, *map(str, range(first, first + count)))
            first += count
        _same(index, scores, "files of the file")
        assert _read_anew(index, scores)
        _same(index, scores, "files of the file")


async def test_no_search_waits_for_a_collection_to_be_read_anew(tmp_path: Path) -> None:
    begun, go, taken, now = threading.Event(), threading.Event(), threading.Event(), 0.0

    class Slow(WordScores):
        def read(self, db: sqlite3.Connection, collection: str, phrases: tuple[Phrase, ...] = ()) -> Read:
            if phrases:
                begun.set()
                assert go.wait(SECONDS)
            return super().read(db, collection, phrases)

        def take(self, collection: str, found: Read) -> WordsKept | None:
            if found.postings:
                taken.set()
            return super().take(collection, found)

    engine = Engine(tmp_path / "catalog.db", catalog.SCHEMA, catalog.nothing_to_sweep, reads_apart=True)
    await engine.start()
    await engine.write(_filled)
    lookup = WordLookup(engine, Slow(least=1, clock=lambda: now))
    working = asyncio.create_task(lookup.work())

    async def same() -> None:
        found = await lookup.search(COLLECTION, "file", 500, ALL)
        wanted = await engine.read(lambda db: lexical.search(db, COLLECTION, "file", 500))
        assert found == pytest.approx(wanted)

    async with asyncio.timeout(SECONDS):
        await same()
        for first in range(0, 120, 30):
            await engine.write(
                lambda db, first=first: catalog.drop_chunks(
                    db, COLLECTION, [*map(str, range(first, first + 30))]
                )  # type: ignore[misc]
            )
            now += SECONDS
            await same()
        assert await asyncio.to_thread(begun.wait, SECONDS)
        await same()  # answered while it is read
        go.set()
        assert await asyncio.to_thread(taken.wait, SECONDS)
        await same()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await engine.stop()


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
