"""`least-busy`: the fewest calls under way."""

from __future__ import annotations

from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option


def least_busy(options: Sequence[Option], facts: Facts) -> list[int]:
    """By calls under way per weight; equals take turns, so that an idle group is not led by its first target."""
    count = len(options)

    def key(index: int) -> tuple[float, int]:
        option = options[index]
        load = (option.load + 1) / option.weight if option.weight > 0 else float("inf")
        return load, (index - facts.turn) % count

    return sorted(range(count), key=key)
