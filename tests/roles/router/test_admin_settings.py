"""Settings made at run time: all of them or none, on every node, in versions."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from intellirouter.app.node import Node
from intellirouter.cli.main import build
from intellirouter.config.overlay import laid_on, masked, unmasked
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER
from tests.servers.redis import redis_server
from tests.servers.vendor import Play

ADMIN = "admin-key-of-the-tests"
AUTH = (
    f'[auth]\nenabled = true\n[[auth.keys]]\nname = "root"\nsha256 = "{hashlib.sha256(ADMIN.encode()).hexdigest()}"\n'
    'scopes = ["admin"]\n'
)
SECRET = "planted-provider-key-0123456789"


async def ask(
    http: aiohttp.ClientSession, node: Node, method: str, path: str, **more: Any
) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {ADMIN}"}
    async with http.request(method, f"{node.listening[0].url}{path}", headers=headers, **more) as reply:
        return reply.status, await reply.json(content_type=None)


def settings_for(url: str) -> dict[str, Any]:
    added = {
        "name": "added",
        "kind": "openai_compatible",
        "endpoint": f"{url}/v1",
        "models": ["n"],
        "api_key": SECRET,
    }
    return {"model_registry": {"providers": [added]}, "limits": {"each_key": {"requests_per_minute": 50}}}


async def chat(http: aiohttp.ClientSession, node: Node, model: str = "added/n") -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    return (await ask(http, node, "POST", "/v1/chat/completions", json=body))[0]


async def test_what_is_set_holds_at_once_is_kept_and_can_be_taken_back(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    toml = provider(vendor) + AUTH + '[security]\nkey = "' + "ab" * 32 + '"\n'
    node = await start_node(toml, data_dir=tmp_path / "data")
    assert await chat(http, node) == 404
    status, made = await ask(
        http, node, "PUT", "/admin/settings", json={"settings": settings_for(vendor.url), "note": "a try"}
    )
    assert status == 200, made
    assert (made["version"], made["who"], made["note"]) == (1, "root", "a try")
    assert made["changes"]["limits.each_key.requests_per_minute"] == [None, 50]
    assert await chat(http, node) == 200
    assert vendor.received[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert await chat(http, node, "primary/m") == 200  # the file's is still there

    status, shown = await ask(http, node, "GET", "/admin/settings")
    assert SECRET not in json.dumps([made, shown])
    assert {"key": "limits.each_key.requests_per_minute", "file": None, "now": 50} in shown["in_force"]
    again = {"settings": shown["settings"], "version": 1}  # what was shown masked keeps its secret
    again["settings"]["limits"] = {"each_key": {"requests_per_minute": 60}}
    assert (await ask(http, node, "PUT", "/admin/settings", json=again))[0] == 200
    assert await chat(http, node) == 200
    assert vendor.received[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert (await ask(http, node, "PUT", "/admin/settings", json=again))[0] == 409

    more = {"settings": {"features": {"validation": {"share": 0.5}}}}
    assert (await ask(http, node, "PATCH", "/admin/settings", json=more))[1]["version"] == 3
    _, listed = await ask(http, node, "GET", "/admin/settings/history")
    assert [row["version"] for row in listed["data"]] == [3, 2, 1]
    restarted = await start_node(toml, data_dir=tmp_path / "data")
    assert await chat(http, restarted) == 200
    status, back = await ask(http, restarted, "POST", "/admin/settings/rollback", json={"version": 0})
    assert (status, back["version"], back["settings"]) == (200, 4, {})
    assert await chat(http, restarted) == 404
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"server": {"port": 1}}, "server: is set in the file"),
        ({"limits": {"queue_length": 5}}, "limits.queue_length: waits for a restart"),
        ({"limits": {"each_key": {"requests_per_minut": 5}}}, "is not a known key"),
        ({"limits": {"each_key": {"requests_per_minute": -5}}}, "limits.each_key.requests_per_minute"),
        ({"model_registry": {"models": [{"name": "x", "targets": ["nobody/m"]}]}}, "no provider 'nobody'"),
        ({"model_registry": {"providers": [{"name": "p", "kind": "nokind"}]}}, "kind"),
        (
            {"model_registry": {"providers": [{"name": "p", "kind": "openai", "api_key": "********"}]}},
            "is a mask",
        ),
        ({"limits": 5}, "limits: must be a table"),
        ({"router": {"strategy": "nonesuch"}}, "strategy"),
    ],
)
async def test_what_does_not_hold_changes_nothing(
    start_node: StartNode, http: aiohttp.ClientSession, settings: dict[str, Any], said: str
) -> None:
    node = await start_node(AUTH)
    status, answer = await ask(http, node, "PUT", "/admin/settings", json={"settings": settings})
    assert (status, said in answer["error"]["message"]) == (400, True), answer
    assert (await ask(http, node, "GET", "/admin/settings"))[1]["version"] == 0


async def test_no_program_is_run_and_a_place_is_named_by_who_holds_everything(
    start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A key for settings is none for the machine: what the node can read would be sent wherever a provider is said to be."""
    policy, ran, kept = tmp_path / "rbac.yaml", tmp_path / "ran", tmp_path / "kept"
    policy.write_text("roles: {setter: {permissions: ['admin:settings:*']}}\n")
    kept.write_text(SECRET)
    auth = AUTH.replace("enabled = true", f'enabled = true\npolicy_file = "{policy}"') + (
        f'[[auth.keys]]\nname = "setter"\nsha256 = "{hashlib.sha256(b"setter").hexdigest()}"\nroles = ["setter"]\n'
    )
    node = await start_node(auth)

    async def put(key: str, *, dry: bool = False, **said: Any) -> tuple[int, str]:
        one = {"name": "p", "kind": "openai_compatible", "endpoint": "http://127.0.0.1:9/v1", "models": ["m"]}
        body = {"settings": {"model_registry": {"providers": [{**one, **said}]}}, "dry_run": dry}
        headers = {"authorization": f"Bearer {key}"}
        url = f"{node.listening[0].url}/admin/settings"
        async with http.put(url, json=body, headers=headers) as reply:
            return reply.status, await reply.text()

    program = {"exec": ["/bin/sh", "-c", f"echo k; echo > {ran}"]}
    for dry in (True, False):
        for key in (ADMIN, "setter"):
            for said in (
                {"api_key": program},
                {"api_key": f"exec:/usr/bin/touch {ran}"},
                {"headers": {"x": program}},
            ):
                status, told = await put(key, dry=dry, **said)
                assert status in (400, 403) and not ran.exists(), (key, said, told)
                assert key != ADMIN or "names a program to run" in told, told
        for said in (
            {"api_key": f"file:{kept}"},
            {"api_keys": [{"file": str(kept)}]},
            {"api_key": "env:PATH"},
            {"headers": {"x": f"file:{kept}"}},
            {"api_key_env": "PATH"},
        ):
            status, told = await put("setter", dry=dry, **said)
            assert status == 403 and "names no place" in told, (said, told)
        assert (await put("setter", dry=dry, api_key=SECRET))[0] == 200
        assert (await put(ADMIN, dry=dry, api_key=f"file:{kept}"))[0] == 200
    assert (await put("setter", api_key=f"file:{kept}"))[0] == 200, "as it was"
    status, told = await put("setter", api_key=f"file:{kept}", endpoint="http://127.0.0.1:7/v1")
    assert status == 403, told


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


