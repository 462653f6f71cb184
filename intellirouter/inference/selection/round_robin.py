"""`round-robin`: each target in turn."""

from __future__ import annotations

from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option


def round_robin(options: Sequence[Option], facts: Facts) -> list[int]:
    """The targets rotated by the number of requests before this one."""
    count = len(options)
    first = facts.turn % count if count else 0
    return [(first + step) % count for step in range(count)]
