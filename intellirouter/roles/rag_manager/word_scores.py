"""BM25 over a large collection from arrays in memory: what FTS5 computes chunk by chunk, in a fraction of the time.

FTS5 keeps the index, and its scores are those that come out. What was read of it is kept: FTS5 itself is asked for chunks that came
since, and those that were taken out are passed over. Where that has become many the collection is read anew (`due`, `read`, `take`), by
another thread, while questions go on with what there is. Robertson and Zaragoza 2009, "The probabilistic relevance framework: BM25 and
beyond".
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from intellirouter.roles.rag_manager import lexical, word_index, words_kept
from intellirouter.roles.rag_manager.filters import ALL, Condition
from intellirouter.roles.rag_manager.phrase import Asked, Phrase
from intellirouter.roles.rag_manager.postings import Floats, Postings, near
from intellirouter.roles.rag_manager.stems import Stems
from intellirouter.roles.rag_manager.words_kept import K1, Read, WordsKept

RAREST = 1e-6
"""What a word weighs at least, where more than half of the chunks have it."""
LEAST = 2_000
"""Chunks from which on a collection is kept in memory: with fewer FTS5 is quick."""
MOST_BYTES = 64_000_000
MOST_COLLECTIONS = 64
CHANGED = 0.05
"""The share of chunks that may have come or gone since the others were read."""
SECONDS, TIMES = 10.0, 50
"""Before a collection is read anew: at least so long, and so many times as long as it took."""


@dataclass(slots=True)
class _State:
    """`kept` is None where too much went for it to be brought up; `again` is when it may be read anew, on the monotonic clock."""

    kept: WordsKept | None
    again: float


class WordScores:
    """For the one thread that reads the catalogue, but for `read`."""

    def __init__(
        self,
        least: int = LEAST,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._least, self._most_bytes, self._bytes = least, most_bytes, 0
        self._clock = clock
        self._states: OrderedDict[str, _State] = OrderedDict()
        self._postings: OrderedDict[tuple[str, Phrase], Postings] = OrderedDict()
        self._stems = Stems()

    def search(
        self, db: sqlite3.Connection, collection: str, query: str, limit: int, condition: Condition = ALL
    ) -> dict[str, float]:
        """See `lexical.search`."""
        kept = self._brought_up(db, collection) if condition is ALL else None
        if kept is None:
            return lexical.search(db, collection, query, limit, condition)
        asked = lexical.asked(db, collection, query)
        if not asked.phrases:
            return {}
        most = 2 * limit  # some may not be shown
        having = self._newer(db, kept, asked)
        best = self._best(db, collection, kept, asked, having, most)
        if any(having.values()):  # FTS5 looks at every chunk for its scores, however few are wanted
            best |= word_index.newer(db, kept.table, asked, kept.last)
        rows = sorted(best, key=lambda row: -best[row])[:most]
        return {id_: best[row] for id_, row in word_index.shown(db, rows)[:limit]}

    def due(self, collection: str) -> tuple[Phrase, ...] | None:
        """The phrases to `read` the collection anew with, where it is time; it is not again until `SECONDS` later."""
        state = self._states.get(collection)
        if state is None or self._clock() < state.again:
            return None
        kept = state.kept
        if kept is not None and kept.newer + kept.gone <= CHANGED * len(kept.rows):
            return None
        state.again = self._clock() + SECONDS
        return tuple(phrase for of, phrase in self._postings if of == collection)

    def read(self, db: sqlite3.Connection, collection: str, phrases: tuple[Phrase, ...] = ()) -> Read:
        """The collection as it is, for `take`. Any thread may, on a connection of its own."""
        return words_kept.read(db, collection, self._least, phrases, self._clock)

    def take(self, collection: str, found: Read) -> WordsKept | None:
        """Go on with what was read, whatever has changed since."""
        self._forget(collection)
        if found.kept is None:
            return None
        again = self._clock() + max(SECONDS, TIMES * found.seconds)
        self._states[collection] = _State(found.kept, again)
        self._bytes += found.kept.nbytes
        for phrase, postings in found.postings.items():
            self._postings[collection, phrase] = postings
            self._bytes += postings.nbytes
        if len(self._states) > MOST_COLLECTIONS:
            self._forget(next(iter(self._states)))
        self._make_room()
        return found.kept

    def _brought_up(self, db: sqlite3.Connection, collection: str) -> WordsKept | None:
        """What is kept of the collection, as this connection sees it now; None where FTS5 is to be asked."""
        state = self._states.get(collection)
        if state is None or (state.kept is not None and state.kept.table != lexical.table_of(db, collection)):
            return self.take(collection, self.read(db, collection))
        self._states.move_to_end(collection)
        if state.kept is not None and not state.kept.brought_up(db, collection):
            self._forget(collection)
            self._states[collection] = _State(None, 0.0)
            return None
        return state.kept

    @staticmethod
    def _newer(db: sqlite3.Connection, kept: WordsKept, asked: Asked) -> dict[Phrase, int]:
        """How many of what came since have each phrase."""
        phrases = dict.fromkeys(asked.phrases)
        if not kept.newer:
            return dict.fromkeys(phrases, 0)
        return {phrase: word_index.count_newer(db, kept.table, phrase, kept.last) for phrase in phrases}

    def _best(
        self,
        db: sqlite3.Connection,
        collection: str,
        kept: WordsKept,
        asked: Asked,
        having: Mapping[Phrase, int],
        most: int,
    ) -> dict[int, float]:
        """The scores of the best, by row. `having`: see `_newer`.

        A pair adds at most what its two words add, so that places are compared in chunks alone that could still be among the best.
        """
        tamed, total = kept.tamed(), np.zeros(len(kept.rows))
        known = {phrase: self._of(db, collection, kept, phrase) for phrase in dict.fromkeys(asked.phrases)}
        weights = {
            phrase: _weight(kept.count, kept.having(known[phrase]) + having[phrase]) for phrase in known
        }
        for phrase in asked.phrases:
            total[known[phrase].chunks] += _scores(known[phrase], weights[phrase], tamed)
        total[~kept.there] = 0.0
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

    def _of(self, db: sqlite3.Connection, collection: str, kept: WordsKept, phrase: Phrase) -> Postings:
        key = (collection, phrase)
        found = self._postings.get(key)
        if found is None:
            self._postings[key] = found = words_kept.of(db, kept, phrase, self._stems)
            self._bytes += found.nbytes
            self._make_room()
        self._postings.move_to_end(key)
        return found

    def _make_room(self) -> None:
        """Let go of what was asked for longest ago, but of the last: postings first, then whole collections."""
        while self._bytes > self._most_bytes and len(self._postings) > 1:
            _, oldest = self._postings.popitem(last=False)
            self._bytes -= oldest.nbytes
        while self._bytes > self._most_bytes and len(self._states) > 1:
            self._forget(next(iter(self._states)))

    def _forget(self, collection: str) -> None:
        state = self._states.pop(collection, None)
        if state is None:
            return
        if state.kept is not None:
            self._bytes -= state.kept.nbytes
        for key in [key for key in self._postings if key[0] == collection]:
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
