"""OpenAI's filter form, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.filters import matches

ATTRIBUTES = {"year": 2024, "lang": "de"}


def compare(kind: str, key: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "value": value}


YES, NO = compare("eq", "lang", "de"), compare("eq", "lang", "en")


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        (YES, True),
        (NO, False),
        (compare("ne", "lang", "en"), True),
        (compare("gt", "year", 2023), True),
        (compare("gt", "year", 2024), False),
        (compare("gte", "year", 2024), True),
        (compare("lt", "year", 2024), False),
        (compare("lte", "year", 2024), True),
        (compare("in", "lang", ["de", "fr"]), True),
        (compare("nin", "lang", ["de", "fr"]), False),
        (compare("gt", "year", "2000"), False),  # another type
        (compare("eq", "absent", 1), False),
        (compare("ne", "absent", 1), True),
        ({"type": "and", "filters": [YES, NO]}, False),
        ({"type": "or", "filters": [YES, NO]}, True),
        ({"type": "and", "filters": [YES, {"type": "or", "filters": [NO, YES]}]}, True),
    ],
)
def test_filters(filters: dict[str, Any], passes: bool) -> None:
    assert matches(filters, ATTRIBUTES) is passes


@pytest.mark.parametrize(
    "wrong", [{}, {"type": "eq"}, compare("like", "a", 1), {"type": "and"}, {"type": "or", "filters": [1]}]
)
def test_a_malformed_filter_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        matches(wrong, ATTRIBUTES)


def test_nesting_is_bounded() -> None:
    deep = YES
    for _ in range(20):
        deep = {"type": "and", "filters": [deep]}
    with pytest.raises(InvalidRequest, match="deep"):
        matches(deep, ATTRIBUTES)
