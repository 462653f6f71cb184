"""The catalogue at run time, over HTTP and by the command line, and the cache's commands."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.fault_vendor import whole
from tests.servers.process import command, node_process
from tests.servers.vendor import Play

AUTH = f"""
[auth]
enabled = true
[[auth.keys]]
name = "boss"
sha256 = "{hashlib.sha256(b"boss").hexdigest()}"
scopes = ["admin"]
"""
BODY: dict[str, Any] = {"model": "fresh", "messages": [{"role": "user", "content": "Hi"}]}


async def test_models_are_added_drained_and_removed_at_run_time(
    start_node: StartNode, start_vendor: StartVendor
) -> None:
    one, two = await start_vendor(Play.json(whole())), await start_vendor(Play.json(whole()))
    toml = provider(one, name="one") + provider(two, name="two") + AUTH
    url = (await start_node(toml)).listening[0].url
    async with aiohttp.ClientSession(url, headers={"authorization": "Bearer boss"}) as http:

        async def admin(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            async with http.request(method, path, json=body) as reply:
                return reply.status, await reply.json()

        async def asked() -> tuple[int, str | None]:
            async with http.post("/v1/chat/completions", json=BODY) as reply:
                return reply.status, reply.headers.get("x-intellirouter-provider")

        async def becomes(*wanted: tuple[int, str | None]) -> None:
            """Ten answers in a row are of the wanted kinds, and each kind among them."""
            deadline = time.monotonic() + 5
            while set(Counter([await asked() for _ in range(10)])) != set(wanted):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)

        assert (await asked())[0] == 404
        model = {"name": "fresh", "targets": ["one/m", "two/m"], "strategy": "round-robin"}
        assert (await admin("POST", "/admin/models", model))[0] == 201
        await becomes((200, "one"), (200, "two"))
        assert (await admin("POST", "/admin/drain", {"target": "one"}))[1] == {"drained": ["one"]}
        await becomes((200, "two"))
        assert (await admin("POST", "/admin/drain", {"target": "tow/m"}))[0] == 400
        await admin("POST", "/admin/drain", {"target": "two/m"})
        await becomes((503, None))
        assert (await admin("POST", "/admin/drain", {"target": "two/m", "drained": False}))[0] == 200
        await becomes((200, "two"))
        assert len((await admin("GET", "/admin/models"))[1]["models"]) == 1
        for wrong in (
            {"name": "x"},
            {"name": "x", "targets": ["nobody/m"]},
            {"name": "x", "targets": ["bad"]},
        ):
            status, answer = await admin("POST", "/admin/models", wrong)
            assert (status, "targets" in json.dumps(answer)) == (400, True)
        assert (await admin("DELETE", "/admin/models/fresh"))[0] == 200
        await becomes((404, None))
        assert (await admin("DELETE", "/admin/models/fresh"))[0] == 404


async def test_the_commands_do_the_same_on_a_running_node(tmp_path: Path, start_vendor: StartVendor) -> None:
    vendor = await start_vendor(Play.json(whole("ready")))
    file = tmp_path / "node.toml"
    file.write_text(
        f'[paths]\ndata_dir = "{tmp_path / "data"}"\n[server]\nport = 0\n[cache]\nenabled = true\ncanned_answer = "Later."\n'
        + provider(vendor)
    )
    config = ("--config", str(file))
    async with node_process("--role", "Router", *config) as node:
        url = ("--url", await node.url())
        assert (await command("models", "add", "fresh", "--target", "nobody/m", *config))[0] == 2
        options = ("--target", "primary/m=2", "--price", "1,2", "--context-window", "1000", "--alias", "f")
        assert (await command("models", "add", "fresh", *options, *config))[0] == 0
        deadline = time.monotonic() + 10
        code = 1
        while code and time.monotonic() < deadline:
            code, out, _ = await command("models", "test", "f", *url, "--json")
        assert json.loads(out)["answer"] == "ready"
        _, out, _ = await command("models", "list", *url)
        assert "fresh" in out
        assert "1 / 2" in out
        prompts = tmp_path / "prompts.txt"
        prompts.write_text('one\ntwo\n{"messages": [{"role": "user", "content": "three"}], "seed": 1}\n')
        _, out, _ = await command("cache", "warm", str(prompts), "--model", "fresh", *url)
        assert out == "3 asked\n"
        _, out, _ = await command("cache", "warm", str(prompts), "--model", "fresh", *url)
        assert out == "3 known already\n"
        code, _, errors = await command("models", "drain", "primry", *config)
        assert (code, "There is no provider 'primry'" in errors) == (2, True)
        assert (await command("models", "drain", "primary", *config))[1] == "drained: primary\n"
        deadline, code = time.monotonic() + 60, 0
        while not code and time.monotonic() < deadline:  # the node hears of it
            code, _, errors = await command("models", "test", "f", *url)
        assert (code, "canned answer" in errors) == (69, True)
        assert (await command("models", "remove", "fresh", *config))[0] == 0
    code, _, errors = await command("models", "list", "--url", "http://127.0.0.1:1")
    assert code != 0
    assert "no server answers" in errors