async def test_every_node_follows_and_one_that_cannot_says_so(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, redis_url: str
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    toml = AUTH + f'[memory]\nbackend_type = "redis"\nredis_url = "{redis_url}"\n'
    one, two = await start_node(toml), await start_node(toml)
    # its file has a model of the name that the settings give to another: it contradicts them
    third = await start_node(
        toml
        + provider(vendor)
        + '[[model_registry.models]]\nname = "x"\ntargets = ["primary/m"]\naliases = ["taken"]\n'
    )
    assert (await ask(http, one, "PUT", "/admin/settings", json={"settings": settings_for(vendor.url)}))[
        0
    ] == 200
    async with asyncio.timeout(60):
        while await chat(http, two) != 200:  # noqa: ASYNC110  of another node
            await asyncio.sleep(0.05)
    contradicting = settings_for(vendor.url)
    contradicting["model_registry"]["models"] = [{"name": "taken", "targets": ["added/n"]}]
    assert (await ask(http, one, "PUT", "/admin/settings", json={"settings": contradicting}))[0] == 200

    async def failing() -> str:
        return str((await ask(http, third, "GET", "/admin/settings"))[1]["failing"])

    async with asyncio.timeout(60):
        while "taken" not in await failing():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await chat(http, third) == 200  # it keeps what it had
    assert (await ask(http, one, "POST", "/admin/settings/rollback", json={"version": 1}))[0] == 200
    async with asyncio.timeout(60):
        while await failing():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_the_commands(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(AUTH)
    file = tmp_path / "more.toml"
    file.write_text("[limits.each_key]\nrequests_per_minute = 70\n")
    server = ["--url", node.listening[0].url, "--api-key", ADMIN]

    async def run(*words: str) -> str:
        result = await asyncio.to_thread(CliRunner().invoke, build("config"), ["config", *words, *server])
        assert result.exit_code == 0, result.output
        return result.output

    assert "limits.each_key.requests_per_minute\n  - not set\n  + 70" in await run("diff", str(file))
    assert "Version 1 is in force" in await run("apply", str(file), "--note", "more for all")
    assert "more for all" in await run("history")
    exported = await run("export")
    assert "requests_per_minute = 70" in exported
    file.write_text(exported)
    assert "No difference." in await run("diff", str(file))
    assert "+ 70" in await run("diff")
    assert "Version 2 is in force" in await run("rollback", "0")
    assert "No difference." in await run("diff")
    assert vendor.received == []


@pytest.mark.parametrize(
    ("base", "top", "whole"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        (
            {"a": [{"name": "x", "v": 1}]},
            {"a": [{"name": "y"}]},
            {"a": [{"name": "x", "v": 1}, {"name": "y"}]},
        ),
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "x", "v": 2}]}, {"a": [{"name": "x", "v": 2}]}),
        ({}, {"a": {"b": []}}, {"a": {"b": []}}),
        ({"a": [{"name": "x"}]}, {"a": []}, {"a": []}),
    ],
)
def test_how_one_lies_on_the_other(base: dict, top: dict, whole: dict) -> None:  # type: ignore[type-arg]
    assert laid_on(base, top) == whole


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"},
        {"endpoint": "http://127.0.0.1:2"},
        {"kind": "anthropic"},
        {"options": {"api_version": "x"}},
    ],
)
def test_masks_are_secrets_again_under_the_same_name_and_at_the_same_address_only(
    change: dict[str, Any],
) -> None:
    known = settings_for("http://127.0.0.1:1")
    shown = masked(known)
    assert SECRET not in json.dumps(shown)
    shown["model_registry"]["providers"][0]["enabled"] = False
    assert unmasked(shown, known)["model_registry"]["providers"][0]["api_key"] == SECRET
    shown["model_registry"]["providers"][0] |= change
    assert unmasked(shown, known)["model_registry"]["providers"][0]["api_key"] == "********"
