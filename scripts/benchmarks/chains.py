"""What the chain engine itself costs: `python -m scripts.benchmarks.chains`. Steps do nothing; times are wall clock."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from typing import Any

from intellirouter.chains.check import check
from intellirouter.chains.ports import Ports
from intellirouter.chains.runtime.durable.opening import opened
from intellirouter.chains.runtime.in_process import InProcessRuntime
from intellirouter.chains.source import read
from intellirouter.chains.steps.attempts import Worker

STEPS = 10
TEN = check(
    read(
        "chain: {name: ten}\nsteps:\n"
        + "".join(f"  - {{id: s{n}, tool: {{name: t}}}}\n" for n in range(STEPS))
    )
)


class Nothing:
    """A tool that does nothing at once."""

    async def call(self, *_: Any) -> Any:
        return {}


async def measure() -> dict[str, float]:
    """Milliseconds and steps a second."""
    worker = Worker(Ports(tools=Nothing()))
    in_process = InProcessRuntime(worker)
    quick = [await _timed(in_process.run(TEN, {})) for _ in range(200)]
    with tempfile.TemporaryDirectory() as folder:
        async with opened(f"sqlite:///{folder}/runs.db", worker) as durable:

            async def run() -> None:
                await durable.result(await durable.start(TEN, {}))

            kept = [await _timed(run()) for _ in range(50)]
            together = await _timed(asyncio.gather(*(run() for _ in range(50))))
    return {
        "in_process_run_of_10_p50_ms": round(statistics.median(quick) * 1e3, 3),
        "sqlite_step_p50_ms": round(statistics.median(kept) / STEPS * 1e3, 3),
        "sqlite_50_runs_steps_per_second": round(50 * STEPS / together, 1),
    }


async def _timed(work: Any) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure()), indent=2))
