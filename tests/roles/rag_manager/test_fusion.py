"""Both fusions on figures worked out by hand."""

from __future__ import annotations

import math
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.config.schema.rag import RagSection
from intellirouter.peers.contract import RetrievalRequest
from intellirouter.roles.rag_manager.fusion import convex, reciprocal_rank, words_first
from intellirouter.roles.rag_manager.ranking import Candidates, ranked

DENSE = {"a": 0.9, "b": 0.5, "c": 0.1}
LEXICAL = {"b": 12.0, "d": 2.0}


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_convex_takes_standard_scores_and_weighs_them() -> None:
    fused = convex(
        DENSE, LEXICAL, 0.7
    )  # dense: mean 0.5, deviation √(0.32 / 3); lexical: mean 7, deviation 5
    far = 0.4 / math.sqrt(0.32 / 3)
    expected = {"a": 0.7 * far, "b": 0.3, "c": -0.7 * far, "d": 0.0}  # d matches words worse than the mean
    assert fused == pytest.approx({id_: logistic(score) for id_, score in expected.items()})


def test_one_candidate_alone_and_equal_ones() -> None:
    assert convex({"a": 0.2}, {}, 0.7) == pytest.approx({"a": logistic(0.7)})
    assert convex({"a": 0.2, "b": 0.2}, {}, 0.7) == {"a": 0.5, "b": 0.5}
    assert convex({}, {}, 0.7) == {}


scores = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-50, 50), max_size=8)


@given(dense=scores, lexical=scores, alpha=st.floats(0, 1), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_convex_is_bounded_and_knows_no_unit(
    dense: dict[str, float], lexical: dict[str, float], alpha: float, shift: float, scale: float
) -> None:
    fused = convex(dense, lexical, alpha)
    assert fused.keys() == {**dense, **lexical}.keys()
    assert all(0 < score < 1 for score in fused.values())
    other = convex({id_: scale * score + shift for id_, score in dense.items()}, lexical, alpha)
    if len(set(dense.values())) == len(dense) and all(
        abs(a - b) > 1e-3 for a, b in combinations(dense.values(), 2)
    ):
        assert other == pytest.approx(fused, abs=1e-6)


@settings(max_examples=40)
@given(dense=scores, lexical=scores.filter(bool), alpha=st.floats(0, 0.05))
def test_words_alone_decide_where_the_script_is_not_known(
    dense: dict[str, float], lexical: dict[str, float], alpha: float
) -> None:
    """What has none of the words comes behind all that has some, and of two far apart the better by words is first."""
    assert words_first(dense, lexical, alpha).keys() == {**dense, **lexical}.keys()
    fused = words_first(dense, lexical, 0)
    ranked = sorted(fused, key=fused.__getitem__, reverse=True)
    assert [id_ for id_ in ranked if id_ in lexical] == ranked[: len(lexical)]
    for one, other in combinations(lexical, 2):
        if lexical[one] > lexical[other] + 1e-6:
            assert fused[one] >= fused[other]


def test_reciprocal_rank_sums_over_the_lists() -> None:
    fused = reciprocal_rank(DENSE, LEXICAL)
    assert fused == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 63, "d": 1 / 62})


@pytest.mark.parametrize(
    ("mode", "order", "scored"),
    [
        ("dense", ["near", "both"], {"near": (0.9, None), "both": (0.5, None)}),
        ("lexical", ["worded", "both"], {"worded": (None, 9.0), "both": (None, 3.0)}),
        ("fused", None, {"near": (0.9, None), "worded": (None, 9.0), "both": (0.5, 3.0)}),
    ],
)
def test_a_search_of_one_kind_finds_by_that_kind_alone(
    mode: str, order: list[str] | None, scored: dict[str, tuple[float | None, float | None]]
) -> None:
    chunks: Any = {name: SimpleNamespace(id=name) for name in ("near", "worded", "both")}
    collection: Any = SimpleNamespace(name="docs")
    dense, lexical = {"near": 0.9, "both": 0.5}, {"worded": 9.0, "both": 3.0}
    several = [Candidates(collection, dense, lexical, chunks, False)]
    found = ranked(RagSection(), RetrievalRequest("q", ("docs",), mode=mode), several)
    assert {item.chunk.id: (item.dense, item.lexical) for item in found} == scored
    assert order is None or [item.chunk.id for item in found] == order
