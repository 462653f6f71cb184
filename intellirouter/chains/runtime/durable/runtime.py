"""Durable runs: start, wait, signal, cancel, resume, list."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetWorkflowID,
    SetWorkflowTimeout,
    WorkflowHandleAsync,
)
from dbos import error as dbos_error

from intellirouter import tasks
from intellirouter.bounds.aside import ASIDE
from intellirouter.chains.interpreter import Outcome, Walk, checked_inputs
from intellirouter.chains.made import made
from intellirouter.chains.model import Chain, Step
from intellirouter.chains.plan import bundle
from intellirouter.chains.ports import Listener
from intellirouter.chains.runtime.durable.cluster import Cluster
from intellirouter.chains.runtime.durable.engine import open_engine, sole_owner
from intellirouter.chains.runtime.durable.host import Trunk
from intellirouter.chains.runtime.durable.reader import only_reader
from intellirouter.chains.runtime.durable.recovery import (
    GAVE_UP,
    GAVE_UP_WORDS,
    MAX_RECOVERIES,
    Recoveries,
)
from intellirouter.chains.runtime.durable.rows import check_rows
from intellirouter.chains.runtime.in_process import silent
from intellirouter.chains.steps.attempts import Worker
from intellirouter.errors import IntelliRouterError, NotFound

LAYOUT = "chains-1"
"""The version of how steps are numbered. A change strands runs under way: migrate them with a fork."""
SINGLE = "single"
_POLL = 0.1  # seconds between looks at a run that another node walks
_REMEMBERED = 1_000  # runs of this node whose end is heard of without polling

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class DurableRuntime:
    """Open one a process with `opened`. `hear` hears the steps of every run; its facts hold the `run_id`."""

    worker: Worker
    engine: sa.Engine
    node: str
    max_parallel_steps: int = 10
    hear: Listener = silent
    default_timeout: float = 30.0
    home: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    cluster: Cluster | None = None
    workflow: Callable[..., Coroutine[Any, Any, Outcome]] = field(init=False)
    _started: OrderedDict[str, WorkflowHandleAsync[Outcome]] = field(default_factory=OrderedDict)
    _under_way: dict[str, set[asyncio.Task[Outcome]]] = field(default_factory=dict)
    _cut: set[str] = field(default_factory=set)
    _begun: set[str] = field(default_factory=set)
    _taken_up: set[str] = field(default_factory=set)
    _places: dict[str, asyncio.Semaphore] = field(default_factory=dict)

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
            return {"error": {"code": "cancelled", "message": f"The run '{run_id}' was cancelled."}}
        except dbos_error.DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded:
            return {"error": {"code": GAVE_UP, "message": GAVE_UP_WORDS}}
        return outcome

    async def signal(self, run_id: str, name: str, payload: Any) -> None:
        """Hand a payload to a run, now or when it comes to wait. Raises `NotFound`."""
        try:
            await DBOS.send_async(run_id, {} if payload is None else payload, topic=name)
        except dbos_error.DBOSNonExistentWorkflowError as error:
            raise NotFound(f"There is no run '{run_id[:100]}'.") from error

    async def cancel(self, run_id: str) -> None:
        """Cancel a run; the call it has under way on this node is cut."""
        await DBOS.cancel_workflow_async(run_id)
        self._started.pop(run_id, None)
        self._cut.add(run_id)
        for task in self._under_way.get(run_id, set()):
            task.cancel()

    async def resume(self, run_id: str) -> None:
        """Let a cancelled run go on after its last recorded step."""
        await DBOS.resume_workflow_async(run_id)

    async def fork(self, run_id: str, step: int, new_id: str) -> None:
        """Start a run with what another recorded before the step of that number."""
        with SetWorkflowID(new_id):
            self._started[new_id] = await DBOS.fork_workflow_async(run_id, step, application_version=LAYOUT)

    async def forget(self, run_ids: Sequence[str]) -> None:
        """Delete runs that have ended, with what they recorded."""
        await DBOS.delete_workflows_async(list(run_ids))

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
                "outcome": run.output,
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
        """What a run has recorded, in the order of its numbers."""
        return [
            {"number": step["function_id"], "path": step["function_name"], "outcome": step["output"]}
            for step in await DBOS.list_workflow_steps_async(run_id)
        ]

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
        self._places.setdefault(
            run_id, asyncio.Semaphore(chain.max_parallel_steps or self.max_parallel_steps)
        )

        async def perform(step: Step, path: str, prepared: Any) -> Outcome:
            return await self._at_home(self._perform(run_id, step, path, prepared))

        def waiting(path: str, signal: str) -> None:
            facts = {"signal": signal, "run_id": run_id}
            self.home.call_soon_threadsafe(self.hear, "step_waiting", path, facts)

        try:
            return {"ok": await Walk(chains, {"id": run_id}).chain(chain, inputs, Trunk(perform, waiting))}
        except IntelliRouterError as error:
            return {"error": {"code": error.code, "message": error.message, **error.details}}
        except asyncio.CancelledError as cut:
            if run_id not in self._cut:  # the node stops: the run stays as it is, to be taken up again
                raise
            # `cancel` cut the call: the step stays unrecorded, so that a resume runs it again
            raise dbos_error.DBOSWorkflowCancelledError(f"The run {run_id} was cancelled.") from cut
        finally:
            self._places.pop(run_id, None)
            self._cut.discard(run_id)
            self._taken_up.discard(run_id)

    async def _perform(self, run_id: str, step: Step, path: str, prepared: Any) -> Outcome:
        """An effect on the loop that owns the connections, known by its run so that a cancel finds it."""

        def tell(event: str, path: str, facts: Mapping[str, Any]) -> None:
            self.hear(event, path, {**facts, "run_id": run_id})

        async with self._places[run_id]:
            task = asyncio.create_task(self.worker.run(step, path, prepared, run_id, tell))
            calls = self._under_way.setdefault(run_id, set())
            calls.add(task)
            try:
                outcome = await task
                if run_id in self._taken_up:  # it got further than before its node ended
                    self._taken_up.discard(run_id)
                    await asyncio.to_thread(self.recoveries.forgive, [run_id])
                return outcome
            finally:
                calls.discard(task)
                if not calls:
                    self._under_way.pop(run_id, None)

    async def _at_home(self, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Runs that were taken over walk on DBOS's own loop; their effects come back here."""
        if asyncio.get_running_loop() is self.home:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.home))


