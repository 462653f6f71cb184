"""`intellirouter requests`, `usage` and `report` against a running Router."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor
from tests.roles.router.test_chat import ANSWER, BODY
from tests.roles.router.test_records import priced, recorded
from tests.servers.ports import free_port
from tests.servers.process import node_process
from tests.servers.vendor import Play
from tests.servers.warm.process import warm_command

EAST = "XXX-5:30"
"""A time zone five and a half hours ahead."""


async def run(*arguments: str, seconds: float = 120) -> tuple[int, str, str]:
    environment = {"COLUMNS": "80", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TZ": EAST}
    process = await asyncio.create_subprocess_exec(
        *warm_command(), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), seconds)
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.timeout(300)
async def test_what_a_router_did_is_told_at_a_terminal_for_people_and_for_machines(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(priced(vendor))
    url = node.listening[0].url
    for tag in ("blue", "blue", "<b>red</b>"):
        body = {**BODY, "model": "pair", "metadata": {"tags": [tag]}}
        async with http.post(
            f"{url}/v1/chat/completions", json=body, headers={"x-request-id": "mine"}
        ) as reply:
            assert reply.status == 200
    rows = await recorded(http, node, until=lambda rows: len(rows) == 3)
    at = ("--url", url)

    code, out, err = await run("requests", *at)
    assert code == 0 and out.count("pair") == 3, err
    assert max(map(len, out.splitlines())) <= 80
    assert all(row["id"] in out for row in rows), "an id that is cut finds nothing"
    for row in rows:
        here = datetime.fromisoformat(row["time"]) + timedelta(hours=5.5)
        assert here.strftime("%H:%M:%S") in out
    code, out, _ = await run("requests", *at, "--json", "--tag", "blue")
    assert [json.loads(line)["tags"] for line in out.splitlines()] == [["blue"], ["blue"]]
    code, out, _ = await run("requests", rows[0]["id"], *at)
    assert code == 0 and json.loads(out)["attempts"]
    code, out, err = await run("requests", "nothing", *at)
    assert code != 0 and "no request 'nothing'" in err and "Traceback" not in err

    code, out, _ = await run("usage", *at, "--by", "tag")
    assert code == 0 and "blue" in out and max(map(len, out.splitlines())) <= 80
    code, out, _ = await run("usage", *at, "--by", "tag", "--json")
    told = json.loads(out)
    assert {group["tag"]: group["requests"] for group in told["data"]} == {"blue": 2, "<b>red</b>": 1}
    assert told["total"]["requests"] == 3
    code, out, _ = await run("usage", *at, "--by", "day")
    assert code == 0 and "day (UTC)" in out
    code, _, err = await run("usage", *at, "--by", "colour")
    assert code != 0 and "'by' is one of" in err

    code, out, err = await run("report", *at, "--html", str(tmp_path / "report.html"))
    assert code == 0 and "100.00%" in out and max(map(len, out.splitlines()[:-1])) <= 80, (out, err)
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>") and "pair" in page and "script" not in page
    code, out, _ = await run("report", *at, "--json")
    report = json.loads(out)
    assert (
        report["total_requests"] == 3 and report["success_rate"] == 1.0 and report["cache_stats"]["hits"] == 0
    )
    assert report["models"][0]["model"] == "pair"
    assert report["findings"] == []

    for _ in range(4):  # most of what is asked now is misspelt
        async with http.post(f"{url}/v1/chat/completions", json={**BODY, "model": "pear"}) as reply:
            assert reply.status == 404
    await recorded(http, node, until=lambda rows: len(rows) == 7)
    code, out, err = await run("report", *at)
    assert code == 0, (out, err)
    assert "alarm" not in out and "7, of which 4 failed, 4 by mistakes of callers" in out
    assert "note: 4 requests were refused as the callers' own mistake, 4 for the model pear" in out


@pytest.mark.timeout(300)
async def test_new_requests_are_followed(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(priced(vendor))
    url = node.listening[0].url
    process = await asyncio.create_subprocess_exec(
        *warm_command(), "requests", "--follow", "--json", "--url", url,
        stdout=asyncio.subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            line: asyncio.Task[bytes] = asyncio.create_task(process.stdout.readline())
            while not line.done():  # until it follows, it tells of nothing
                async with http.post(f"{url}/v1/chat/completions", json=BODY) as reply:
                    assert reply.status == 200
                await asyncio.wait((line,), timeout=0.5)
        assert json.loads(line.result())["model"] == "primary/m"
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.timeout(300)
async def test_requests_are_followed_over_a_restart_each_once(
    start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    port = free_port()
    config = tmp_path / "node.toml"
    config.write_text(f'[server]\nport = {port}\n[paths]\ndata_dir = "{tmp_path / "data"}"\n{priced(vendor)}')
    url, at = f"http://127.0.0.1:{port}", ("--role", "Router", "--config", str(config))

    async def ask(name: str) -> None:
        body, headers = {**BODY, "user": name}, {"x-request-id": name}
        async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
            assert reply.status == 200

    async with node_process(*at) as node:
        await node.url()
        await ask("first")
        process = await asyncio.create_subprocess_exec(
            *warm_command(), "requests", "--follow", "--json", "--models-only", "--url", url,
            stdout=asyncio.subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        )  # fmt: skip
        assert process.stdout is not None

        async def told() -> str:
            assert process.stdout is not None
            async with asyncio.timeout(100):
                name: str = json.loads(await process.stdout.readline())["request_id"]
            return name

        assert await told() == "first"
    try:
        for name in ("second", "third"):
            async with node_process(*at) as node:
                await node.url()
                await ask(name)
                assert await told() == name
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.timeout(300)
async def test_a_node_that_stops_does_not_wait_for_who_follows_it(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(
        f'[server]\nport = 0\ndrain_timeout = 3600\n[paths]\ndata_dir = "{tmp_path / "data"}"\n'
    )
    async with node_process("--role", "Router", "--config", str(config)) as node:
        url = f"{await node.url()}/admin/requests/stream"
        async with aiohttp.ClientSession() as http, http.get(url) as stream:
            assert await stream.content.readline() == b": follows\n"
            node.signal(signal.SIGTERM)
            await stream.content.read()
            assert await node.wait() == 0
