"""Restarts, reloads and drains that no client notices."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import trustme

from tests.conftest import StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY, STREAM
from tests.roles.router.test_models_admin import AUTH
from tests.servers.haproxy import haproxy
from tests.servers.ports import free_port
from tests.servers.process import NodeProcess, command, node_process
from tests.servers.vendor import Play, Received

RATE, AT_ONCE = 100, 50


def answer(request: Received) -> Play:
    """A stream of 0.2 seconds, or a whole answer."""
    return Play.sse(*STREAM[:2], 0.2, *STREAM[2:]) if request.json.get("stream") else Play.json(ANSWER)


def write(directory: Path, more: str, server: str = "") -> str:
    directory.mkdir(exist_ok=True)
    file = directory / "node.toml"
    file.write_text(f'[paths]\ndata_dir = "{directory / "data"}"\n[server]\n{server}\n{more}')
    return str(file)


class Load:
    """Requests at a steady rate, but so many at once, each third one streamed; what failed, and how."""

    def __init__(self, url: str, trust: ssl.SSLContext, *, fresh: bool = False) -> None:
        self.url = f"{url}/v1/chat/completions"
        self._trust = trust
        self._fresh = fresh
        self.served = 0
        self._served = asyncio.Condition()
        self.failed: list[str] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        stop, places = asyncio.Event(), asyncio.Semaphore(AT_ONCE)
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0, force_close=self._fresh)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:

            async def drive() -> None:
                for number in itertools.count():
                    await places.acquire()
                    if stop.is_set():
                        return
                    asking = group.create_task(self._ask(session, number % 3 == 0))
                    asking.add_done_callback(lambda _: places.release())
                    await asyncio.sleep(1 / RATE)

            group.create_task(drive())
            try:
                yield self
            finally:
                stop.set()

    async def _ask(self, session: aiohttp.ClientSession, stream: bool) -> None:
        try:
            async with session.post(self.url, json={**BODY, "stream": stream}) as reply:
                data = await reply.read()
            whole = data.endswith(b"data: [DONE]\n\n") if stream else b"choices" in data
            if reply.status == 200 and whole:
                async with self._served:
                    self.served += 1
                    self._served.notify_all()
            else:
                self.failed.append(f"{reply.status} {data[-200:]!r}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(repr(error))

    async def more(self, count: int) -> None:
        """Return when so many more were served."""
        wanted = self.served + count
        async with asyncio.timeout(60), self._served:
            await self._served.wait_for(lambda: self.served >= wanted)


def issued(authority: trustme.CA, file: Path) -> Path:
    """A certificate and its key in one file, replaced by rename."""
    fresh = file.with_suffix(".new")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(fresh))
    fresh.replace(file)
    return file


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_routers_restart_one_after_the_other_under_load_and_no_request_fails(
    tmp_path: Path, start_vendor: StartVendor
) -> None:
    vendor = await start_vendor(answer)
    authority = trustme.CA()
    front, ports = free_port(), [free_port(), free_port()]
    files = [
        write(tmp_path / f"r{number}", provider(vendor), f"port = {port}\ndrain_delay = 1")
        for number, port in enumerate(ports)
    ]
    async with contextlib.AsyncExitStack() as stack:
        start: Callable[[str], contextlib.AbstractAsyncContextManager[NodeProcess]] = lambda file: (  # noqa: E731
            node_process("--role", "Router", "--config", file)
        )
        nodes = [await stack.enter_async_context(start(file)) for file in files]
        balancer = await stack.enter_async_context(
            haproxy(tmp_path, front, issued(authority, tmp_path / "front.pem"), ports)
        )
        for name in ("router1", "router2"):
            await balancer.until(name, "UP")
        async with Load(f"https://127.0.0.1:{front}", trusting(authority)).running() as load:
            await load.more(100)
            for number, name in enumerate(("router1", "router2")):
                nodes[number].signal(signal.SIGTERM)
                await balancer.until(name, "DOWN")
                assert await nodes[number].wait() == 0
                nodes[number] = await stack.enter_async_context(start(files[number]))
                await balancer.until(name, "UP")
                await load.more(100)
    assert load.failed == []
    assert load.served > 300


@pytest.mark.parametrize("fresh", [True, False], ids=["new-connections", "kept-connections"])
async def test_a_changed_certificate_is_taken_under_load_and_no_request_fails(
    tmp_path: Path, start_vendor: StartVendor, fresh: bool
) -> None:
    vendor = await start_vendor(answer)
    old, new = trustme.CA(), trustme.CA()
    file = issued(old, tmp_path / "node.pem")
    tls = f'port = 0\n[server.tls]\ncertificate = "{file}"\nkey = "{file}"'
    both = trusting(old)
    new.configure_trust(both)
    config = write(tmp_path / "node", provider(vendor), tls)
    async with node_process("--role", "Router", "--config", config) as node:
        url = (await node.url()).replace("http:", "https:")
        async with Load(url, both, fresh=fresh).running() as load:
            await load.more(50)
            for count, authority in enumerate((new, old, new), start=1):
                issued(authority, file)
                node.signal(signal.SIGHUP)
                await node.event("config.reloaded", count=count)
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(f"{url}/health/live", ssl=trusting(authority)) as reply,
                ):
                    assert reply.status == 200
                await load.more(50)
            file.write_text("no certificate")
            node.signal(signal.SIGHUP)
            await node.event("config.reload_refused")
            await load.more(50)
        assert load.failed == []
        node.signal(signal.SIGINT)
        assert await node.wait() == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_who_interrupts_again_waits_for_no_stream(
    tmp_path: Path, start_vendor: StartVendor, http: aiohttp.ClientSession, workers: int
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM[:2], end="hang"))
    server = f"port = {free_port()}\nworkers = {workers}\ndrain_timeout = 3600"
    config = write(tmp_path / "node", provider(vendor), server)
    async with node_process("--role", "Router", "--config", config, own_group=True) as node:
        url = await node.url()
        async with http.post(f"{url}/v1/chat/completions", json={**BODY, "stream": True}) as reply:
            await reply.content.readline()
            os.killpg(node.process.pid, signal.SIGINT)  # as a terminal does
            await node.event("server.draining", count=workers)
            os.killpg(node.process.pid, signal.SIGINT)
            await node.event("server.cut")
            assert await node.wait() == 0
            with pytest.raises(aiohttp.ClientError):
                await reply.read()


class Told:
    """The socket systemd would listen on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(file))
        self._socket.settimeout(20)

    async def next(self, *skip: str) -> dict[str, str]:
        """The next message, but those that begin with one of `skip`."""
        while True:
            text = (await asyncio.to_thread(self._socket.recv, 4096)).decode()
            if not text.startswith(skip or "\0"):
                return dict(line.split("=", 1) for line in text.splitlines())

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_systemd_hears_of_start_reload_life_and_stop(tmp_path: Path, workers: int) -> None:
    told = Told(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": str(told.file), "WATCHDOG_USEC": "1000000"}
    config = write(tmp_path / "node", "", f"port = {free_port()}\nworkers = {workers}")
    try:
        async with node_process("--role", "Router", "--config", config, environment=environment) as node:
            assert (await told.next("WATCHDOG"))["READY"] == "1"
            assert await told.next() == {"WATCHDOG": "1"}
            node.signal(signal.SIGHUP)
            reloading = await told.next("WATCHDOG")
            assert reloading["RELOADING"] == "1"
            assert int(reloading["MONOTONIC_USEC"]) > 0
            assert (await told.next("WATCHDOG"))["READY"] == "1"
            await node.event("config.reloaded", count=workers)
            node.signal(signal.SIGTERM)
            assert (await told.next("WATCHDOG"))["STOPPING"] == "1"
            assert await node.wait() == 0
    finally:
        told.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_drained_node_is_not_ready_and_serves_on(
    tmp_path: Path, start_vendor: StartVendor, workers: int
) -> None:
    vendor = await start_vendor(answer)
    config = write(tmp_path / "node", provider(vendor) + AUTH, f"port = {free_port()}\nworkers = {workers}")
    key = {"authorization": "Bearer boss"}
    async with node_process("--role", "Router", "--config", config) as node:
        url = await node.url()
        await node.event("server.listening", count=workers)
        for number, (words, status) in enumerate((((), 503), (("--undo",), 200)), start=1):
            code, out, errors = await command("drain", "--url", url, "--api-key", "boss", *words)
            assert (code, errors) == (0, "")
            assert ("ready again" in out) == (status == 200)
            event = "node.drained" if status == 503 else "node.undrained"
            await node.event(event, count=workers)
            for _ in range(4 * workers):  # each on a new connection, and so on any worker
                async with aiohttp.ClientSession(headers=key) as fresh:
                    async with fresh.get(f"{url}/health/ready") as reply:
                        assert reply.status == status, number
                    async with fresh.post(f"{url}/v1/chat/completions", json=BODY) as reply:
                        assert reply.status == 200
        node.signal(signal.SIGTERM)
        assert await node.wait() == 0


async def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    config = write(tmp_path / "node", "", f"port = {free_port()}\nworkers = 2")
    async with node_process("--role", "Router", "--config", config) as node:
        await node.event("server.listening", count=2)
        node.signal(signal.SIGKILL)
        await node.event("server.stopped", count=2)
