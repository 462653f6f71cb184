"""Both fusions on figures worked out by hand."""

from __future__ import annotations

import pytest

from intellirouter.roles.rag_manager.fusion import convex, reciprocal_rank

DENSE = {"a": 0.9, "b": 0.5, "c": 0.1}
LEXICAL = {"b": 12.0, "d": 2.0}


def test_convex_scales_each_list_and_weighs_it() -> None:
    fused = convex(DENSE, LEXICAL, 0.7)
    assert fused == pytest.approx({"a": 0.7, "b": 0.7 * 0.5 + 0.3, "c": 0.0, "d": 0.0})


def test_one_candidate_alone_counts_in_full() -> None:
    assert convex({"a": 0.2}, {}, 0.7) == {"a": 0.7}
    assert convex({}, {}, 0.7) == {}


def test_reciprocal_rank_sums_over_the_lists() -> None:
    fused = reciprocal_rank(DENSE, LEXICAL)
    assert fused == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 63, "d": 1 / 62})
