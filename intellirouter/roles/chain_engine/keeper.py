"""What a node does by the clock: start what is due, forget what ended long ago and what never began."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
import structlog

from intellirouter.errors import IntelliRouterError, PeerUnavailable
from intellirouter.roles.chain_engine.retention import forget_ended
from intellirouter.roles.chain_engine.schedules import Schedule, ScheduleStore
from intellirouter.roles.chain_engine.service import ChainService

TICK_SECONDS = 1.0
SWEEP_SECONDS = 600.0
SWEEP_BATCH = 500
DAY = 86_400.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Keeper:
    """One a process."""

    service: ChainService
    schedules: ScheduleStore
    _swept: float = 0.0

    async def run(self) -> None:
        """Look every second, until cancelled."""
        while True:
            try:
                await self.start_due(time.time())
                if time.monotonic() - self._swept > SWEEP_SECONDS:
                    self._swept = time.monotonic()
                    await self.forget_old(time.time())
                    await self.service.forget_unstarted(SWEEP_SECONDS)
                self.service.trouble = ""
            except (sa.exc.SQLAlchemyError, IntelliRouterError) as error:  # the database is away: look again
                self.service.trouble = _reason(error)
                log.warning("chain.keeper_failed", error=type(error).__name__)
            await asyncio.sleep(TICK_SECONDS)

    async def start_due(self, now: float) -> None:
        """Start the runs whose time has come."""
        for schedule in await asyncio.to_thread(self.schedules.all):
            seen = None
            for moment in schedule.due(now):
                if not await self._start(schedule, moment):
                    break
                seen = moment
            if seen is not None:
                await asyncio.to_thread(self.schedules.change, schedule.tenant, schedule.name, seen=seen)

    async def _start(self, schedule: Schedule, moment: float) -> bool:
        """False when it is to be tried again in a moment: nobody could say whether its owner still may."""
        inputs, problem = msgspec.json.decode(schedule.inputs), None
        try:
            caller = await self.service.authority.caller_of(schedule.owner())
            row, new = await self.service.start(caller, schedule.chain, inputs, schedule.run_id(moment))
        except PeerUnavailable as error:
            log.warning("chain.schedule_waits", schedule=schedule.name, reason=error.message)
            return False
        except IntelliRouterError as error:  # this schedule's own fault, and no reason to hold up the others
            problem, new = error.message[:500], False
            log.warning(
                "chain.schedule_failed", schedule=schedule.name, tenant=schedule.tenant, reason=problem
            )
        if problem != schedule.problem:
            await asyncio.to_thread(self.schedules.change, schedule.tenant, schedule.name, problem=problem)
        if new:
            log.info("chain.schedule_started", schedule=schedule.name, run_id=row.run_id)
        return True

    async def forget_old(self, now: float) -> int:
        """Delete runs that ended longer ago than `retention_days`, with what they recorded; how many."""
        days = self.service.section.retention_days
        if not days:
            return 0
        count = 0
        while gone := await forget_ended(self.service, now - days * DAY, SWEEP_BATCH):
            count += gone
        if count:
            log.info("chain.runs_forgotten", runs=count)
        return count


def _reason(error: Exception) -> str:
    """What the database said, in one line and without what was asked of it."""
    said = getattr(error, "orig", None) or error
    return f"the database of runs does not answer: {str(said).strip().splitlines()[0][:200] if str(said).strip() else type(said).__name__}"
