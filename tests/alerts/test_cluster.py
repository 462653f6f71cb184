"""Nodes on one Redis say one thing once, miss one that is killed, and tell when Redis goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import aiohttp

from tests.alerts.heard import Heard
from tests.alerts.test_causes import ADMIN, KEYS, QUICK, rule
from tests.conftest import StartNode
from tests.servers.process import NodeProcess
from tests.servers.redis import redis_server

RULES = (
    "[alerts.rules.redis_lost]\nfor_seconds = 0\nclear_seconds = 3\n"
    + rule("node_lost")
    + rule("memory", "warning = 0.0001\ncritical = 1.0")
)


async def test_three_nodes_tell_once(
    start_node: StartNode, heard: Heard, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    with redis_server(tmp_path / "redis") as redis:
        toml = QUICK + KEYS + RULES + heard.channel()
        toml += f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n'
        nodes = [await start_node(toml) for _ in range(2)]
        file = tmp_path / "third.toml"
        toml += f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "third"}"\n[telemetry]\nlog_format = "json"\n'
        file.write_text(toml)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "intellirouter", "run", "--role", "Router", "--config", str(file),
            stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        third = NodeProcess(process)
        host = os.uname().nodename
        try:
            url = await third.url()
            names = {f"{host}:{one.listening[0].port}" for one in nodes}
            lost = f"{host}:{url.rpartition(':')[2]}"
            for name in (*names, lost):  # a figure of each node, told once by whoever judges
                await heard.until("memory", "warning", subject=name)
            assert len(heard.of("memory")) == len(names) + 1, heard.said
            third.signal(9)
            await process.wait()
            assert (await heard.until("node_lost", "critical"))["subject"] == lost
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        # what people do on one node holds on all
        one, other = (node.listening[0].url for node in nodes)
        async with http.get(f"{one}/admin/alerts", headers=ADMIN) as reply:
            listing = await reply.json()
        gone = next(row for row in listing["data"] if row["rule"] == "node_lost")
        path = f"/admin/alerts/{gone['id']}/acknowledge"
        async with http.post(f"{other}{path}", headers=ADMIN, json={"note": "new disk"}) as reply:
            assert reply.status == 200
        async with http.get(f"{one}/admin/alerts", headers=ADMIN) as reply:
            rows = (await reply.json())["data"]
        assert next(row for row in rows if row["id"] == gone["id"])["acknowledged"]["note"] == "new disk"
        assert heard.of("node_lost") == ["critical"]


async def test_a_redis_that_stops_and_comes_back(start_node: StartNode, heard: Heard, tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as redis:
        toml = QUICK + RULES + heard.channel()
        await start_node(toml + f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n')
        await heard.until("memory", "warning")
        redis.kill()
        await heard.until("redis_lost", "critical")
        redis.start()
        await heard.until("redis_lost", "critical", "recovered")
