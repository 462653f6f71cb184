"""Stores chains, starts runs, and watches them to their end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from intellirouter import tasks
from intellirouter.bounds.aside import ASIDE
from intellirouter.bounds.shares import Shares
from intellirouter.chains.check import Known, check
from intellirouter.chains.interpreter import Outcome, checked_inputs
from intellirouter.chains.made import made
from intellirouter.chains.model import Chain
from intellirouter.chains.plan import bundle, calls
from intellirouter.chains.runtime.durable.recovery import GAVE_UP, GAVE_UP_WORDS
from intellirouter.chains.runtime.durable.runtime import DurableRuntime
from intellirouter.chains.runtime.durable.waits import Waiting
from intellirouter.chains.source import Document
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.errors import Conflict, InvalidRequest, KeyEnded, NotFound, PeerUnavailable, RateLimited
from intellirouter.roles.chain_engine.definitions import described, signals
from intellirouter.roles.chain_engine.hearing import Hearing
from intellirouter.roles.chain_engine.meters import ChainMeters
from intellirouter.roles.chain_engine.outside import Outside
from intellirouter.roles.chain_engine.schedules import Schedule, ScheduleStore
from intellirouter.roles.chain_engine.store import RunRow, Store, StoredChain, plain
from intellirouter.security.authority import Authority
from intellirouter.security.caller import Caller
from intellirouter.telemetry.tracing.span import Tracer, current

log = structlog.get_logger(__name__)

_GIVEN_UP = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
_ENDED = {"CANCELLED": "cancelled", "ERROR": "failed", _GIVEN_UP: "failed"}
_POLL = 0.5  # seconds between looks at a run that this process did not start


@dataclass(slots=True)
class ChainService:
    """One a process. Everything asks for the caller: what is another tenant's does not exist."""

    section: ChainEngineSection
    runtime: DurableRuntime
    store: Store
    meters: ChainMeters
    hearing: Hearing
    schedules: ScheduleStore
    authority: Authority
    outside: Outside
    tracer: Tracer | None = None
    trouble: str = ""
    """Why the database of runs does not answer, as the keeper found it last; empty when it does."""
    _watched: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _busy: Shares = field(init=False)
    _all: Shares = field(init=False)
    _tenants: dict[str, str] = field(default_factory=dict)
    _idle: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._busy, self._all = Shares(self.section.max_queued), Shares(self.section.max_waiting)
        self.hearing.idles = self._idles

    @property
    def under_way(self) -> int:
        """Runs that have not ended, on this node."""
        return len(self._watched)

    @property
    def busy(self) -> int:
        """Those of them that do something: what waits for a signal or sleeps takes no place."""
        return self._busy.taken

    @property
    def away(self) -> bool:
        """The database that nodes share does not answer."""
        return self.runtime.cluster is not None and self.runtime.cluster.away

    async def take_up(self) -> None:
        """Watch the runs that a former process left and that go on now, and from now on those of nodes that die."""
        self.runtime.taken_over = self._taken_over
        unfinished = await self.runtime.unfinished()
        for run_id in unfinished:
            log.info("chain.run_recovered", run_id=run_id)
        await self._taken_over(unfinished)

    async def _taken_over(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            row = await asyncio.to_thread(self.store.run, run_id)
            self._watch(run_id, row.tenant if row is not None else "")

    async def stop(self) -> None:
        """Stop watching; the runs stay as they are, to be taken up again."""
        await tasks.end(*self._watched.values())

    # chains

    async def checked(self, caller: Caller, document: Document) -> Chain:
        """The chain of a document, with the tenant's chains known. Raises `InvalidChain` with every problem."""
        names = await asyncio.to_thread(self.store.names, caller.tenant)
        own = _name_of(document.data)
        known = Known(
            chains={*names, own},
            tools=self.outside.tools(caller.tenant),
            secrets=self.outside.secrets(caller.tenant),
            address=self.outside.address,
        )
        timeout = self.section.default_timeout_seconds
        chain = await ASIDE.run(caller.tenant, lambda: check(document, known, timeout))
        bundle(chain, await self._called(caller, chain))
        return chain

    async def put(self, caller: Caller, name: str, document: Document) -> tuple[StoredChain, bool]:
        """Store a chain under its name; true when it is new."""
        chain = await self.checked(caller, document)
        if chain.name != name:
            raise InvalidRequest(f"The definition is of '{chain.name}', not '{name[:100]}'.", param="name")
        return await asyncio.to_thread(self.store.put, caller.tenant, name, chain.document)

    async def get(self, caller: Caller, name: str) -> StoredChain:
        """A stored chain. Raises `NotFound`."""
        found = await asyncio.to_thread(self.store.get, caller.tenant, name)
        if found is None:
            raise NotFound(f"There is no chain '{name[:100]}'.")
        return found

    async def _called(self, caller: Caller, chain: Chain) -> dict[str, Chain]:
        """The chain, and those that it calls and that these call, as far as they are there."""
        found, wanted = {chain.name: chain}, calls(chain) - {chain.name}
        while wanted:
            stored = await asyncio.to_thread(self.store.named, caller.tenant, wanted)
            more = {each.name: await self._made(caller, each) for each in stored}
            found |= more
            wanted = {name for each in more.values() for name in calls(each)} - found.keys()
        return found

    async def delete(self, caller: Caller, name: str) -> None:
        """Forget a chain. Raises `NotFound`."""
        if not await asyncio.to_thread(self.store.delete, caller.tenant, name):
            raise NotFound(f"There is no chain '{name[:100]}'.")

    async def _made(self, caller: Caller, stored: StoredChain) -> Chain:
        timeout = self.section.default_timeout_seconds
        return await made(caller.tenant, stored.name, stored.document, timeout)

    # runs

    def run_id(self, caller: Caller, key: str | None) -> str:
        """A new id, or for an idempotency key always the same."""
        if key is None:
            return f"run_{secrets.token_hex(12)}"
        return f"run_{hashlib.sha256(f'{plain(caller.tenant)}/{plain(key)}'.encode()).hexdigest()[:24]}"

    async def start(
        self, caller: Caller, name: str, inputs: Mapping[str, Any], run_id: str
    ) -> tuple[RunRow, bool]:
        """Start a run, or find the one of that id; true when it was started now.

        Raises `NotFound`, `InvalidRequest` for inputs that do not fit, `Conflict` when the id stands for another
        run, and `RateLimited` beyond `max_queued`.
        """
        chain, library = await self.startable(caller, name, inputs)
        if (span := current()) is not None:  # the run is a trace of its own: it may outlive this request
            span.note({"intellirouter.run": run_id})
        row = self._row(caller, chain, inputs, run_id)
        if await asyncio.to_thread(self.store.run, run_id) is None:
            self._admit(caller)
        found = await asyncio.to_thread(self.store.add_run, row)
        if found.fingerprint != row.fingerprint or found.tenant != caller.tenant:
            raise Conflict("This Idempotency-Key belongs to a run of another chain or with other inputs.")
        if run_id in self._watched or run_id in await self.runtime.look([run_id]):
            return found, False
        await self.runtime.start(chain, inputs, library, run_id=run_id)
        self._watch(run_id, caller.tenant)
        return found, True

    def _admit(self, caller: Caller) -> None:
        """Raises `RateLimited` where the node, or the tenant on it, has too many runs under way."""
        for shares, how, setting in ((self._busy, "", "max_queued"), (self._all, " or wait", "max_waiting")):
            if not shares.free_for(caller.tenant):
                mine = shares.held(caller.tenant)
                raise RateLimited(
                    f"{shares.taken} runs are under way{how} on this node, {mine} of them of this tenant "
                    f"(chain_engine.{setting}); the rest is kept for others.",
                    retry_after=5.0,
                )

    async def startable(
        self, caller: Caller, name: str, inputs: Mapping[str, Any]
    ) -> tuple[Chain, dict[str, Chain]]:
        """The chain and the library it runs with. Raises `NotFound`, or `InvalidRequest` for inputs that do not fit."""
        chain = await self._made(caller, await self.get(caller, name))
        library = await self._called(caller, chain)
        await ASIDE.soon(caller.tenant, lambda: checked_inputs(chain, inputs))
        bundle(chain, library)
        return chain, library

    def _row(self, caller: Caller, chain: Chain, inputs: Mapping[str, Any], run_id: str) -> RunRow:
        fingerprint = hashlib.sha256(msgspec.json.encode([chain.name, inputs], order="deterministic"))
        return RunRow(
            run_id,
            caller.tenant,
            chain.name,
            chain.version,
            fingerprint.hexdigest(),
            msgspec.json.encode(caller.owner()),
            time.time(),
        )

    async def wait(self, run_id: str, seconds: float) -> None:
        """Return when the run has ended or the time is up, whichever comes first."""
        task = self._watched.get(run_id)
        if task is not None:
            await asyncio.wait((task,), timeout=seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.runtime.result(run_id, _POLL)

    async def row(self, caller: Caller, run_id: str) -> RunRow:
        """A run's owner and chain. Raises `NotFound`."""
        found = await asyncio.to_thread(self.store.run, run_id, caller.tenant)
        if found is None:
            raise NotFound(f"There is no run '{run_id[:100]}'.")
        return found

    async def rows(self, caller: Caller, chain: str | None, after: str | None, limit: int) -> list[RunRow]:
        """The newest runs first, those older than the run `after`."""
        last = await self.row(caller, after) if after else None
        place = (last.created, last.run_id) if last else None
        return await asyncio.to_thread(self.store.runs, caller.tenant, chain, place, limit)

    async def shown(self, *rows: RunRow) -> list[dict[str, Any]]:
        """Runs as clients see them."""
        if not rows:
            return []
        ids = [row.run_id for row in rows]
        looks, waits = await asyncio.gather(
            self.runtime.look(ids), asyncio.to_thread(self.runtime.waits.of, ids)
        )
        return [self._shown(row, looks.get(row.run_id), waits.get(row.run_id)) for row in rows]

    def _shown(self, row: RunRow, look: Mapping[str, Any] | None, wait: Waiting | None) -> dict[str, Any]:
        outcome = (look or {}).get("outcome") or {}
        status = _status(look, outcome)
        if status != "running":
            wait = None
        error = outcome.get("error")
        if error is None and look is not None and look["status"] == _GIVEN_UP:
            error = {"code": GAVE_UP, "message": GAVE_UP_WORDS}
        if error is None and status in ("cancelled", "failed"):
            error = {"code": status, "message": f"The run was {status}."}
        return {
            "id": row.run_id,
            "object": "chain.run",
            "chain": row.chain,
            "version": row.version,
            "status": "waiting" if wait else status,
            "waiting_for": (wait.signal or None) if wait else None,
            "waiting_until": wait.until if wait else None,
            "created_at": round(row.created, 3),
            "ended_at": _ended_at(row, look) if status not in ("running", "queued") else None,
            "output": outcome.get("ok"),
            "error": error,
        }

    async def steps(self, caller: Caller, run_id: str) -> list[dict[str, Any]]:
        """What a run has recorded. Raises `NotFound`."""
        await self.row(caller, run_id)
        recorded = [step for step in await self.runtime.steps(run_id) if step["outcome"] is not None]
        return described(recorded, await self.runtime.document(run_id))

    async def signal(self, caller: Caller, run_id: str, name: str, payload: Any) -> None:
        """Hand a payload to a run, now or when it comes to wait.

        Raises `NotFound`, also for a signal that no step of the run waits for, and `Conflict` when the run has ended.
        """
        await self._in_state(caller, run_id, "running", "queued", "waiting")
        waited_for = signals(await self.runtime.document(run_id))
        if waited_for is not None and name not in waited_for:
            known = f"It waits for: {', '.join(sorted(waited_for))}." if waited_for else "It waits for none."
            raise NotFound(f"No step of the run waits for a signal '{name[:100]}'. {known}")
        await self.runtime.signal(run_id, name, payload)

    async def cancel(self, caller: Caller, run_id: str) -> None:
        """Cancel a run. Raises `NotFound`, or `Conflict` when it has ended."""
        await self._in_state(caller, run_id, "running", "queued", "waiting")
        watched = run_id in self._watched
        await self.runtime.cancel(run_id)
        if watched:  # what another node walks, that node counts
            await self._unwatch(run_id)
            self._watch(run_id, caller.tenant)

    async def resume(self, caller: Caller, run_id: str) -> None:
        """Let a cancelled run go on. Raises `NotFound`, or `Conflict` when it is not cancelled."""
        await self._in_state(caller, run_id, "cancelled")
        await self._unwatch(run_id)
        await self.runtime.resume(run_id)
        self._watch(run_id, caller.tenant)

    async def fork(self, caller: Caller, run_id: str, step: int) -> RunRow:
        """A new run with what an ended one recorded before the step of that number, and everything from it on anew.

        Raises `NotFound`, `Conflict` while the run goes on, `InvalidRequest` for a number it has not recorded.
        """
        await self._in_state(caller, run_id, "succeeded", "failed", "cancelled")
        numbers = [each["number"] for each in await self.runtime.steps(run_id)]
        if step not in numbers:
            raise InvalidRequest(
                f"The run has no step {step}: GET /v1/runs/{run_id}/steps has the numbers.", param="step"
            )
        old = await self.row(caller, run_id)
        new = RunRow(
            self.run_id(caller, None),
            caller.tenant,
            old.chain,
            old.version,
            old.fingerprint,
            msgspec.json.encode(caller.owner()),
            time.time(),
        )
        await asyncio.to_thread(self.store.add_run, new)
        await self.runtime.fork(run_id, step, new.run_id)
        self._watch(new.run_id, caller.tenant)
        return new

    async def forget_ended(self, before: float, limit: int) -> int:
        """Delete up to `limit` runs that started before a time and have ended; how many, 0 when none is left."""
        after = (0.0, "")
        while rows := await asyncio.to_thread(self.store.older, before, after, limit):
            looks = await self.runtime.look([row.run_id for row in rows])
            gone = [row.run_id for row in rows if _over(looks.get(row.run_id))]
            if gone:
                await self.runtime.forget(gone)
                await asyncio.to_thread(self.store.delete_runs, gone)
                return len(gone)
            after = (rows[-1].created, rows[-1].run_id)
        return 0

    async def _in_state(self, caller: Caller, run_id: str, *states: str) -> None:
        (shown,) = await self.shown(await self.row(caller, run_id))
        if shown["status"] not in states:
            raise Conflict(f"The run '{run_id}' is {shown['status']}.")

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that share the database; blocking."""
        if self.runtime.cluster is not None:
            return self.runtime.cluster.nodes()
        return [{"node": self.runtime.node, "age_seconds": 0.0, "alive": True}]

    async def stopped(self, schedule: Schedule) -> str:
        """Why the owner of a schedule may not act any more; empty while it may."""
        try:
            await self.authority.caller_of(schedule.owner())
        except KeyEnded as error:
            return error.message
        except PeerUnavailable:  # nobody can say so now
            return ""
        return ""

    # watching

    def _watch(self, run_id: str, tenant: str) -> None:
        if run_id not in self._watched:
            task = self._watched[run_id] = asyncio.create_task(self._to_the_end(run_id), name=run_id)
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

    async def _unwatch(self, run_id: str) -> None:
        if (task := self._watched.pop(run_id, None)) is not None:
            await tasks.end(task)

    async def _to_the_end(self, run_id: str) -> None:
        self.meters.active.inc()
        try:
            status = _word(await self._outcome(run_id))
            row = await asyncio.to_thread(self.store.run, run_id)
            self.meters.ended(status, time.time() - row.created if row is not None else 0.0)
            log.info("chain.run_ended", run_id=run_id, status=status)
            if row is not None:
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
                return await self.runtime.result(run_id, _POLL)
            except sa.exc.SQLAlchemyError as error:  # the database is away: the run is not lost
                log.warning("chain.watch_failed", run_id=run_id, error=type(error).__name__)
                await asyncio.sleep(1.0)

    def _forget(self, run_id: str, done: asyncio.Task[None]) -> None:
        tenant = self._tenants.get(run_id, "")
        self._all.give(tenant)
        if run_id not in self._idle:
            self._busy.give(tenant)
        if self._watched.get(run_id) is done:
            del self._watched[run_id]
            self._tenants.pop(run_id, None)
            self._idle.discard(run_id)
            self.hearing.ended(run_id)
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("chain.watch_ended", run_id=run_id, exc_info=error)


def _status(look: Mapping[str, Any] | None, outcome: Mapping[str, Any]) -> str:
    if look is None:  # noted, and then the process died: the same Idempotency-Key starts it
        return "queued"
    if look["status"] == "SUCCESS":
        return _word(outcome)
    if look["status"] == "CANCELLED":  # by somebody, or at its deadline
        return _word(outcome)
    return _ENDED.get(look["status"], "running")


def _over(look: Mapping[str, Any] | None) -> bool:
    return look is None or look["status"] == "SUCCESS" or look["status"] in _ENDED


def _ended_at(row: RunRow, look: Mapping[str, Any] | None) -> float | None:
    return None if look is None else max(look["updated"], row.created)  # SQLite's clock has whole seconds


def _word(outcome: Mapping[str, Any]) -> str:
    error = outcome.get("error")
    if error is None:
        return "succeeded"
    return "cancelled" if error["code"] == "cancelled" else "failed"


def _name_of(data: Any) -> str:
    head = data.get("chain") if isinstance(data, dict) else None
    return str(head.get("name", "")) if isinstance(head, dict) else ""
