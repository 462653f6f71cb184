"""The names that somebody may have meant who wrote one that is not there."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Collection

AMONG = 200
"""Names that are compared, each in some 50 µs: a catalogue has thousands, and whoever asks for a wrong one asks again and again."""


def nearest(name: str, known: Collection[str], count: int = 1, cutoff: float = 0.6) -> list[str]:
    """The names most like this one, the best first, of those that are nearest to it in length."""
    if len(known) > AMONG:
        known = heapq.nsmallest(AMONG, known, key=lambda other: (abs(len(other) - len(name)), other))
    return difflib.get_close_matches(name, known, count, cutoff)
