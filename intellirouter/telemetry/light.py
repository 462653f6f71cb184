"""Counters and histograms for the hot path: a plain addition each, published only when somebody scrapes.

The library's own metrics take a lock and several calls for every increment. These are touched by the event loop's thread
alone, so an attribute is enough; the library still writes the exposition.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from intellirouter.telemetry.exposition import LINES

T = TypeVar("T")


MAX_SERIES = 5_000
"""Combinations of label values in one family; what comes then is counted under `OTHER`."""
MAX_LABEL = 256
OTHER = "other"


def _key(values: tuple[object, ...]) -> tuple[str, ...]:
    return tuple([value if type(value) is str else str(value) for value in values])


def _bounded(key: tuple[str, ...], known: int) -> tuple[str, ...]:
    """The label values of a new series."""
    if known >= MAX_SERIES:
        return (OTHER,) * len(key)
    return tuple(value if len(value) <= MAX_LABEL else f"{value[: MAX_LABEL - 1]}…" for value in key)


class Cell:
    """One labelled value. Where every request counts, `value` is added to directly: a call costs more than the sum."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add."""
        self.value += amount

    def dec(self, amount: float = 1.0) -> None:
        """Take away; for gauges."""
        self.value -= amount


class Spread:
    """One labelled distribution. `counts` has one more entry than `bounds`: what is above them all."""

    __slots__ = ("_bounds", "counts", "marks", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.marks: dict[int, tuple[str, float, float]] | None = None
        """By bucket the trace that was seen in it last, its value, and when (Unix seconds): the exemplars."""

    def mark(self, value: float, trace_id: str) -> None:
        """An example of its bucket."""
        if self.marks is None:
            self.marks = {}
        self.marks[bisect_left(self._bounds, value)] = (trace_id, value, time.time())

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class _Table(Collector):
    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        registry.register(self)

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the registry must not collect at start."""
        return []


class LightCounter(_Table):
    """A counter, or with `gauge` a value that also falls."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        *,
        gauge: bool = False,
    ) -> None:
        super().__init__(name, documentation, labels, registry)
        self._family = GaugeMetricFamily if gauge else CounterMetricFamily
        self._cells: dict[tuple[str, ...], Cell] = {}

    def labels(self, *values: object) -> Cell:
        """The cell of these label values; keep it where it is used often."""
        key = _key(values)
        cell = self._cells.get(key)
        if cell is None:
            key = _bounded(key, len(self._cells))
            cell = self._cells.setdefault(key, Cell())
        return cell

    def collect(self) -> Iterator[Metric]:
        """The family as it stands, in parts."""
        for part in _parts(self._cells, LINES):
            family = self._family(self._name, self._documentation, labels=self._labels)
            for key, cell in part:
                family.add_metric(key, cell.value)
            yield family


class LightHistogram(_Table):
    """A histogram with fixed upper bounds."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        *,
        buckets: Sequence[float],
    ) -> None:
        super().__init__(name, documentation, labels, registry)
        self._bounds = tuple(buckets)
        self._cells: dict[tuple[str, ...], Spread] = {}

    def labels(self, *values: object) -> Spread:
        """The distribution of these label values; keep it where it is used often."""
        key = _key(values)
        spread = self._cells.get(key)
        if spread is None:
            key = _bounded(key, len(self._cells))
            spread = self._cells.setdefault(key, Spread(self._bounds))
        return spread

    def collect(self) -> Iterator[Metric]:
        """The family as it stands, in parts."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for part in _parts(self._cells, LINES // len(names)):
            family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
            for key, spread in part:
                buckets: list[Any] = list(zip(names, accumulate(spread.counts), strict=True))
                for at, (trace_id, value, seen) in (spread.marks or {}).items():
                    buckets[at] = (*buckets[at], Exemplar({"trace_id": trace_id}, value, seen))
                family.add_metric(key, buckets, spread.total)
            yield family


def _parts(cells: Mapping[tuple[str, ...], T], size: int) -> Iterator[Sequence[tuple[tuple[str, ...], T]]]:
    """At least one, that a family without values is named too."""
    listed = list(cells.items())
    for start in range(0, len(listed) or 1, max(1, size)):
        yield listed[start : start + max(1, size)]
