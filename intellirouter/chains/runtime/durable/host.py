"""The hosts of a durable run.

DBOS numbers a step when it is called. Branches that run beside one another would draw their numbers in whatever order
they happen to run, so each gets a block reserved in definition order before any of them starts; what a branch does not
use stays a gap.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dbos import DBOS, StepReservation

from intellirouter.chains.interpreter import Host, Outcome, StepFailed
from intellirouter.chains.model import Step
from intellirouter.chains.runtime.in_process import side_by_side

Perform = Callable[[Step, str, Any], Coroutine[Any, Any, Outcome]]
_FOREVER = 10 * 365 * 86_400.0


@dataclass(slots=True)
class Trunk:
    """Steps one after another: each draws the next number when it is called."""

    perform: Perform
    waiting: Callable[[str, str], None]

    async def effect(self, step: Step, path: str, prepared: Any) -> Outcome:
        """See `Host`."""
        return await DBOS.run_step_async({"name": path}, self.perform, step, path, prepared)

    async def wait(self, path: str, signal: str, within: float | None) -> Any:
        """See `Host`."""
        self.waiting(path, signal)
        return await DBOS.recv_async(signal, timeout_seconds=_FOREVER if within is None else within)

    async def concurrently(
        self, branches: Sequence[Callable[[Host], Awaitable[Any]]], widths: Sequence[int], limit: int | None
    ) -> list[Any]:
        """See `Host`."""
        blocks = [[DBOS.reserve_step() for _ in range(width)] for width in widths]
        return await _beside(self.perform, branches, blocks, limit)


@dataclass(slots=True)
class Limb:
    """A branch beside others: it uses the numbers of its block, in order."""

    perform: Perform
    block: Iterator[StepReservation]

    async def effect(self, step: Step, path: str, prepared: Any) -> Outcome:
        """See `Host`."""
        return await next(self.block).run_async({"name": path}, self.perform, step, path, prepared)

    async def wait(self, path: str, signal: str, within: float | None) -> Any:
        """See `Host`."""
        del within
        raise StepFailed(f"A 'wait' for '{signal}' cannot stand inside a map or parallel body.", path=path)

    async def concurrently(
        self, branches: Sequence[Callable[[Host], Awaitable[Any]]], widths: Sequence[int], limit: int | None
    ) -> list[Any]:
        """See `Host`."""
        blocks = [list(islice(self.block, width)) for width in widths]
        return await _beside(self.perform, branches, blocks, limit)


async def _beside(
    perform: Perform,
    branches: Sequence[Callable[[Host], Awaitable[Any]]],
    blocks: Sequence[Sequence[StepReservation]],
    limit: int | None,
) -> list[Any]:
    def bound(branch: Callable[[Host], Awaitable[Any]], limb: Limb) -> Callable[[], Awaitable[Any]]:
        return lambda: branch(limb)

    limbs = [Limb(perform, iter(block)) for block in blocks]
    return await side_by_side([bound(*pair) for pair in zip(branches, limbs, strict=True)], limit)
