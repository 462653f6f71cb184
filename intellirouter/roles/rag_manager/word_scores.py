"""BM25 over a large collection from arrays in memory: what FTS5 computes chunk by chunk, in a fraction of the time.

FTS5 keeps the index, and its scores are those that come out. What was read of it is kept: FTS5 itself is asked for chunks that came
since, and for everything where chunks were taken out, until all is read anew. Robertson and Zaragoza 2009, "The probabilistic relevance
framework: BM25 and beyond".
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from intellirouter.roles.rag_manager import lexical, word_index
from intellirouter.roles.rag_manager.filters import ALL, Condition
from intellirouter.roles.rag_manager.phrase import Asked, Phrase
from intellirouter.roles.rag_manager.postings import Floats, Numbers, Postings, near
from intellirouter.roles.rag_manager.stems import Stems

K1, B = 1.2, 0.75
"""FTS5's."""
RAREST = 1e-6
"""What a word weighs at least, where more than half of the chunks have it."""
LEAST = 2_000
"""Chunks from which on a collection is kept in memory: with fewer FTS5 is quick."""
MOST_BYTES = 64_000_000
MOST_COLLECTIONS = 64
NEWER = 0.05
"""The share of chunks that may have come since the others were read."""
SECONDS, TIMES = 10.0, 50
"""Before a collection is read anew: at least so long, and so many times as long as it took."""


@dataclass(slots=True)
class _Kept:
    """Of one collection: its chunks' rows in order, how many words each has, and of what came since, how many and their words."""

    table: str
    removals: int
    rows: Numbers
    lengths: Floats
    again: float
    """When it may be read anew, on the monotonic clock."""
    seen: int
    newer: int = 0
    newer_words: float = 0.0

    @property
    def last(self) -> int:
        return int(self.rows[-1])

    @property
    def count(self) -> int:
        return len(self.rows) + self.newer

    def tamed(self) -> Floats:
        """By chunk, what tames the number of times that it has a word: the more, the longer it is."""
        mean = (float(self.lengths.sum()) + self.newer_words) / self.count
        return K1 * (1 - B + B * self.lengths / (mean or 1.0))


