"""The hosts of a durable run.

DBOS numbers a step when it is called. Branches that run beside one another would draw their numbers in whatever order
they happen to run, so each gets a block reserved in definition order before any of them starts; what a branch does not
use stays a gap.

A sleep is a step that records when it ends, and then the wait until then: a run that is taken over sleeps on, not anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from dbos import DBOS, StepReservation

from intellirouter.chains.interpreter import Host, Outcome, StepFailed
from intellirouter.chains.model import Step
from intellirouter.chains.runtime.in_process import side_by_side
from intellirouter.chains.timing import Deadline, deadline, wakes

FOREVER = 10 * 365 * 86_400.0


class Ground(Protocol):
    """What a run stands on: the runtime, for one walk."""

    async def perform(self, step: Step, path: str, prepared: Any) -> Outcome:
        """Run an effect."""

    async def receive(
        self, path: str, signal: str, within: float | None, about: Mapping[str, Any]
    ) -> tuple[Any, float]:
        """See `Host.wait`. Draws the numbers that a wait needs."""

    async def rest(self, path: str, until: float) -> None:
        """Return at a Unix time; the run does nothing else meanwhile."""

    async def nap(self, until: float) -> None:
        """Return at a Unix time."""


async def _wakes(seconds: float, within: Deadline | None) -> Outcome:
    return wakes(seconds, within)


@dataclass(slots=True)
class Trunk:
    """Steps one after another: each draws the next number when it is called."""

    ground: Ground

    async def effect(self, step: Step, path: str, prepared: Any) -> Outcome:
        """See `Host`."""
        return await DBOS.run_step_async({"name": path}, self.ground.perform, step, path, prepared)

    async def wait(
        self, path: str, signal: str, within: float | None, about: Mapping[str, Any]
    ) -> tuple[Any, float]:
        """See `Host`."""
        return await self.ground.receive(path, signal, within, about)

    async def sleep(self, path: str, seconds: float) -> Outcome:
        """See `Host`."""
        outcome: Outcome = await DBOS.run_step_async({"name": path}, _wakes, seconds, deadline())
        await self.ground.rest(path, outcome["ok"].get("until", 0.0))
        return outcome

    async def concurrently(
        self, branches: Sequence[Callable[[Host], Awaitable[Any]]], widths: Sequence[int], limit: int | None
    ) -> list[Any]:
        """See `Host`."""
        blocks = [[DBOS.reserve_step() for _ in range(width)] for width in widths]
        return await _beside(self.ground, branches, blocks, limit)


@dataclass(slots=True)
class Limb:
    """A branch beside others: it uses the numbers of its block, in order."""

    ground: Ground
    block: Iterator[StepReservation]

    async def effect(self, step: Step, path: str, prepared: Any) -> Outcome:
        """See `Host`."""
        return await self._next(path, self.ground.perform, step, path, prepared)

    async def wait(
        self, path: str, signal: str, within: float | None, about: Mapping[str, Any]
    ) -> tuple[Any, float]:
        """See `Host`."""
        del within, about
        raise StepFailed(f"A 'wait' for '{signal}' cannot stand inside a map or parallel body.", path=path)

    async def sleep(self, path: str, seconds: float) -> Outcome:
        """See `Host`."""
        outcome = await self._next(path, _wakes, seconds, deadline())
        await self.ground.nap(outcome["ok"].get("until", 0.0))
        return outcome

    async def _next(
        self, path: str, act: Callable[..., Coroutine[Any, Any, Outcome]], *given: Any
    ) -> Outcome:
        return await next(self.block).run_async({"name": path}, act, *given)

    async def concurrently(
        self, branches: Sequence[Callable[[Host], Awaitable[Any]]], widths: Sequence[int], limit: int | None
    ) -> list[Any]:
        """See `Host`."""
        blocks = [list(islice(self.block, width)) for width in widths]
        return await _beside(self.ground, branches, blocks, limit)


async def _beside(
    ground: Ground,
    branches: Sequence[Callable[[Host], Awaitable[Any]]],
    blocks: Sequence[Sequence[StepReservation]],
    limit: int | None,
) -> list[Any]:
    def bound(branch: Callable[[Host], Awaitable[Any]], limb: Limb) -> Callable[[], Awaitable[Any]]:
        return lambda: branch(limb)

    limbs = [Limb(ground, iter(block)) for block in blocks]
    return await side_by_side([bound(*pair) for pair in zip(branches, limbs, strict=True)], limit)
