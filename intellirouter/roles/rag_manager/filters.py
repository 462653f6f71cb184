"""OpenAI's filter form on a document's attributes, `{"type": "eq", "key": …, "value": …}`, `and`, `or`, as a condition of SQL.

SQLite looks at the attributes where they lie: of a hundred thousand documents none becomes an object here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from intellirouter.errors import InvalidRequest

MAX_DEPTH = 10
MAX_COMPARISONS = 100
_SIGNS = {"eq": "=", "ne": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "in": "in", "nin": "in"}
_DENIED = ("ne", "nin")
"""True of whatever their opposite is not true of: of an attribute that is absent, too."""
_NUMBERS = "a.type in ('integer', 'real', 'true', 'false')"
_TEXT = "a.type = 'text'"


@dataclass(frozen=True, slots=True)
class Condition:
    """`sql` speaks of a document as `d`; `values` are its parameters, in order."""

    sql: str = "true"
    values: tuple[Any, ...] = ()


ALL = Condition()


@dataclass(slots=True)
class _Writer:
    values: list[Any] = field(default_factory=list)
    comparisons: int = 0

    def condition(self, filters: Mapping[str, Any], depth: int) -> str:
        if depth > MAX_DEPTH:
            raise InvalidRequest(f"Filters may be nested {MAX_DEPTH} deep.", param="filters")
        kind = filters.get("type")
        if kind not in ("and", "or"):
            return self._comparison(filters)
        parts = filters.get("filters")
        if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
            raise InvalidRequest("'filters' must be a list of filters.", param="filters.filters")
        written = [self.condition(part, depth + 1) for part in parts]
        return f"({f' {kind} '.join(written)})" if written else str(kind == "and").lower()

    def _comparison(self, filters: Mapping[str, Any]) -> str:
        kind, key = str(filters.get("type")), filters.get("key")
        if kind not in _SIGNS or "value" not in filters or not isinstance(key, str):
            words = ", ".join(_SIGNS)
            raise InvalidRequest(
                f"A filter has a key, a value and a type of: {words}, and, or.", param="filters"
            )
        self.comparisons += 1
        if self.comparisons > MAX_COMPARISONS:
            raise InvalidRequest(f"A filter has at most {MAX_COMPARISONS} comparisons.", param="filters")
        self.values.append(_bound(key))
        found = f"exists (select 1 from json_each(d.attributes) a where a.key = ? and {self._test(kind, filters['value'])})"  # noqa: S608
        return f"not {found}" if kind in _DENIED else found

    def _test(self, kind: str, value: Any) -> str:
        """What must hold of the attribute `a`: values of another type than the filter's are neither more nor less nor equal."""
        if kind in ("in", "nin"):
            if not isinstance(value, list):
                raise InvalidRequest(f"The value of '{kind}' is a list.", param="filters.value")
            if not all(isinstance(one, str) or _is_number(one) for one in value):
                words = f"The value of '{kind}' is a list of strings, numbers and booleans."
                raise InvalidRequest(words, param="filters.value")
            self.values += [
                json.dumps([_bound(one) for one in value if _is_number(one)]),
                json.dumps([_bound(one) for one in value if isinstance(one, str)]),
            ]
            among = "a.value in (select value from json_each(?))"
            return f"({_NUMBERS} and {among} or {_TEXT} and {among})"
        if not isinstance(value, str) and not _is_number(value):
            raise InvalidRequest(
                f"The value of '{kind}' is a string, a number or a boolean.", param="filters.value"
            )
        self.values.append(_bound(value))
        return f"{_TEXT if isinstance(value, str) else _NUMBERS} and a.value {_SIGNS[kind]} ?"


def condition_of(filters: Mapping[str, Any] | None) -> Condition:
    """The condition that a document meets. Raises `InvalidRequest` that says what is wrong with the filter."""
    if not filters:
        return ALL
    writer = _Writer()
    return Condition(writer.condition(filters, 0), tuple(writer.values))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _bound(value: str | float) -> str | int | float:
    """The value as SQLite takes it."""
    if isinstance(value, str):
        if not _encodable(value):
            raise InvalidRequest("A filter holds half of a character.", param="filters")
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else float(value)
    return value


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
