"""What a walk stands on: its effects, waits and rests on this node."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dbos import DBOS
from dbos._context import assert_current_dbos_context

from intellirouter.chains.interpreter import Outcome
from intellirouter.chains.model import Step
from intellirouter.chains.ports import Listener
from intellirouter.chains.runtime.durable.course import Course
from intellirouter.chains.runtime.durable.host import FOREVER
from intellirouter.chains.runtime.durable.waits import Waits
from intellirouter.chains.timing import deadline

_LONGEST_NAP = 3600.0  # a clock that is set meanwhile is heeded by then


class Node(Protocol):
    """What of the runtime a walk uses."""

    waits: Waits
    home: asyncio.AbstractEventLoop

    @property
    def hear(self) -> Listener:
        """Hears what happens to steps."""

    async def perform(self, course: Course, step: Step, path: str, prepared: Any) -> Outcome:
        """Run an effect."""

    async def got_further(self, run_id: str) -> None:
        """The run recorded a step, or only waits."""


@dataclass(frozen=True, slots=True)
class WalkGround:
    """See `Ground`."""

    runtime: Node
    course: Course

    async def perform(self, step: Step, path: str, prepared: Any) -> Outcome:
        """See `Ground`."""
        return await self.runtime.perform(self.course, step, path, prepared)

    async def receive(
        self, path: str, signal: str, within: float | None, about: Mapping[str, Any]
    ) -> tuple[Any, float]:
        """See `Ground`."""
        began = time.time()
        async with self._idle(path, signal, within, about):
            payload = await self.course.alone(DBOS.recv_async(signal, FOREVER if within is None else within))
        if deadline() is not None:  # which asks for the same moment in every walk
            number = assert_current_dbos_context().function_id
            first = await asyncio.to_thread(self.runtime.waits.began, self.course.run_id, number)
            began = began if first is None else first
        return payload, began

    async def rest(self, path: str, until: float) -> None:
        """See `Ground`."""
        async with self._idle(path, "", until - time.time()):
            await self.nap(until)

    async def nap(self, until: float) -> None:
        """See `Ground`."""
        while (left := until - time.time()) > 0:
            await self.course.alone(asyncio.sleep(min(left, _LONGEST_NAP)))

    @contextlib.asynccontextmanager
    async def _idle(
        self, path: str, signal: str, within: float | None, about: Mapping[str, Any] | None = None
    ) -> AsyncIterator[None]:
        """The run does nothing but wait, and says so on every node. One that the node's stop ends waits on."""
        waits, run_id = self.runtime.waits, self.course.run_id
        if not await asyncio.to_thread(waits.note, run_id, path, signal, within, about):
            yield  # over before the run was taken up: what it stands at now is neither forgotten nor told anew
            return
        await self.runtime.got_further(run_id)
        self._tell("step_waiting", path, {"signal": signal})
        yield
        await asyncio.to_thread(waits.clear, run_id)
        self._tell("step_waited", path, {"signal": signal})

    def _tell(self, event: str, path: str, facts: Mapping[str, Any]) -> None:
        told = {**facts, "run_id": self.course.run_id}
        self.runtime.home.call_soon_threadsafe(self.runtime.hear, event, path, told)
