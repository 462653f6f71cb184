"""Load on a node as strangers make it: requests are sent when their time has come, whether earlier ones were answered or not.

A request's time counts from when it was due, so that a node that stalls is seen to stall (an open loop; Schroeder et al. 2006, "Open
versus closed: a cautionary tale"; "coordinated omission" is what a closed loop would hide).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

MOST_AT_ONCE = 4_000
"""Requests without an answer: a node that far behind will not catch up."""
MOST_ERRORS = 0.01
LATE_SECONDS = 0.25
"""So far behind its own clock this machine is the limit, and not the node."""
FINER = 1.08
"""Two rates closer than this are the same."""
MOST_RATE = 20_000.0

Ask = Callable[[], Awaitable[bool]]
"""One request; whether it was answered well."""


@dataclass(slots=True)
class Step:
    """What came of one rate (requests a second). `seconds` are sorted."""

    rate: float
    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    late: bool = False
    overrun: bool = False

    @property
    def sent(self) -> int:
        """Requests."""
        return len(self.seconds) + self.errors

    def percentile(self, share: float) -> float:
        """Nearest rank; infinite where nothing was answered."""
        if not self.seconds:
            return float("inf")
        return self.seconds[min(len(self.seconds) - 1, max(0, -int(-share * len(self.seconds) // 1) - 1))]

    @property
    def failing(self) -> bool:
        """Too many errors, or too far behind."""
        return self.overrun or self.errors > MOST_ERRORS * max(1, self.sent)


async def step(ask: Ask, rate: float, seconds: float) -> Step:
    """Send at that rate for so long, and wait for what is under way."""
    found = Step(rate)
    under_way: set[asyncio.Task[None]] = set()
    began, count = time.perf_counter(), max(1, round(rate * seconds))

    async def one(due: float) -> None:
        if await ask():
            found.seconds.append(time.perf_counter() - due)
        else:
            found.errors += 1

    try:
        for number in range(count):
            due = began + number / rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            elif wait < -LATE_SECONDS:
                found.late = True
            if len(under_way) >= MOST_AT_ONCE:
                found.overrun = True
                break
            task = asyncio.create_task(one(due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            if number % 32 == 0:
                await asyncio.sleep(0)  # answers are taken in between, also where sending is behind
        if not found.overrun and under_way:
            await asyncio.wait(under_way)
    finally:
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    found.seconds.sort()
    return found


@dataclass(frozen=True, slots=True)
class Bend:
    """The highest rate at which p99 stays below twice that of an idle node, and the lowest at which it does not; None: none was reached."""

    base_p99: float
    holds: float
    bends: float | None
    steps: list[Step]


async def find(ask: Ask, seconds: float, tell: Callable[[Step], None], start: float = 4.0) -> Bend:
    """Double the rate until p99 doubles, requests fail or this machine cannot send more; then halve the gap between."""
    # asked once after another first: connections are made, models are loaded, and that is no load
    for _ in range(20):
        await ask()
    steps: list[Step] = []

    async def at(rate: float) -> Step:
        found = await step(ask, rate, seconds)
        steps.append(found)
        tell(found)
        return found

    base = min((await at(start)).percentile(0.99), (await at(start)).percentile(0.99))

    async def holds_at(rate: float) -> bool:
        # an outlier of another program is no bend: what bends, bends twice
        for _ in range(2):
            found = await at(rate)
            if found.percentile(0.99) <= 2 * base and not found.failing:
                return True
        return False

    holds, bends = start, None
    while bends is None and holds * 2 <= MOST_RATE:
        if await holds_at(holds * 2):
            holds *= 2
            if steps[-1].late:
                break
        else:
            bends = holds * 2
    while bends is not None and bends / holds > FINER:
        middle = (holds * bends) ** 0.5
        if await holds_at(middle):
            holds = middle
        else:
            bends = middle
    return Bend(base, holds, bends, steps)
