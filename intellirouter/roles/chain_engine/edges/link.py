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
from intellirouter.counts import counted
from intellirouter.errors import IntelliRouterError
from intellirouter.peers.edges import Centre
from intellirouter.records.outgoing import Leaving
from intellirouter.records.records import Records
from intellirouter.roles.chain_engine.edges.forwarding import Forwarding
from intellirouter.roles.chain_engine.edges.goods import Runs
from intellirouter.roles.chain_engine.edges.outbox import DAY, Outbox, Standing
from intellirouter.roles.chain_engine.edges.rows import Rows
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
        if (left := self._link.leaving) is None:
            return
        oldest = max(0.0, now - left.oldest) if left.oldest is not None else 0.0
        for name, text, value in (
            ("waiting", "Rows of the record that the centre does not have yet", left.waiting),
            ("refused", "Rows of the record that the centre refused", left.refused),
            ("oldest_seconds", "Since when the oldest of those that wait does so", oldest),
            ("given_up", "Rows that were deleted before the centre had them", left.given_up),
        ):
            yield GaugeMetricFamily(f"chain_centre_rows_{name}", text, value=value)


def _lost_lately(what: Standing | Leaving | None, now: float) -> int:
    """How many were given up, where that was within a day."""
    at = what.given_up_at if what is not None else None
    return what.given_up if what is not None and at is not None and now - at < DAY else 0


@dataclass(slots=True)
class Link:
    """One an edge."""

    outbox: Outbox
    runs: Runs
    rows: Rows | None
    """None where rows of the record stay here."""
    forwarding: Forwarding
    last: Standing | None = None
    leaving: Leaving | None = None

    async def watch(self) -> None:
        """Keep what /health and /metrics tell fresh, until cancelled."""
        while True:
            try:
                self.last = await asyncio.to_thread(self.outbox.standing)
            except sa.exc.SQLAlchemyError as error:  # the disk is full, say: look again
                log.warning("chain.outbox_not_read", error=type(error).__name__)
            try:
                self.leaving = None if self.rows is None else await self.rows.leaving()
            except IntelliRouterError as error:
                log.warning("chain.record_not_read", reason=error.message[:200])
            await asyncio.sleep(METER_SECONDS)

    async def standing(self) -> dict[str, Any]:
        """As the API tells it."""
        found, link = await asyncio.to_thread(self.outbox.standing), self.forwarding
        return {
            "url": link.section.url,
            "name": link.section.name,
            "answers": link.away_since is None or link.refusing,
            "takes": link.away_since is None,
            "heard_at": _rounded(link.heard),
            "away_since": _rounded(link.away_since),
            "trouble": link.trouble or None,
            "waiting": found.waiting,
            "oldest_at": _rounded(found.oldest),
            "refused": found.aside,
            "last_refusal": found.why or None,
            "given_up": found.given_up,
            "given_up_at": _rounded(found.given_up_at),
            "forwarded_here": self.runs.forwarded,
            "records": None if self.rows is None else await _told(self.rows),
        }

    async def again(self) -> int:
        """Forward everything once more; how many runs and rows."""
        count = await asyncio.to_thread(self.outbox.again)
        if self.rows is not None:
            count += await self.rows.again()
        self.forwarding.wake()
        return count

    def measured(self, now: float) -> tuple[float, float]:
        """For alerts: seconds that the centre is away, and runs that were given up, where that was within a day."""
        away = self.forwarding.away_since
        return max(0.0, now - away) if away is not None else 0.0, float(_lost_lately(self.last, now))

    def problem(self, now: float) -> str:
        """What /health says; empty while all is well."""
        parts, link = [], self.forwarding
        waiting = self.last.waiting if self.last is not None else 0
        if link.away_since is not None and now - link.away_since > TOLD_AFTER:
            how = "takes nothing" if link.refusing else "does not answer"
            parts.append(
                f"the centre {how}, {counted(waiting, 'run waits', 'runs wait')} for it: {link.trouble}"
            )
        if self.last is not None and self.last.aside:
            parts.append(f"the centre refused {counted(self.last.aside, 'run')} ({self.last.why})")
        if lost := _lost_lately(self.last, now):
            parts.append(
                f"{counted(lost, 'run was deleted', 'runs were deleted')} before the centre had them"
            )
        left = self.leaving
        if self.rows is not None and self.rows.trouble and left is not None and left.waiting:
            parts.append(
                f"{counted(left.waiting, 'row of the record waits', 'rows of the record wait')} for the centre: {self.rows.trouble}"
            )
        if left is not None and left.refused_at is not None and now - left.refused_at < DAY:
            parts.append(f"the centre refused {counted(left.refused, 'row')} of the record ({left.why})")
        if lost := _lost_lately(left, now):
            parts.append(
                f"{counted(lost, 'row of the record was deleted', 'rows of the record were deleted')} before the centre had them"
            )
        return "; ".join(parts)


async def _told(rows: Rows) -> dict[str, Any]:
    """Of the rows; while the record cannot be asked, that."""
    try:
        left = await rows.leaving()
    except IntelliRouterError as error:
        return {"trouble": error.message[:200], "forwarded_here": rows.forwarded}
    return {
        "waiting": left.waiting,
        "oldest_at": _rounded(left.oldest),
        "trouble": rows.trouble or None,
        "refused": left.refused,
        "last_refusal": left.why or None,
        "given_up": left.given_up,
        "given_up_at": _rounded(left.given_up_at),
        "forwarded_here": rows.forwarded,
    }


def _rounded(moment: float | None) -> float | None:
    return None if moment is None else round(moment, 3)


async def linked(
    service: ChainService,
    section: ChainCentre,
    centre: Centre,
    registry: CollectorRegistry,
    records: Records | None = None,
) -> Link:
    """The link of a node that becomes an edge, or was one: from now on every change of a run is noted.

    `records` are this node's own, whose rows are brought too.
    """
    outbox = Outbox(service.runtime.engine)
    await asyncio.to_thread(lambda: outbox.prepare(running=section.running))
    runs = Runs(outbox, Telling(service))
    rows = None if records is None else Rows(records)
    forwarding = Forwarding(section, [runs] if rows is None else [runs, rows], centre)
    link = Link(outbox, runs, rows, forwarding)
    registry.register(LinkCollector(link))
    return link
