"""How soon every process decides by the same weights: three nodes on one Redis, one of them with two workers.

Measured from when the trainer had learnt (the moment is in the weights) until every process was seen to follow. Any worker of
a node may answer a connection, so each node is asked several times, and what is printed holds the time of asking too.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import numpy as np

from tests.e2e.test_learning_nodes import ADMIN, Learner, three_nodes, write
from tests.servers import fault_vendor as faults
from tests.servers.ports import free_port
from tests.servers.redis import redis_server
from tests.servers.vendor import Play, Vendor

ROUNDS, LESSONS, CONNECTIONS = 10, 6, 4
_PATIENCE = 60.0


def report() -> None:
    """Print the table."""
    with TemporaryDirectory() as folder:
        asyncio.run(_report(Path(folder)))


async def _report(folder: Path) -> None:
    async with AsyncExitStack() as stack:
        vendors = [Vendor(Play.json(faults.whole())) for _ in range(2)]
        small, large = [await stack.enter_async_context(vendor.running()) for vendor in vendors]
        redis = stack.enter_context(redis_server(folder / "redis"))
        memory = f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n'
        files = [write(folder / f"node{n}", small, large, memory) for n in range(3)]
        ports = [free_port() for _ in files]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        nodes = await stack.enter_async_context(three_nodes(files, ports))
        await asyncio.gather(*(node.event("server.listening") for node in nodes))
        learner, lags = Learner(), []
        for number in range(1, ROUNDS + 1):
            await learner.lessons(urls, LESSONS)
            lags.append(await _lag(urls, number * LESSONS))
        print(
            f"\nseconds from learning until three nodes, one with two workers, had the same weights; {ROUNDS} times"
            f"\n  median {np.median(lags):.2f}   longest {max(lags):.2f}"
        )


async def _lag(urls: list[str], outcomes: int) -> float:
    """Seconds from when `outcomes` had been learnt until every process was seen to decide by them."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        asked = [_seen(url) for url in urls for _ in range(CONNECTIONS)]
        found = await asyncio.gather(*asked)
        at = time.time()
        if {version for version, _ in found} == {outcomes}:
            return at - max(trained for _, trained in found)
    raise TimeoutError(f"not every process had learnt {outcomes} outcomes within {_PATIENCE:.0f} s")


async def _seen(url: str) -> tuple[int, float]:
    """By how many outcomes the process that answers decides, and when they were learnt."""
    async with (
        aiohttp.ClientSession(headers=ADMIN) as client,
        client.get(f"{url}/admin/routing/status") as reply,
    ):
        groups = (await reply.json())["groups"]
    return next(((one["version"], one["trained"]) for one in groups if one["group"] == "smart"), (0, 0.0))


if __name__ == "__main__":
    report()
