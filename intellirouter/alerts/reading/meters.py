"""Samples from the node's own metrics: what /metrics says, summed as the rules want it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise

from prometheus_client.registry import CollectorRegistry

from intellirouter.alerts.chosen import Own
from intellirouter.alerts.reading.window import Window
from intellirouter.alerts.sample import Sample

MINUTE = 60.0
LONG_ENDPOINTS = ("follow", "events")
"""Endpoints whose answers go on as long as somebody listens say nothing of how fast the node is."""
FAILED_RUNS = frozenset({"failed", "error"})

Series = tuple[Mapping[str, str], float]

_WANTED = frozenset(
    """
    intellirouter_requests_total intellirouter_request_duration_seconds_bucket llm_api_latency_seconds_bucket queue_depth
    intellirouter_cache_total llm_cost_usd_total intellirouter_records_dropped_total workflow_executions_total
    intellirouter_provider_failures_total
    """.split()
)


@dataclass(slots=True)
class Meters:
    """Reads the registry piece by piece: no request waits for it."""

    registry: CollectorRegistry
    own: Sequence[Own] = ()
    began: float | None = None
    """When the process began to count (Unix seconds)."""
    _windows: dict[str, Window] = field(default_factory=dict)

    async def read(self, now: float) -> list[Sample]:
        """The samples of the built-in rules and of the operator's own."""
        wanted = _WANTED | {
            name for own in self.own for name in (own.metric, f"{own.metric}_total", f"{own.metric}_bucket")
        }
        series: defaultdict[str, list[Series]] = defaultdict(list)
        for family in self.registry.collect():
            for one in family.samples:
                if one.name in wanted:
                    series[one.name].append((one.labels, one.value))
            await asyncio.sleep(0)
        return [*self._built_in(series, now), *self._of_own(series, now)]

    def _rise(
        self, name: str, seconds: float, levels: Mapping[str, tuple[float, ...]], now: float
    ) -> dict[str, tuple[float, ...]]:
        window = self._windows.setdefault(name, Window(seconds, self.began))
        return window.rise(levels, now)

    def _built_in(self, series: Mapping[str, list[Series]], now: float) -> Iterator[Sample]:
        requests: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for labels, value in series["intellirouter_requests_total"]:
            sums = requests[labels.get("role", "")]
            sums[0] += value if labels.get("status", "").startswith("5") else 0.0
            sums[1] += value
        rates = self._rise(
            "error_rate", 5 * MINUTE, {role: tuple(sums) for role, sums in requests.items()}, now
        )
        for role, (failed, all_) in rates.items():
            yield Sample("error_rate", failed, role, of=all_, note=f"{failed:g} of {all_:g} in 5 min")
        quick = [
            one
            for one in series["intellirouter_request_duration_seconds_bucket"]
            if not one[0].get("endpoint", "").endswith(LONG_ENDPOINTS)
        ]
        yield from self._spreads("latency_p95", quick, "role", 5 * MINUTE, now)
        yield from self._spreads(
            "provider_latency", series["llm_api_latency_seconds_bucket"], "provider", 5 * MINUTE, now
        )
        for _, value in series["queue_depth"]:
            yield Sample("queue", value)
        yield from self._cache(series["intellirouter_cache_total"], now)
        yield from self._sum("cost_hour", 60 * MINUTE, series["llm_cost_usd_total"], now)
        yield from self._sum(
            "records_dropped", 10 * MINUTE, series["intellirouter_records_dropped_total"], now
        )
        failed_runs = [
            one for one in series["workflow_executions_total"] if one[0].get("status") in FAILED_RUNS
        ]
        if series["workflow_executions_total"]:
            yield from self._sum("runs_failed", 15 * MINUTE, failed_runs, now)
        kinds = {
            f"{labels.get('provider', '')}: {labels.get('type', '')}": (value,)
            for labels, value in series["intellirouter_provider_failures_total"]
        }
        for kind, (count,) in self._rise("new_error", MINUTE, kinds, now).items():
            yield Sample("new_error", count, kind)

    def _sum(self, rule: str, seconds: float, series: Iterable[Series], now: float) -> Iterator[Sample]:
        total = sum(value for _, value in series)
        yield Sample(rule, self._rise(rule, seconds, {"": (total,)}, now)[""][0])

    def _cache(self, series: Sequence[Series], now: float) -> Iterator[Sample]:
        if not series:
            return
        said = {labels.get("outcome", ""): value for labels, value in series}
        hits = said.get("hits", 0.0)
        rise = self._rise("cache_hits", 30 * MINUTE, {"": (hits, hits + said.get("misses", 0.0))}, now)[""]
        yield Sample("cache_hits", rise[0], of=rise[1], note=f"{rise[0]:g} of {rise[1]:g} in 30 min")

    def _spreads(
        self, rule: str, series: Iterable[Series], by: str, seconds: float, now: float
    ) -> Iterator[Sample]:
        """Distributions by a label; the buckets of Prometheus are cumulative, ours are not."""
        sums: defaultdict[str, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
        for labels, value in series:
            sums[labels.get(by, "") if by else ""][float(labels["le"])] += value
        levels, bounds = {}, {}
        for subject, buckets in sums.items():
            edges = sorted(buckets)
            counts = [buckets[edge] for edge in edges]
            levels[subject] = (counts[0], *(after - before for before, after in pairwise(counts)))
            bounds[subject] = tuple(edge for edge in edges if edge != float("inf"))
        for subject, spread in self._rise(rule, seconds, levels, now).items():
            yield Sample(rule, 0.0, subject, spread=spread, bounds=bounds[subject])

    def _of_own(self, series: Mapping[str, list[Series]], now: float) -> Iterator[Sample]:
        for own in self.own:
            if own.of in ("value", "increase"):
                found = _fitting(own, series.get(own.metric) or series.get(f"{own.metric}_total") or [])
                sums: defaultdict[str, float] = defaultdict(float)
                for labels, value in found:
                    sums[labels.get(own.by, "") if own.by else ""] += value
                if own.of == "increase":
                    levels = {subject: (value,) for subject, value in sums.items()}
                    rise = self._rise(own.rule, own.window, levels, now)
                    sums = defaultdict(float, {subject: value[0] for subject, value in rise.items()})
                for subject, value in sums.items():
                    yield Sample(own.rule, value, subject)
            else:
                found = _fitting(own, series.get(f"{own.metric}_bucket", []))
                yield from self._spreads(own.rule, found, own.by, own.window, now)


def _fitting(own: Own, series: Iterable[Series]) -> list[Series]:
    return [
        (labels, value)
        for labels, value in series
        if all(fnmatchcase(labels.get(name, ""), wanted) for name, wanted in own.where.items())
    ]
