"""What a row and its feedback say in figures and names."""

from __future__ import annotations

from typing import Any

import pytest

from intellirouter.records.postgres.store import looked_for
from intellirouter.records.query import By, group_name, score_of
from intellirouter.records.row import Row


@pytest.mark.parametrize(
    ("feedback", "score"),
    [
        ({"score": 0.7}, 0.7),
        ({"score": True}, 1.0),
        ({"score": 7}, 1.0),
        ({"score": -1}, 0.0),
        ({"score": 0.2, "rating": 1}, 0.2),
        ({"rating": 1}, 1.0),
        ({"rating": 0}, 0.5),
        ({"rating": -1}, 0.0),
        ({"rating": 3}, 1.0),
        ({"rating": "good"}, None),
        ({}, None),
    ],
)
def test_feedback_is_a_score_from_nothing_to_one(feedback: dict[str, Any], score: float | None) -> None:
    assert score_of(feedback) == score


@pytest.mark.parametrize(
    ("cost", "dearest", "saved"),
    [(0.25, 1.0, 0.75), (1.0, 0.25, 0.0), (0.0, 0.5, 0.5), (None, 1.0, None), (1.0, None, None)],
)
def test_what_routing_saved(cost: float | None, dearest: float | None, saved: float | None) -> None:
    assert Row(ended=0.0, cost_usd=cost, dearest_usd=dearest).saved_usd == saved


@pytest.mark.parametrize(
    ("by", "group", "name"),
    [
        ("day", 20_412, "2025-11-20"),
        ("hour", 20_412 * 24 + 14, "2025-11-20T14:00"),
        ("day", "", ""),
        ("model", "gpt", "gpt"),
        ("user", 20_412, "20412"),
    ],
)
def test_groups_have_names_that_people_read(by: By, group: object, name: str) -> None:
    assert group_name(by, group) == name


def test_words_are_looked_for_in_what_was_asked_answered_and_said_of_it_up_to_a_bound() -> None:
    assert looked_for(Row(ended=0.0, asked="a", answered="b", message="c")) == "a b c"
    assert looked_for(Row(ended=0.0, asked="a")) == "a"
    assert looked_for(Row(ended=0.0)) is None
    assert (
        looked_for(Row(ended=0.0, asked="a" * 150_000, answered="b" * 150_000))
        == f"{'a' * 150_000} {'b' * 49_999}"
    )
