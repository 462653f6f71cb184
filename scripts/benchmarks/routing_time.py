"""What a decision costs: the plan of a request, in a node that has learnt, on the thread that would answer.

The time of the thread itself is told beside that of the clock: what else runs on the machine is in the second alone.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from intellirouter.app.supervisor import Node
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.inference.job import Job
from intellirouter.roles.router.keys import CATALOG, LEARNED, PLANNER
from intellirouter.security.caller import ANONYMOUS
from scripts.console_node import BOSS, console_node, teach

TIMES = 2_000
WORDS = (
    "the proof of a theorem with 12 cases and its lemma; refactor def f(x): return x*2 into a loop. "
    "What is 17% of 3,450? Translate 'good morning'. Compare A) trees B) graphs C) heaps. "
)


def report() -> None:
    """Print the table."""
    asyncio.run(_report())


async def _report() -> None:
    with TemporaryDirectory() as folder:
        async with console_node(Path(folder), keys=True) as (node, _):
            await _taught(node)
            print(f"\n{'a decision, µs':<44}{'p50':>8}{'p99':>8}{'p50 of the clock':>19}{'p99':>8}")
            for title, plans in _cases(node).items():
                own, clock = _timed(plans)
                cells = "".join(
                    f"{value * 1e6:>{width}.0f}"
                    for value, width in zip(
                        (*np.percentile(own, (50, 99)), *np.percentile(clock, (50, 99))),
                        (8, 8, 19, 8),
                        strict=True,
                    )
                )
                print(f"{title:<44}{cells}", flush=True)


async def _taught(node: Node) -> None:
    """Give it outcomes, and wait until it decides by them."""
    url = next(one.url for one in node.listening if one.role == "Router")
    await teach(url, {"authorization": f"Bearer {BOSS}"})
    for _ in range(1_200):
        if node.opened[LEARNED].weights:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("the node has learnt nothing within a minute")


def _cases(node: Node) -> dict[str, Iterator[Callable[[], object]]]:
    planner, catalog = node.opened[PLANNER], node.opened[CATALOG]
    entry = catalog.resolve("auto")

    def job_of(number: int, size: int, name: str | None) -> Job:
        text = f"{number} {WORDS * (size // len(WORDS) + 1)}"[:size]
        message = Message("user", (Text(text),))
        request = ChatRequest(model="auto", messages=(message,), prompt_cache_key=name)
        return Job(request, ANONYMOUS, f"req-{number}", time.monotonic() + 60)

    def asked(size: int, name: str | None = None) -> Iterator[Callable[[], object]]:
        for number in count():
            job = job_of(number, size, name)
            yield partial(planner.plan, job, entry)

    begun = planner.plan(job_of(0, 100, "a conversation"), entry)
    if begun.decided is not None:
        begun.decided.answered(begun.candidates[0].id, "", None)
    return {
        "2 kB": asked(2_000),
        "100 kB": asked(100_000),
        "2 kB of a conversation that has begun": asked(2_000, "a conversation"),
    }


def _timed(plans: Iterator[Callable[[], object]]) -> tuple[Sequence[float], Sequence[float]]:
    """Seconds of each decision, of the thread and of the clock."""
    for _ in range(100):
        next(plans)()
    own, clock = [], []
    gc.collect()
    for _ in range(TIMES):
        plan = next(plans)
        began, at = time.thread_time(), time.perf_counter()
        plan()
        clock.append(time.perf_counter() - at)
        own.append(time.thread_time() - began)
    return own, clock
