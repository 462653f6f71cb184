"""Runs a chain in this process, with nothing recorded: for quick synchronous runs and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from intellirouter.chains.interpreter import Host, Outcome, StepFailed, Walk
from intellirouter.chains.model import Chain, Step
from intellirouter.chains.plan import bundle
from intellirouter.chains.ports import Listener
from intellirouter.chains.steps.attempts import Worker
from intellirouter.chains.timing import deadline, wakes
from intellirouter.errors import Conflict, NotFound


def silent(event: str, path: str, facts: Mapping[str, Any]) -> None:
    """Hears nothing."""


async def side_by_side(branches: Sequence[Callable[[], Awaitable[Any]]], limit: int | None) -> list[Any]:
    """Run branches together, at most `limit` at once; the first error cancels the others and is raised itself."""
    places = asyncio.Semaphore(limit or len(branches) or 1)

    async def one(branch: Callable[[], Awaitable[Any]]) -> Any:
        async with places:
            return await branch()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(branch)) for branch in branches]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]


@dataclass(slots=True)
class _Run:
    """A host of one run. Signals wait in `mail`, one queue a name."""

    run_id: str
    worker: Worker
    hear: Listener
    places: asyncio.Semaphore
    mail: dict[str, asyncio.Queue[Any]] = field(default_factory=dict)

    async def effect(self, step: Step, path: str, prepared: Any) -> Outcome:
        async with self.places:
            return await self.worker.run(step, path, prepared, self.run_id, self.hear)

    async def wait(
        self, path: str, signal: str, within: float | None, about: Mapping[str, Any]
    ) -> tuple[Any, float]:
        del about  # whoever runs it here sees the definition
        began = time.time()
        self.hear("step_waiting", path, {"signal": signal})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                return await self.box(signal).get(), began
        return None, began

    async def sleep(self, path: str, seconds: float) -> Outcome:
        self.hear("step_waiting", path, {"signal": ""})
        outcome = wakes(seconds, deadline())
        await asyncio.sleep(max(0.0, outcome["ok"]["until"] - time.time()))
        self.hear("step_waited", path, {"signal": ""})
        return outcome

    async def concurrently(
        self, branches: Sequence[Callable[[Host], Awaitable[Any]]], widths: Sequence[int], limit: int | None
    ) -> list[Any]:
        del widths  # nothing is recorded here, so no numbers are reserved

        def bound(branch: Callable[[Host], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
            return lambda: branch(self)

        return await side_by_side([bound(branch) for branch in branches], limit)

    def box(self, signal: str) -> asyncio.Queue[Any]:
        return self.mail.setdefault(signal, asyncio.Queue(maxsize=100))


@dataclass(slots=True)
class InProcessRuntime:
    """Runs chains; what is under way can be signalled by its id."""

    worker: Worker
    max_parallel_steps: int = 10
    _running: dict[str, _Run] = field(default_factory=dict)

    async def run(
        self,
        chain: Chain,
        inputs: Mapping[str, Any],
        library: Mapping[str, Chain] | None = None,
        *,
        run_id: str | None = None,
        hear: Listener = silent,
    ) -> Any:
        """The chain's output. Raises `StepFailed`, or `InvalidRequest` for inputs that do not fit."""
        chains = bundle(chain, library or {})
        run_id = run_id or f"run_{secrets.token_hex(12)}"
        if run_id in self._running:
            raise Conflict(f"The run '{run_id}' is under way.")
        places = asyncio.Semaphore(chain.max_parallel_steps or self.max_parallel_steps)
        host = self._running[run_id] = _Run(run_id, self.worker, hear, places)
        try:
            async with asyncio.timeout(chain.timeout):
                return await Walk(chains, {"id": run_id}).chain(chain, inputs, host)
        except TimeoutError as error:
            raise StepFailed(
                f"The chain took longer than its {chain.timeout:g} s.", cause="timeout"
            ) from error
        finally:
            del self._running[run_id]

    def signal(self, run_id: str, name: str, payload: Any) -> None:
        """Hand a payload to a waiting run. Raises `NotFound`, or `Conflict` when 100 wait unread."""
        run = self._running.get(run_id)
        if run is None:
            raise NotFound(f"The run '{run_id[:100]}' is not under way here.")
        try:
            run.box(name).put_nowait({} if payload is None else payload)
        except asyncio.QueueFull as error:
            raise Conflict(f"Too many signals '{name[:100]}' wait unread.") from error
