"""`consistent-hash`: the same session to the same target, so that its prompt cache is hit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option

BOUND = 1.25
"""A target may carry this much more than its fair share before the next in line takes over."""


def consistent_hash(options: Sequence[Option], facts: Facts) -> list[int]:
    """By weighted rendezvous hashing of the affinity; targets over their bounded share come after the others.

    Rendezvous: Thaler and Ravishankar (1998), the weighted form -w / ln h by Schindelhauer and Schomaker (2005): a
    target that joins or leaves moves only the sessions that are its own. Bounded loads: Mirrokni, Thorup and Zadimoghaddam (2018).
    """
    total_load = sum(option.load for option in options) + 1
    total_weight = sum(option.weight for option in options) or 1.0

    def key(index: int) -> tuple[bool, float]:
        option = options[index]
        share = math.ceil(BOUND * total_load * option.weight / total_weight)
        return option.load >= max(share, 1), -_score(option, facts.affinity)

    return sorted(range(len(options)), key=key)


def _score(option: Option, affinity: str) -> float:
    digest = hashlib.blake2b(f"{affinity}\0{option.id}".encode(), digest_size=8).digest()
    unit = (int.from_bytes(digest, "big") + 0.5) / 2**64
    return -option.weight / math.log(unit)
