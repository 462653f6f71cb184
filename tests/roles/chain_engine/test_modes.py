"""Nodes that only take runs and nodes that only walk them, and the commands for the database that they share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intellirouter.app.roles import select
from intellirouter.app.rules import RULES
from intellirouter.app.supervisor import running
from intellirouter.cli.main import main
from intellirouter.config.load import load
from intellirouter.errors import ConfigError
from tests.roles.chain_engine.test_api import Client
from tests.servers.postgres import postgres
from tests.servers.process import node_process

NAP = (
    "chain: {name: nap}\nsteps:\n  - {id: a, sleep: 1ms}\n  - {id: ok, wait: {signal: go}}\noutput: steps.ok"
)


async def test_an_api_node_takes_runs_and_a_worker_walks_them(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    with postgres() as url:
        async with contextlib.AsyncExitStack() as stack:

            async def started(name: str, mode: str) -> Client:
                file = tmp_path / f"{name}.toml"
                file.write_text(
                    f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / name}"\n[chain_engine]\ndatabase_url = "{url}"\n'
                )
                node = await stack.enter_async_context(
                    node_process(
                        *("--role", "ChainEngine", "--config", str(file)),
                        environment={"ORCHESTRATOR_MODE": mode},
                    )
                )
                return Client(http, await node.url())

            api = await started("api", "api")
            assert (await api("PUT", "/v1/chains/nap", {"source": NAP}))[0] == 201

            async def begun() -> str:
                status, run = await api("POST", "/v1/chains/nap/runs", {"mode": "background"})
                assert (status, run["status"]) == (202, "queued")
                return str(run["id"])

            runs = [await begun() for _ in range(3)]
            await asyncio.sleep(2.5)  # longer than a node that walks would leave it there
            for run in runs:
                assert (await api("GET", f"/v1/runs/{run}"))[1]["status"] == "queued"
            worker = await started("worker", "worker")
            assert (await worker("POST", "/v1/chains/nap/runs", {}))[0] == 503
            for run in runs:
                await api.until(run, "waiting")
            assert (await api("POST", f"/v1/runs/{runs[0]}/signals/go", {"n": 1}))[0] == 202
            assert (await api.until(runs[0], "succeeded"))["output"] == {"n": 1}
            assert (await api("POST", f"/v1/runs/{runs[1]}/cancel", {}))[1]["status"] == "cancelled"
            await api("POST", f"/v1/runs/{runs[1]}/resume", {})
            _, forked = await api("POST", f"/v1/runs/{runs[0]}/fork", {"step": 2})
            for run in (runs[1], forked["id"]):
                await api.until(run, "waiting")
                assert (await worker("GET", f"/v1/runs/{run}"))[1]["status"] == "waiting"
                assert (await api("POST", f"/v1/runs/{run}/signals/go", {"n": 2}))[0] == 202
                assert (await api.until(run, "succeeded"))["output"] == {"n": 2}
            nodes = (await api("GET", "/v1/nodes"))[1]["data"]
            assert [node["alive"] for node in nodes] == [True, True]


@pytest.mark.parametrize("mode", ["api", "worker"])
def test_a_mode_of_several_nodes_needs_what_they_share(mode: str, tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("")
    with pytest.raises(ConfigError, match="database_url"):
        load(file, {"ORCHESTRATOR_MODE": mode}, {}, RULES)
    assert (
        load(file, {"ORCHESTRATOR_MODE": "standalone"}, {}, RULES).settings.chain_engine.mode == "standalone"
    )
    with pytest.raises(ConfigError, match="mode"):
        load(file, {"ORCHESTRATOR_MODE": "both"}, {}, RULES)


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0), capsys.readouterr().out


async def test_what_a_node_made_of_its_own_file_lacks_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, flags = tmp_path / "node.toml", {("paths", "data_dir"): tmp_path / "data"}
    file.write_text(f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "data"}"\n')
    async with running(load(file, {}, flags), select("ChainEngine")):
        pass
    code, said = await asyncio.to_thread(command, capsys, "db", "check", "--config", str(file))
    assert (code, "is as this version needs it" in said) == (0, True), said


def a_database_is_made_checked_and_migrated(
    file: Path, capsys: pytest.CaptureFixture[str], forget: Any
) -> None:
    given = ("--config", str(file))
    code, said = command(capsys, "db", "check", *given)
    assert code == 1, said
    assert "ready" in command(capsys, "db", "init", *given)[1]
    code, said = command(capsys, "db", "check", "--json", *given)
    assert (code, json.loads(said)["lacks"]) == (0, [])
    assert "secret" not in said
    forget()
    code, said = command(capsys, "db", "check", *given)
    assert (code, "intellirouter_chain_runs has no column depth" in said) == (1, True), said
    assert command(capsys, "db", "migrate", *given)[0] == 0
    assert command(capsys, "db", "check", *given)[0] == 0


def test_the_commands_for_the_database_of_one_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, data = tmp_path / "node.toml", tmp_path / "data"
    file.write_text(f'[paths]\ndata_dir = "{data}"\n')

    def forget() -> None:
        with contextlib.closing(sqlite3.connect(data / "chains.db")) as db:
            db.execute("alter table intellirouter_chain_runs drop column depth")

    a_database_is_made_checked_and_migrated(file, capsys, forget)
    with contextlib.closing(sqlite3.connect(data / "chains.db")) as db:
        assert db.execute("pragma auto_vacuum").fetchone() == (2,)


async def test_a_node_that_may_not_migrate_says_what_is_lacking(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "data"}"\n[chain_engine]\nauto_migrate = false\n'
    )
    async with node_process("--role", "ChainEngine", "--config", str(file)) as node:
        assert await node.wait() != 0
    assert any("intellirouter db migrate" in json.dumps(line) for line in node.lines)
