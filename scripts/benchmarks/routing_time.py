"""What a decision costs: the plan of a request, in a node that has learnt, on the thread that would answer.

Every request asks another stretch of the project's own guides. The thread is held to one processor; its own time is told
beside that of the clock, for what else runs on the machine is in the second alone. Beside the 99th percentile of all runs
stands that of the quietest one: a neighbour on the same core slows even a thread's own time. So it does the last row, a sum
of always the same numbers: what its 99th percentile is above its median is the machine's doing.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count, islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from intellirouter.app.supervisor import Node
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.inference.job import Job
from intellirouter.roles.router.keys import CATALOG, LEARNED, PLANNER
from intellirouter.security.caller import ANONYMOUS
from scripts.console_node import BOSS, console_node, teach

RUNS, TIMES, AT_ONCE = 7, 1_000, 20
"""Runs of each kind of request, one kind after the other; decisions of a run; and of these, between two breaths of the loop."""
AGAIN, OF = 7, 300
"""So often each of so many decisions is made anew: the median of its times is what the question takes, whatever disturbs the machine."""
SUMMED = 8_000
"""Numbers of the sum that is timed beside the decisions: it takes about as long as one."""
ROOT = Path(__file__).parents[2]
Plans = Iterator[Callable[[], object]]


def report() -> None:
    """Print the table."""
    asyncio.run(_report())


async def _report() -> None:
    with TemporaryDirectory() as folder:
        async with console_node(Path(folder), keys=True) as (node, _):
            await _taught(node)
            cases = _cases(node)
            for plans in cases.values():
                await _timed(plans)  # so that all is warm
            gc.collect()
            runs: dict[str, list[NDArray[np.float64]]] = {title: [] for title in cases}
            own: dict[str, NDArray[np.float64]] = {}
            with _on_one_processor():
                for _ in range(RUNS):
                    for title, plans in cases.items():
                        runs[title].append(await _timed(plans))
                for title, plans in cases.items():
                    own[title] = await _their_own(plans)
            print(
                f"\n{f'µs of a decision; {RUNS} runs of {TIMES:,}':<34}{'thread p50':>11}{'p99':>6}{'least':>7}{'its own p99':>12}{'clock p50':>11}{'p99':>6}{'least':>7}"
            )
            for title, of in runs.items():
                its_own = np.percentile(own[title], 99)
                print(f"{title:<34}{_cells(of, 0)}{its_own:>12.0f}{_cells(of, 1)}", flush=True)


def _cells(runs: Sequence[NDArray[np.float64]], which: int) -> str:
    """The median and the 99th percentile of all runs, and the least 99th percentile of one."""
    every = np.concatenate([run[which] for run in runs])
    least = min(float(np.percentile(run[which], 99)) for run in runs)
    return f"{np.median(every):>11.0f}{np.percentile(every, 99):>6.0f}{least:>7.0f}"


@contextmanager
def _on_one_processor() -> Iterator[None]:
    """Hold this thread to the processor it may use that is the last, and let it go again."""
    may = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(may)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, may)


async def _taught(node: Node) -> None:
    """Give it outcomes, and wait until it decides by them."""
    url = next(one.url for one in node.listening if one.role == "Router")
    await teach(url, {"authorization": f"Bearer {BOSS}"})
    for _ in range(1_200):
        if node.opened[LEARNED].weights:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("the node has learnt nothing within a minute")


def _cases(node: Node) -> dict[str, Plans]:
    planner, catalog = node.opened[PLANNER], node.opened[CATALOG]
    entry = catalog.resolve("auto")
    said = "\n".join(path.read_text() for path in sorted((ROOT / "config").glob("*.md")))

    def job_of(number: int, size: int, name: str | None) -> Job:
        at = number * 1_009 % (len(said) - size)
        message = Message("user", (Text(f"{number} {said[at : at + size]}"[:size]),))
        request = ChatRequest(model="auto", messages=(message,), prompt_cache_key=name)
        return Job(request, ANONYMOUS, f"req-{number}", time.monotonic() + 60)

    def asked(size: int, name: str | None = None) -> Plans:
        for number in count():
            job = job_of(number, size, name)
            yield partial(planner.plan, job, entry)

    begun = planner.plan(job_of(0, 100, "a conversation"), entry)
    if begun.decided is not None:
        begun.decided.answered(begun.candidates[0].id, "", None)
    return {
        "2 kB": asked(2_000),
        "100 kB": asked(100_000),
        "2 kB, a conversation that has begun": asked(2_000, "a conversation"),
        "no decision, the same sum each time": repeat(partial(sum, range(SUMMED))),
    }


async def _timed(plans: Plans) -> NDArray[np.float64]:
    """Microseconds of each decision, (2, `TIMES`): of the thread and of the clock."""
    own, clock = [], []
    for _ in range(TIMES // AT_ONCE):
        for plan in islice(plans, AT_ONCE):
            began, at = time.thread_time(), time.perf_counter()
            plan()
            clock.append(time.perf_counter() - at)
            own.append(time.thread_time() - began)
        await asyncio.sleep(0)
    return np.array((own, clock)) * 1e6


async def _their_own(plans: Plans) -> NDArray[np.float64]:
    """Microseconds of the thread that each of `OF` decisions takes, (`OF`,): the median of `AGAIN` times."""
    some, times = list(islice(plans, OF)), []
    for _ in range(AGAIN):
        row = []
        for plan in some:
            began = time.thread_time()
            plan()
            row.append(time.thread_time() - began)
        times.append(row)
        await asyncio.sleep(0)
    return np.median(np.array(times), axis=0) * 1e6
