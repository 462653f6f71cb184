"""A Ctrl-C while runs are under way: the node ends at once and says nothing of it, also where they were cancelled and resumed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.servers.process import node_process

WAITS = "chain: {name: waits}\nsteps:\n  - {id: word, wait: {signal: go, timeout: 1h}}\noutput: {said: steps.word}\n"


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_run_that_waits_does_not_hold_up_a_ctrl_c(
    tmp_path: Path, http: aiohttp.ClientSession, resumed: bool
) -> None:
    environment = {
        "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path),
        "INTELLIROUTER__MODEL_REGISTRY__DISCOVER_ENVIRONMENT": "false",
    }
    async with node_process(
        "--role", "ChainEngine", "--port", "0", environment=environment, own_group=True
    ) as node:
        url = await node.url()

        async def ask(method: str, path: str, body: Any = None) -> Any:
            async with http.request(method, f"{url}/v1/{path}", json=body) as reply:
                assert reply.status < 300, await reply.text()
                return await reply.json()

        async def until(run: str, *statuses: str) -> None:
            async with asyncio.timeout(60):
                while True:
                    if (await ask("GET", f"runs/{run}"))["status"] in statuses:
                        return
                    await asyncio.sleep(0.05)

        await ask("PUT", "chains/waits", {"source": WAITS})
        run = (await ask("POST", "chains/waits/runs", {"input": {}, "mode": "background"}))["id"]
        await until(run, "waiting", "running")
        if resumed:
            await ask("POST", f"runs/{run}/cancel")
            await until(run, "cancelled")
            await ask("POST", f"runs/{run}/resume")
            await until(run, "waiting", "running")
            await asyncio.sleep(0.5)
        os.killpg(node.process.pid, signal.SIGINT)
        assert await node.wait() == 0
        said = "\n".join(str(line) for line in node.lines)
        assert "Traceback" not in said, said
        assert "RuntimeError" not in said
