"""`weighted`: by chance, in proportion to the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option


def weighted(options: Sequence[Option], facts: Facts) -> list[int]:
    """A random order in which each place is drawn in proportion to weight; targets of weight 0 come last.

    Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006): sort by an exponential of rate w.
    """
    draw = facts.chance.random
    keys = [-math.log(1.0 - draw()) / option.weight if option.weight > 0 else math.inf for option in options]
    return sorted(range(len(options)), key=keys.__getitem__)
