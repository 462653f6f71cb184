"""Watches the runs of this node to their end, and knows how many places they take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog

from intellirouter import tasks
from intellirouter.bounds.shares import Shares
from intellirouter.chains.interpreter import Outcome
from intellirouter.chains.runtime.durable.runtime import DurableRuntime
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.counts import counted
from intellirouter.errors import RateLimited
from intellirouter.roles.chain_engine.hearing import Hearing
from intellirouter.roles.chain_engine.meters import ChainMeters
from intellirouter.roles.chain_engine.shown import word
from intellirouter.roles.chain_engine.store import RunRow, Store
from intellirouter.security.caller import Caller
from intellirouter.telemetry.tracing.span import Tracer

log = structlog.get_logger(__name__)

POLL = 0.5
"""Seconds between looks at a run that this process did not start."""


@dataclass(slots=True)
class Watch:
    """One a node. A run that waits for a signal or sleeps takes a place of `max_waiting`, and none of `max_queued`."""

    section: ChainEngineSection
    runtime: DurableRuntime
    store: Store
    meters: ChainMeters
    hearing: Hearing
    ended: Callable[[str, str, str], Awaitable[None]]
    """Hears of a run, its chain and its tenant when it has ended in whatever way."""
    freed: Callable[[str], None]
    """Hears that a run, which is named, gave its place back."""
    tracer: Tracer | None = None
    watched: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _busy: Shares = field(init=False)
    _all: Shares = field(init=False)
    _tenants: dict[str, str] = field(default_factory=dict)
    _idle: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._busy, self._all = Shares(self.section.max_queued), Shares(self.section.max_waiting)
        self.hearing.idles = self._idles

    @property
    def busy(self) -> int:
        """Runs that do something."""
        return self._busy.taken

    async def stop(self) -> None:
        """Stop watching; the runs stay as they are, to be taken up again."""
        await tasks.end(*self.watched.values())

    def admit(self, caller: Caller) -> None:
        """Raises `RateLimited` where the node, or the tenant on it, has too many runs under way."""
        for shares, how, setting in ((self._busy, "", "max_queued"), (self._all, " or wait", "max_waiting")):
            if not shares.free_for(caller.tenant):
                mine = shares.held(caller.tenant)
                raise RateLimited(
                    f"{counted(shares.taken, 'run is', 'runs are')} under way{how} on this node, {mine} of them of this tenant "
                    f"(chain_engine.{setting}); the rest is kept for others.",
                    retry_after=5.0,
                )

    def begin(self, run_id: str, tenant: str) -> None:
        """Watch a run, once."""
        if run_id not in self.watched:
            task = self.watched[run_id] = asyncio.create_task(self._to_the_end(run_id), name=run_id)
            self._tenants[run_id] = tenant
            self._all.force(tenant)
            if run_id not in self._idle:
                self._busy.force(tenant)
            task.add_done_callback(lambda done: self._forget(run_id, done))

    def _idles(self, run_id: str, idle: bool) -> None:
        """The run waits from now on, or goes on: it takes no place meanwhile."""
        if idle == (run_id in self._idle):
            return
        (self._idle.add if idle else self._idle.discard)(run_id)
        if (tenant := self._tenants.get(run_id)) is not None:
            (self._busy.give if idle else self._busy.force)(tenant)
            if idle:
                self.freed(run_id)

    async def end(self, run_id: str) -> None:
        """Watch it no more."""
        if (task := self.watched.pop(run_id, None)) is not None:
            await tasks.end(task)

    async def _to_the_end(self, run_id: str) -> None:
        self.meters.active.inc()
        try:
            status = word(await self._outcome(run_id))
            if status == "failed" and run_id in self.hearing.waiting:  # it came to its deadline in a wait
                await asyncio.to_thread(self.runtime.waits.clear, run_id)
            row = await asyncio.to_thread(self.store.run, run_id)
            self.meters.ended(status, time.time() - row.created if row is not None else 0.0)
            log.info("chain.run_ended", run_id=run_id, status=status)
            if row is not None:
                await self.ended(run_id, row.chain, row.tenant)
                self._traced(row, status)
        finally:
            self.meters.active.dec()

    def _traced(self, row: RunRow, status: str) -> None:
        if self.tracer is not None:
            facts = {"gen_ai.workflow.name": row.chain, "intellirouter.run": row.run_id}
            failure = "" if status == "succeeded" else status
            self.tracer.whole(row.run_id, f"chain {row.chain}", time.time() - row.created, failure, facts)

    async def _outcome(self, run_id: str) -> Outcome:
        while True:
            try:
                return await self.runtime.result(run_id, POLL)
            except sa.exc.SQLAlchemyError as error:  # the database is away: the run is not lost
                log.warning("chain.watch_failed", run_id=run_id, error=type(error).__name__)
                await asyncio.sleep(1.0)

    def _forget(self, run_id: str, done: asyncio.Task[None]) -> None:
        tenant = self._tenants.get(run_id, "")
        self._all.give(tenant)
        if run_id not in self._idle:
            self._busy.give(tenant)
        if self.watched.get(run_id) is done:
            del self.watched[run_id]
            self._tenants.pop(run_id, None)
            self._idle.discard(run_id)
            self.hearing.ended(run_id)
            self.freed(run_id)
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("chain.watch_ended", run_id=run_id, exc_info=error)