class WordScores:
    """For the one thread that reads the catalogue."""

    def __init__(
        self,
        least: int = LEAST,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._least, self._most_bytes, self._bytes = least, most_bytes, 0
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._postings: OrderedDict[tuple[str, Phrase], Postings] = OrderedDict()
        self._stems = Stems()

    def search(
        self, db: sqlite3.Connection, collection: str, query: str, limit: int, condition: Condition = ALL
    ) -> dict[str, float]:
        """See `lexical.search`."""
        kept = self._fresh(db, collection) if condition is ALL else None
        if kept is None:
            return lexical.search(db, collection, query, limit, condition)
        asked = lexical.asked(db, collection, query)
        if not asked.phrases:
            return {}
        most = 2 * limit  # some may not be shown
        having = self._newer(db, kept, asked)
        best = self._best(db, kept, asked, having, most)
        if any(having.values()):  # FTS5 looks at every chunk for its scores, however few are wanted
            best |= word_index.newer(db, kept.table, asked, kept.last)
        rows = sorted(best, key=lambda row: -best[row])[:most]
        return {id_: best[row] for id_, row in word_index.shown(db, rows)[:limit]}

    def _fresh(self, db: sqlite3.Connection, collection: str) -> _Kept | None:
        """What is kept of the collection, as this connection sees it now; None where FTS5 is to be asked."""
        table, removals = lexical.table_of(db, collection), lexical.removals(db, collection)
        kept = self._kept.get(table)
        if kept is not None and kept.removals == removals:
            rows, lengths = word_index.lengths(db, table, kept.seen)
            if len(rows):
                kept.seen = int(rows[-1])
                kept.newer, kept.newer_words = (
                    kept.newer + len(rows),
                    kept.newer_words + float(lengths.sum()),
                )
            if kept.newer <= NEWER * len(kept.rows) or self._clock() < kept.again:
                self._kept.move_to_end(table)
                return kept
        elif kept is not None and self._clock() < kept.again:
            return None
        self._forget(table)
        if not word_index.has_as_many(db, table, self._least):
            return None
        began = self._clock()
        rows, lengths = word_index.lengths(db, table, 0)
        now = self._clock()
        again = now + max(SECONDS, TIMES * (now - began))
        self._kept[table] = kept = _Kept(table, removals, rows, lengths, again, int(rows[-1]))
        self._bytes += rows.nbytes + lengths.nbytes
        if len(self._kept) > MOST_COLLECTIONS:
            self._forget(next(iter(self._kept)))
        self._make_room()
        return kept

    @staticmethod
    def _newer(db: sqlite3.Connection, kept: _Kept, asked: Asked) -> dict[Phrase, int]:
        """How many of what came since have each phrase."""
        phrases = dict.fromkeys(asked.phrases)
        if not kept.newer:
            return dict.fromkeys(phrases, 0)
        return {phrase: word_index.count_newer(db, kept.table, phrase, kept.last) for phrase in phrases}

    def _best(
        self, db: sqlite3.Connection, kept: _Kept, asked: Asked, having: Mapping[Phrase, int], most: int
    ) -> dict[int, float]:
        """The scores of the best, by row. `having`: see `_newer`.

        A pair adds at most what its two words add, so that places are compared in chunks alone that could still be among the best.
        """
        tamed, total = kept.tamed(), np.zeros(len(kept.rows))
        known = {phrase: self._of(db, kept, phrase) for phrase in dict.fromkeys(asked.phrases)}
        weights = {
            phrase: _weight(kept.count, len(known[phrase].chunks) + having[phrase]) for phrase in known
        }
        for phrase in asked.phrases:
            total[known[phrase].chunks] += _scores(known[phrase], weights[phrase], tamed)
        bound = total.copy()
        for pair in asked.pairs:
            both = [_dense(known[phrase], weights[phrase], tamed) for phrase in pair]
            bound += np.where((both[0] > 0) & (both[1] > 0), both[0] + both[1], 0.0)
        least = float(np.partition(total, -most)[-most]) if len(total) > most else 0.0
        among = (bound >= least) & (total > 0)
        for one, other in asked.pairs:
            for phrase, found in zip((one, other), near(known[one], known[other], among), strict=True):
                total[found.chunks] += _scores(found, weights[phrase], tamed)
        numbers = np.flatnonzero(among)
        best = numbers[np.argsort(-total[numbers], kind="stable")[:most]]
        return dict(zip(kept.rows[best].tolist(), total[best].tolist(), strict=True))

    def _of(self, db: sqlite3.Connection, kept: _Kept, phrase: Phrase) -> Postings:
        key = (kept.table, phrase)
        found = self._postings.get(key)
        if found is None:
            plain = lexical.hashed_by(db) is None
            stems = self._stems.of([phrase.words])[0] if plain else phrase.words.split()
            self._postings[key] = found = word_index.read(db, kept.table, phrase, stems, kept.rows)
            self._bytes += found.nbytes
            self._make_room()
        self._postings.move_to_end(key)
        return found

    def _make_room(self) -> None:
        """Let go of what was asked for longest ago, but of the last: postings first, then whole collections."""
        while self._bytes > self._most_bytes and len(self._postings) > 1:
            _, oldest = self._postings.popitem(last=False)
            self._bytes -= oldest.nbytes
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))

    def _forget(self, table: str) -> None:
        kept = self._kept.pop(table, None)
        if kept is None:
            return
        self._bytes -= kept.rows.nbytes + kept.lengths.nbytes
        for key in [key for key in self._postings if key[0] == table]:
            self._bytes -= self._postings.pop(key).nbytes


def _weight(count: int, having: int) -> float:
    """Of a phrase that `having` of all `count` chunks have: the fewer, the more."""
    return max(RAREST, math.log((count - having + 0.5) / (having + 0.5)))


def _scores(found: Postings, weight: float, tamed: Floats) -> Floats:
    """Of each chunk that has the phrase."""
    return weight * found.often * (K1 + 1) / (found.often + tamed[found.chunks])


def _dense(found: Postings, weight: float, tamed: Floats) -> Floats:
    """The same of every chunk."""
    scores = np.zeros(len(tamed))
    scores[found.chunks] = _scores(found, weight, tamed)
    return scores
