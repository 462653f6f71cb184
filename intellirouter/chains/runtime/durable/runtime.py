"""Durable runs: start, wait, signal, cancel, resume, list."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from dbos import (
    DBOS,
    SetWorkflowID,
    SetWorkflowTimeout,
    WorkflowHandleAsync,
    WorkflowStatus,
)
from dbos import error as dbos_error
from dbos._dbos import _get_dbos_instance

from intellirouter.bounds.aside import ASIDE
from intellirouter.chains.interpreter import Outcome, Walk, checked_inputs
from intellirouter.chains.made import made
from intellirouter.chains.model import Chain, Step
from intellirouter.chains.plan import bundle
from intellirouter.chains.ports import Listener
from intellirouter.chains.runtime.durable.cluster import Cluster
from intellirouter.chains.runtime.durable.course import Course, Courses
from intellirouter.chains.runtime.durable.engine import give_back
from intellirouter.chains.runtime.durable.ground import WalkGround
from intellirouter.chains.runtime.durable.host import Trunk
from intellirouter.chains.runtime.durable.recovery import (
    GAVE_UP,
    GAVE_UP_WORDS,
    Recoveries,
    Suspects,
)
from intellirouter.chains.runtime.durable.waits import Waits
from intellirouter.chains.runtime.in_process import silent
from intellirouter.chains.steps.attempts import Worker
from intellirouter.errors import IntelliRouterError, NotFound

LAYOUT = "chains-1"
"""The version of how steps are numbered. A change strands runs under way: migrate them with a fork."""
SINGLE = "single"
T = TypeVar("T")
_POLL = 0.1  # seconds between looks at a run that another node walks
_WAIT_ENDS = "DBOS.sleep"
_BY_HAND = "cancelled"  # the attribute of a run that somebody cancelled
_REMEMBERED = 1_000  # runs of this node whose end is heard of without polling

log = structlog.get_logger(__name__)


async def _unended(_run_id: str, _outcome: Outcome) -> None:
    """Nobody asks how runs end."""


async def _unheard(_run_ids: Sequence[str]) -> None:
    """Nobody asks which runs were taken over."""


@dataclass(slots=True)
class DurableRuntime:
    """Open one a process with `opened`. `hear` hears the steps of every run; its facts hold the `run_id`.

    `ending` hears what a run came to before that is recorded, and may hear it again. `taken_over` hears of runs that a dead node left and that go on here. `max_parallel_calls` bounds the calls of all runs of this node.
    """

    worker: Worker
    engine: sa.Engine
    node: str
    max_parallel_steps: int = 10
    max_parallel_calls: int = 100
    hear: Listener = silent
    default_timeout: float = 30.0
    taken_over: Callable[[Sequence[str]], Coroutine[Any, Any, None]] = _unheard
    ending: Callable[[str, Outcome], Coroutine[Any, Any, None]] = _unended
    home: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    cluster: Cluster | None = None
    workflow: Callable[..., Coroutine[Any, Any, Outcome]] = field(init=False)
    _started: OrderedDict[str, WorkflowHandleAsync[Outcome]] = field(default_factory=OrderedDict)
    _courses: Courses = field(default_factory=Courses)
    _begun: set[str] = field(default_factory=set)
    _taken_up: set[str] = field(default_factory=set)
    _calls: asyncio.Semaphore = field(init=False)
    waits: Waits = field(init=False)
    suspects: Suspects = field(init=False)

    def __post_init__(self) -> None:
        self.suspects = Suspects(self.recoveries)
        self._calls = asyncio.Semaphore(self.max_parallel_calls)
        self.waits = Waits(self.engine)

    @property
    def recoveries(self) -> Recoveries:
        """How often this node's runs are taken up again."""
        return Recoveries(self.engine, self.node)

    async def start(
        self,
        chain: Chain,
        inputs: Mapping[str, Any],
        library: Mapping[str, Chain] | None = None,
        *,
        run_id: str | None = None,
    ) -> str:
        """Start a run, or join the one of that id. Raises `InvalidRequest` for inputs that do not fit."""
        await ASIDE.soon(run_id or "", lambda: checked_inputs(chain, inputs))
        others = {name: inner.document for name, inner in bundle(chain, library or {}).items()}
        run_id = run_id or f"run_{secrets.token_hex(12)}"
        with contextlib.ExitStack() as stack:
            stack.enter_context(SetWorkflowID(run_id))
            if chain.timeout is not None:
                stack.enter_context(SetWorkflowTimeout(chain.timeout))
            self._begun.add(run_id)
            handle = await DBOS.start_workflow_async(self.workflow, chain.document, others, dict(inputs))
        self._started[run_id] = handle
        if len(self._started) > _REMEMBERED:
            self._started.popitem(last=False)
        return run_id

    async def result(self, run_id: str, poll: float = _POLL) -> Outcome:
        """Wait for a run's end: `{"ok": output}` or `{"error": {…}}`. Raises `NotFound`.

        A run that this node did not start is looked at every `poll` seconds.
        """
        try:
            handle = self._started.get(run_id) or await DBOS.retrieve_workflow_async(run_id)
            outcome: Outcome = await handle.get_result(polling_interval_sec=poll)
        except dbos_error.DBOSNonExistentWorkflowError as error:
            raise NotFound(f"There is no run '{run_id[:100]}'.") from error
        except (dbos_error.DBOSAwaitedWorkflowCancelledError, dbos_error.DBOSWorkflowCancelledError):
            look = (await self.look([run_id])).get(run_id)
            return look["outcome"] if look and look["outcome"] else _cancelled(run_id)
        except dbos_error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded:
            return {"error": {"code": GAVE_UP, "message": GAVE_UP_WORDS}}
        return outcome

    async def signal(self, run_id: str, name: str, payload: Any) -> None:
        """Hand a payload to a run, now or when it comes to wait. Raises `NotFound`."""
        try:
            await DBOS.send_async(run_id, {} if payload is None else payload, topic=name)
            _wake(run_id, name)
        except dbos_error.DBOSNonExistentWorkflowError as error:
            raise NotFound(f"There is no run '{run_id[:100]}'.") from error

    async def cancel(self, run_id: str) -> None:
        """Cancel a run; the call it has under way on this node is cut."""
        await DBOS.update_workflow_attributes_async(run_id, {_BY_HAND: True})
        await DBOS.cancel_workflow_async(run_id)
        self._started.pop(run_id, None)
        self._courses.cut(run_id)
        await asyncio.to_thread(self.waits.clear, run_id)

    async def heed(self) -> None:
        """Cut what runs on here of runs that were cancelled through another node, or have come to their deadline."""
        if going := self._courses.going():
            found = await DBOS.list_workflows_async(
                workflow_ids=going, status="CANCELLED", load_input=False, load_output=False
            )
            for run in found:
                self._courses.cut(run.workflow_id)

    async def resume(self, run_id: str) -> None:
        """Let a cancelled run go on after its last recorded step."""
        await DBOS.update_workflow_attributes_async(run_id, None)
        await DBOS.resume_workflow_async(run_id)

    async def fork(self, run_id: str, step: int, new_id: str) -> None:
        """Start a run with what another recorded before the step of that number."""
        with SetWorkflowID(new_id):
            self._started[new_id] = await DBOS.fork_workflow_async(run_id, step, application_version=LAYOUT)

    async def forget(self, run_ids: Sequence[str]) -> None:
        """Delete runs that have ended, with what they recorded."""
        await DBOS.delete_workflows_async(list(run_ids))
        await asyncio.to_thread(self.waits.clear, *run_ids)
        await asyncio.to_thread(give_back, self.engine)

    async def status(self, run_id: str) -> str:
        """`PENDING`, `SUCCESS` (also of a run whose chain failed), `CANCELLED`, `ENQUEUED`. Raises `NotFound`."""
        found = await DBOS.get_workflow_status_async(run_id)
        if found is None:
            raise NotFound(f"There is no run '{run_id[:100]}'.")
        return str(found.status)

    async def look(self, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """`{"status", "outcome", "created", "updated"}` of the runs that exist; times are Unix seconds."""
        found = await DBOS.list_workflows_async(workflow_ids=list(run_ids), load_input=False)
        return {
            run.workflow_id: {
                "status": str(run.status),
                "outcome": run.output or _cut_outcome(run),
                "created": (run.created_at or 0) / 1e3,
                "updated": (run.updated_at or 0) / 1e3,
            }
            for run in found
        }

    async def unfinished(self) -> list[str]:
        """The runs that are this node's to finish, those a former start of it left included."""
        found = await DBOS.list_workflows_async(
            status=["PENDING", "ENQUEUED"], executor_id=self.node, load_input=False, load_output=False
        )
        return [run.workflow_id for run in found]

    async def steps(self, run_id: str) -> list[dict[str, Any]]:
        """What a run has recorded, in the order of its numbers. Times are Unix seconds.

        The moment by which a wait had to have ended is a record of DBOS's own and left out.
        """
        return [
            {
                "number": step["function_id"],
                "path": step["function_name"],
                "outcome": step["output"],
                "started_at": _seconds(step["started_at_epoch_ms"]),
                "ended_at": _seconds(step["completed_at_epoch_ms"]),
            }
            for step in await DBOS.list_workflow_steps_async(run_id)
            if step["function_name"] != _WAIT_ENDS
        ]

    async def document(self, run_id: str) -> dict[str, Any] | None:
        """The definition that a run was started with."""
        begun = await self.begun_with(run_id)
        return begun[0] if begun else None

    async def begun_with(self, run_id: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The definition and the inputs that a run was started with."""
        found = await DBOS.list_workflows_async(workflow_ids=[run_id], load_output=False)
        if not found or not found[0].input:
            return None
        definition, _, inputs = found[0].input["args"]
        return definition, inputs

    async def walk(self, document: dict[str, Any], others: dict[str, Any], inputs: dict[str, Any]) -> Outcome:
        """The body of every run. A chain's failure is a result, so that it is recorded as plain data."""
        run_id = DBOS.workflow_id or ""
        if run_id in self._begun:
            self._begun.discard(run_id)
        else:
            self._taken_up.add(run_id)
        chain = await made(run_id, "stored", document, self.default_timeout)
        chains = {
            name: await made(run_id, name, inner, self.default_timeout) for name, inner in others.items()
        }
        with self._courses.of(run_id, chain.max_parallel_steps or self.max_parallel_steps) as course:
            try:
                if run_id in self._taken_up:
                    await self.at_home(course.alone(self.suspects.turn(run_id)))
                outcome = await self._walked(course, chain, chains, inputs)
                await self.ending(run_id, outcome)
            except asyncio.CancelledError as cut:
                if not course.was_cut:  # the node stops: the run stays as it is, to be taken up again
                    raise
                # `cancel` cut the call: the step stays unrecorded, so that a resume runs it again
                raise dbos_error.DBOSWorkflowCancelledError(f"The run {run_id} was cancelled.") from cut
            else:
                return outcome
            finally:
                self._taken_up.discard(run_id)
                self.home.call_soon_threadsafe(self.suspects.clear, run_id)

    async def _walked(
        self, course: Course, chain: Chain, chains: Mapping[str, Chain], inputs: Mapping[str, Any]
    ) -> Outcome:
        ground = WalkGround(self, course)
        try:
            return {"ok": await Walk(chains, {"id": course.run_id}).chain(chain, inputs, Trunk(ground))}
        except IntelliRouterError as error:
            return {"error": {"code": error.code, "message": error.message, **error.details}}

    async def perform(self, course: Course, step: Step, path: str, prepared: Any) -> Outcome:
        """An effect, on the loop that owns the connections."""

        def tell(event: str, path: str, facts: Mapping[str, Any]) -> None:
            self.hear(event, path, {**facts, "run_id": course.run_id})

        async def within() -> Outcome:
            async with course.places, self._calls:
                outcome = await self.worker.run(step, path, prepared, course.run_id, tell)
            await self.got_further(course.run_id)
            return outcome

        return await self.at_home(course.alone(within()))

    def walks(self, run_id: str) -> bool:
        """Whether the run walks on this node."""
        return run_id in self._courses.going()

    async def got_further(self, run_id: str) -> None:
        """A run that was taken up is not what ended its node: it recorded a step, or only waits."""
        if run_id in self._taken_up:
            self._taken_up.discard(run_id)
            await asyncio.to_thread(self.recoveries.forgive, [run_id])
            self.home.call_soon_threadsafe(self.suspects.clear, run_id)

    async def at_home(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs that were taken over walk on DBOS's own loop; their effects come back here."""
        if asyncio.get_running_loop() is self.home:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.home))


def _wake(run_id: str, topic: str) -> None:
    """Let a run of this process that waits look at once: on SQLite DBOS's own listener asks for each waiting run in turn, and seldom."""
    database = _get_dbos_instance()._sys_db  # noqa: SLF001  as `_recover_pending_workflows`: dbos is pinned
    for _, (destination, waited_for, _), event in database.notifications_map.snapshot():
        if (destination, waited_for) == (run_id, topic):
            event.set()


def _cancelled(run_id: str) -> Outcome:
    return {"error": {"code": "cancelled", "message": f"The run '{run_id}' was cancelled."}}


def _cut_outcome(run: WorkflowStatus) -> Outcome | None:
    """What a run that DBOS ended came to: one that was ended at its deadline was not cancelled by anybody."""
    if str(run.status) != "CANCELLED":
        return None
    if run.workflow_deadline_epoch_ms is None or (run.attributes or {}).get(_BY_HAND):
        return _cancelled(run.workflow_id)
    seconds = (run.workflow_timeout_ms or 0) / 1e3
    return {"error": {"code": "timeout", "message": f"The chain took longer than its {seconds:g} s."}}


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3
