"""The figures against values worked out by hand, and the stages told apart."""

from __future__ import annotations

import math

import pytest

from intellirouter.peers.contract import Retrieved
from intellirouter.roles.rag_manager.evaluation import Quality, Question, evaluate, miss_of, ndcg, recall


@pytest.mark.parametrize(
    ("ranked", "relevant", "gain", "found"),
    [
        (["a", "b"], {"a"}, 1.0, 1.0),
        (["b", "a"], {"a"}, 1 / math.log2(3), 1.0),
        (["b", "c"], {"a"}, 0.0, 0.0),
        ([*"bcdefghijk", "a"], {"a"}, 0.0, 0.0),  # the eleventh does not count
        (["a", "x", "b"], {"a", "b"}, 1.5 / (1 + 1 / math.log2(3)), 1.0),
        (["a"], {"a", "b"}, 1 / (1 + 1 / math.log2(3)), 0.5),
    ],
)
def test_figures(ranked: list[str], relevant: set[str], gain: float, found: float) -> None:
    assert ndcg(ranked, relevant) == pytest.approx(gain)
    assert recall(ranked, relevant) == found


async def test_each_stage_is_ranked_by_its_own_score() -> None:
    rows = [
        {"document_id": "1", "score": 0.9, "dense_score": 0.2, "lexical_score": 7.0},
        {"document_id": "2", "score": 0.5, "dense_score": 0.8, "lexical_score": None},
        {"document_id": "1", "score": 0.1, "dense_score": 0.7, "lexical_score": 1.0},
    ]

    async def ask(query: str) -> Retrieved:
        assert query == "q"
        return Retrieved((), explanation={"candidates": rows})

    second = 1 / math.log2(3)
    assert await evaluate(ask, [Question("q", ("b",))], {"a": "1", "b": "2"}) == {
        "dense": Quality(1.0, 1.0, first=1.0),
        "lexical": Quality(0.0, 0.0),
        "hybrid": Quality(second, 1.0),
    }


async def test_how_far_chance_reaches_is_told() -> None:
    """Of two questions dense finds one and hybrid both: ahead by a half, give or take a half."""
    row = {"document_id": "1", "score": 0.9, "lexical_score": None}

    async def ask(query: str) -> Retrieved:
        return Retrieved(
            (), explanation={"candidates": [{**row, "dense_score": 0.9 if query == "near" else None}]}
        )

    found = await evaluate(ask, [Question("near", ("a",)), Question("far", ("a",))], {"a": "1"})
    assert found["dense"] == Quality(0.5, 0.5, error=0.5, first=0.5)
    assert found["hybrid"] == Quality(1.0, 1.0, first=1.0)


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        (("first",), None),
        (("last", "first"), None),
        (("last",), "ranked low: 12 (by meaning 12, by words 1)"),
        (("away",), "not found: none of its passages is among the first by meaning or by words"),
        (("broken",), "not read: failed no text"),
    ],
)
def test_what_kept_an_answer_away_is_told(documents: tuple[str, ...], reason: str | None) -> None:
    rows = [
        {"document_id": str(n), "score": 1 - n / 20, "dense_score": 1 - n / 20, "lexical_score": None}
        for n in range(12)
    ]
    rows[11]["lexical_score"] = 5.0
    names = {"first": "0", "last": "11", "away": "x", "broken": "y"}
    miss = miss_of(Question("q", documents), rows, names, {"broken": "failed no text"})
    assert (miss.reason if miss else None) == reason
