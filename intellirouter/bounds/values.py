"""Size and depth of plain JSON data, counted as a tree: what stands in it twice weighs twice.

A list that holds one list twice, which holds one list twice, is small in memory and without end for whoever writes it out or
compares it. So nothing is done with a value before it was weighed, and weighing stops at the bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intellirouter.bounds.fuel import burn, remaining
from intellirouter.errors import InvalidRequest

MAX_WEIGHT = 8_000_000
"""Of one value; a string weighs its characters, everything else as below."""
MAX_DEPTH = 100
SCALAR = 8
CONTAINER = 64
_PER_UNIT = 32  # characters that are looked at in the time of one unit


class TooLarge(InvalidRequest):
    """A value is larger, or nested deeper, than is allowed."""

    code = "value_too_large"


def weight(value: Any, most: int = MAX_WEIGHT, depth: int = MAX_DEPTH) -> int:
    """About the bytes of the value written out. Raises `TooLarge` beyond `most` or `depth`, and `OutOfFuel`."""
    if isinstance(value, str):
        return _bounded(len(value), most)
    total, level = 0, [value]
    while level:
        if depth < 0:
            raise TooLarge("The value is nested too deeply.")
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                total += len(item)
            elif kind is int or kind is float or kind is bool or item is None:
                total += SCALAR
            elif isinstance(item, Mapping):
                total += CONTAINER + sum(len(key) if isinstance(key, str) else SCALAR for key in item)
                burn(1 + len(item))
                below.extend(item.values())
            elif isinstance(item, list | tuple):
                total += CONTAINER
                burn(1 + len(item))
                below.extend(item)
            else:
                total += SCALAR
            if total > most or len(below) * SCALAR > most:
                raise TooLarge(f"The value is larger than {most:,} characters.")
        level, depth = below, depth - 1
    return total


def _bounded(total: int, most: int) -> int:
    if total > most:
        raise TooLarge(f"The value is larger than {most:,} characters.")
    return total


def reading(value: Any, times: int = 1) -> None:
    """Burn what it costs to look at all of the value, so many times."""
    if isinstance(value, str):
        burn(times * (1 + len(value) // _PER_UNIT))
    elif isinstance(value, Mapping | list | tuple):
        before = remaining()
        size = weight(value) // _PER_UNIT
        walked = 0 if before is None else before - (remaining() or 0)
        burn(size + (times - 1) * (size + walked))
