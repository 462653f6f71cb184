"""Of one large collection, what its index of words says of its chunks, as arrays: which there are and how many words each has.

Chunks that came since stand behind `last` and are counted apart; those that were taken out since are marked. SQLite may give the row
of a chunk that went to one that comes, though only behind all rows there are: so `last` falls to the last row that still stands for what
was read, and whatever has a row behind it is new.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intellirouter.roles.rag_manager import lexical, word_index
from intellirouter.roles.rag_manager.phrase import Phrase
from intellirouter.roles.rag_manager.postings import Floats, Numbers, Postings
from intellirouter.roles.rag_manager.stems import Stems

K1, B = 1.2, 0.75
"""FTS5's."""


@dataclass(slots=True)
class WordsKept:
    """`rows` in order; by each the chunk's `lengths`, and whether it is still `there`. `removals` is the last that was heeded."""

    table: str
    removals: int
    rows: Numbers
    lengths: Floats
    there: NDArray[np.bool_]
    last: int
    seen: int
    """The last row of what came since and was counted."""
    gone: int = 0
    newer: int = 0
    newer_words: float = 0.0

    @property
    def count(self) -> int:
        """Chunks of the collection."""
        return len(self.rows) - self.gone + self.newer

    @property
    def nbytes(self) -> int:
        """Of memory."""
        return self.rows.nbytes + self.lengths.nbytes + self.there.nbytes

    def tamed(self) -> Floats:
        """By chunk, what tames the number of times that it has a word: the more, the longer it is."""
        words = float(self.lengths.sum(where=self.there)) + self.newer_words
        return K1 * (1 - B + B * self.lengths / (words / self.count if words else 1.0))

    def having(self, found: Postings) -> int:
        """How many of the chunks that were read and are still there have a phrase."""
        return int(np.count_nonzero(self.there[found.chunks])) if self.gone else len(found.chunks)

    def brought_up(self, db: sqlite3.Connection, collection: str) -> bool:
        """Heed what came and went since; False where too much went for that."""
        number = lexical.removals(db, collection)
        if number != self.removals:
            rows = lexical.removed(db, collection, self.removals)
            if rows is None:
                return False
            self.removals = number
            self._without(rows)
        fresh, lengths = word_index.lengths(db, self.table, self.seen)
        if len(fresh):
            self.seen = int(fresh[-1])
            self.newer += len(fresh)
            self.newer_words += float(lengths.sum())
        return True

    def _without(self, rows: Sequence[int]) -> None:
        numbers = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        known = self.rows[numbers] == np.asarray(rows, np.int64)
        self.there[numbers[known]] = False
        left = np.flatnonzero(self.there)
        self.gone = len(self.rows) - len(left)
        self.last = self.seen = int(self.rows[left[-1]]) if len(left) else 0
        self.newer, self.newer_words = 0, 0.0  # some of them may have gone: counted anew


@dataclass(frozen=True, slots=True)
class Read:
    """A collection as it was read in one go, with what was asked for of late, and how long that took."""

    kept: WordsKept | None
    postings: Mapping[Phrase, Postings]
    seconds: float


def read(
    db: sqlite3.Connection,
    collection: str,
    least: int,
    phrases: Sequence[Phrase] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Read:
    """Nothing where the collection has fewer than `least` chunks. Any thread may, on a connection that nobody else uses meanwhile."""
    began = clock()
    table = lexical.table_of(db, collection)
    if not word_index.has_as_many(db, table, least):
        return Read(None, {}, 0.0)
    number = lexical.removals(db, collection)
    rows, lengths = word_index.lengths(db, table, 0)
    last = int(rows[-1])
    kept = WordsKept(table, number, rows, lengths, np.ones(len(rows), np.bool_), last, last)
    stems = Stems()
    postings = {phrase: of(db, kept, phrase, stems) for phrase in phrases}
    return Read(kept, postings, clock() - began)


def of(db: sqlite3.Connection, kept: WordsKept, phrase: Phrase, stems: Stems) -> Postings:
    """What the index says of the phrase."""
    plain = lexical.hashed_by(db) is None
    pieces = stems.of([phrase.words])[0] if plain else phrase.words.split()
    return word_index.read(db, kept.table, phrase, pieces, kept.rows)
