"""OpenAI's filter form, as SQLite answers it."""

from __future__ import annotations

import json
import operator
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.filters import MAX_COMPARISONS, condition_of

ATTRIBUTES = {"year": 2024, "lang": "de", "new": True, "price": 9.5, "it's": "x", 'a."b"': "y"}


def passes(filters: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    condition = condition_of(filters)
    db = sqlite3.connect(":memory:")
    words = f"select 1 from (select ? as attributes) d where {condition.sql}"
    found = db.execute(words, (json.dumps(attributes), *condition.values)).fetchone()
    db.close()
    return found is not None


def compare(kind: str, key: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "value": value}


YES, NO = compare("eq", "lang", "de"), compare("eq", "lang", "en")


@pytest.mark.parametrize(
    ("filters", "passed"),
    [
        (YES, True),
        (NO, False),
        (compare("ne", "lang", "en"), True),
        (compare("gt", "year", 2023), True),
        (compare("gt", "year", 2024), False),
        (compare("gte", "year", 2024), True),
        (compare("lt", "year", 2024), False),
        (compare("lte", "year", 2024.0), True),
        (compare("eq", "new", True), True),
        (compare("eq", "new", False), False),
        (compare("gt", "price", 9), True),
        (compare("lt", "price", 2**70), True),
        (compare("in", "lang", ["de", "fr"]), True),
        (compare("in", "year", [2023, 2024.0]), True),
        (compare("in", "year", ["2024"]), False),
        (compare("in", "lang", []), False),
        (compare("nin", "lang", ["de", "fr"]), False),
        (compare("nin", "absent", ["de"]), True),
        (compare("gt", "year", "2000"), False),  # another type
        (compare("eq", "year", "2024"), False),
        (compare("ne", "year", "2024"), True),
        (compare("eq", "absent", 1), False),
        (compare("ne", "absent", 1), True),
        (compare("eq", "it's", "x"), True),
        (compare("eq", 'a."b"', "y"), True),
        (compare("eq", "lang", "de' or 1 = 1 --"), False),
        ({"type": "and", "filters": [YES, NO]}, False),
        ({"type": "or", "filters": [YES, NO]}, True),
        ({"type": "and", "filters": []}, True),
        ({"type": "or", "filters": []}, False),
        ({"type": "and", "filters": [YES, {"type": "or", "filters": [NO, YES]}]}, True),
    ],
)
def test_filters(filters: dict[str, Any], passed: bool) -> None:
    assert passes(filters, ATTRIBUTES) is passed


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "eq"},
        compare("like", "a", 1),
        compare("in", "lang", "deutsch"),
        compare("in", "lang", [["de"]]),
        compare("nin", "lang", [None]),
        compare("eq", "lang", None),
        compare("ne", "lang", ["de"]),
        compare("gt", "year", {}),
        compare("eq", "a", "\ud800"),
        {"key": "a", "value": 1},
        {"type": "and"},
        {"type": "or", "filters": [1]},
        {"type": "or", "filters": [YES] * (MAX_COMPARISONS + 1)},
    ],
)
def test_a_malformed_filter_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        condition_of(wrong)
    assert (refused.value.param or "").startswith("filters")


def test_nesting_is_bounded_and_what_is_within_the_bounds_runs() -> None:
    deep = YES
    for _ in range(20):
        deep = {"type": "and", "filters": [deep]}
    with pytest.raises(InvalidRequest, match="deep"):
        condition_of(deep)
    assert passes({"type": "or", "filters": [NO] * (MAX_COMPARISONS - 1) + [YES]}, ATTRIBUTES)


SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda have, wanted: have in wanted,
    "nin": lambda have, wanted: have not in wanted,
}


def expected(filters: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """What the form means, in Python's own words."""
    kind = filters["type"]
    if kind in ("and", "or"):
        return (all if kind == "and" else any)(expected(part, attributes) for part in filters["filters"])
    if filters["key"] not in attributes:
        return kind in ("ne", "nin")
    try:
        return SIGNS[kind](attributes[filters["key"]], filters["value"])
    except TypeError:
        return False


KEYS = st.sampled_from(["a", "b", "ä", ""])
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-2, 2),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    ),  # SQLite ends a text of JSON there
    st.sampled_from(["", "a", "A", "1"]),
)
COMPARISONS = st.one_of(
    st.builds(compare, st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]), KEYS, VALUES),
    st.builds(compare, st.sampled_from(["in", "nin"]), KEYS, st.lists(VALUES, max_size=4)),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda parts: st.builds(
        lambda kind, some: {"type": kind, "filters": some},
        st.sampled_from(["and", "or"]),
        st.lists(parts, max_size=4),
    ),
    max_leaves=12,
)


@given(FILTERS, st.dictionaries(KEYS, VALUES))
def test_sqlite_answers_as_python_does(filters: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert passes(filters, attributes) is expected(filters, attributes)
