"""Flood a ChainEngine and judge who had to wait.

    python -m scripts.flood_chains [RUNS]

One tenant leaves RUNS (5,000) runs at once on a node that runs ten at a time; while they wait, another tenant starts a hundred, and the
first one ten urgent ones. Exit code 1 when a run is lost or run twice, when an urgent one waited behind the flood, or when the other
tenant waited for more than a fifth of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from intellirouter.telemetry import logs

OTHERS, URGENT, CLIENTS = 100, 10, 20
CHAIN = "chain: {name: nap}\nsteps: [{id: a, map: {over: '[1]', as: x, max_items: 1}, do: [{id: b, sleep: 20ms}]}]"


def configuration(runs: int) -> str:
    keys = "".join(
        f'[[auth.keys]]\nname = "{name}"\ntenant = "{name}"\nscopes = ["inference", "chains"]\n'
        f'sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        for name in ("flood", "other")
    )
    return (
        f'[chain_engine]\nmax_running = 10\nmax_line = {2 * runs + 1_000}\n[telemetry]\nlog_level = "warning"\n'
        f"[auth]\nenabled = true\n{keys}"
    )


async def main(runs: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "node.toml"
        file.write_text(configuration(runs))
        loaded = load(file, {}, {("server", "port"): 0, ("paths", "data_dir"): Path(folder) / "data"})
        logs.configure(level="warning", levels={}, json=False, file=None, role="")
        async with running(loaded, select("ChainEngine")) as node, aiohttp.ClientSession() as http:
            return await flooded(http, node.listening[0].url, runs)


async def flooded(http: aiohttp.ClientSession, url: str, runs: int) -> int:
    gate = asyncio.Semaphore(CLIENTS)

    async def ask(key: str, method: str, path: str, body: Any = None) -> Any:
        async with (
            gate,
            http.request(method, url + path, json=body, headers={"authorization": f"Bearer {key}"}) as reply,
        ):
            answer = await reply.json()
            assert reply.status < 300, answer
            return answer

    async def begin(key: str, **more: Any) -> str:
        return str((await ask(key, "POST", "/v1/chains/nap/runs", {"mode": "background", **more}))["id"])

    for key in ("flood", "other"):
        await ask(key, "PUT", "/v1/chains/nap", {"source": CHAIN})
    began = time.time()
    mine = await asyncio.gather(*(begin("flood") for _ in range(runs)))
    print(f"{runs} runs in line after {time.time() - began:.1f} s")
    theirs = await asyncio.gather(*(begin("other") for _ in range(OTHERS)))
    urgent = await asyncio.gather(*(begin("flood", priority=50) for _ in range(URGENT)))

    for key in ("other", "flood"):  # whoever asked for each run again and again would be most of the load
        while True:
            queues = (await ask(key, "GET", "/v1/queue"))["data"]
            if not sum(queue["waiting"] for queue in queues):
                break
            await asyncio.sleep(1.0)

    async def waited(key: str, run_id: str) -> float:
        while True:
            run = await ask(key, "GET", f"/v1/runs/{run_id}")
            if run["ended_at"] is not None:
                assert run["status"] == "succeeded", run
                return float(run["ended_at"] - run["created_at"])
            await asyncio.sleep(1.0)

    urgently = await asyncio.gather(*(waited("flood", run) for run in urgent))
    fairly = await asyncio.gather(*(waited("other", run) for run in theirs))
    flood = await asyncio.gather(*(waited("flood", run) for run in mine))
    whole = max(flood)
    for name, times in (("urgent", urgently), ("the other tenant", fairly), ("the flood", flood)):
        print(
            f"{name:>16}: {len(times)} runs, median {statistics.median(times):.1f} s, longest {max(times):.1f} s"
        )
    print(f"{(runs + OTHERS + URGENT) / whole:.0f} runs a second")
    return int(max(urgently) > whole / 5 or max(fairly) > whole / 5)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)))
