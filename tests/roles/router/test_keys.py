"""Virtual keys: made, used, limited, rotated, revoked, over HTTP and by the command line."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intellirouter.cli.main import main
from intellirouter.inference.following import REREAD_SECONDS
from intellirouter.inference.virtual_keys import KeyStore
from intellirouter.roles.router.keys import BOARD
from tests.conftest import StartNode, StartVendor, provider
from tests.minutes import room_in_this_minute
from tests.servers.fault_vendor import broken_after, healthy, whole
from tests.servers.redis import redis_server
from tests.servers.vendor import Play

ADMIN = "sk-the-admin"
AUTH = f"""
[auth]
enabled = true
[[auth.keys]]
name = "admin"
sha256 = "{hashlib.sha256(ADMIN.encode()).hexdigest()}"
scopes = ["admin"]
"""
BODY = {"model": "primary/m", "messages": [{"role": "user", "content": "Hi"}]}


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def test_a_key_is_made_used_rotated_and_revoked(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vendor = await start_vendor(Play.json(whole()))
    price = "[budgets]\nunknown_price = { input = 1.0, output = 2.0 }\n"
    node = await start_node(provider(vendor) + AUTH + price)
    url = node.listening[0].url

    async def admin(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with http.request(method, f"{url}{path}", json=body, headers=bearer(ADMIN)) as reply:
            return reply.status, await reply.json()

    async def chat(secret: str) -> int:
        async with http.post(f"{url}/v1/chat/completions", json=BODY, headers=bearer(secret)) as reply:
            return reply.status

    async def settles(secret: str, status: int) -> None:
        deadline = time.monotonic() + 5
        while await chat(secret) != status:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    status, made = await admin("POST", "/admin/keys", {"name": "app", "team": "web", "budgets": {"day": 5}})
    assert status == 201
    assert made["secret"].startswith("sk-ir-")
    assert "sha256" not in made
    await settles(made["secret"], 200)
    assert await chat("sk-ir-wrong") == 401
    async with http.get(f"{url}/admin/keys", headers=bearer(made["secret"])) as reply:
        assert reply.status == 403

    assert (await admin("POST", "/admin/keys", {"name": "app"}))[0] == 409
    for wrong in (
        {"name": ""},
        {"nam": "x"},
        {"name": "x", "budgets": {"week": 1}},
        {"name": "x", "models": 3},
    ):
        assert (await admin("POST", "/admin/keys", wrong))[0] == 400

    _, rotated = await admin("POST", "/admin/keys/app/rotate", {"grace_seconds": 60})
    await settles(rotated["secret"], 200)
    assert await chat(made["secret"]) == 200  # the old one, for its grace
    assert (await admin("DELETE", f"/admin/keys/{made['id']}"))[1]["status"] == "revoked"
    await settles(rotated["secret"], 401)
    await settles(made["secret"], 401)
    _, listed = await admin("GET", "/admin/keys")
    assert [key["status"] for key in listed["data"]] == ["revoked"]
    assert "secret" not in json.dumps(listed)

    _, spend = await admin("GET", "/admin/spend?by=team")
    assert next(iter(spend["days"].values()))[0]["team"] == "web"
    assert (await admin("GET", "/admin/spend?by=dog"))[0] == 400
    for number in (
        "0",
        "-1",
        "x",
        "%C2%B2",
        "9" * 5_000,
    ):  # Python takes ² for a digit, and of digits 4,300 at most
        for path in (
            "/admin/spend?days",
            "/admin/users?limit",
            "/admin/requests?limit",
            "/admin/requests?cursor",
        ):
            refused = (await admin("GET", f"{path}={number}"))[0] == 400
            assert refused or (path, number) == ("/admin/requests?cursor", "0"), (path, number)
    monkeypatch.setattr(node.opened[BOARD].known()["primary/m"], "latency", 0.0125)
    _, standing = await admin("GET", "/admin/targets")
    assert standing["data"][0] == {
        "id": "primary/m",
        "circuit": "closed",
        "probe_in_seconds": 0,
        "calls": 0,
        "latency_ms": 12.5,
        "rests_seconds": 0,
    }


@pytest.mark.parametrize("shared", [False, True], ids=["embedded", "redis"])
async def test_a_key_is_good_or_gone_when_the_admin_call_has_answered(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    tmp_path: Path,
    shared: bool,
) -> None:
    vendor = await start_vendor(Play.json(whole()))
    with redis_server(tmp_path / "redis") as redis:
        memory = f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n' if shared else ""
        url = (await start_node(provider(vendor) + memory + AUTH)).listening[0].url

        async def admin(method: str, path: str, body: Any = None) -> Any:
            async with http.request(
                method, f"{url}/admin/keys{path}", json=body, headers=bearer(ADMIN)
            ) as reply:
                return await reply.json()

        async def chat(secret: str) -> int:
            async with http.post(f"{url}/v1/chat/completions", json=BODY, headers=bearer(secret)) as reply:
                return reply.status

        async def one(number: int) -> list[int]:
            name = f"k{number}"
            old = (await admin("POST", "", {"name": name}))["secret"]
            heard = [await chat(old)]
            new = (await admin("POST", f"/{name}/rotate", {"grace_seconds": 0}))["secret"]
            heard += [await chat(new), await chat(old)]
            await admin("DELETE", f"/{name}")
            return [*heard, await chat(new)]

        assert "error" in await admin("POST", "", {"name": "admin"})  # the configuration has one
        at_once = await asyncio.gather(*(admin("POST", "", {"name": "same"}) for _ in range(8)))
        assert len([made for made in at_once if "secret" in made]) <= 1
        found = await asyncio.gather(*(one(number) for number in range(20)))
        assert found == [[200, 200, 401, 401]] * 20


async def test_a_key_that_is_revoked_while_another_node_starts_is_good_nowhere(
    start_node: StartNode,
    http: aiohttp.ClientSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the worst moment: when the other node has read the keys and has done nothing with them yet."""
    with redis_server(tmp_path / "redis") as redis:
        toml = f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n' + AUTH
        first = (await start_node(toml)).listening[0].url

        async def asked(method: str, path: str, key: str, base: str = first, body: Any = None) -> Any:
            async with http.request(method, base + path, json=body, headers=bearer(key)) as reply:
                return reply.status, await reply.json()

        _, made = await asked("POST", "/admin/keys", ADMIN, body={"name": "app"})
        reading, meant = KeyStore.all, [made["id"]]

        async def interrupted(keys: KeyStore) -> Any:
            found = await reading(keys)
            if meant:
                assert (await asked("DELETE", f"/admin/keys/{meant.pop()}", ADMIN))[0] == 200
            return found

        monkeypatch.setattr(KeyStore, "all", interrupted)
        second = (await start_node(toml)).listening[0].url
        assert not meant
        async with asyncio.timeout(REREAD_SECONDS / 2):  # it heard of it, and does not wait to read again
            while True:
                if (await asked("GET", "/v1/models", made["secret"], second))[0] == 401:
                    break
                await asyncio.sleep(0.02)


