"""What an index of words says of one phrase, as arrays: which chunks have it, how often, and where.

A place is a number: the chunk's in its upper bits, then the column's, then how many words stand before it. So places of one chunk and
column lie beside one another, and those of two columns or chunks far apart. Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intellirouter.roles.rag_manager.phrase import NEAR

COLUMNS = ("title", "location", "text", "signs")
DOUBLE = 2
"""A word counts double in so many of the columns, the first."""
OFFSET, CHUNK = 20, 22
"""Bits of a place below its column, and below its chunk."""

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Postings:
    """`places` in order; `chunks`, by number, that have any, and how often each, words of titles and headings double."""

    places: Numbers
    chunks: Numbers
    often: Floats
    words: int = 1
    """How many words the phrase has."""

    @property
    def nbytes(self) -> int:
        """Of memory."""
        return self.places.nbytes + self.chunks.nbytes + self.often.nbytes


def column(places: Numbers) -> Numbers:
    """The number of each one's column."""
    return places >> OFFSET & (1 << CHUNK - OFFSET) - 1


def postings(places: Numbers, words: int = 1) -> Postings:
    """Of places in order."""
    every = places >> CHUNK
    starts = np.flatnonzero(np.diff(every, prepend=-1))
    weights = np.where(column(places) < DOUBLE, 2.0, 1.0)
    often = np.add.reduceat(weights, starts) if len(starts) else np.empty(0)
    return Postings(places, every[starts], often, words)


def in_a_row(each: Sequence[Numbers]) -> Numbers:
    """Where the first word of a phrase stands, from the places of its words."""
    if not each:
        return np.empty(0, np.int64)
    first = each[0]
    for behind, places in enumerate(each[1:], 1):
        first = first[np.isin(first + behind, places, assume_unique=True)]
    return first


def near(one: Postings, other: Postings, among: NDArray[np.bool_]) -> tuple[Postings, Postings]:
    """Of each where the other stands near it, as FTS5's NEAR takes that; in chunks `among`."""
    first, second = (each.places[among[each.places >> CHUNK]] for each in (one, other))
    return (
        postings(_beside(first, second, one.words, other.words), one.words),
        postings(_beside(second, first, other.words, one.words), other.words),
    )


def _beside(places: Numbers, others: Numbers, words: int, of_others: int) -> Numbers:
    before = np.searchsorted(others, places - NEAR - of_others)
    behind = np.searchsorted(others, places + NEAR + words, "right")
    return places[behind > before]
