"""The audit of running nodes: who did what, told by the API, by the files, and by the command line."""

from __future__ import annotations

import asyncio
import hashlib
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from intellirouter.app.node import Node
from intellirouter.cli.main import build
from intellirouter.security.audit.journal import files_of
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER
from tests.servers.process import node_process
from tests.servers.redis import redis_server
from tests.servers.vendor import Play

ADMIN, APP, AUDITOR = "admin-key-of-the-tests", "app-key-of-the-tests", "auditor-key-of-the-tests"
SECRET = "planted-signing-key-0123456789"


def auth(level: str, more: str = "") -> str:
    keys = "".join(
        f'[[auth.keys]]\nname = "{name}"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\nscopes = ["{scope}"]\n'
        for name, key, scope in (
            ("root", ADMIN, "admin"),
            ("app", APP, "inference"),
            ("ada", AUDITOR, "audit"),
        )
    )
    return f'[auth]\nenabled = true\n{keys}[auth.audit]\nlevel = "{level}"\nkey = "{SECRET}"\n{more}'


async def ask(
    http: aiohttp.ClientSession, node: Node | str, method: str, path: str, key: str = ADMIN, **more: Any
) -> tuple[int, Any]:
    url = node if isinstance(node, str) else node.listening[0].url
    headers = {"authorization": f"Bearer {key}", "x-request-id": f"id of {method} {path}"[:100]}
    async with http.request(method, f"{url}{path}", headers=headers, **more) as reply:
        return reply.status, await reply.json(content_type=None)


async def records(http: aiohttp.ClientSession, node: Node | str, query: str = "") -> list[dict[str, Any]]:
    status, answer = await ask(http, node, "GET", f"/admin/audit{query}", AUDITOR)
    assert status == 200, answer
    found: list[dict[str, Any]] = answer["data"]
    return found


async def test_what_an_administrator_changes_is_told_before_and_after(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth("minimal"))
    _, made = await ask(http, node, "POST", "/admin/keys", json={"name": "ci", "models": ["cheap"]})
    await ask(http, node, "PATCH", f"/admin/keys/{made['id']}", json={"models": ["dear"]})
    await ask(http, node, "POST", f"/admin/keys/{made['id']}/rotate", json={})
    await ask(http, node, "PUT", "/admin/features/validation", json={"on": False})
    await ask(http, node, "DELETE", "/admin/keys/nobody")
    await ask(http, node, "GET", "/admin/keys", "wrong-key")  # a refusal: not at this level
    found = await records(http, node)
    missing, feature, rotated, updated, created, start = found
    assert (created["who"], created["tenant"], created["address"]) == ("root", "default", "127.0.0.1")
    assert created["on"] == f"key:{made['id']} ci"
    assert created["change"]["models"] == [None, ["cheap"]]
    assert (created["method"], created["status"], created["request"]) == (
        "POST",
        201,
        "id of POST /admin/keys",
    )
    assert updated["change"] == {"models": [["cheap"], ["dear"]]}
    assert set(rotated["change"]) <= {"hint", "previous_until"}
    assert feature["change"]["validation"][1]["share"] == 0.0
    assert (missing["outcome"], missing["status"], missing["on"], missing["error"]) == (
        "refused",
        404,
        "nobody",
        "not_found",
    )
    assert (start["kind"], start["action"]) == ("system", "start")
    everything = json.dumps(found)
    assert made["secret"] not in everything
    assert SECRET not in everything
    assert [r["action"] for r in await records(http, node, "?on=ci&limit=2")] == [
        "admin_rotate_key",
        "admin_update_key",
    ]


