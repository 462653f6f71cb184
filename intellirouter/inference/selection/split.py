"""`split`: a fixed percentage of sessions to each target, each session always to the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option


def split(options: Sequence[Option], facts: Facts) -> list[int]:
    """The weights are shares. A request without an affinity is drawn by chance; the others follow by weight."""
    total = sum(option.weight for option in options)
    rest = sorted(range(len(options)), key=lambda index: -options[index].weight)
    if total <= 0:
        return rest
    point = _unit(facts) * total
    for index, option in enumerate(options):
        point -= option.weight
        if point < 0:
            rest.remove(index)
            return [index, *rest]
    return rest


def _unit(facts: Facts) -> float:
    if not facts.affinity:
        return facts.chance.random()
    digest = hashlib.blake2b(b"split\0" + facts.affinity.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