async def test_limits_answer_with_the_customary_headers(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(healthy)
    toml = provider(vendor) + "[limits.each_key]\nrequests_per_minute = 3\n"
    url = (await start_node(toml)).listening[0].url
    await room_in_this_minute()
    replies = []
    for stream in (False, True, False, False):
        async with http.post(f"{url}/v1/chat/completions", json={**BODY, "stream": stream}) as reply:
            await reply.read()
            replies.append((reply.status, reply.headers))
    assert [status for status, _ in replies] == [200, 200, 200, 429]
    assert [headers["x-ratelimit-remaining-requests"] for _, headers in replies] == ["2", "1", "0", "0"]
    assert all(headers["x-ratelimit-limit-requests"] == "3" for _, headers in replies)
    assert 1 <= int(replies[3][1]["retry-after"]) <= 60
    assert len(vendor.received) == 3


async def test_a_caller_that_leaves_pays_for_what_it_got(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(broken_after(20, "hang"))
    node = await start_node(provider(vendor))
    body = {**BODY, "stream": True}
    async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=body) as reply:
        while b"word19" not in await reply.content.readline():
            pass
        reply.close()
    await asyncio.wait_for(vendor.cut.wait(), 60)
    deadline = time.monotonic() + 5
    text = ""
    while 'kind="output",model="m"' not in text:
        assert time.monotonic() < deadline
        async with http.get(f"{node.listening[0].url}/metrics") as metrics:
            text = await metrics.text()
    line = next(line for line in text.split("\n") if line.startswith('llm_token_usage_total{kind="output"'))
    assert 20 <= float(line.rpartition(" ")[2]) <= 60


def test_the_command_line_makes_lists_and_revokes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'[auth]\nenabled = true\n[paths]\ndata_dir = "{tmp_path / "data"}"\n')

    def run(*words: str) -> tuple[int, str]:
        try:
            main(["keys", *words, "--config", str(file)])
        except SystemExit as stop:
            return int(stop.code or 0), capsys.readouterr().out
        return 0, capsys.readouterr().out

    code, out = run("create", "ci", "--rpm", "60", "--budget", "day=5", "--json")
    assert code == 0
    made = json.loads(out)
    assert (made["requests_per_minute"], made["budgets"]) == (60, {"day": 5.0})
    assert run("create", "ci")[0] == 2  # the name is taken
    assert run("create", "x", "--budget", "week=5")[0] == 2
    code, out = run("rotate", "ci", "--json")
    assert json.loads(out)["secret"] != made["secret"]
    monkeypatch.setenv("COLUMNS", "160")
    assert "$5/day, 60 req/min" in run("list")[1]
    assert run("revoke", "ci") == (0, f"The key 'ci' ({made['id']}) is revoked.\n")
    assert json.loads(run("list", "--json")[1])[0]["status"] == "revoked"
    assert run("revoke", "nobody")[0] == 2