@contextlib.asynccontextmanager
async def opened(
    url: str,
    worker: Worker,
    *,
    max_parallel_steps: int = 10,
    hear: Listener = silent,
    default_timeout: float = 30.0,
    beat: float = 1.0,
    ttl: float = 4.0,
) -> AsyncIterator[DurableRuntime]:
    """The durable runtime of this process. Runs that this node, or a dead one, left unfinished go on at once."""
    engine = open_engine(url)
    alone = engine.dialect.name == "sqlite"
    node = SINGLE if alone else f"node_{secrets.token_hex(8)}"
    only_reader()
    with sole_owner(engine):
        try:
            await asyncio.to_thread(check_rows, engine)
        except BaseException:
            engine.dispose()
            raise
        runtime = DurableRuntime(worker, engine, node, max_parallel_steps, hear, default_timeout)
        async with _launched(url, runtime):
            if alone:
                yield runtime
                return
            runtime.cluster = Cluster(engine, node, _take_over, beat, ttl)
            async with runtime.cluster.belonging():
                yield runtime


@contextlib.asynccontextmanager
async def _launched(url: str, runtime: DurableRuntime) -> AsyncIterator[None]:
    engine = runtime.engine
    config: DBOSConfig = {
        "name": "intellirouter",
        "system_database_url": url,
        "system_database_engine": engine,
        "application_version": LAYOUT,
        "executor_id": runtime.node,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "ERROR",
        "notification_listener_polling_interval_sec": 0.1,
        "run_migrations": True,
    }
    DBOS(config=config)

    @DBOS.workflow(name="chain", max_recovery_attempts=MAX_RECOVERIES)
    async def walk(document: dict[str, Any], others: dict[str, Any], inputs: dict[str, Any]) -> Outcome:
        return await runtime.walk(document, others, inputs)

    runtime.workflow = walk
    survive = asyncio.create_task(runtime.recoveries.survive(), name="chain survive")
    try:
        await asyncio.to_thread(DBOS.launch)
        yield
    finally:
        await tasks.end(survive)
        with contextlib.suppress(sa.exc.SQLAlchemyError):  # the database is away: the count stays
            await asyncio.to_thread(runtime.recoveries.forgive)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # DBOS made its own pool the loop's default and has shut it down: whoever closes after us needs one.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        engine.dispose()


def _take_over(dead: str) -> None:
    handles = DBOS._recover_pending_workflows([dead])  # noqa: SLF001  the one call that is guarded by the dead node's id
    log.warning("chain.runs_taken_over", node=dead, runs=len(handles))
