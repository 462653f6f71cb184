"""Which chunks the words of a query find, on the index that SQLite keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from intellirouter.roles.rag_manager import catalog, lexical
from intellirouter.roles.rag_manager.lexical import telling
from intellirouter.roles.rag_manager.sealed_catalog import connections
from intellirouter.roles.rag_manager.word_scores import WordScores
from intellirouter.security.sealing import Sealer

COLLECTION = "ir-0a"
TEXTS = {
    "shirt": "A t shirt in size m, with an s on it.",
    "cat": "Cats sleep on a mat.",
    "honest": "Don Quixote rode on; he won nothing.",
    "author": "A book by O'Reilly about whales.",
    "question": "What is this? It is what it is.",
    "near": "The blue whale sings.",
    "apart": "Blue paint, then a great many other words about nothing much at all, and last a whale.",
}


@pytest.fixture(params=[sqlite3.Connection, connections(Sealer((b"1" * 32,)))], ids=["words", "hashes"])
def index(request: pytest.FixtureRequest) -> sqlite3.Connection:
    """An index as a node keeps it without a key, and with one: both find the same."""
    db = sqlite3.connect(":memory:", factory=request.param)
    db.executescript(catalog.SCHEMA)
    catalog.add_collection(db, catalog.CollectionRow(COLLECTION, "a", "docs", "model", 0))
    db.execute("insert into documents values ('d', ?, 'd', '', 0, 'ready', null, '{}', 0)", (COLLECTION,))
    rows = [(id_, COLLECTION, place, text) for place, (id_, text) in enumerate(TEXTS.items())]
    db.executemany("insert into chunks values (null, ?, ?, 'd', ?, '', '', ?, 1, '')", rows)
    lexical.add(db, COLLECTION, list(TEXTS))
    return db


Search = Callable[[sqlite3.Connection, str, str, int], dict[str, float]]


@pytest.fixture(params=["FTS5", "arrays"])
def search(request: pytest.FixtureRequest) -> Search:
    """As a small collection is searched, and as a large one: both find the same."""
    return lexical.search if request.param == "FTS5" else WordScores(least=1).search


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("zebra", [], id="no word of it is there"),
        pytest.param("the cat's bed", ["cat"], id="what hangs on a word is not a word"),
        pytest.param("the cat’s bed", ["cat"], id="typographic apostrophe"),
        pytest.param("I'm sure they'd sleep", ["cat"], id="nor that of a pronoun"),
        pytest.param("Why don't cats eat", ["cat"], id="a negation tells nothing"),
        pytest.param("it won't whistle", [], id="nor does what is left of it"),
        pytest.param("by O'Reilly", ["author"], id="a name keeps its apostrophe"),
        pytest.param("what's this", ["question"], id="common words count where there are no others"),
        pytest.param("isn't", [], id="nothing but a contraction"),
        pytest.param("'); drop table chunks; \"", [], id="no word is an instruction"),
        pytest.param("blue whales", ["near", "apart", "author"], id="words that stand near count more"),
    ],
)
def test_words_find(index: sqlite3.Connection, search: Search, query: str, found: list[str]) -> None:
    scores = search(index, COLLECTION, query, 10)
    assert sorted(scores, key=lambda id_: -scores[id_]) == found


def test_a_chunk_that_is_not_ready_is_not_found(index: sqlite3.Connection, search: Search) -> None:
    index.execute("update chunks set ready = 0 where id = 'cat'")
    assert search(index, COLLECTION, "cat", 10) == {}


SCRIPTS = {
    "chinese": "紫色大象住在北京。",
    "japanese": "富士山は日本一高い山です。カメラ",
    "korean": "대한민국의 수도는 서울입니다.",
    "thai": "เมืองหลวงของประเทศไทยคือกรุงเทพ",
    "hindi": "हिन्दी में लिखा गया पाठ १२३",
    "arabic": "الكِتَابُ عَلَى الطَّاوِلَةِ",
    "hebrew": "שָׁלוֹם עוֹלָם",
    "russian": "Ёлка стоит в лесу.",
    "khmer": "រាជធានីភ្នំពេញ",
    "german": "Die Straße ist naß.",
    "vietnamese": "Thủ đô là Hà Nội",
    "part": "Valve AB-12345-X of size 7",
    "other part": "Valve AB-12346-X next to 12345",
    "battery": "Battery CR2032 is flat",
    "band": "The band PQ-9901-7 is blue",
    "phone": "The wifi of the phone15 office",
    "setting": "Set max_body_bytes in std::config of 10.0.3.17",
}


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("紫色", "chinese"),
        ("大象", "chinese"),
        ("象", "chinese"),
        ("富士山", "japanese"),
        ("ｶﾒﾗ", "japanese"),
        ("대한민국", "korean"),
        ("เมืองหลวง", "thai"),
        ("हिन्दी", "hindi"),
        ("123", "hindi"),
        ("كتاب", "arabic"),
        ("שלום", "hebrew"),
        ("елка", "russian"),
        ("ភ្នំពេញ", "khmer"),
        ("strasse", "german"),
        ("ha noi", "vietnamese"),
        ("Where is AB-12345-X?", "part"),
        ("AB-12346-X", "other part"),
        ("AB12345X", "part"),
        ("ab 12345 x", "part"),
        ("CR-2032", "battery"),
        ("which CR 2032", "battery"),
        ("pq9901-7", "band"),
        ("PQ 9901-7", "band"),
        ("wi-fi", "phone"),
        ("phone 15", "phone"),
        ("max_body_bytes", "setting"),
        ("10.0.3.17", "setting"),
    ],
)
@pytest.mark.parametrize("known", [False, True], ids=["read with the rest", "newer than the rest"])
def test_every_script_has_words(
    index: sqlite3.Connection, search: Search, query: str, first: str, *, known: bool
) -> None:
    if known:
        search(index, COLLECTION, "cat", 10)
    rows = [(id_, COLLECTION, place, text) for place, (id_, text) in enumerate(SCRIPTS.items())]
    index.executemany("insert into chunks values (null, ?, ?, 'd', ?, '', '', ?, 1, '')", rows)
    lexical.add(index, COLLECTION, list(SCRIPTS))
    scores = search(index, COLLECTION, query, 10)
    assert max(scores, key=lambda id_: scores[id_]) == first
    lexical.remove(index, COLLECTION, list(SCRIPTS))
    assert not search(index, COLLECTION, query, 10).keys() & SCRIPTS.keys()


def test_an_index_of_an_earlier_version_is_made_anew(index: sqlite3.Connection) -> None:
    index.execute("create virtual table terms_0a using fts5 (text)")
    lexical.drop(index, COLLECTION)
    catalog.migrate(index)
    assert list(lexical.search(index, COLLECTION, "cat", 10)) == ["cat"]
    assert not index.execute("select 1 from sqlite_master where name = 'terms_0a'").fetchall()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("阿鲁巴的办事处", ["阿鲁", "鲁巴", "办事", "事处"]),
        ("駅の鍵はどこ", ["はど", "どこ"]),
        ("もの", ["もの"]),
        ("は駅", []),
        ("山え", ["山え"]),
        ("何時から", ["何時", "から"]),
        ("的", ["的*"]),
    ],
)
def test_a_pair_across_a_particle_tells_nothing(query: str, told: list[str]) -> None:
    assert telling(query) == told
