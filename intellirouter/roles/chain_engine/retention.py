"""Deletes runs that ended long ago, with all that belongs to them; at an edge none that the centre does not have yet."""

from __future__ import annotations

import asyncio
import time

import structlog

from intellirouter.roles.chain_engine.edges.outbox import DAY
from intellirouter.roles.chain_engine.service import ChainService
from intellirouter.roles.chain_engine.shown import over
from intellirouter.roles.chain_engine.store import RunRow

log = structlog.get_logger(__name__)


async def forget_ended(service: ChainService, before: float, limit: int) -> int:
    """Delete up to `limit` runs that started before a time and have ended; how many, 0 when none is left."""
    after = (0.0, "")
    while rows := await asyncio.to_thread(service.store.older, before, after, limit):
        looks = await service.runtime.look([row.run_id for row in rows])
        ended = [row for row in rows if over(looks.get(row.run_id))]
        kept = await _kept(service, ended, before)
        gone = [row.run_id for row in ended if row.run_id not in kept]
        if gone:
            await _forget(service, gone)
            return len(gone)
        after = (rows[-1].created, rows[-1].run_id)
    return 0


async def _kept(service: ChainService, rows: list[RunRow], before: float) -> set[str]:
    """Those that stay a while: an edge brought them late, or the centre does not have them."""
    late = [row.run_id for row in rows if row.edge is not None]
    kept = await asyncio.to_thread(service.arrivals.since, late, before) if late else set()
    centre = service.section.centre
    if service.link is not None and centre is not None:
        young = [row.run_id for row in rows if row.created >= before - centre.hold_days * DAY]
        kept |= await asyncio.to_thread(service.link.outbox.held, young, before, centre.max_held)
    return kept


async def _forget(service: ChainService, gone: list[str]) -> None:
    if service.link is not None:  # first: what was never forwarded is counted, whatever happens next
        lost = await asyncio.to_thread(service.link.outbox.forget, gone)
        if lost:
            log.error("chain.runs_never_forwarded", runs=lost, at=round(time.time()))
    await service.runtime.forget(gone)
    await asyncio.to_thread(service.arrivals.forget, gone)
    await asyncio.to_thread(service.hooks.outbox.forget, gone)
    await asyncio.to_thread(service.live.forget, gone)
    await asyncio.to_thread(
        service.store.delete_runs, gone
    )  # last: by it the next sweep finds what a kill left
