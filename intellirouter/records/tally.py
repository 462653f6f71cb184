"""Adding up what was used: columns of numbers in, one `Usage` a group out.

What is added is a line of something already summed, or one request: `TAKEN` are its columns. Durations are counted in buckets, so that
percentiles of sums are those of the requests they were made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intellirouter.records.query import MAX_GROUPS, By, Usage, group_name
from intellirouter.records.row import bucket_seconds
from intellirouter.records.store import TooSlow

MOST_GROUPS = 20 * MAX_GROUPS
"""Groups of a usage report that are counted at all."""
TAKEN = (
    "requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd", "dearest_usd",
    "saved_usd", "cache_hits",
)  # fmt: skip
_MONEY = frozenset({"cost_usd", "dearest_usd", "saved_usd"})
_BUCKETS = 1 << 10
"""More than there are of a duration."""
NO_BUCKET = 0xFFFF
"""Stands for a duration that was not measured."""

Numbers = NDArray[Any]


class Tally:
    """Sums by group. Groups are known by anything that can be hashed: names, or the number of a day."""

    def __init__(self) -> None:
        self._groups: dict[Any, int] = {}
        self._lines: list[Numbers] = []
        self._taken: dict[str, list[Numbers]] = {name: [] for name in TAKEN}
        self._spans: dict[str, list[tuple[Numbers, Numbers, Numbers]]] = {"latency": [], "first": []}
        self._scores: dict[int, tuple[int, float]] = {}

    def groups(self, names: Sequence[Any]) -> Numbers:
        """The numbers of groups, in order. Raises `TooSlow` when there are too many."""
        known = self._groups
        for name in set(names).difference(known):
            known[name] = len(known)
        if len(known) > MOST_GROUPS:
            raise TooSlow(f"There are more than {MOST_GROUPS:,} groups: ask for less time, or with a filter.")
        return np.array([known[name] for name in names], dtype=np.int64)

    def add(self, lines: Numbers, taken: Mapping[str, Numbers]) -> None:
        """Lines, of which `lines` names the groups and `taken` has the columns `TAKEN`."""
        self._lines.append(lines)
        for name, columns in self._taken.items():
            columns.append(taken[name])

    def add_span(self, kind: str, lines: Numbers, buckets: Numbers, counts: Numbers | None = None) -> None:
        """Durations (`latency`, `first`): the group and bucket of each line, and how many it stands for (one)."""
        measured = buckets != NO_BUCKET
        lines, buckets = lines[measured], buckets[measured]
        counts = np.ones(len(lines), dtype=np.int64) if counts is None else counts[measured]
        self._spans[kind].append((lines, buckets, counts))

    def add_told(self, told: Iterable[Sequence[Any]]) -> None:
        """Lines of a database: group, bucket of the latency or None, then `TAKEN` in order."""
        columns = list(zip(*told, strict=True))
        if not columns:
            return
        lines = self.groups(columns[0])
        taken = {
            name: np.array([value or 0 for value in column], dtype=np.float64 if name in _MONEY else np.int64)
            for name, column in zip(TAKEN, columns[2:], strict=True)
        }
        self.add(lines, taken)
        self.add_span("latency", lines, _buckets(columns[1]), taken["requests"])

    def add_first(self, told: Iterable[Sequence[Any]]) -> None:
        """Lines of a database: group, bucket of the time to the first token, how many."""
        columns = list(zip(*told, strict=True))
        if columns:
            counts = np.array(columns[2], dtype=np.int64)
            self.add_span("first", self.groups(columns[0]), _buckets(columns[1]), counts)

    def add_scores(self, told: Iterable[Sequence[Any]]) -> None:
        """Lines of a database: group, how many were rated, the sum of their scores."""
        for name, rated, score in told:
            number = int(self.groups([name])[0])
            before = self._scores.get(number, (0, 0.0))
            self._scores[number] = (before[0] + rated, before[1] + (score or 0.0))

    def usage(self, by: By) -> list[Usage]:
        """What each group used, the dearest first; days and hours in order. `MAX_GROUPS` of them."""
        if not self._groups:
            return []
        many = len(self._groups)
        lines = np.concatenate(self._lines) if self._lines else np.zeros(0, dtype=np.int64)
        sums = {name: _summed(lines, columns, many, name in _MONEY) for name, columns in self._taken.items()}
        names = list(self._groups)
        if by in ("day", "hour"):
            order = sorted(range(many), key=names.__getitem__)
        else:
            order = sorted(
                range(many), key=lambda n: (-sums["cost_usd"][n], -sums["requests"][n], str(names[n]))
            )
        order = order[:MAX_GROUPS]
        latency = _percentiles(self._spans["latency"], many, (0.5, 0.95, 0.99))
        first = _percentiles(self._spans["first"], many, (0.5, 0.95))
        found = []
        for number in order:
            usage = Usage(
                name=group_name(by, names[number]), **{name: column[number] for name, column in sums.items()}
            )
            usage.p50, usage.p95, usage.p99 = (column[number] for column in latency)
            usage.first_token_p50, usage.first_token_p95 = (column[number] for column in first)
            if (scored := self._scores.get(number)) is not None and scored[0]:
                usage.rated, usage.score = scored[0], scored[1] / scored[0]
            found.append(usage)
        return found


def _buckets(column: Sequence[int | None]) -> Numbers:
    return np.array([NO_BUCKET if bucket is None else bucket for bucket in column], dtype=np.int64)


def _summed(lines: Numbers, columns: list[Numbers], many: int, money: bool) -> list[Any]:
    if not columns:
        return [0.0 if money else 0] * many
    column = np.concatenate(columns)
    if many == 1:
        total = column.sum(dtype=np.float64 if money else np.int64)
        return [total.item()]
    sums = np.bincount(lines, weights=column, minlength=many)
    return list(sums.tolist() if money else np.rint(sums).astype(np.int64).tolist())


def _percentiles(
    spans: list[tuple[Numbers, Numbers, Numbers]], many: int, shares: Sequence[float]
) -> list[list[float | None]]:
    """For each share the duration by group that this share of the measured ones do not exceed; None where none was measured."""
    spans = [span for span in spans if len(span[0])]
    if not spans:
        return [[None] * many for _ in shares]
    lines, buckets, counts = (np.concatenate(columns) for columns in zip(*spans, strict=True))
    place = lines.astype(np.int64) * _BUCKETS + buckets
    if many * _BUCKETS <= 4 * len(place) + _BUCKETS:
        histogram = np.bincount(place, weights=counts, minlength=many * _BUCKETS)
        places = np.flatnonzero(histogram)
        held = histogram[places]
    else:
        places, back = np.unique(place, return_inverse=True)
        held = np.bincount(back, weights=counts)
    reached = np.cumsum(held)
    ends = np.searchsorted(places, np.arange(1, many + 1) * _BUCKETS)
    before = np.concatenate(([0.0], reached))[np.concatenate(([0], ends[:-1]))]
    upto = np.concatenate(([0.0], reached))[ends]
    found: list[list[float | None]] = []
    for share in shares:
        # half a request less than wanted would be reached by rounding alone, and not by the one before
        at = np.searchsorted(reached, before + share * (upto - before) - 1e-6)
        at = np.minimum(at, len(places) - 1)
        named = (places[at] % _BUCKETS).tolist()
        there = (upto > before).tolist()
        found.append(
            [
                bucket_seconds(bucket) if measured else None
                for bucket, measured in zip(named, there, strict=True)
            ]
        )
    return found
