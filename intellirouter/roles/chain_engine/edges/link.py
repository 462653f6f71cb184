"""An edge's link to its centre as a whole: what notes, what forwards, and how both are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from intellirouter.config.schema.chain_edges import ChainCentre
from intellirouter.peers.edges import Centre
from intellirouter.roles.chain_engine.edges.forwarding import Forwarding
from intellirouter.roles.chain_engine.edges.outbox import DAY, Outbox, Standing
from intellirouter.roles.chain_engine.edges.telling import Telling

if TYPE_CHECKING:
    from intellirouter.roles.chain_engine.service import ChainService

log = structlog.get_logger(__name__)

METER_SECONDS = 5.0
TOLD_AFTER = 60.0
"""Seconds that a centre may be away before /health says so; that runs were lost it says for a day."""


class LinkCollector(Collector):
    """What waits for the centre, to Prometheus."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def collect(self) -> Iterator[Metric]:
        """The families as they stand, a few seconds old."""
        found, away, now = self._link.last, self._link.forwarding.away_since, time.time()
        if found is None:
            return
        oldest = max(0.0, now - found.oldest) if found.oldest is not None else 0.0
        for name, text, value in (
            ("chain_centre_waiting", "Runs that the centre does not have yet", found.waiting),
            ("chain_centre_refused", "Those of them that the centre refused", found.aside),
            ("chain_centre_oldest_seconds", "Since when the oldest of them waits", oldest),
            ("chain_centre_given_up", "Runs that were deleted before the centre had them", found.given_up),
            (
                "chain_centre_away_seconds",
                "Since when the centre does not answer; 0 while it does",
                max(0.0, now - away) if away is not None else 0.0,
            ),
        ):
            yield GaugeMetricFamily(name, text, value=value)


@dataclass(slots=True)
class Link:
    """One an edge."""

    outbox: Outbox
    forwarding: Forwarding
    last: Standing | None = None

    async def watch(self) -> None:
        """Keep what /health and /metrics tell fresh, until cancelled."""
        while True:
            try:
                self.last = await asyncio.to_thread(self.outbox.standing)
            except sa.exc.SQLAlchemyError as error:  # the disk is full, say: look again
                log.warning("chain.outbox_not_read", error=type(error).__name__)
            await asyncio.sleep(METER_SECONDS)

    async def standing(self) -> dict[str, Any]:
        """As the API tells it."""
        found, link = await asyncio.to_thread(self.outbox.standing), self.forwarding
        return {
            "url": link.section.url,
            "name": link.section.name,
            "answers": link.away_since is None,
            "heard_at": _rounded(link.heard),
            "away_since": _rounded(link.away_since),
            "trouble": link.trouble or None,
            "waiting": found.waiting,
            "oldest_at": _rounded(found.oldest),
            "refused": found.aside,
            "last_refusal": found.why or None,
            "given_up": found.given_up,
            "given_up_at": _rounded(found.given_up_at),
            "forwarded_here": link.forwarded,
        }

    async def again(self) -> int:
        """Forward everything once more; how many runs."""
        count = await asyncio.to_thread(self.outbox.again)
        self.forwarding.wake()
        return count

    def measured(self, now: float) -> tuple[float, float]:
        """For alerts: seconds that the centre is away, and runs that were given up, where that was within a day."""
        away, found = self.forwarding.away_since, self.last
        lately = found is not None and found.given_up_at is not None and now - found.given_up_at < DAY
        return max(0.0, now - away) if away is not None else 0.0, float(
            found.given_up
        ) if found and lately else 0.0

    def problem(self, now: float) -> str:
        """What /health says; empty while all is well."""
        parts, link = [], self.forwarding
        waiting = self.last.waiting if self.last is not None else 0
        if link.away_since is not None and now - link.away_since > TOLD_AFTER:
            parts.append(f"the centre does not answer, {waiting} runs wait for it: {link.trouble}")
        if self.last is not None and self.last.aside:
            parts.append(f"the centre refused {self.last.aside} runs ({self.last.why})")
        if self.last is not None and self.last.given_up_at is not None and now - self.last.given_up_at < DAY:
            parts.append(f"{self.last.given_up} runs were deleted before the centre had them")
        return "; ".join(parts)


def _rounded(moment: float | None) -> float | None:
    return None if moment is None else round(moment, 3)


async def linked(
    service: ChainService, section: ChainCentre, centre: Centre, registry: CollectorRegistry
) -> Link:
    """The link of a node that becomes an edge, or was one: from now on every change of a run is noted."""
    outbox = Outbox(service.runtime.engine)
    await asyncio.to_thread(lambda: outbox.prepare(running=section.running))
    forwarding = Forwarding(section, outbox, Telling(service), centre)
    link = Link(outbox, forwarding)
    registry.register(LinkCollector(link))
    return link
