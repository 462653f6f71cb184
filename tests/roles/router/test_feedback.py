"""Which feedback is taken, and what is said of other."""

from __future__ import annotations

from typing import Any

import pytest

from intellirouter.errors import InvalidRequest
from intellirouter.roles.router.feedback import checked


@pytest.mark.parametrize(
    ("body", "score"),
    [
        ({"request_id": "r", "score": True}, 1.0),
        ({"response_id": "r" * 128, "rating": 0.25}, 0.25),
        ({"request_id": "r", "comment": "c" * 10_000}, None),
        ({"request_id": "r", "demonstration": "d" * 100_000}, 0.0),
        ({"request_id": "r", "demonstration": "d", "score": 0.5}, 0.5),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_said_of_an_answer_is_taken(body: dict[str, Any], score: float | None) -> None:
    given = checked(body)
    assert given.score == score
    assert (given.comment, given.demonstration) == (body.get("comment", ""), body.get("demonstration", ""))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"score": 1}, "request_id"),
        ({"request_id": "", "score": 1}, "request_id"),
        ({"request_id": "r" * 129, "score": 1}, "request_id"),
        ({"response_id": "a\nb", "score": 1}, "response_id"),
        ({"request_id": "r"}, "score"),
        ({"request_id": "r", "score": 2}, "score"),
        ({"request_id": "r", "score": 1, "rating": 1}, "rating"),
        ({"request_id": "r", "comment": "c" * 10_001}, "comment"),
        ({"request_id": "r", "demonstration": "d" * 100_001}, "demonstration"),
        ({"request_id": "r", "comment": 1}, "comment"),
        ({"request_id": "r", "score": 1, "stars": 5}, "stars"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_cannot_be_feedback_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked(body)
    assert refused.value.param == field
