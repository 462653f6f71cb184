"""The commands that speak with a running ChainEngine."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

from tests.conftest import StartNode
from tests.roles.chain_engine.test_api import WAIT, auth
from tests.servers.warm.process import warm_command

ROOT = Path(__file__).parents[3]


async def test_a_run_from_its_start_to_its_fork(start_node: StartNode, tmp_path: Path) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    (tmp_path / "approve.yaml").write_text(WAIT)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "INTELLIROUTER_CHAIN_URL": node.listening[0].url,
        "INTELLIROUTER_API_KEY": "ann",
        "COLUMNS": "200",
    }

    async def chain(*arguments: str, code: int = 0) -> str:
        process = await asyncio.create_subprocess_exec(
            *warm_command(),
            "chain",
            *arguments,
            env=environment,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        assert process.returncode == code, said
        return said

    assert "is there, version 1" in await chain("put", "approve.yaml")
    assert "aprove.yaml cannot be read (No such file" in await chain("put", "aprove.yaml", code=2)
    run = json.loads(await chain("start", "approve", "--json"))["id"]
    assert run in await chain("ls")
    following = asyncio.create_task(chain("logs", run, "-f"))
    await chain("cancel", run)
    assert "cancelled" in await chain("status", run, code=1)
    assert run in await chain("resume", run)
    assert "handed over" in await chain("signal", run, "approval", '{"by": "ann"}')
    logs = await chain("logs", run, "-f")
    assert '"by":"ann"' in logs
    assert "DBOS" not in logs
    assert '"by": "ann"' in await chain("status", run)
    assert "nap" in await following
    # it has reached the wait for its signal already, or it has not
    assert re.fullmatch(r"run_\w+ is (running|waiting)\.\n", await chain("fork", run, "--step", "2"))
    assert "yes" in await chain("nodes")
    assert "next at" in await chain("schedule", "daily", "--chain", "approve", "--cron", "0 7 * * *")
    await chain("schedule", "daily", "--pause")
    assert "paused" in await chain("schedules")
    await chain("schedule", "daily", "--delete")
    assert "secret:  whsec_" in await chain("trigger", "in", "--webhook", "--chain", "approve")
    assert "/v1/webhooks/" in await chain("triggers")
    assert "live" in await chain("versions", "approve")
    assert "no chain 'gone'" in await chain("start", "gone", code=1)
    assert "not a cron expression" in await chain(
        "schedule", "x", "--chain", "approve", "--cron", "never", code=1
    )
