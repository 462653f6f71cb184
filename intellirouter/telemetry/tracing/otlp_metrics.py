"""The node's metrics to an OpenTelemetry collector, as /metrics has them, every some seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, cast

import structlog
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.core import Metric as Family
from prometheus_client.registry import CollectorRegistry

_UNSET = cast("Any", None)
"""What a Prometheus histogram does not know: the least and the largest value."""

log = structlog.get_logger(__name__)


class MetricsPusher:
    """Reads the registry piece by piece, and sends in a thread; what cannot be sent now is in the next figures too."""

    def __init__(
        self, registry: CollectorRegistry, exporter: MetricExporter, node: str, version: str
    ) -> None:
        self._registry = registry
        self._exporter = exporter
        self._resource = Resource.create(
            {
                "service.name": "intellirouter",
                "service.namespace": "intellirouter",
                "service.instance.id": node,
                "service.version": version,
            }
        )
        self._scope = InstrumentationScope("intellirouter", version)
        self._began = time.time_ns()
        self._away = False

    async def run(self, seconds: float) -> None:
        """Send until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.send()
            except Exception:  # one bad figure must not end all later ones
                log.exception("metrics.push_crashed")

    async def send(self) -> None:
        """Everything as it stands."""
        families = []
        for family in self._registry.collect():
            families.append(family)
            await asyncio.sleep(0)
        data = self._data(families)
        result = await asyncio.to_thread(self._exporter.export, data)
        away = result is not MetricExportResult.SUCCESS
        if away != self._away:
            (log.warning if away else log.info)("metrics.away" if away else "metrics.back")
        self._away = away

    async def aclose(self) -> None:
        """Let go of the connection."""
        await asyncio.to_thread(self._exporter.shutdown)

    def _data(self, families: Iterable[Family]) -> MetricsData:
        now = time.time_ns()
        metrics = [made for family in families if (made := self._metric(family, now)) is not None]
        scope = ScopeMetrics(self._scope, metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])

    def _metric(self, family: Family, now: int) -> Metric | None:
        if family.type == "histogram":
            points = self._distributions(family, now)
            data: Any = Histogram(points, AggregationTemporality.CUMULATIVE)
        else:
            suffix = "_total" if family.type == "counter" else ""
            numbers = [
                NumberDataPoint(sample.labels, self._began, now, sample.value)
                for sample in family.samples
                if sample.name == family.name + suffix
            ]
            points_exist = bool(numbers)
            if family.type == "counter":
                data = Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
            else:
                data = Gauge(numbers)
            return Metric(family.name, family.documentation, "", data) if points_exist else None
        return Metric(family.name, family.documentation, "s", data) if points else None

    def _distributions(self, family: Family, now: int) -> list[HistogramDataPoint]:
        """The buckets of Prometheus are cumulative; those of OpenTelemetry are not."""
        buckets: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
        sums: dict[tuple[tuple[str, str], ...], float] = {}
        for sample in family.samples:
            key = _key(sample.labels)
            if sample.name.endswith("_bucket"):
                buckets.setdefault(key, {})[float(sample.labels["le"])] = sample.value
            elif sample.name.endswith("_sum"):
                sums[key] = sample.value
        points = []
        for key, found in buckets.items():
            edges = sorted(found)
            counts = [int(found[edge]) for edge in edges]
            alone = [count - before for count, before in zip(counts, [0, *counts], strict=False)]
            points.append(
                HistogramDataPoint(
                    dict(key),
                    self._began,
                    now,
                    counts[-1],
                    sums.get(key, 0.0),
                    alone,
                    edges[:-1],
                    _UNSET,
                    _UNSET,
                )
            )
        return points


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in labels.items() if name != "le")
