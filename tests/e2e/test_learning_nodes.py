"""Learning by real processes: all nodes and workers follow, a killed trainer and an outage lose nothing, a backup carries it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import StartVendor, provider
from tests.inference.learning.made import EASY, HARD
from tests.servers import fault_vendor as faults
from tests.servers.ports import free_port
from tests.servers.process import NodeProcess, command, node_process
from tests.servers.redis import redis_server, require_redis
from tests.servers.vendor import Play, Vendor

ADMIN = {"authorization": "Bearer sk-admin"}
GROUP = f"""
[auth]
enabled = true
[[auth.keys]]
name = "admin"
sha256 = "{hashlib.sha256(b"sk-admin").hexdigest()}"
scopes = ["admin", "inference"]
[router]
learning_interval = 0.3
[[model_registry.models]]
name = "smart"
targets = ["small/m", "large/m"]
[model_registry.models.learning]
explore = 0.5
sticky = false
"""


def write(folder: Path, small: Vendor, large: Vendor, more: str) -> Path:
    """The configuration of a node of its own."""
    folder.mkdir()
    file = folder / "node.toml"
    paths = f'[paths]\ndata_dir = "{folder / "data"}"\n'
    file.write_text(paths + provider(small, name="small") + provider(large, name="large") + GROUP + more)
    file.chmod(0o600)
    return file


class Learner:
    """Asks and rates. What is easy every target knows; what is hard, the large one alone."""

    def __init__(self) -> None:
        self._asked = 0

    async def lessons(self, urls: list[str], count: int) -> None:
        """Each answer comes from one node and is rated at another."""
        async with aiohttp.ClientSession(headers=ADMIN, timeout=aiohttp.ClientTimeout(60)) as session:
            for _ in range(count):
                self._asked += 1
                ours, theirs = (urls[(self._asked + turn) % len(urls)] for turn in (0, 1))
                request_id, by = await self._ask(session, ours)
                score = float(by == "large" or self._asked % 2 == 0)
                body = {"request_id": request_id, "score": score}
                await self._rate(session, theirs, body)

    async def _rate(self, session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
        """As a client does that is told to come again: on a busy machine Redis may be taken for away."""
        deadline = time.monotonic() + 60
        while True:
            async with session.post(f"{url}/v1/feedback", json=body) as reply:
                told = await reply.json()
            if reply.status == 200:
                return
            assert reply.status in (404, 503), told
            assert time.monotonic() < deadline, told
            await asyncio.sleep(0.2)

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> tuple[str, str]:
        number = self._asked
        text = EASY.format(f"place {number}") if number % 2 == 0 else HARD.format(number, number + 1)
        body = {"model": "smart", "messages": [{"role": "user", "content": text}]}
        async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200, await reply.text()
            return reply.headers["x-request-id"], reply.headers["x-intellirouter-provider"]


async def version(url: str) -> int:
    """How many outcomes the weights of the process that answers rest on. A connection of its own: any worker may answer."""
    async with (
        aiohttp.ClientSession(headers=ADMIN) as session,
        session.get(f"{url}/admin/routing/status") as reply,
    ):
        assert reply.status == 200, await reply.text()
        groups = (await reply.json())["groups"]
    return next((group["version"] for group in groups if group["group"] == "smart"), 0)


async def all_know(urls: list[str], outcomes: int) -> None:
    """Wait until every process follows; more than there are outcomes is never learnt."""
    deadline, found = time.monotonic() + 60, list[int]()
    while found != [outcomes] * len(found) or not found:
        assert time.monotonic() < deadline, (found, outcomes)
        found = [await version(url) for url in urls for _ in range(4)]
        assert max(found) <= outcomes
        await asyncio.sleep(0.1)


@asynccontextmanager
async def three_nodes(files: list[Path], ports: list[int]) -> AsyncIterator[list[NodeProcess]]:
    """Three nodes; the last has two workers."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                node_process(
                    *("--role", "Router", "--config", str(file), "--port", str(port)),
                    *("--workers", "2" if place == 2 else "1"),
                )
            )
            for place, (file, port) in enumerate(zip(files, ports, strict=True))
        ]


async def test_three_nodes_and_workers_learn_as_one_through_a_kill_and_an_outage(
    tmp_path: Path, start_vendor: StartVendor
) -> None:
    require_redis()
    small, large = (
        await start_vendor(Play.json(faults.whole())),
        await start_vendor(Play.json(faults.whole())),
    )
    with redis_server(tmp_path / "redis") as redis:
        memory = f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n'
        files = [write(tmp_path / f"node{n}", small, large, memory) for n in range(3)]
        ports = [free_port() for _ in range(3)]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        async with three_nodes(files, ports) as nodes:
            await asyncio.gather(*(node.event("server.listening") for node in nodes))
            learner = Learner()
            await learner.lessons(urls, 40)
            await all_know(urls, 40)

            # Whoever learnt last is killed while more comes in: another goes on, and nothing counts twice or is lost.
            later = asyncio.create_task(learner.lessons(urls[1:], 30))
            nodes[0].signal(signal.SIGKILL)
            await nodes[0].wait()
            await later
            await all_know(urls[1:], 70)

            redis.kill()
            await decided_by_what_was_learnt(urls[1])


async def decided_by_what_was_learnt(url: str) -> None:
    """Without Redis decisions go on from the last weights."""
    body = {"model": "smart", "messages": [{"role": "user", "content": HARD.format(3, 5)}]}
    headers = {**ADMIN, "x-intellirouter-explain": "1"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/v1/chat/completions", json=body) as reply,
    ):
        assert reply.status == 200, await reply.text()
        selection = json.loads(reply.headers["x-intellirouter-decision"])["selection"]
    assert selection["reason"] in ("learned", "explored", "default")
    assert sum(row["outcomes"] for row in selection["targets"]) >= 40


async def test_a_backup_carries_what_was_learnt(tmp_path: Path, start_vendor: StartVendor) -> None:
    small, large = (
        await start_vendor(Play.json(faults.whole())),
        await start_vendor(Play.json(faults.whole())),
    )
    old, new = (write(tmp_path / name, small, large, "[server]\nport = 0\n") for name in ("old", "new"))
    backups = tmp_path / "backups"
    async with node_process("--role", "Router", "--config", str(old)) as node:
        url = await node.url()
        await Learner().lessons([url], 40)
        await all_know([url], 40)
        before = await status(url)
        code, out, errors = await command("backup", "--to", str(backups), "--config", str(old))
        assert code == 0, out + errors
    (archive,) = backups.glob("*.irbackup")
    code, out, errors = await command("restore", str(archive), "--config", str(new), "--trust-foreign")
    assert code == 0, out + errors
    async with node_process("--role", "Router", "--config", str(new)) as node:
        url = await node.url()
        await all_know([url], 40)
        assert await status(url) == before
        await Learner().lessons([url], 5)  # and it goes on from there
        await all_know([url], 45)


async def status(url: str) -> Any:
    """What was learnt, without what was decided since the start."""
    async with (
        aiohttp.ClientSession(headers=ADMIN) as session,
        session.get(f"{url}/admin/routing") as reply,
    ):
        return (await reply.json())["groups"]
