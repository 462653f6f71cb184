"""`usage`: the most headroom under the provider's own limits."""

from __future__ import annotations

from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option


def usage(options: Sequence[Option], _facts: Facts) -> list[int]:
    """By the unused share of requests and tokens per minute; what has none left comes last."""
    return sorted(
        range(len(options)), key=lambda index: (-round(options[index].headroom, 3), options[index].load)
    )