async def test_each_level_writes_what_it_says(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    body = {"model": "m", "messages": [{"role": "user", "content": "the words of a question"}]}
    for level, kinds in (
        ("standard", {"refusal", "administration", "sign-in", "system"}),
        ("full", {"call", "refusal", "administration", "sign-in", "system"}),
    ):
        node = await start_node(provider(vendor) + auth(level))
        assert (await ask(http, node, "POST", "/v1/chat/completions", APP, json=body))[0] == 200
        assert (await ask(http, node, "POST", "/v1/chat/completions", "wrong-key", json=body))[0] == 401
        assert (await ask(http, node, "GET", "/admin/keys", APP))[0] == 403
        assert (await ask(http, node, "POST", "/admin/keys", json={"name": "ci"}))[0] == 201
        for key, status in ((ADMIN, 201), ("wrong-key", 401)):
            headers = {
                "origin": node.listening[0].url,
                "sec-fetch-site": "same-origin",
                "x-console-token": "visitor",
            }
            async with http.post(
                f"{node.listening[0].url}/console/api/session", json={"key": key}, headers=headers
            ) as reply:
                assert reply.status == status, await reply.text()
        found = await records(http, node)
        assert {record["kind"] for record in found} == kinds
        sign_ins = [
            (r.get("who"), r["outcome"]) for r in found if r["kind"] == "sign-in" and r["outcome"] != "begun"
        ]
        assert sign_ins == [("anonymous", "refused"), ("root", "ok")]
        refused = [r["action"] for r in found if r["kind"] == "refusal"]
        assert refused == ["admin_list_keys", "chat_completions"]
        text = json.dumps(found)
        assert "wrong-key" not in text
        assert "words of a question" not in text
        begun = [r for r in found if r["outcome"] == "begun"]
        assert bool(begun) == (level == "full")


async def test_off_opens_nothing_and_says_so(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    node = await start_node(auth("off"))
    status, answer = await ask(http, node, "GET", "/admin/audit", AUDITOR)
    assert (status, "auth.audit" in answer["error"]["message"]) == (404, True)
    assert not (node.loaded.settings.paths.data_dir / "audit").exists()


@pytest.mark.parametrize(
    ("query", "named"),
    [("?limit=0", "limit"), ("?limit=x", "limit"), ("?nobody=1", "nobody"), ("?limit=1001", "limit")],
)
async def test_a_wrong_question_is_told(
    start_node: StartNode, http: aiohttp.ClientSession, query: str, named: str
) -> None:
    node = await start_node(auth("minimal"))
    status, answer = await ask(http, node, "GET", f"/admin/audit{query}", AUDITOR)
    assert (status, answer["error"]["param"]) == (400, named)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


async def eventually(http: aiohttp.ClientSession, node: Node, count: int) -> list[dict[str, Any]]:
    found = await records(http, node)
    while len(found) < count:  # the test has a deadline
        found = await records(http, node)
    return found


async def test_two_nodes_write_and_each_shows_both(
    start_node: StartNode, http: aiohttp.ClientSession, redis_url: str, tmp_path: Path
) -> None:
    toml = auth("minimal") + f'[memory]\nbackend_type = "redis"\nredis_url = "{redis_url}"\n'
    one, two = await start_node(toml), await start_node(toml)
    for number in range(3):
        for node in (one, two):
            assert (await ask(http, node, "POST", "/admin/keys", json={"name": f"{number} {id(node)}"}))[
                0
            ] == 201
    for node in (one, two):
        found = await eventually(http, node, 8)
        assert len({record["node"] for record in found}) == 2
        assert [r["at"] for r in found] == sorted((r["at"] for r in found), reverse=True)
        paged = [*await records(http, node, "?limit=5")]
        for number in ("0", "%C2%B2", "9" * 5_000):
            assert (await ask(http, node, "GET", f"/admin/audit?limit={number}", AUDITOR))[0] == 400
        _, answer = await ask(http, node, "GET", "/admin/audit?limit=5", AUDITOR)
        _, rest = await ask(http, node, "GET", f"/admin/audit?limit=5&before={answer['next']}", AUDITOR)
        assert [*paged, *rest["data"]] == found
        status, verdict = await ask(http, node, "GET", "/admin/audit/verify", AUDITOR)
        assert (status, verdict["holds"], len(verdict["nodes"])) == (200, True, 2)
    # whoever cuts off the end of the files and their head with it, is found by the store
    directory = one.loaded.settings.paths.data_dir / "audit"
    file = files_of(directory)[0]
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-2]))
    (directory / "head").unlink()
    _, verdict = await ask(http, one, "GET", "/admin/audit/verify", AUDITOR)
    assert not verdict["holds"]
    assert {"cut off", "head"} == {f["problem"] for n in verdict["nodes"] for f in n["findings"]}


async def run(*words: str) -> tuple[int, str]:
    result = await asyncio.to_thread(CliRunner().invoke, build(words[0]), list(words))
    return result.exit_code, result.output


async def test_commands_read_and_write_the_same_journal(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f'[paths]\ndata_dir = "{tmp_path / "data"}"\n[server]\nport = 0\n' + auth("full"))
    async with node_process("--role", "Router", "--config", str(file)) as node:
        url = await node.url()
        assert (await ask(http, url, "POST", "/admin/keys", json={"name": "by-api"}))[0] == 201
        assert (await run("keys", "create", "by-command", "--config", str(file)))[0] == 0
        assert (await run("keys", "revoke", "by-command", "--config", str(file)))[0] == 0
        found = await records(http, url)
        assert [r["action"] for r in found if "command" in r.get("on", "") and r["outcome"] == "ok"] == [
            "keys revoke",
            "keys create",
        ]
        assert "(terminal)" in next(r for r in found if r["action"] == "keys create")["who"]
        code, said = await run("audit", "verify", "--config", str(file))
        assert (code, "all as written" in said) == (0, True)
        code, said = await run("audit", "search", "by-api", "--config", str(file))
        assert code == 0
        assert "admin_create_key" in said
        assert max(map(len, said.splitlines())) <= 80
        code, said = await run("audit", "export", "--format", "csv", "--config", str(file))
        assert (code, said.splitlines()[0].split(",")[:3]) == (0, ["at", "kind", "action"])
        code, said = await run("audit", "export", "--config", str(file))
        assert len(said.splitlines()) == len(await records(http, url))

        # nothing more can be written: what would change something is refused, what only asks goes on
        size = files_of(tmp_path / "data" / "audit")[-1].stat().st_size
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (size, 1 << 40))
        status, answer = await ask(http, url, "POST", "/admin/keys", json={"name": "unseen"})
        assert (status, answer["error"]["code"]) == (503, "audit_unavailable")
        assert "Nothing was changed" in answer["error"]["message"]
        assert (await ask(http, url, "GET", "/v1/models", APP))[0] == 200
        async with http.get(f"{url}/health") as reply:
            health = await reply.json()
        assert health["parts"]["audit"]["status"] == "unhealthy"
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (1 << 40, 1 << 40))
        _, keys = await ask(http, url, "GET", "/admin/keys")
        assert "unseen" not in json.dumps(keys)
        assert (await ask(http, url, "POST", "/admin/keys", json={"name": "seen"}))[0] == 201
    code, said = await run("audit", "verify", "--json", "--config", str(file))
    assert (code, json.loads(said)["holds"]) == (0, True)
    journal = files_of(tmp_path / "data" / "audit")[-1]
    journal.write_bytes(journal.read_bytes().replace(b"by-api", b"by-apj"))
    code, said = await run("audit", "verify", "--config", str(file))
    assert (code, "changed: record" in said) == (1, True)
