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


class Commands:
    """`intellirouter chain`, at one node, as `ann`."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url, self.directory = url, directory

    async def __call__(self, *arguments: str, code: int | None = 0) -> str:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "INTELLIROUTER_CHAIN_URL": self.url,
            "INTELLIROUTER_API_KEY": "ann",
            "COLUMNS": "80",
        }
        process = await asyncio.create_subprocess_exec(
            *warm_command(),
            "chain",
            *arguments,
            env=environment,
            cwd=self.directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        assert code in (None, process.returncode), said
        return said


async def test_a_run_from_its_start_to_its_fork(start_node: StartNode, tmp_path: Path) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    (tmp_path / "approve.yaml").write_text(WAIT)
    chain = Commands(node.listening[0].url, tmp_path)
    assert "is there, version 1" in await chain("put", "approve.yaml")
    assert "aprove.yaml cannot be read (No such file" in await chain("put", "aprove.yaml", code=2)
    run = json.loads(await chain("start", "approve", "--json"))["id"]
    assert run in await chain("ls")
    following = asyncio.create_task(chain("logs", run, "-f", code=None))  # it may end with the cancel
    await chain("cancel", run)
    assert "cancelled" in await chain("status", run, code=1)
    assert run in await chain("resume", run)
    async with asyncio.timeout(120):
        while run not in await chain("approvals"):  # whole, on 80 columns: `link` and `signal` take it
            pass
    assert "handed over" in await chain("signal", run, "approval", '{"by": "ann"}')
    logs = await chain("logs", run, "-f")
    assert '"by":"ann"' in logs
    assert "DBOS" not in logs
    assert '"by": "ann"' in await chain("status", run)
    assert "nap" in await following
    assert f"The run '{run}' has succeeded." in await chain("cancel", run, code=1)
    # it has reached the wait for its signal already, or it has not
    assert re.fullmatch(
        r"run_\w+ (is running|waits for 'approval'|waits until its time has come)\.\n",
        await chain("fork", run, "--step", "2"),
    )
    assert "yes" in await chain("nodes")
    daily = ("schedule", "daily", "--chain", "approve", "--cron", "0 7 * * *", "--timezone", "Asia/Tokyo")
    assert " 07:00 (Asia/Tokyo)." in await chain(*daily)
    assert re.search(r"Asia/Tokyo +│ \d{4}-\d\d-\d\d 07:00", await chain("schedules"))
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


TYPES = """
chain: {name: types}
input: {word: {type: string, default: ""}, number: {type: integer, default: 0}, list: {type: array, default: []}}
steps:
  - {id: kept, set: {word: input.word, number: input.number, list: input.list}}
output: {word: steps.kept.word, number: steps.kept.number, list: steps.kept.list}
"""
GIVEN = ("-i", "word=1", "-i", "number=2", "-i", "list=[3]")


async def test_an_input_is_read_by_what_the_chain_declares_wherever_it_is_given(
    start_node: StartNode, tmp_path: Path
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    chain = Commands(node.listening[0].url, tmp_path)
    (tmp_path / "types.yaml").write_text(TYPES)
    await chain("put", "types.yaml")
    wanted = {"word": "1", "number": 2, "list": [3]}
    here = await chain("run", "types.yaml", *GIVEN)
    assert json.loads(here.partition("\n")[2]) == wanted, "behind the line of the tree"
    told, there = (await chain("start", "types", *GIVEN, "--wait", "--json")).splitlines()
    assert json.loads(there)["output"] == wanted
    assert told.startswith(json.loads(there)["id"]), "for whoever interrupts the wait"
    await chain("schedule", "daily", "--chain", "types", "--cron", "0 7 * * *", *GIVEN)
    (daily,) = json.loads(await chain("schedules", "--json"))
    assert daily["input"] == wanted
    trigger = await chain("trigger", "in", "--event", "x", "--chain", "types", *GIVEN, "--json")
    assert json.loads(trigger)["input"] == wanted
    assert "does not read like NAME=VALUE" in await chain("start", "types", "-i", "=x", code=2)


FAILS = """
chain: {name: fails}
input: {path: {type: string}}
steps:
  - {id: nap, sleep: 1ms}
  - {id: fetch, http: {url: "http://127.0.0.1:1/{{ input.path }}"}}
"""


async def test_who_reads_of_a_failed_run_reads_why(start_node: StartNode, tmp_path: Path) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    chain = Commands(node.listening[0].url, tmp_path)
    (tmp_path / "fails.yaml").write_text(FAILS)
    await chain("put", "fails.yaml")
    run = (await chain("start", "fails", "-i", "path=x")).strip()
    assert re.fullmatch(r"run_[0-9a-f]{24}", run), "the id and nothing else"
    why = "Step 'fetch' failed: The address leads to a loopback address"
    for following in ((), ("-f",)):
        if not following:
            await chain("logs", run, "-f", code=1)  # until it has ended
        said = await chain("logs", run, *following, code=1)
        *steps, last = said.splitlines()
        assert last.startswith(f"{run} failed: {why}"), said
        assert re.search(r" fetch  http \d+ ms  failed: The address leads to", steps[-1]), said
        assert "{" not in steps[-1]
        told = await chain("logs", run, *following, "--json", code=1)
        assert all(isinstance(json.loads(line), dict) for line in told.splitlines())
    assert (await chain("status", run, code=1)).startswith(f"{run} failed: {why}")


async def test_what_took_a_moment_is_not_said_to_have_taken_none(
    start_node: StartNode, tmp_path: Path
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    chain = Commands(node.listening[0].url, tmp_path)
    (tmp_path / "types.yaml").write_text(TYPES)
    await chain("put", "types.yaml")
    for _ in range(3):
        await chain("start", "types", "--wait")
    for run in json.loads(await chain("ls", "--json")):
        assert 0 < run["ended_at"] - run["created_at"] < 60
        assert run["ended_at"] % 1, "whole seconds are the clock of before"
    listed = await chain("ls")
    assert " 0 ms" not in listed


async def test_who_waits_for_a_run_is_told_its_id_and_what_it_waits_for(
    start_node: StartNode, tmp_path: Path
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    chain = Commands(node.listening[0].url, tmp_path)
    (tmp_path / "approve.yaml").write_text(WAIT)
    assert await chain("ls") == "No run.\n"
    assert await chain("approvals") == "No run waits for anybody.\n"
    assert await chain("schedules") == "No schedule.\n"
    await chain("put", "approve.yaml")
    waiting = asyncio.create_task(chain("start", "approve", "--wait"))
    async with asyncio.timeout(120):
        while not (asked := json.loads(await chain("approvals", "--json"))):
            pass
    run = asked[0]["run"]
    await chain("signal", run, "approval", '{"by": "ann"}')
    first, *others = (await waiting).splitlines()
    assert first.startswith(f"{run} goes on")
    assert f"{run} waits for 'approval'." in others
    assert f"{run} succeeded." in others
