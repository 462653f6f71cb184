"""The exposition text, piece by piece: a scrape of many series holds no request up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import cast

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.registry import Collector, CollectorRegistry

LINES = 250
"""About so many are written between two looks at what else there is to do: two milliseconds."""
END = b"# EOF\n"
_open_text = cast("Callable[[Collector], bytes]", openmetrics_exposition.generate_latest)
_HEAD = 2
"""Lines before the first sample: HELP and TYPE."""


class _Piece(Collector):
    """A part of a family, as the library writes it."""

    def __init__(self, family: Metric, start: int) -> None:
        self._part = Metric(family.name, family.documentation, family.type)
        self._part.samples = family.samples[start : start + LINES]

    def collect(self) -> Iterator[Metric]:
        yield self._part


async def exposition(registry: CollectorRegistry, *, openmetrics: bool = False) -> bytes:
    """Everything in `registry`, as Prometheus' own text or as OpenMetrics 1.0. A collector may yield a large family in parts that follow one another under its name."""
    written: list[bytes] = []
    name = ""
    for family in registry.collect():
        for start in range(0, len(family.samples) or 1, LINES):
            piece = _Piece(family, start)
            text = _open_text(piece).removesuffix(END) if openmetrics else generate_latest(piece)
            written.append(text if family.name != name else text.split(b"\n", _HEAD)[_HEAD])
            name = family.name
            await asyncio.sleep(0)
    return b"".join([*written, END] if openmetrics else written)
