"""Soak: mixed traffic against one Router for a long time, and whether its memory stays flat.

    scripts/environment && python scripts/soak.py --minutes 30

A stand-in vendor answers well, slowly, with errors and with broken streams; clients ask whole and streamed, with distinct
prompts, leave in the middle, and come with many names. After a tenth of the time the Router counts as warm; from then on
its resident memory may grow by `--tolerance` percent. Exit code 1 when it grows more, or when a request that could be
answered was not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp
import psutil

from tests.servers import fault_vendor as faults
from tests.servers.process import node_process
from tests.servers.vendor import Answer, Play, Received, Vendor

CHANCE = random.Random(1)


def misbehaving(request: Received) -> Play:
    """Nine answers of ten are good; the rest are the faults of the field."""
    kinds: tuple[Answer, ...] = (
        faults.error(500, "oops"),
        faults.error(429, "slow down", **{"retry-after": "1"}),
        Play(before="reset"),
        faults.broken_after(30, "reset"),
        faults.invalid_json,
        faults.slow_first_token(0.5),
    )
    if CHANCE.random() < 0.9:
        return faults.healthy(request)
    kind = CHANCE.choice(kinds)
    return kind(request) if callable(kind) else kind


def configuration(directory: str, primary: Vendor, second: Vendor) -> str:
    provider = '[[model_registry.providers]]\nname = "{}"\nkind = "openai_compatible"\nendpoint = "{}/v1"\nmodels = ["m"]\n'
    return (
        f'[paths]\ndata_dir = "{directory}/data"\n[server]\nport = 0\n[telemetry]\naccess_log = false\n'
        "[cache]\nenabled = true\nmax_bytes = 2000000\n[limits.each_key]\nrequests_per_minute = 10000000\n"
        + provider.format("primary", primary.url)
        + provider.format("second", second.url)
        + '[[model_registry.models]]\nname = "chat"\ntargets = ["primary/m", "second/m"]\nstrategy = "round-robin"\n'
        "price = { input = 1, output = 2 }\n"
    )


@dataclass
class Tally:
    outcomes: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, int]] = field(default_factory=list)
    number: int = 0


async def client(session: aiohttp.ClientSession, url: str, tally: Tally, end: float) -> None:
    while time.monotonic() < end:
        tally.number += 1
        prompt = f"prompt {CHANCE.randrange(5_000)} " + "x" * CHANCE.choice((10, 1_000, 20_000))
        body: dict[str, Any] = {
            "model": "chat",
            "messages": [{"role": "user", "content": prompt}],
            "user": f"user-{tally.number % 10_000}",
            "stream": CHANCE.random() < 0.6,
        }
        try:
            async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
                if body["stream"] and CHANCE.random() < 0.05:
                    await reply.content.readany()
                    reply.close()
                    tally.outcomes["left in the middle"] += 1
                    continue
                data = await reply.read()
                whole = b"word59" in data or b"d59" in data
                tally.outcomes["complete" if reply.status == 200 and whole else f"status {reply.status}"] += 1
        except aiohttp.ClientError as error:
            tally.outcomes[type(error).__name__] += 1


async def watch(pid: int, tally: Tally, began: float, end: float) -> None:
    process = psutil.Process(pid)
    while time.monotonic() < end:
        tally.memory.append((time.monotonic() - began, process.memory_info().rss))
        await asyncio.sleep(min(5.0, (end - began) / 50))


def grown(tally: Tally, seconds: float) -> float:
    """Percent from the first to the last fifth of the warm time, by the median of each."""
    warm = [size for at, size in tally.memory if at > seconds / 10]
    fifth = max(1, len(warm) // 5)
    first, last = sorted(warm[:fifth])[fifth // 2], sorted(warm[-fifth:])[fifth // 2]
    return (last - first) / first * 100


async def soak(seconds: float, clients: int, tolerance: float) -> int:
    tally = Tally()
    with tempfile.TemporaryDirectory() as directory:
        async with Vendor(misbehaving).running() as primary, Vendor(faults.healthy).running() as second:
            file = Path(directory) / "soak.toml"
            file.write_text(configuration(directory, primary, second))
            async with node_process("--role", "Router", "--config", str(file)) as node:
                url = await node.url()
                began = time.monotonic()
                end = began + seconds
                connector = aiohttp.TCPConnector(limit=0)
                async with (
                    aiohttp.ClientSession(connector=connector) as session,
                    asyncio.TaskGroup() as group,
                ):
                    group.create_task(watch(node.process.pid, tally, began, end))
                    for _ in range(clients):
                        group.create_task(client(session, url, tally, end))
                node.process.terminate()
                await node.wait()
    growth = grown(tally, seconds)
    bad = {k: n for k, n in tally.outcomes.items() if k not in ("complete", "left in the middle")}
    print(f"{tally.number} requests in {seconds:.0f} s: {dict(tally.outcomes)}")
    print(
        f"memory: {tally.memory[0][1] >> 20} MiB at start, {tally.memory[-1][1] >> 20} MiB at the end, ",
        end="",
    )
    print(f"{growth:+.1f} % while warm (at most {tolerance:g} %)")
    return 1 if growth > tolerance or bad else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tolerance", type=float, default=5.0, help="percent")
    given = parser.parse_args()
    sys.exit(asyncio.run(soak(given.minutes * 60, given.clients, given.tolerance)))


if __name__ == "__main__":
    main()
