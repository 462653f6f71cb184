"""What Prometheus reads, however many series there are."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from intellirouter.telemetry.exposition import LINES, exposition
from intellirouter.telemetry.light import LightCounter, LightHistogram

MANY = 3 * LINES + 1


def filled() -> CollectorRegistry:
    registry = CollectorRegistry()
    calls = LightCounter("calls", "Calls\nof a \\ kind", ("name",), registry)
    seconds = LightHistogram("seconds", "Time", ("name",), registry, buckets=(0.1, 1.0))
    LightCounter("never", "Nothing yet", ("name",), registry)
    level = Gauge("level", "The library's own", ("name",), registry=registry)
    other = Counter("other", "With the time it was made", registry=registry)
    for number in range(MANY):
        name = f'model "{number}" ä'
        calls.labels(name).inc(number)
        seconds.labels(name).observe(number / 100)
        level.labels(name).set(number)
    other.inc()
    return registry


def families(text: bytes) -> dict[str, Metric]:
    read = list(text_string_to_metric_families(text.decode()))
    assert len({family.name for family in read}) == len(read)  # each is named once
    return {family.name: family for family in read}


async def test_many_series_are_written_as_the_library_writes_few() -> None:
    registry = filled()
    ours, theirs = families(await exposition(registry)), families(generate_latest(_Whole(registry)))
    assert ours.keys() == theirs.keys() > {"calls", "seconds", "never", "level", "other"}
    for name, family in ours.items():
        assert family.samples == theirs[name].samples
        assert (family.documentation, family.type) == (theirs[name].documentation, theirs[name].type)
    assert len(ours["seconds"].samples) == 5 * MANY


async def test_others_are_served_while_it_is_written() -> None:
    writing = asyncio.create_task(exposition(filled()))
    turns = 0
    while not writing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 3 * MANY / LINES


class _Whole:
    """The registry with each family in one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> list[Metric]:
        joined: dict[str, Metric] = {}
        for family in self._registry.collect():
            joined.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            joined[family.name].samples += family.samples
        return list(joined.values())
