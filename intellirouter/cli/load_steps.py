"""Load on a node as strangers make it: requests are sent when their time has come, whether earlier ones were answered or not.

A request's time counts from when it was due, so that a node that stalls is seen to stall (an open loop; Schroeder et al. 2006, "Open
versus closed: a cautionary tale"; "coordinated omission" is what a closed loop would hide).
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

MOST_AT_ONCE = 4_000
"""Requests without an answer: a node that far behind will not catch up."""
MOST_ERRORS = 0.01
LATE_SECONDS = 0.25
"""So far behind its own clock this machine is the limit, and not the node."""
BETWEEN = 7
"""Rates that are measured between the last that holds and the first that does not, and those two with them."""
MOST_RATE = 20_000.0
BLOCK = 100
"""Requests that a 99th percentile is taken of where steps are compared."""
IDLE = 0.1
"""So much of the time a node is at work that counts as idle."""
SLOWEST, FASTEST = 0.5, 50.0
"""Requests a second of an idle node."""

Ask = Callable[[], Awaitable[bool]]
"""One request; whether it was answered well."""


@dataclass(slots=True)
class Step:
    """What came of one rate (requests a second). `seconds` are sorted, `in_turn` in the order in which they were due."""

    rate: float
    seconds: list[float] = field(default_factory=list)
    in_turn: list[float] = field(default_factory=list)
    errors: int = 0
    late: bool = False
    overrun: bool = False

    @property
    def sent(self) -> int:
        """Requests."""
        return len(self.seconds) + self.errors

    def percentile(self, share: float) -> float:
        """Nearest rank; infinite where nothing was answered."""
        return _rank(self.seconds, share) if self.seconds else float("inf")

    @property
    def steady_p99(self) -> float:
        """The median of what each hundred of requests have as 99th percentile: a moment that another program took is no load."""
        if len(self.in_turn) < 2 * BLOCK:
            return self.percentile(0.99)
        cuts = range(0, len(self.in_turn) - BLOCK + 1, BLOCK)
        return statistics.median(_rank(sorted(self.in_turn[at : at + BLOCK]), 0.99) for at in cuts)

    @property
    def failing(self) -> bool:
        """Too many errors, or too far behind."""
        return self.overrun or self.errors > MOST_ERRORS * max(1, self.sent)


def _rank(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


async def step(ask: Ask, rate: float, seconds: float) -> Step:
    """Send at that rate for so long, and wait for what is under way."""
    found = Step(rate)
    under_way: set[asyncio.Task[None]] = set()
    began, count = time.perf_counter(), max(1, round(rate * seconds))

    taken: dict[float, float] = {}

    async def one(due: float) -> None:
        if await ask():
            taken[due] = time.perf_counter() - due
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
    found.in_turn = [taken[due] for due in sorted(taken)]
    found.seconds = sorted(found.in_turn)
    return found


@dataclass(frozen=True, slots=True)
class Bend:
    """The highest rate at which p99 stays below twice that of an idle node, and the lowest at which it does not; None: none was reached."""

    base_p99: float
    holds: float
    bends: float | None
    steps: list[Step]
    between: list[Step] = field(default_factory=list)
    """Steps from the one to the other."""

    @property
    def doubles(self) -> float | None:
        """The rate at which p99 is twice that of an idle node, by the line through the steps between: one alone is at the mercy of
        chance. Least squares of the logarithms."""
        if self.bends is None:
            return None
        middle = math.sqrt(self.holds * self.bends)
        seen = [one for one in self.between if not one.failing]
        rates = [math.log(one.rate) for one in seen]
        times = [math.log(one.steady_p99) for one in seen]
        try:
            slope, height = statistics.linear_regression(rates, times)
            found = math.exp((math.log(2 * self.base_p99) - height) / slope)
        except (statistics.StatisticsError, ZeroDivisionError, OverflowError):
            return middle  # too few were answered
        return min(max(found, self.holds), self.bends) if slope > 0 else middle


async def find(ask: Ask, seconds: float, tell: Callable[[Step], None]) -> Bend:
    """Double the rate until p99 doubles, requests fail or this machine cannot send more; then look at `BETWEEN` rates more."""
    # asked once after another first: connections are made, models are loaded, and that is no load
    took = []
    for _ in range(20):
        began = time.perf_counter()
        await ask()
        took.append(time.perf_counter() - began)
    start = max(SLOWEST, IDLE / max(statistics.median(took), IDLE / FASTEST))
    steps: list[Step] = []

    async def at(rate: float) -> Step:
        found = await step(ask, rate, seconds)
        steps.append(found)
        tell(found)
        return found

    # a hundredth of few requests is the worst of them, which chance decides
    idle = await step(ask, start, min(4 * seconds, max(seconds, 4 * BLOCK / start)))
    steps.append(idle)
    tell(idle)
    base = idle.steady_p99

    async def holds_at(rate: float) -> bool:
        # an outlier of another program is no bend: what bends, bends twice
        for _ in range(2):
            found = await at(rate)
            if found.steady_p99 <= 2 * base and not found.failing:
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
    between: list[Step] = []
    if bends is not None:
        wider = math.pow(bends / holds, 1 / (BETWEEN - 1))
        between = [await at(holds * wider**number) for number in range(BETWEEN)]
    return Bend(base, holds, bends, steps, between)
