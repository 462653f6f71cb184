"""A run that may be what ends its node is not taken up for ever; one that only waits is."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import StartVendor, provider
from tests.servers.fault_vendor import whole
from tests.servers.ports import free_port
from tests.servers.process import node_process
from tests.servers.vendor import Play, Received

WAITS = {"chain": {"name": "one"}, "steps": [{"id": "w", "wait": {"signal": "go"}}]}
ASKS = {
    "chain": {"name": "one"},
    "steps": [{"id": "a", "llm": {"model": "m", "prompt": "x"}, "timeout": 600}],
}


async def started(url: str, http: aiohttp.ClientSession, chain: dict[str, Any]) -> str:
    """A run of that chain."""
    name = chain["chain"]["name"]
    async with http.put(f"{url}/v1/chains/{name}", json={"definition": chain}) as reply:
        assert reply.status in (200, 201), await reply.text()
    async with http.post(f"{url}/v1/chains/{name}/runs", json={"mode": "background"}) as reply:
        assert reply.status == 202, await reply.text()
        run: dict[str, Any] = await reply.json()
    return str(run["id"])


async def seen(url: str, run: str, http: aiohttp.ClientSession, *wanted: str) -> dict[str, Any]:
    """The run, once it is in one of these states."""
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{url}/v1/runs/{run}") as reply:
                found: dict[str, Any] = await reply.json()
            if found["status"] in wanted:
                return found
            await asyncio.sleep(0.1)


async def test_a_run_that_only_waits_survives_every_end_of_its_node(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "data"}"\n')
    run = ""
    for start in range(5):
        async with node_process("--role", "ChainEngine", "--config", str(file)) as node:
            url = await node.url()
            run = run or await started(url, http, WAITS)
            await seen(url, run, http, "waiting")
            node.signal(signal.SIGKILL if start % 2 else signal.SIGTERM)
            await node.wait()


async def test_a_run_that_was_under_way_at_each_end_of_its_node_is_given_up(
    tmp_path: Path, http: aiohttp.ClientSession, start_vendor: StartVendor
) -> None:
    vendor = await start_vendor(Play.sse(end="hang"))
    port = free_port()
    file = tmp_path / "node.toml"
    chains = f"http://127.0.0.1:{port}"
    file.write_text(
        f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "data"}"\n[roles.chain_engine]\nport = {port}\n'
        + provider(vendor)
    )
    run = ""
    for start in range(4):
        async with node_process("--role", "All", "--config", str(file)) as node:
            await node.event("server.listening", count=4)
            run = run or await started(chains, http, ASKS)
            if start == 3:
                found = await seen(chains, run, http, "failed", "succeeded")
                assert found["error"]["code"] == "gave_up", found
                assert "3 times" in found["error"]["message"]
                return
            async with asyncio.timeout(60):
                while True:  # until it was taken up, and asks again
                    if len(vendor.received) > start:
                        break
                    await asyncio.sleep(0.05)
            node.signal(signal.SIGKILL)
            await node.wait()


POISON = {
    "chain": {"name": "poison"},
    "steps": [{"id": "a", "llm": {"model": "m", "prompt": "poison"}, "timeout": 600}],
}


async def test_a_run_that_only_stood_by_is_not_given_up_with_the_one_that_ends_the_node(
    tmp_path: Path, http: aiohttp.ClientSession, start_vendor: StartVendor
) -> None:
    """Six runs are asking a slow model each time that a seventh ends the node. It is given up, they are not."""
    asked = asyncio.Event()

    def answers(request: Received) -> Play:
        if "poison" in request.body.decode():
            asked.set()
        return Play.sse(end="hang")

    vendor = await start_vendor(answers)
    port = free_port()
    chains = f"http://127.0.0.1:{port}"
    file = tmp_path / "node.toml"
    file.write_text(
        f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "data"}"\n[roles.chain_engine]\nport = {port}\n'
        + provider(vendor)
    )
    runs: list[str] = []
    poison = ""
    for _start in range(3):
        async with node_process("--role", "All", "--config", str(file)) as node:
            await node.event("server.listening", count=4)
            if not runs:
                runs = [await started(chains, http, ASKS) for _ in range(6)]
                poison = await started(chains, http, POISON)
            async with asyncio.timeout(60):
                await asked.wait()
            asked.clear()
            node.signal(signal.SIGKILL)
            await node.wait()
    vendor.answers[:] = [Play.json(whole("done"))]
    async with node_process("--role", "All", "--config", str(file)) as node:
        await node.event("server.listening", count=4)
        found = await seen(chains, poison, http, "failed", "succeeded")
        assert found["error"]["code"] == "gave_up", found
        for run in runs:
            assert (await seen(chains, run, http, "failed", "succeeded"))["status"] == "succeeded"
