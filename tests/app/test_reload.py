"""A reload of a running node is all or nothing, says what waits, and fails the command when it is refused."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import trustme

from tests.servers.ports import free_port
from tests.servers.process import NodeProcess, command, node_process

BASE = "[model_registry]\ndiscover_environment = false\n[rag]\nenabled = false\n"


class Running:
    """A node, its file and what it may be asked."""

    def __init__(self, node: NodeProcess, file: Path, data: Path, http: aiohttp.ClientSession) -> None:
        self.node, self.file, self.data, self.http = node, file, data, http
        self.url = ""

    def write(self, toml: str) -> None:
        self.file.write_text(f'{toml}\n[paths]\ndata_dir = "{self.data}"\n')

    async def reload(self) -> tuple[int, str, str]:
        return await command("reload", "--config", str(self.file))

    async def answers(self, status: int, key: str) -> bool:
        return await self.status(key) == status

    async def status(self, key: str | None = None) -> int:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with self.http.get(f"{self.url}/v1/models", headers=headers) as reply:
            return reply.status


@asynccontextmanager
async def running(
    tmp_path: Path, http: aiohttp.ClientSession, toml: str = "", role: str = "Router"
) -> AsyncIterator[Running]:
    file, data = tmp_path / "node.toml", tmp_path / "data"
    file.write_text(f'[server]\nport = 0\n{BASE}{toml}\n[paths]\ndata_dir = "{data}"\n')
    async with node_process("--config", str(file), "--role", role) as node:
        one = Running(node, file, data, http)
        one.url = await node.url()
        await seen(lambda: any(data.glob("nodes/*.json")))
        yield one


async def seen(true: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return true()

    await answered(ask)


async def answered(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while True:
            if await true():
                return
            await asyncio.sleep(0.05)


START = "[server]\nport = 0\n" + BASE


async def test_what_applies_and_what_waits_is_said(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with running(tmp_path, http) as one:
        one.write(
            START
            + '[cache]\nenabled = true\n[telemetry]\ntracing_enabled = true\nlog_level = "debug"\n'
            + '[ipc]\ntimeout = 3\n[router]\ntransport = "aiohttp"\nstrategy = "cost"\n'
        )
        code, out, errors = await one.reload()
        assert code == 0, errors
        keys = "cache.enabled, ipc.timeout, router.transport, telemetry.tracing_enabled"
        assert out == f"reloaded; waiting for a restart: {keys}\n"
        told = await one.node.event("config.reloaded")
        assert sorted(told["needs_restart"]) == keys.split(", ")
        code, out, _ = await command("reload", "--config", str(one.file), "--json")
        assert code == 0
        assert next(iter(json.loads(out).values()))["accepted"] is True
        one.write(START)
        assert (await one.reload())[1] == "reloaded\n"


REFUSED = {
    "a key that is none": ("[server]\nprt = 1\n" + BASE, "server.prt"),
    "a strategy that is none": (START + '[router]\nstrategy = "falback"\n', "falback"),
    "a log that cannot be opened": (
        START + '[telemetry]\nlog_file = "/nowhere/x/ir.log"\n',
        "telemetry.log_file",
    ),
    "a kind of provider that is none": (
        START + '[[model_registry.providers]]\nname = "a"\nkind = "nosuch"\nendpoint = "http://h"\n',
        "nosuch",
    ),
    "a published token": (
        'environment = "production"\n' + START + '[ipc.security]\nenabled = true\ntoken = "changeme"\n',
        "ipc.security.token",
    ),
    "facts that cannot be read": (START.replace("[rag]", 'facts_file = "/nowhere/facts"\n[rag]'), "facts"),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_what_is_refused_changes_nothing_and_fails_the_command(
    why: str, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    toml, words = REFUSED[why]
    async with running(tmp_path, http, '[telemetry]\nlog_level = "info"\n') as one:
        # what comes with it must not come: keys would be asked for
        one.write(
            toml
            + "[auth]\nenabled = true\n"
            + ('[telemetry]\nlog_level = "error"\n' if "log" not in why else "")
        )
        code, out, errors = await one.reload()
        assert code == 78, out + errors
        assert words in errors
        assert "Traceback" not in errors
        os.kill(one.node.process.pid, signal.SIGHUP)
        told = await one.node.event("config.reload_refused")
        assert words in told["message"]
        assert await one.status() == 200
        assert one.node.process.returncode is None
        one.write(START)
        assert (await one.reload())[0] == 0
        assert await one.status() == 200


async def test_a_log_that_was_given_away_ends_nothing(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    log = tmp_path / "logs/ir.log"
    log.parent.mkdir()
    section = f'[telemetry]\nlog_file = "{log}"\nlog_level = "info"\n'
    file, data = tmp_path / "node.toml", tmp_path / "data"
    file.write_text(f'{START}{section}\n[paths]\ndata_dir = "{data}"\n')
    async with node_process("--config", str(file), "--role", "Router") as node:
        await seen(lambda: log.exists() and "server.listening" in log.read_text())
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        port = next(line["port"] for line in lines if line["event"] == "server.listening")
        assert log.stat().st_mode & 0o777 == 0o600
        await seen(lambda: any(data.glob("nodes/*.json")))
        moved = log.with_suffix(".1")
        log.rename(moved)
        log.mkdir()  # what nobody can open as a file, root included
        code, _, errors = await command("reload", "--config", str(file))
        assert code == 78
        assert f"telemetry.log_file: {log} cannot be opened" in errors
        for _ in range(3):
            async with http.get(f"http://127.0.0.1:{port}/v1/models") as reply:
                assert reply.status == 200
        await seen(lambda: "config.reload_refused" in moved.read_text())
        log.rmdir()
        assert (await command("reload", "--config", str(file)))[0] == 0
        await seen(lambda: "config.reloaded" in log.read_text())
        assert "Traceback" not in moved.read_text() + log.read_text()
        assert node.process.returncode is None


@pytest.mark.parametrize("role", ["Router", "All"])
async def test_keys_can_be_switched_on(role: str, tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with running(tmp_path, http, role=role) as one:
        assert await one.status() == 200
        early = (await command("keys", "create", "early", "--config", str(one.file)))[1].strip()
        one.write(START + "[auth]\nenabled = true\n")
        code, out, errors = await one.reload()
        assert (code, out) == (0, "reloaded\n"), errors
        assert await one.status() == 401
        assert await one.status(early) == 200
        late = (await command("keys", "create", "late", "--config", str(one.file)))[1].strip()
        await answered(lambda: one.answers(200, late))
        await command("keys", "revoke", "early", "--config", str(one.file))
        await answered(lambda: one.answers(401, early))
        one.write(START)
        assert (await one.reload())[0] == 0
        assert await one.status() == 200


async def test_a_certificate_that_fits_is_taken_and_one_that_does_not_is_refused(tmp_path: Path) -> None:
    authority = trustme.CA()
    files = {name: tmp_path / name for name in ("a.pem", "b.pem", "a.key", "b.key")}
    for name in ("a", "b"):
        issued = authority.issue_cert("127.0.0.1", common_name=name)
        issued.cert_chain_pems[0].write_to_path(str(files[f"{name}.pem"]))
        issued.private_key_pem.write_to_path(str(files[f"{name}.key"]))

    def tls(certificate: str, key: str) -> str:
        return f'[server.tls]\ncertificate = "{files[certificate]}"\nkey = "{files[key]}"\n'

    async with aiohttp.ClientSession() as http:
        file, data = tmp_path / "node.toml", tmp_path / "data"

        def write(more: str) -> None:
            file.write_text(f'[server]\nport = 0\n{more}{BASE}[paths]\ndata_dir = "{data}"\n')

        async def serial() -> int:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            found = writer.get_extra_info("peercert")["serialNumber"]
            writer.close()
            return int(found, 16)

        context = ssl.create_default_context()
        authority.configure_trust(context)
        write(tls("a.pem", "a.key"))
        async with node_process("--config", str(file), "--role", "Router") as node:
            port = (await node.event("server.listening"))["port"]
            await seen(lambda: any(data.glob("nodes/*.json")))
            first = await serial()
            write(tls("b.pem", "a.key"))
            code, _, errors = await command("reload", "--config", str(file))
            assert code == 78
            assert "server.tls" in errors
            assert await serial() == first
            write(tls("b.pem", "b.key"))
            assert (await command("reload", "--config", str(file)))[0] == 0
            assert await serial() != first
        assert http


async def test_every_worker_says_how_it_went(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    port = free_port()
    file, data = tmp_path / "node.toml", tmp_path / "data"

    def write(more: str) -> None:
        file.write_text(f'[server]\nport = {port}\nworkers = 2\n{more}{BASE}[paths]\ndata_dir = "{data}"\n')

    write("")
    async with node_process("--config", str(file), "--role", "Router") as node:
        await node.event("server.listening", count=2)
        await seen(lambda: len([*data.glob("nodes/*.json")]) == 2)
        write("backlog = 100\n")
        code, out, errors = await command("reload", "--config", str(file), "--json")
        assert code == 0, errors
        verdicts = json.loads(out)
        assert len(verdicts) == 2
        assert all(verdict["needs_restart"] == ["server.backlog"] for verdict in verdicts.values())
        write('cors_origins = "x"\nbroken\n')
        assert (await command("reload", "--config", str(file)))[0] == 78
        node.signal(signal.SIGTERM)
        assert await node.wait() == 0
    assert not [*data.glob("nodes/*")]


async def test_nothing_runs(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f'[paths]\ndata_dir = "{tmp_path / "data"}"\n')
    code, _, errors = await command("reload", "--config", str(file))
    assert code != 0
    assert "No node runs on" in errors
