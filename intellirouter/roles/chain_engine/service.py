"""Starts runs, watches them to their end, and shows them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import structlog

from intellirouter.bounds.aside import ASIDE
from intellirouter.chains.interpreter import checked_inputs
from intellirouter.chains.made import made
from intellirouter.chains.model import Chain
from intellirouter.chains.plan import bundle
from intellirouter.chains.runtime.durable.runtime import DurableRuntime
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.errors import (
    Conflict,
    IntelliRouterError,
    KeyEnded,
    NotFound,
    PeerUnavailable,
    RateLimited,
)
from intellirouter.peers.chain_output import used
from intellirouter.roles.chain_engine.approvals.inbox import Inbox
from intellirouter.roles.chain_engine.approvals.links import Links
from intellirouter.roles.chain_engine.definitions import described
from intellirouter.roles.chain_engine.edges.arrivals import Arrivals
from intellirouter.roles.chain_engine.edges.link import Link
from intellirouter.roles.chain_engine.hearing import Hearing
from intellirouter.roles.chain_engine.hooks.delivery import Hooks
from intellirouter.roles.chain_engine.library import Chosen, Library
from intellirouter.roles.chain_engine.line import Line, Waiting
from intellirouter.roles.chain_engine.live import Live
from intellirouter.roles.chain_engine.meters import ChainMeters
from intellirouter.roles.chain_engine.outside import Outside
from intellirouter.roles.chain_engine.schedules import Schedule, ScheduleStore
from intellirouter.roles.chain_engine.shown import shown
from intellirouter.roles.chain_engine.store import RunRow, Store, plain
from intellirouter.roles.chain_engine.triggers.firing import Firing
from intellirouter.roles.chain_engine.triggers.following import Following
from intellirouter.roles.chain_engine.triggers.store import Trigger, TriggerStore
from intellirouter.roles.chain_engine.watching import POLL, Watch
from intellirouter.security.authority import Authority
from intellirouter.security.caller import Caller
from intellirouter.security.keeping import Keeping
from intellirouter.telemetry.tracing.span import Tracer, current

log = structlog.get_logger(__name__)

UNSTARTED_SECONDS = 2 * 86_400.0
"""How far back runs are looked for that never began."""
UNSTARTED_BATCH = 500


@dataclass(slots=True)
class ChainService:
    """One a process. Everything asks for the caller: what is another tenant's does not exist."""

    section: ChainEngineSection
    runtime: DurableRuntime
    store: Store
    library: Library
    meters: ChainMeters
    hearing: Hearing
    schedules: ScheduleStore
    authority: Authority
    outside: Outside
    hooks: Hooks
    live: Live
    tracer: Tracer | None = None
    keeping: Keeping = field(default_factory=Keeping)
    trouble: str = ""
    """Why the database of runs does not answer, as the keeper found it last; empty when it does."""
    following: Following = field(init=False)
    inbox: Inbox = field(init=False)
    links: Links = field(init=False)
    arrivals: Arrivals = field(init=False)
    link: Link | None = None
    """Of an edge with its centre."""
    watch: Watch = field(init=False)
    line: Line = field(init=False)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self.runtime.engine)
        self.links = Links(self.runtime.engine)
        self.arrivals = Arrivals(self.runtime.engine, self.section.edges)
        triggers = TriggerStore(self.runtime.engine)
        self.following = Following(self, triggers, self.hooks.outbox, Firing(self, triggers))
        self.line = Line(self.section, self.runtime.engine, lambda: self.busy, self._started)
        self.watch = Watch(
            self.section,
            self.runtime,
            self.store,
            self.meters,
            self.hearing,
            self._ended,
            self.line.ended,
            self.tracer,
        )

    @property
    def under_way(self) -> int:
        """Runs that have not ended, on this node."""
        return len(self.watch.watched)

    @property
    def busy(self) -> int:
        """Those of them that do something: what waits for a signal or sleeps takes no place."""
        return self.watch.busy

    @property
    def away(self) -> bool:
        """The database that nodes share does not answer."""
        return self.runtime.cluster is not None and self.runtime.cluster.away

    async def take_up(self) -> None:
        """Watch the runs that a former process left and that go on now, and from now on those of nodes that die."""
        self.runtime.taken_over = self._taken_over
        if self.runtime.cluster is None:  # nobody else is about to begin any
            await self.forget_unstarted(0.0)
        unfinished = await self.runtime.unfinished()
        for run_id in unfinished:
            log.info("chain.run_recovered", run_id=run_id)
        await self._taken_over(unfinished)

    async def _taken_over(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            row = await asyncio.to_thread(self.store.run, run_id)
            self.watch.begin(run_id, row.tenant if row is not None else "")

    async def stop(self) -> None:
        """Stop watching; the runs stay as they are, to be taken up again."""
        await self.watch.stop()

    async def room(self, tenant: str, what: Literal["runs", "schedules"]) -> None:
        """Raises `KeepsTooMuch` where the tenant may keep no more of it."""

        async def count() -> int:
            if what == "schedules":
                made = await asyncio.to_thread(self.schedules.kept, tenant)
                return made + await asyncio.to_thread(self.following.store.kept, tenant)
            return (await asyncio.to_thread(self.store.kept, tenant))[1]

        await self.keeping.room(tenant, what, count)

    # runs

    def run_id(self, caller: Caller, key: str | None) -> str:
        """A new id, or for an idempotency key always the same."""
        if key is None:
            return f"run_{secrets.token_hex(12)}"
        return f"run_{hashlib.sha256(f'{plain(caller.tenant)}/{plain(key)}'.encode()).hexdigest()[:24]}"

    async def start(
        self,
        caller: Caller,
        name: str,
        inputs: Mapping[str, Any],
        run_id: str,
        *,
        queue: str | None = None,
        priority: int | None = None,
        depth: int = 0,
    ) -> tuple[RunRow, bool]:
        """Start a run, or put it in line, or find the one of that id; true when it is new.

        Raises `NotFound`, `InvalidRequest` for inputs that do not fit, `Conflict` when the id stands for another
        run, and `RateLimited` beyond `max_queued`, or `max_line` where runs wait in line.
        """
        queue = self.line.checked(queue)
        chosen = await self.library.chosen(caller, name, run_id)
        await ASIDE.soon(caller.tenant, lambda: checked_inputs(chosen.chain, inputs))
        chain, library = chosen.chain, chosen.others
        if (span := current()) is not None:  # the run is a trace of its own: it may outlive this request
            span.note({"intellirouter.run": run_id})
        row = self._row(caller, chosen, inputs, run_id, depth)
        new = await asyncio.to_thread(self.store.run, run_id) is None
        if new:
            if not self.line.used:
                self.watch.admit(caller)
            await self.room(caller.tenant, "runs")
        found = await asyncio.to_thread(self.store.add_run, row)
        if found.fingerprint != row.fingerprint or found.tenant != caller.tenant:
            raise Conflict("This Idempotency-Key belongs to a run of another chain or with other inputs.")
        if run_id in self.watch.watched or run_id in await self.runtime.look([run_id]):
            return found, False
        if self.line.used:
            return found, await self._in_line(
                found, chain, library, inputs, queue, caller.priority if priority is None else priority
            )
        await self.runtime.start(chain, inputs, library, run_id=run_id)
        self.watch.begin(run_id, caller.tenant)
        return found, True

    async def _in_line(
        self,
        row: RunRow,
        chain: Chain,
        library: Mapping[str, Chain],
        inputs: Mapping[str, Any],
        queue: str,
        priority: int,
    ) -> bool:
        """Put a run in line; false when it is there already, or was cancelled there."""
        if row.cancelled is not None or await self.line.holds(row.run_id):
            return False
        others = {name: each.document for name, each in bundle(chain, library).items()}
        body = {"chain": chain.document, "others": others, "inputs": inputs}
        try:
            await self.line.add(row.run_id, row.tenant, queue, priority, body)
        except RateLimited:
            await asyncio.to_thread(self.store.delete_runs, [row.run_id])
            raise
        return True

    async def _started(self, waiting: Waiting, given: bytes) -> None:
        """Start what has come to the head of the line."""
        body, timeout = msgspec.json.decode(given), self.section.default_timeout_seconds
        chain = await made(waiting.tenant, "stored", body["chain"], timeout)
        library = {
            name: await made(waiting.tenant, name, each, timeout) for name, each in body["others"].items()
        }
        try:
            await self.runtime.start(chain, body["inputs"], library, run_id=waiting.run_id)
        except IntelliRouterError:  # it can never be: nobody is to wait for it
            await asyncio.to_thread(self.store.cancel_run, waiting.run_id)
            raise
        self.watch.begin(waiting.run_id, waiting.tenant)

    async def startable(self, caller: Caller, name: str, inputs: Mapping[str, Any]) -> None:
        """Raises `NotFound`, or `InvalidRequest` for inputs that do not fit what now runs."""
        chosen = await self.library.chosen(caller, name)
        await ASIDE.soon(caller.tenant, lambda: checked_inputs(chosen.chain, inputs))

    def _row(
        self, caller: Caller, chosen: Chosen, inputs: Mapping[str, Any], run_id: str, depth: int
    ) -> RunRow:
        chain = chosen.chain
        fingerprint = hashlib.sha256(msgspec.json.encode([chain.name, inputs], order="deterministic"))
        return RunRow(
            run_id,
            caller.tenant,
            chain.name,
            chain.version,
            fingerprint.hexdigest(),
            msgspec.json.encode(caller.owner()),
            time.time(),
            revision=chosen.revision,
            depth=depth or None,
        )

    async def wait(self, run_id: str, seconds: float) -> None:
        """Return when the run has ended or the time is up, whichever comes first."""
        task = self.watch.watched.get(run_id)
        if task is not None:
            await asyncio.wait((task,), timeout=seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.line.passed(run_id)
                await self.runtime.result(run_id, POLL)

    async def row(self, caller: Caller, run_id: str) -> RunRow:
        """A run's owner and chain. Raises `NotFound`, also for one of a chain that the caller may not use."""
        found = await self._kept(caller.tenant, run_id)
        if not caller.may_use_chain(found.chain):
            raise _no_run(run_id)
        return found

    async def usable(self, caller: Caller, run_ids: Sequence[str]) -> set[str]:
        """Those of the runs that are of chains which the caller may use."""
        if caller.fence is None or not caller.fence.chains:
            return set(run_ids)

        def look() -> set[str]:
            rows = [self.store.run(run_id, caller.tenant) for run_id in dict.fromkeys(run_ids)]
            return {row.run_id for row in rows if row is not None and caller.may_use_chain(row.chain)}

        return await asyncio.to_thread(look)

    async def _kept(self, tenant: str, run_id: str) -> RunRow:
        found = await asyncio.to_thread(self.store.run, run_id, tenant)
        if found is None:
            raise _no_run(run_id)
        return found

    async def rows(
        self, caller: Caller, chain: str | None, after: str | None, limit: int, revision: int | None = None
    ) -> list[RunRow]:
        """The newest runs of the tenant first, those older than the run `after`; also of chains that the caller may not use."""
        last = await self._kept(caller.tenant, after) if after else None
        place = (last.created, last.run_id) if last else None
        return await asyncio.to_thread(self.store.runs, caller.tenant, chain, place, limit, revision)

    async def shown(self, *rows: RunRow) -> list[dict[str, Any]]:
        """Runs as clients see them."""
        if not rows:
            return []
        ids = [row.run_id for row in rows]
        looks, waits = await asyncio.gather(
            self.runtime.look(ids), asyncio.to_thread(self.runtime.waits.of, ids)
        )
        brought = await self.brought(rows)
        return [
            brought.get(row.run_id) or shown(row, looks.get(row.run_id), waits.get(row.run_id))
            for row in rows
        ]

    async def brought(self, rows: Sequence[RunRow]) -> dict[str, dict[str, Any]]:
        """Those of the runs that edges brought."""
        if all(row.edge is None for row in rows):
            return {}
        return await asyncio.to_thread(self.arrivals.shown, rows)

    async def steps(self, caller: Caller, run_id: str) -> list[dict[str, Any]]:
        """What a run has recorded. Raises `NotFound`."""
        if (await self.row(caller, run_id)).edge is not None:
            return (await asyncio.to_thread(self.arrivals.rest, run_id)).steps
        recorded = [step for step in await self.runtime.steps(run_id) if step["outcome"] is not None]
        return described(recorded, await self.runtime.document(run_id))

    async def forget_unstarted(self, age: float) -> int:
        """Delete runs that their node died over, that long ago or longer, before they were begun: whoever started one was never told so."""
        now, count = time.time(), 0
        while gone := await asyncio.to_thread(
            self.line.unstarted, now - UNSTARTED_SECONDS, now - age, UNSTARTED_BATCH
        ):
            await asyncio.to_thread(self.store.delete_runs, gone)
            log.info("chain.unstarted_forgotten", runs=len(gone))
            count += len(gone)
        return count

    async def ending(self, run_id: str, _outcome: Mapping[str, Any]) -> None:
        """A run is about to end: who is to be told of it, and that others may follow it, is written down before its end is."""
        if not self.hooks.told_of_runs and not self.following.watches:
            return
        row = await asyncio.to_thread(self.store.run, run_id)
        if row is not None:
            await self._ended(run_id, row.chain, row.tenant)

    async def _ended(self, run_id: str, chain: str, tenant: str) -> None:
        await self.hooks.ended(run_id, chain, tenant)
        await self.following.ended(run_id, tenant)
        if self.link is not None:
            self.link.forwarding.wake()

    async def told(self, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What hooks are told of those of the runs that have ended: the run, its owner, and its steps."""
        found = {}
        for run_id in run_ids:
            row = await asyncio.to_thread(self.store.run, run_id)
            if row is None:
                continue
            (run,) = await self.shown(row)
            if run["status"] in ("running", "waiting", "queued"):
                continue
            recorded = [step for step in await self.runtime.steps(run_id) if step["outcome"] is not None]
            steps = described(recorded, await self.runtime.document(run_id))
            found[run_id] = {"tenant": row.tenant, "run": run, "usage": used(steps), "steps": steps}
        return found

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that share the database; blocking."""
        if self.runtime.cluster is not None:
            return self.runtime.cluster.nodes()
        return [{"node": self.runtime.node, "age_seconds": 0.0, "alive": True}]

    async def stopped(self, left: Schedule | Trigger) -> str:
        """Why the owner of a schedule or trigger may not act any more; empty while it may."""
        try:
            await self.authority.caller_of(left.owner())
        except KeyEnded as error:
            return error.message
        except PeerUnavailable:  # nobody can say so now
            return ""
        return ""


def _no_run(run_id: str) -> NotFound:
    return NotFound(f"There is no run '{run_id[:100]}'.")
