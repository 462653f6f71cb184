"""`fallback`: the operator's order, always."""

from __future__ import annotations

from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option


def fallback(options: Sequence[Option], _facts: Facts) -> list[int]:
    """The first that works, in the order of the configuration."""
    return list(range(len(options)))
