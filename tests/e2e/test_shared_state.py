"""Routers that share state, while parts of the world go away: Redis, a worker, the network to one provider."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from intellirouter.config.schema.memory import MemorySection
from intellirouter.inference.limits.ledger import day_name
from intellirouter.memory.redis.store import RedisStore
from tests.conftest import StartNode, StartVendor, provider
from tests.minutes import room_in_this_minute
from tests.servers import fault_vendor as faults
from tests.servers.ports import free_port
from tests.servers.process import command, node_process
from tests.servers.redis import RedisServer, redis_server
from tests.servers.vendor import Play

BODY = {"model": "primary/m", "messages": [{"role": "user", "content": "Hi"}]}

AT_ONCE = 100


def write(tmp_path: Path, toml: str) -> Path:
    file = tmp_path / "node.toml"
    file.write_text(f'[paths]\ndata_dir = "{tmp_path / "data"}"\n' + toml)
    return file


class Load:
    """Requests at a steady rate, whether or not the earlier ones are answered, but so many at once that a slow machine keeps up."""

    def __init__(self, url: str, rate: float) -> None:
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self._url = f"{url}/v1/chat/completions"
        self._rate = rate
        self._places = asyncio.Semaphore(AT_ONCE)

    async def _one(self, session: aiohttp.ClientSession) -> None:
        began = time.perf_counter()
        try:
            async with session.post(self._url, json=BODY) as reply:
                await reply.read()
                self.statuses[reply.status] += 1
        except aiohttp.ClientError:
            self.statuses[0] += 1
        finally:
            self._places.release()
        self.seconds.append(time.perf_counter() - began)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()

        async def run() -> None:
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
                while not stop.is_set():
                    await self._places.acquire()
                    group.create_task(self._one(session))
                    await asyncio.sleep(1 / self._rate)

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            stop.set()
            await task


async def redis_says(http: aiohttp.ClientSession, url: str, status: str) -> None:
    deadline = time.monotonic() + 15
    while True:
        async with http.get(f"{url}/health") as reply:
            if (await reply.json())["parts"]["state"]["status"] == status:
                return
        assert time.monotonic() < deadline, f"state never became {status}"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_redis_goes_and_comes_under_load_and_no_request_fails(
    how: str, tmp_path: Path, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(faults.whole()))
    with redis_server(tmp_path / "redis") as redis:
        toml = provider(vendor) + (
            f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\ntimeout = 20\n'
            "[limits.each_key]\nrequests_per_minute = 100000\ntokens_per_minute = 100000000\n"
            "[server]\nport = 0\n"
        )
        async with node_process("--role", "Router", "--config", str(write(tmp_path, toml))) as node:
            url = await node.url()
            load = Load(url, 200)
            async with load.running():
                await asyncio.sleep(0.8)
                redis.kill() if how == "killed" else redis.freeze()
                await redis_says(http, url, "degraded")
                await asyncio.sleep(0.8)
                redis.start() if how == "killed" else redis.thaw()
                await redis_says(http, url, "healthy")
                async with asyncio.timeout(60):
                    while load.statuses[200] <= 200:  # a slow machine takes longer for as many
                        await redis_says(http, url, "healthy")
                await asyncio.sleep(0.5)
            assert set(load.statuses) == {200}
            answered = load.statuses[200]
            assert answered > 200
            assert max(load.seconds) < 10  # nobody waited for a time-out of Redis
            store = RedisStore(MemorySection(redis_url=redis.url))
            deadline = time.monotonic() + 10
            counted = 0.0
            while counted < answered and time.monotonic() < deadline:
                counted = await store.level(f"spend:{day_name(time.time())}:model:primary/m:requests")
                await asyncio.sleep(0.05)
            await store.aclose()
            assert (
                answered <= counted <= answered + 200
            )  # at most what one lost answer carried is counted twice
            node.signal(signal.SIGTERM)
            assert await node.wait() == 0


async def test_a_router_starts_without_redis_and_serves(
    tmp_path: Path, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(faults.whole()))
    port = free_port()
    toml = provider(vendor) + f'[memory]\nbackend_type = "redis"\nredis_url = "redis://127.0.0.1:{port}"\n'
    url = (await start_node(toml)).listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json=BODY) as reply:
        assert reply.status == 200
    await redis_says(http, url, "degraded")
    redis = RedisServer(tmp_path / "late", port=port).start()
    try:
        await redis_says(http, url, "healthy")
    finally:
        redis.kill()


async def test_a_node_that_starts_while_redis_is_away_still_knows_its_keys(
    tmp_path: Path, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(faults.whole()))
    with redis_server(tmp_path / "redis") as redis:
        toml = f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n[auth]\nenabled = true\n'
        config = ("--config", str(write(tmp_path, "[server]\nport = 0\n" + toml + provider(vendor))))
        _, secret, _ = await command("keys", "create", "app", *config)
        headers = {"authorization": f"Bearer {secret.strip()}"}

        async def answers() -> None:
            """On a busy machine Redis may be taken for away at first: a moment later it is not."""
            async with node_process("--role", "Router", *config) as node, asyncio.timeout(20):
                url, status = f"{await node.url()}/v1/chat/completions", 0
                while status != 200:
                    async with http.post(url, json=BODY, headers=headers) as reply:
                        status = reply.status
                    await asyncio.sleep(0.05)
                node.signal(signal.SIGTERM)
                await node.wait()

        await answers()
        redis.kill()
        await answers()
        copy = (tmp_path / "data" / "keys.json").read_text()
        assert secret.strip() not in copy
        assert (tmp_path / "data" / "keys.json").stat().st_mode & 0o077 == 0
        aged = json.loads(copy)
        aged["read_at"] -= 3600  # who was revoked since then, nobody can say
        (tmp_path / "data" / "keys.json").write_text(json.dumps(aged))
        async with node_process("--role", "Router", *config) as node, asyncio.timeout(60):
            url = f"{await node.url()}/v1/chat/completions"
            async with http.post(url, json=BODY, headers=headers) as reply:
                assert reply.status == 401


async def test_workers_agree_on_limits_and_circuits_and_a_killed_one_takes_only_its_own(
    tmp_path: Path, start_vendor: StartVendor
) -> None:
    failing = False

    def answer(request: Any) -> Play:
        return faults.error(500, "down") if failing else Play.json(faults.whole())

    vendor = await start_vendor(answer)
    port = free_port()
    toml = provider(vendor) + (
        f"[server]\nport = {port}\nworkers = 2\n[limits.models]\n"
        '"chat" = { requests_per_minute = 40 }\n'
        '[[model_registry.models]]\nname = "chat"\ntargets = ["primary/m"]\n'
    )
    async with node_process("--role", "Router", "--config", str(write(tmp_path, toml))) as node:
        await node.event("server.listening", count=2)
        await room_in_this_minute()
        url = f"http://127.0.0.1:{port}/v1/chat/completions"

        async def ask(model: str) -> tuple[int, str]:
            body = {**BODY, "model": model}
            async with aiohttp.ClientSession() as fresh, fresh.post(url, json=body) as reply:
                return reply.status, await reply.text()  # a new connection may reach either worker

        statuses = Counter([(await ask("chat"))[0] for _ in range(80)])
        assert 38 <= statuses[200] <= 40
        assert statuses[429] == 80 - statuses[200]

        workers = psutil.Process(node.process.pid).children()
        load = Load(f"http://127.0.0.1:{port}", 100)
        async with load.running():
            await asyncio.sleep(0.3)
            workers[0].kill()
            await node.event("server.listening", count=3)
            await asyncio.sleep(0.3)
        assert load.statuses[0] <= 10  # what it had in hand
        assert sum(load.statuses.values()) == load.statuses[0] + load.statuses[200]

        failing = True
        for _ in range(40):
            await ask("primary/m")
        before = len(vendor.received)
        await asyncio.sleep(0.3)
        replies = [await ask("primary/m") for _ in range(20)]
        assert len(vendor.received) - before <= 2
        assert all(status == 503 and "circuit is open" in text for status, text in replies[-5:])
        node.signal(signal.SIGTERM)
        assert await node.wait() == 0


@contextmanager
def blackhole() -> Iterator[int]:
    """A port that drops what is sent to it: a listener whose queue is full."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        time.sleep(0.05)
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


async def test_a_network_that_drops_packets_to_one_provider_is_survived(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    second = await start_vendor(faults.healthy)
    with blackhole() as port:
        toml = (
            f'[[model_registry.providers]]\nname = "gone"\nkind = "openai_compatible"\n'
            f'endpoint = "http://127.0.0.1:{port}/v1"\nmodels = ["m"]\ntimeouts = {{ connect = 0.3 }}\n'
            + provider(second, name="second")
            + '[[model_registry.models]]\nname = "chat"\ntargets = ["gone/m", "second/m"]\n'
        )
        url = (await start_node(toml)).listening[0].url
        attempts = []
        for _ in range(8):
            async with http.post(f"{url}/v1/chat/completions", json={**BODY, "model": "chat"}) as reply:
                assert reply.headers["x-intellirouter-provider"] == "second"
                assert json.loads(await reply.text())["choices"][0]["message"]["content"] == faults.TEXT
                attempts.append(int(reply.headers["x-intellirouter-attempts"]))
        assert attempts[0] > 1
        assert attempts[6:] == [1, 1]  # its circuit is open by now: nobody waits for it any more
