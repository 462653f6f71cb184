"""Which chunks the words of a query find, on the index that SQLite keeps."""

from __future__ import annotations

import sqlite3

import pytest

from intellirouter.roles.rag_manager import catalog, lexical

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


@pytest.fixture
def index() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.executescript(catalog.SCHEMA)
    catalog.add_collection(db, catalog.CollectionRow(COLLECTION, "a", "docs", "model", 0))
    db.execute("insert into documents values ('d', ?, 'd', '', 0, 'ready', null, '{}', 0)", (COLLECTION,))
    rows = [(id_, COLLECTION, place, text) for place, (id_, text) in enumerate(TEXTS.items())]
    db.executemany("insert into chunks values (null, ?, ?, 'd', ?, '', '', ?, 1)", rows)
    lexical.add(db, COLLECTION, list(TEXTS))
    return db


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
def test_words_find(index: sqlite3.Connection, query: str, found: list[str]) -> None:
    scores = lexical.search(index, COLLECTION, query, 10)
    assert sorted(scores, key=lambda id_: -scores[id_]) == found


def test_a_chunk_that_is_not_ready_is_not_found(index: sqlite3.Connection) -> None:
    index.execute("update chunks set ready = 0 where id = 'cat'")
    assert lexical.search(index, COLLECTION, "cat", 10) == {}
