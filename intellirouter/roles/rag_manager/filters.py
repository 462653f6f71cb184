"""OpenAI's filter form on a document's attributes: `{"type": "eq", "key": …, "value": …}`, `and`, `or`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from intellirouter.errors import InvalidRequest

MAX_DEPTH = 10
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda have, wanted: have in wanted,
    "nin": lambda have, wanted: have not in wanted,
}


def matches(filters: Mapping[str, Any], attributes: Mapping[str, Any], depth: int = 0) -> bool:
    """Whether the attributes pass. An attribute that is absent or of another type passes only `ne` and `nin`."""
    kind = filters.get("type")
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"Filters may be nested {MAX_DEPTH} deep.", param="filters")
    if kind in ("and", "or"):
        parts = filters.get("filters")
        if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
            raise InvalidRequest("'filters' must be a list of filters.", param="filters.filters")
        passed = [matches(part, attributes, depth + 1) for part in parts]
        return all(passed) if kind == "and" else any(passed)
    compare = _COMPARISONS.get(str(kind))
    if compare is None or "value" not in filters or not isinstance(filters.get("key"), str):
        words = ", ".join(_COMPARISONS)
        raise InvalidRequest(f"A filter has a key, a value and a type of: {words}, and, or.", param="filters")
    have = attributes.get(filters["key"])
    if have is None:
        return kind in ("ne", "nin")
    try:
        return compare(have, filters["value"])
    except TypeError:
        return False
