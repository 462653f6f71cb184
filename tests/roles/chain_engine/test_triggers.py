"""What starts chains by itself: signed webhooks, events, files, and the ends of other runs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from intellirouter.errors import InvalidRequest
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.triggers.firing import MAX_DEPTH, check_inputs, filled
from intellirouter.roles.chain_engine.triggers.folders import listed, told_of
from intellirouter.roles.keys import STATE
from intellirouter.security.webhook_signing import signed
from tests.conftest import StartNode
from tests.roles.chain_engine.test_api import Client, auth

ECHO = """
chain: {name: echo}
input: {word: {type: string}, count: {type: integer, default: 1}}
steps: [{id: a, set: {said: "input.word ~ input.count"}}]
output: {said: steps.a.said}
"""
FAILS = "chain: {name: fails}\nsteps: [{id: a, wait: {signal: s, timeout: 10ms}}]"
SECRET = "a secret that is long enough"


async def runs(ask: Client, chain: str, count: int) -> list[Any]:
    """The runs of a chain, once there are so many that ended."""
    async with asyncio.timeout(60):
        while True:
            _, found = await ask("GET", f"/v1/runs?chain={chain}&limit=100")
            if len(found["data"]) >= count and all(run["ended_at"] for run in found["data"]):
                return list(found["data"])
            await asyncio.sleep(0.05)


async def problem(ask: Client, name: str) -> str:
    """Why a trigger started nothing, once it did not."""
    async with asyncio.timeout(60):
        while True:
            _, found = await ask("GET", f"/v1/triggers/{name}")
            if found["message"]:
                return str(found["message"])
            await asyncio.sleep(0.05)


async def posted(
    http: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]
) -> tuple[int, Any]:
    async with http.post(url, data=body, headers=headers) as reply:
        return reply.status, await reply.json()


async def test_a_webhook_starts_one_run_for_a_signed_delivery(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth(ann="a", bob="b"), role="ChainEngine")
    ask, other = (Client(http, node.listening[0].url, key) for key in ("ann", "bob"))
    await ask("PUT", "/v1/chains/echo", {"source": ECHO})
    body = {
        "kind": "webhook",
        "chain": "echo",
        "input": {"word": "{{ event.body.to }}!", "count": "{{ event.body.n }}"},
    }
    status, made = await ask("PUT", "/v1/triggers/orders", body)
    assert (status, made["status"]) == (201, "active")
    secret, url = made["secret"], made["url"]
    assert "secret" not in (await ask("PUT", "/v1/triggers/orders", body))[1]  # told once; replacing keeps it
    assert secret not in json.dumps(await ask("GET", "/v1/triggers"))

    async def sent(what: Any, delivery: str, now: float | None = None, key: str = secret) -> tuple[int, Any]:
        data = json.dumps(what).encode()
        return await posted(http, url, data, signed(key, delivery, now or time.time(), data))

    first = await sent({"to": "ann", "n": 2}, "msg_1")
    assert (first[0], first[1]["new"]) == (202, True)
    again = await sent({"to": "ann", "n": 2}, "msg_1")
    assert (again[0], again[1]["run"], again[1]["new"]) == (202, first[1]["run"], False)
    assert (await sent({"to": "eve", "n": 2}, "msg_1"))[0] == 409
    (run,) = await runs(ask, "echo", 1)
    assert run["output"] == {"said": "ann!2"}
    assert (await sent({"to": "ann", "n": 2}, "msg_2", now=time.time() - 3600))[0] == 401
    assert (await sent({"to": "ann", "n": 2}, "msg_2", key="whsec_c29tZXRoaW5nIGVsc2U="))[0] == 401
    assert (await posted(http, url, b"{}", {}))[0] == 401
    assert (await posted(http, url + "0", b"{}", {}))[0] == 404
    status, told = await sent({"to": "ann", "n": "many"}, "msg_3")
    assert (status, told["error"]["param"]) == (400, "input")
    assert "count" in (await ask("GET", "/v1/triggers/orders"))[1]["message"]
    await ask("POST", "/v1/triggers/orders/pause", {})
    assert (await sent({"to": "ann", "n": 1}, "msg_4"))[0] == 409
    await ask("POST", "/v1/triggers/orders/resume", {})
    assert (await sent({"to": "ann", "n": 1}, "msg_4"))[0] == 202
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/pause")):
        assert (await other(method, f"/v1/triggers/orders{path}"))[0] == 404
    assert (await ask("DELETE", "/v1/triggers/orders"))[0] == 200
    assert (await sent({"to": "ann", "n": 1}, "msg_5"))[0] == 404


async def test_the_signatures_of_github_and_gitlab_and_a_bound_on_runs(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    ask = Client(http, node.listening[0].url)
    await ask("PUT", "/v1/chains/echo", {"source": ECHO})
    shared = {"kind": "webhook", "chain": "echo", "secret": SECRET, "max_per_minute": 2}
    data = b'{"word": "push", "more": "is left out"}'
    right = hmac.new(SECRET.encode(), data, hashlib.sha256).hexdigest()
    for signature, good, bad in (
        (
            "github",
            {"x-hub-signature-256": f"sha256={right}"},
            {"x-hub-signature-256": f"sha256={right[:-1]}0"},
        ),
        ("gitlab", {"x-gitlab-token": SECRET}, {"x-gitlab-token": SECRET[:-1]}),
    ):
        _, made = await ask("PUT", f"/v1/triggers/{signature}", {**shared, "signature": signature})
        assert (await posted(http, made["url"], data, {**bad}))[0] in (401, 202 if bad == good else 401)
        for count, wanted in ((1, 202), (1, 202), (2, 202), (3, 429)):
            told = {**good, "idempotency-key": f"{signature}-{count}"}
            assert (await posted(http, made["url"], data, told))[0] == wanted
    assert {run["output"]["said"] for run in await runs(ask, "echo", 4)} == {"push1"}
    for wrong, param in (
        ({"kind": "webhook", "chain": "echo", "secret": "short"}, "secret"),
        ({"kind": "webhook", "chain": "echo", "signature": "none"}, "signature"),
        ({"kind": "webhook", "chain": "echo", "type": "x"}, "type"),
        ({"kind": "mail", "chain": "echo"}, "kind"),
        ({"kind": "event", "chain": "echo"}, "type"),
        ({"kind": "event", "chain": "echo", "type": "x", "input": {"word": "{{ steps.a }}"}}, "input"),
        ({"kind": "folder", "chain": "echo", "folder": "etc"}, "folder"),
        ({"kind": "run", "chain": "echo", "of": "x", "status": ["lost"]}, "status"),
        ({"kind": "event", "chain": "echo", "type": "x", "queue": "none"}, "queue"),
    ):
        status, told = await ask("PUT", "/v1/triggers/wrong", wrong)
        assert (status, told["error"]["param"]) == (400, param), wrong
    assert (await ask("PUT", "/v1/triggers/wrong", {"kind": "event", "type": "x", "chain": "gone"}))[0] == 404


HEADERS = (
    "webhook-signature",
    "webhook-id",
    "webhook-timestamp",
    "x-hub-signature-256",
    "x-gitlab-token",
    "x-github-delivery",
    "idempotency-key",
    "x-told",
)


async def raw(url: str, headers: dict[str, bytes], body: bytes) -> int:
    """The status of a request whose headers are these bytes."""
    where = URL(url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    lines = [f"POST {where.path} HTTP/1.1", "host: x", "connection: close", f"content-length: {len(body)}"]
    sent = [name.encode() + b": " + value for name, value in headers.items()]
    writer.write(b"\r\n".join([*(line.encode() for line in lines), *sent, b"", body]))
    said = await reader.read()
    writer.close()
    return int(said.split()[1])


@pytest.mark.parametrize("signature", ["standard", "github", "gitlab"])
async def test_headers_of_any_bytes_are_refused_or_read(
    signature: str, start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    """Nobody has to know a secret to send them."""
    node = await start_node(auth(ann="a"), role="ChainEngine")
    ask = Client(http, node.listening[0].url)
    await ask("PUT", "/v1/chains/echo", {"source": ECHO})
    wanted = {"kind": "webhook", "chain": "echo", "signature": signature, "secret": "whsec_ohne-Ümlaut"}
    _, made = await ask(
        "PUT", "/v1/triggers/odd", wanted | {"input": {"word": "{{ event.headers['x-told'] }}"}}
    )
    right = {
        "standard": signed(wanted["secret"], "msg_1", time.time(), b"{}"),
        "github": {
            "x-hub-signature-256": "sha256="
            + hmac.new(wanted["secret"].encode(), b"{}", hashlib.sha256).hexdigest()
        },
        "gitlab": {"x-gitlab-token": wanted["secret"]},
    }[signature]
    good = {"x-told": b"plain"} | {name: value.encode() for name, value in right.items()}
    assert await raw(made["url"], good, b"{}") == 202
    for header in HEADERS:
        assert await raw(made["url"], good | {header: b"a\xff\xfe"}, b"{}") in (202, 400, 401, 409), header
    assert await raw(
        made["url"], good | {"x-told": b"a\xff", "idempotency-key": b"2", "x-github-delivery": b"2"}, b"{}"
    ) in (202, 409)
    assert all(
        "\udcff" not in run["output"]["said"]
        for run in await runs(ask, "echo", 1 if signature == "standard" else 2)
    )


async def test_events_files_and_ends_of_runs_start_runs(
    start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    configuration = f'{auth(ann="a")}\n[chain_engine.folders.inbox]\npath = "{inbox}"\n'
    node = await start_node(configuration, role="ChainEngine")
    ask, engine = Client(http, node.listening[0].url), node.opened[ENGINE]
    for name in ("echo", "after", "failed"):
        await ask("PUT", f"/v1/chains/{name}", {"source": ECHO.replace("name: echo", f"name: {name}")})
    await ask("PUT", "/v1/chains/fails", {"source": FAILS})
    for name, body in {
        "told": {"kind": "event", "type": "order.*", "chain": "echo"},
        "file": {
            "kind": "folder",
            "folder": "inbox",
            "pattern": "*.txt",
            "chain": "echo",
            "input": {"word": "{{ event.text }}"},
        },
        "next": {"kind": "run", "of": "echo", "chain": "after", "input": {"word": "{{ event.output.said }}"}},
        "loop": {"kind": "run", "of": "after", "chain": "after", "input": {"word": "x"}},
        "mourn": {
            "kind": "run",
            "of": "fail*",
            "status": ["failed"],
            "chain": "failed",
            "input": {"word": "{{ event.error.code }}"},
        },
    }.items():
        assert (await ask("PUT", f"/v1/triggers/{name}", body))[0] == 201

    for _ in range(2):  # one run: it is the same event
        _, told = await ask("POST", "/v1/events", {"type": "order.paid", "id": "7", "data": {"word": "paid"}})
        assert [each["trigger"] for each in told["runs"]] == ["told"]
    assert (await ask("POST", "/v1/events", {"type": "other"}))[1]["runs"] == []
    await node.opened[STATE].publish(
        "chains:a:order.sent", msgspec.json.encode({"id": "8", "data": {"word": "sent"}})
    )
    (inbox / "a.txt").write_text("file")
    (inbox / "b.pdf").write_text("no")
    (inbox / "c.txt").symlink_to("/etc/hostname")
    assert {run["output"]["said"] for run in await runs(ask, "echo", 3)} == {"paid1", "sent1", "file1"}
    # what follows each of them follows itself, until there are too many
    followed = await runs(ask, "after", 3 * MAX_DEPTH)
    assert len(followed) == 3 * MAX_DEPTH
    assert "already" in await problem(ask, "loop")
    assert {run["output"]["said"] for run in followed} == {"paid11", "sent11", "file11", "x1"}
    assert (await ask("POST", "/v1/chains/fails/runs", {}))[1]["status"] == "failed"
    (failed,) = await runs(ask, "failed", 1)
    assert failed["output"]["said"] == "step_failed1"
    assert len(await runs(ask, "echo", 3)) == 3
    assert await asyncio.to_thread(
        engine.following.store.seen, await asyncio.to_thread(engine.following.store.get, "a", "file")
    )


def test_only_finished_files_are_seen_and_only_text_is_told(tmp_path: Path) -> None:
    for name, data in {
        "a.txt": b"hello",
        "b.bin": b"\xff\xfe\xff",
        "c.part": b"",
        ".d": b"",
        "e~": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("a.txt")
    assert list(listed(tmp_path, "*")) == ["a.txt", "b.bin"]
    told = told_of(tmp_path, "a.txt")
    assert told is not None
    assert (told["text"], told["size"], told["name"]) == ("hello", 5, "a.txt")
    assert (told_of(tmp_path, "b.bin") or {})["text"] is None
    assert told_of(tmp_path, "link") is None
    assert told_of(tmp_path, "gone") is None


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ event.n }}", 3),
        (" {{ event.n }} ", 3),
        ("{{ event.n }}{{ event.n }}", "33"),
        ("n is {{ event.n }}", "n is 3"),
        ({"a": ["{{ event.list }}", 1, None]}, {"a": [[1, 2], 1, None]}),
        ("plain", "plain"),
    ],
)
def test_inputs_are_filled_with_what_happened(template: Any, wanted: Any) -> None:
    assert filled(template, {"event": {"n": 3, "list": [1, 2]}}) == wanted
    check_inputs(template)


@pytest.mark.parametrize("template", ["{{ other }}", "{{ event", {"a": ["{{ input.x }}"]}])
def test_inputs_that_read_anything_else_are_refused(template: Any) -> None:
    with pytest.raises(InvalidRequest):
        check_inputs(template)
