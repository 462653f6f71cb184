"""When each source is looked at: by its clock, or because somebody asks. One look of a source at a time, and few at once."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import (
    Conflict,
    IntelliRouterError,
    InvalidRequest,
    LeaseLost,
    NotFound,
    StateUnavailable,
)
from intellirouter.inference.background import background
from intellirouter.memory.store import Lease, StateStore
from intellirouter.peers.contract import Call
from intellirouter.roles.rag_manager import catalog
from intellirouter.roles.rag_manager.sources import kinds, seen
from intellirouter.roles.rag_manager.sources.syncing import Look, reason_of
from intellirouter.security.caller import Caller
from intellirouter.transport.outgoing.door import OutgoingDoor

if TYPE_CHECKING:
    from intellirouter.roles.rag_manager.service import RagService

AT_ONCE = 2
LOOK_SECONDS = 30.0
"""A clock that was set is seen so soon."""
AGAIN_SECONDS = 5.0
"""Until it is tried again, where nobody could say which node is to look."""
LEASE_SECONDS = 60.0
MOST_FAULTS = 1_000
Row = dict[str, Any]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks of a look: see `Look`."""

    anew: bool = False
    sweep: bool = False


@dataclass(slots=True)
class Timetable:
    """The sources of a node. `store` has the leases of a cluster's nodes; None on a node alone, whose directory is its own."""

    sections: Sequence[RagSource]
    service: RagService
    door: OutgoingDoor
    store: StateStore | None = None
    _owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _asked: dict[str, Wish] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _rests: dict[str, float] = field(default_factory=dict)
    """Until when (Unix time) a source is left alone that another node looks at."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def shown(self, tenant: str) -> list[Row]:
        """The tenant's sources, and how the last look at each went."""
        mine = [one for one in self.sections if one.tenant == tenant]
        if not mine:
            return []
        engine = self.service.engine
        states = await engine.read(seen.states)
        return [await self._row(one, states.get(one.name)) for one in mine]

    async def one(self, tenant: str, name: str) -> Row:
        """A source with what of it could not be fetched, listed or read. Raises `NotFound`."""
        section = self.section(tenant, name)
        engine = self.service.engine
        state = (await engine.read(seen.states)).get(name)
        faults = await engine.read(partial(seen.faults, source=name, limit=MOST_FAULTS))
        troubles = msgspec.json.decode(state["troubles"]) if state and state["troubles"] else []
        row = await self._row(section, state)
        return row | {"errors": [*troubles, *faults][:MOST_FAULTS]}

    def section(self, tenant: str, name: str) -> RagSource:
        """The tenant's source of that name. Raises `NotFound`."""
        for one in self.sections:
            if one.name == name and one.tenant == tenant:
                return one
        raise NotFound(f"There is no source '{name[:100]}'.")

    def ask(self, tenant: str, name: str, wish: Wish) -> None:
        """Have it looked at as soon as may be; while a look is under way, once more after it. Raises `NotFound`."""
        self._asked[self.section(tenant, name).name] = wish
        self._wake.set()

    async def run(self) -> None:
        """Look at what is due, for as long as the process lives."""
        places = asyncio.Semaphore(AT_ONCE)
        cut_off = False
        async with asyncio.TaskGroup() as looks:
            while self.sections:
                self._wake.clear()
                try:
                    if not cut_off:
                        await self.service.engine.write(seen.cut_off)
                        cut_off = True
                    for section, wish in await self._due():
                        self._running.add(section.name)
                        looks.create_task(self._looked(section, wish, places))
                    pause = await self._pause()
                except StateUnavailable as away:  # the catalogue's disk: perhaps it comes back
                    log.warning("rag.sources_wait", reason=away.message)
                    pause = LOOK_SECONDS
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()

    async def sync(self, tenant: str, name: str, wish: Wish) -> Row:
        """Look at it now, and say how that went. Raises `NotFound`, `Conflict` while a look is under way."""
        section = self.section(tenant, name)
        if name in self._running:
            raise Conflict(f"The source '{name}' is being looked at already.")
        self._running.add(name)
        try:
            await self._look(section, wish)
        finally:
            self._running.discard(name)
        return await self.one(tenant, name)

    async def _due(self) -> list[tuple[RagSource, Wish]]:
        states, now = await self.service.engine.read(seen.states), time.time()
        found = []
        for section in self.sections:
            if section.name in self._running:
                continue
            if (wish := self._asked.pop(section.name, None)) is not None:
                found.append((section, wish))
            elif (at := self._next(section, states)) is not None and at <= now:
                found.append((section, Wish()))
        return found

    async def _pause(self) -> float:
        states, now = await self.service.engine.read(seen.states), time.time()
        times = [
            at
            for section in self.sections
            if section.name not in self._running and (at := self._next(section, states)) is not None
        ]
        if any(name not in self._running for name in self._asked):
            return 0.0
        return min(LOOK_SECONDS, max(0.05, min(times, default=now + LOOK_SECONDS) - now))

    def _next(self, section: RagSource, states: Mapping[str, Row]) -> float | None:
        at = due(section, states.get(section.name))
        return None if at is None else max(at, self._rests.get(section.name, 0.0))

    async def _looked(self, section: RagSource, wish: Wish, places: asyncio.Semaphore) -> None:
        """A look whose failure is written down and ends nothing else."""
        try:
            async with places:
                await self._look(section, wish)
        except IntelliRouterError as error:
            log.warning("rag.source_failed", source=section.name, reason=error.message)
        except Exception:  # one source must not end the others
            log.exception("rag.source_failed", source=section.name)
        finally:
            self._running.discard(section.name)
            self._wake.set()

    async def _look(self, section: RagSource, wish: Wish) -> None:
        self._rests[section.name] = time.time() + AGAIN_SECONDS
        async with self._alone(section) as mine:
            if not mine:
                self._rests[section.name] = time.time() + LOOK_SECONDS
                return
            del self._rests[section.name]
            await self.service.engine.write(partial(seen.begin, source=section.name))
            counts: Counter[str] = Counter()
            outcome, error, troubles = "interrupted", None, "[]"
            try:
                look = await self._opened(section, wish)
                try:
                    counts = look.counts
                    error = await look.run()
                    outcome = "partial" if error or look.troubles or counts["failed"] else "ok"
                finally:
                    troubles = look.troubles_told()
                    await look.source.aclose()
            except (IntelliRouterError, OSError, TimeoutError) as away:
                outcome, error = "failed", reason_of(away)
                log.warning("rag.source_failed", source=section.name, reason=error)
            except Exception:
                outcome, error = "failed", "an internal error occurred; the log has the source's name"
                raise
            finally:
                self.service.count_look(outcome)
                await self.service.engine.write(
                    partial(
                        seen.end,
                        source=section.name,
                        outcome=outcome,
                        counts=dict(counts),
                        error=error,
                        troubles=troubles,
                    )
                )

    async def _opened(self, section: RagSource, wish: Wish) -> Look:
        """The source, and the collection it goes into, made where it is missing."""
        find = partial(catalog.find_collection, tenant=section.tenant, name=section.collection)
        row = await self.service.engine.read(find)
        if row is None:
            if section.collection.startswith("vs_"):
                raise NotFound(f"There is no vector store '{section.collection}'.")
            await self._created(section)
            row = await self.service.engine.read(find)
        if row is None:
            raise NotFound(f"There is no collection '{section.collection}' on this node.")
        source = kinds.opened(section, self.door)
        return Look(section, source, self.service, row.id, wish.anew, wish.sweep)

    async def _created(self, section: RagSource) -> None:
        cluster = self.service.cluster
        with contextlib.suppress(Conflict):
            if cluster is None:
                await self.service.create(section.tenant, section.collection)
            else:
                call = Call(Caller(tenant=section.tenant), f"source-{section.name}")
                await cluster.create(section.collection, call, self.service, split=False)

    @contextlib.asynccontextmanager
    async def _alone(self, section: RagSource) -> AsyncIterator[bool]:
        """Whether this node is the one that looks: the one its collection is on, which holds the lease."""
        cluster, store = self.service.cluster, self.store
        if cluster is None or store is None:
            yield True
            return
        nodes = await cluster.placements.find(section.tenant, section.collection)
        if nodes is None:
            nodes = cluster.placements.due(section.tenant, section.collection)
        if len(nodes) > 1:
            raise InvalidRequest(
                f"The source '{section.name}' goes into '{section.collection}', which is split over several nodes: give it a collection on one."
            )
        lease = (
            await store.acquire(f"rag-source:{section.name}", self._owner, LEASE_SECONDS)
            if nodes == (cluster.node,)
            else None
        )
        if lease is None:
            yield False
            return
        holder = asyncio.current_task()
        async with background(rag_source_lease=_kept(store, lease, holder)):
            try:
                yield True
            finally:
                with contextlib.suppress(IntelliRouterError):  # it ends by itself
                    await store.release(lease)

    async def _row(self, section: RagSource, state: Mapping[str, Any] | None) -> Row:
        at, read = due(section, state), self.service.engine.read
        size = await read(partial(seen.size, source=section.name))
        faulty = await read(partial(seen.faulty, source=section.name))
        named = (
            "started",
            "ended",
            "outcome",
            "error",
            "listed",
            "ready",
            "unchanged",
            "failed",
            "removed",
            "held",
        )
        last = {name: state[name] for name in named} if state else None
        return {
            "name": section.name,
            "kind": section.kind,
            "collection": section.collection,
            "documents": size,
            "faulty": faulty,
            "running": section.name in self._running,
            "due": at,
            "last": last,
        }


async def _kept(store: StateStore, lease: Lease, holder: asyncio.Task[Any] | None) -> None:
    """Renew the lease; a look that lost it is cut."""
    while True:
        await asyncio.sleep(LEASE_SECONDS / 3)
        try:
            lease = await store.renew(lease, LEASE_SECONDS)
        except LeaseLost:
            log.warning("rag.source_lease_lost", lease=lease.name)
            if holder is not None:
                holder.cancel()
            return
        except IntelliRouterError as error:
            log.warning("rag.source_lease_not_renewed", lease=lease.name, reason=error.message)


def due(section: RagSource, state: Mapping[str, Any] | None) -> float | None:
    """When it is to be looked at next (Unix time); 0 for one that never was, None for one without a clock."""
    if section.interval_seconds is not None:
        return 0.0 if state is None else float(state["started"]) + section.interval_seconds
    if section.schedule is None:
        return None
    if state is None:
        return 0.0
    croniter = importlib.import_module("croniter").croniter  # takes long, and few have a schedule
    start = datetime.fromtimestamp(state["started"]).astimezone()
    return float(croniter(section.schedule, start).get_next(datetime).timestamp())
