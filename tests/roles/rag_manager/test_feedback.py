"""What the best candidates of a query at length share brings up others like them; short and exact queries are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from intellirouter.roles.rag_manager.catalog import ChunkRow
from intellirouter.roles.rag_manager.feedback import fed_back, helps

QUERY = "effects of heating on the stiffness of thin aircraft wings during fast flight"


def chunk(id_: str, text: str) -> ChunkRow:
    return ChunkRow(id_, f"d-{id_}", 0, "", "", text)


CHUNKS = {
    one.id: one
    for one in (
        chunk("a", "aerodynamic heating reduces torsional stiffness of thin wings, buckling follows"),
        chunk("b", "torsional stiffness lost to aerodynamic heating, buckling of wings at high speed"),
        chunk("like", "buckling and torsional loads under aerodynamic temperature"),
        chunk("other", "fast heating of soup in thin pots"),
        *(chunk(f"n{n}", f"number {n} of a list of kitchen goods") for n in range(8)),
    )
}
DENSE = {"a": 0.8, "b": 0.75, "like": 0.4, "other": 0.41} | {f"n{n}": 0.1 for n in range(8)}
LEXICAL = {"a": 12.0, "b": 11.0}


def test_words_that_the_best_share_count() -> None:
    vector = np.ones(4, np.float32) / 2
    near, worded = fed_back(QUERY, vector, DENSE, LEXICAL, CHUNKS, {}, 0.6)
    assert near == DENSE
    assert worded["a"] > worded["b"] > worded["like"] > worded["other"] > worded["n0"]


def test_the_vector_moves_towards_the_best() -> None:
    ways = {"a": [1.0, 0, 0], "b": [0.9, 0.4, 0], "like": [0.8, 0.6, 0], "other": [0.2, 0, 1.0]}
    vectors = {id_: np.array(way, np.float32) / np.linalg.norm(way) for id_, way in ways.items()}
    query = np.array([0.9, 0, 0.45], np.float32)
    query /= np.linalg.norm(query)
    dense = {id_: float(vector @ query) for id_, vector in vectors.items()}
    near, _ = fed_back(QUERY, query, dense, LEXICAL, CHUNKS, vectors, 0.6)
    assert near["like"] - near["other"] > dense["like"] - dense["other"]
    assert max(near.values()) <= 1.0001


@pytest.mark.parametrize(
    ("query", "helped"),
    [
        (QUERY, True),
        ("How long is the warranty?", False),
        ("机翼在高速飞行时受热对刚度的影响", False),  # as long as a short question is in English
        ("机翼在高速飞行时受热对刚度的影响,以及薄壁结构在气动加热条件下的屈曲和振动", True),
        ("AB-12345 CD-3300 what are these parts", False),
        ("the of and to", False),
        ("Wann trifft sich die Gruppe Bolivien, Plurinationaler Staat zur Jahresversammlung?", False),
        (f"{QUERY}?", False),
    ],
)
def test_only_what_describes_at_length_is_helped(query: str, helped: bool) -> None:
    assert helps(query, LEXICAL) is helped


def test_nothing_found_is_nothing_fed() -> None:
    assert fed_back(QUERY, np.ones(4, np.float32), {}, {}, {}, {}, 0.6) == ({}, {})
