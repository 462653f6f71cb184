"""Starts runs when others have ended, and when something is told on the bus.

The end of a run is written into the outbox before it is recorded, as for hooks, so that no kill in between loses a run that is to follow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
import structlog

from intellirouter.errors import (
    IntelliRouterError,
    PeerUnavailable,
    RateLimited,
    StateError,
    StateUnavailable,
)
from intellirouter.memory.store import StateStore
from intellirouter.roles.chain_engine.hooks.outbox import Delivery, Outbox
from intellirouter.roles.chain_engine.triggers.firing import Firing
from intellirouter.roles.chain_engine.triggers.store import Trigger, TriggerStore

if TYPE_CHECKING:
    from intellirouter.roles.chain_engine.service import ChainService

HOOK = "@triggers"
"""The name under which the ends of runs stand in the outbox."""
CHANNEL = "chains:"
"""`chains:TENANT:TYPE` on the bus, with `{"id", "data"}`: any part of the installation may say that something happened."""
LOOK_SECONDS = 1.0
AT_ONCE = 20
CLAIMED_SECONDS = 60.0
FIRST_DELAY, LONGEST_DELAY = 1.0, 600.0
MAX_ATTEMPTS = 20

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Following:
    """One a node."""

    service: ChainService
    store: TriggerStore
    outbox: Outbox
    firing: Firing
    bus: StateStore | None = None
    _watching: frozenset[str] = frozenset()
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def ended(self, run_id: str, tenant: str) -> None:
        """A run comes to its end. Said again, it changes nothing."""
        if tenant in self._watching:
            await asyncio.to_thread(self.outbox.add, [HOOK], run_id, tenant)
            self._news.set()

    async def refresh(self) -> None:
        """Learn whose runs are followed."""
        found = await asyncio.to_thread(self.store.all, None, ("run",))
        self._watching = frozenset(trigger.tenant for trigger in found if not trigger.paused)

    @property
    def watches(self) -> frozenset[str]:
        """The tenants whose runs' ends are to be told."""
        return self._watching

    async def run(self) -> None:
        """Start what follows, until cancelled."""
        while True:
            self._news.clear()
            try:
                await self.refresh()
                while await self.deliver():
                    pass
            except sa.exc.SQLAlchemyError as error:  # the database is away: look again
                log.warning("chain.triggers_wait", error=type(error).__name__)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def deliver(self) -> bool:
        """Start what follows runs that ended; true when something was done."""
        now = time.time()
        taken = await asyncio.to_thread(self.outbox.claim, HOOK, now, now + CLAIMED_SECONDS, AT_ONCE)
        told = await self.service.told([each.run_id for each in taken])
        for each in taken:
            if each.run_id in told:
                await self._follow(each, told[each.run_id])
            else:  # its end is recorded in a moment
                await self._later(each, each.attempts, "The run has not ended.", 1.0)
        return any(each.run_id in told for each in taken)

    async def _follow(self, each: Delivery, told: dict[str, Any]) -> None:
        run = told["run"]
        row = await asyncio.to_thread(self.service.store.run, each.run_id)
        depth = 1 + ((row.depth or 0) if row is not None else 0)
        event = {"run": run, "output": run["output"], "error": run["error"], "usage": told["usage"]}
        for trigger in await asyncio.to_thread(self.store.all, each.tenant, ("run",)):
            if trigger.paused or not trigger.matches(run["chain"], run["status"]):
                continue
            if trigger.created > run["ended_at"] + 1:  # the clocks of a node and its database
                continue
            if not await self._sees(trigger, run["chain"]):
                continue
            try:
                await self.firing.fire(trigger, each.run_id, event, depth)
            except (RateLimited, PeerUnavailable, StateUnavailable) as error:
                await self._later(each, each.attempts + 1, error.message)
                return
            except IntelliRouterError:  # for good; it stands with the trigger
                continue
        await self._settle(each, "delivered", each.attempts + 1, 0.0, None)

    async def _sees(self, trigger: Trigger, chain: str) -> bool:
        """Whether its owner may be told of runs of that chain."""
        try:
            owner = await self.service.authority.caller_of(trigger.owner())
        except IntelliRouterError:  # said where it is to start a run
            return True
        return owner.may_use_chain(chain)

    async def _later(self, each: Delivery, attempts: int, error: str, wait: float | None = None) -> None:
        old = wait is not None and time.time() - each.created > 6 * LONGEST_DELAY
        delay = wait if wait is not None else min(FIRST_DELAY * 2**attempts, LONGEST_DELAY)
        state = "dead" if attempts >= MAX_ATTEMPTS or old else "pending"
        await self._settle(each, state, attempts, time.time() + delay, error[:500])

    async def _settle(
        self, each: Delivery, state: Any, attempts: int, after: float, error: str | None
    ) -> None:
        await asyncio.to_thread(
            lambda: self.outbox.settle(
                [each.id], state, attempts=attempts, after=after, error=error, answer=None
            )
        )

    # events

    async def happened(
        self,
        tenant: str,
        kind: str,
        number: str,
        data: Any,
        usable: Callable[[str], bool] = lambda _chain: True,
    ) -> list[dict[str, Any]]:
        """Start what an event of a tenant starts, of `usable` chains: which trigger, and its run or why there is none."""
        event = {"id": number, "type": kind, "data": data}
        known = await asyncio.to_thread(self.store.all, tenant, ("event",))
        meant = [each for each in known if not each.paused and each.matches(kind) and usable(each.chain)]
        return [await self._fired(trigger, number, event) for trigger in meant]

    async def _fired(self, trigger: Trigger, number: str, event: dict[str, Any]) -> dict[str, Any]:
        try:
            row, new = await self.firing.fire(trigger, number, event)
        except IntelliRouterError as error:
            return {
                "trigger": trigger.name,
                "run": None,
                "error": {"code": error.code, "message": error.message},
            }
        return {"trigger": trigger.name, "run": row.run_id, "new": new}

    async def listen(self) -> None:
        """Hear what is told on the bus, until cancelled."""
        bus = self.bus
        while bus is not None:
            try:
                async with bus.subscribe(f"{CHANNEL}*") as events:
                    async for each in events:
                        await self._heard(each.channel, each.payload)
            except (StateError, sa.exc.SQLAlchemyError) as error:
                log.warning("chain.bus_waits", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def _heard(self, channel: str, payload: bytes) -> None:
        _, tenant, kind = channel.split(":", 2)
        try:
            told = msgspec.json.decode(payload, type=_Told)
        except msgspec.MsgspecError:
            log.warning("chain.event_unreadable", channel=channel[:100])
            return
        await self.happened(tenant, kind, told.id, told.data)


class _Told(msgspec.Struct):
    id: str
    data: Any = None
