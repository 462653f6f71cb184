"""What a stranger meets first: connections, paths, headers, encodings, names, and on a node without keys the pages of a browser."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.app import supervisor
from intellirouter.app.node import prepare_logs
from intellirouter.bounds.json_values import holds_more_than
from intellirouter.bounds.shares import Shares
from intellirouter.inference.dispatch import Dispatch
from intellirouter.peers.grpc import server as grpc_server
from intellirouter.security.api_keys import hash_key
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.ports import free_port
from tests.servers.vendor import Play

ANSWER = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
KEY = "sk-test-of-somebody"
KEYS = (
    f'[auth]\nenabled = true\n[[auth.keys]]\nname = "k"\nsha256 = "{hash_key(KEY)}"\nscopes = ["inference"]\n'
)


async def raw(url: str, head: bytes) -> bytes:
    """What the node answers to these bytes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(head)
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


def post(path: str = "/v1/chat/completions", body: bytes | None = None, **headers: str) -> bytes:
    """A request that ends its connection."""
    data = json.dumps(BODY).encode() if body is None else body
    given = {"host": "127.0.0.1", "content_type": "application/json", "connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items() if value)
    return f"POST {path} HTTP/1.1\r\n{lines}content-length: {len(data)}\r\n\r\n".encode("latin-1") + data


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


PAGES = [
    ({"host": "localhost:8080"}, 200),
    ({"host": "[::1]:8080"}, 200),
    ({"host": "app.localhost"}, 200),
    ({"host": "evil.example"}, 403),
    ({"host": "127.0.0.1.evil.example"}, 403),
    ({"host": "192.168.0.5"}, 403),
    ({"host": "localhost:80@evil.example"}, 403),
    ({"host": "[::1]evil.example"}, 403),
    ({"host": "ai.example.com"}, 200),
    ({"origin": "http://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://localhost:3000"}, 200),
    ({"origin": "https://app.example.com"}, 200),
    ({"origin": "http://127.0.0.1.evil.example"}, 403),
    ({"sec_fetch_site": "cross-site"}, 403),
    ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}, 403),
    ({"sec_fetch_site": "same-origin"}, 200),
    ({"sec_fetch_site": "same-site", "origin": "http://localhost:5173"}, 200),
]


async def test_a_node_without_keys_serves_its_own_machine_and_no_page(
    start_node: StartNode, start_vendor: StartVendor
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    server = '[server]\nallowed_hosts = ["ai.example.com"]\ncors_origins = ["https://app.example.com"]\n'
    node = await start_node(server + provider(vendor))
    for headers, expected in PAGES:
        vendor.received.clear()
        answer = await raw(node.listening[0].url, post(**headers))
        assert status(answer) == expected, (headers, answer)
        assert (b"auth.enabled" in answer) is (expected == 403), headers
        assert len(vendor.received) == (expected == 200), headers


async def test_with_keys_any_name_is_served(start_node: StartNode, start_vendor: StartVendor) -> None:
    node = await start_node(KEYS + provider(await start_vendor(Play.json(ANSWER))))
    sent = post(host="evil.example", origin="http://evil.example", authorization=f"Bearer {KEY}")
    assert status(await raw(node.listening[0].url, sent)) == 200


async def test_json_is_asked_for_by_its_name(start_node: StartNode, start_vendor: StartVendor) -> None:
    node = await start_node(provider(await start_vendor(Play.json(ANSWER))))
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await raw(node.listening[0].url, post(content_type=kind))
        assert status(answer) == 415, kind
        assert b"content-type: application/json" in answer.partition(b"\r\n\r\n")[2]


PATHS = {
    "//v1//chat/completions": 200,
    "/v1/chat/completions/": 200,
    "/v1/chat/completions%00": 400,
    "/%61dmin/keys": 404,
    "/%6detrics": 404,
    "//metrics": 404,
    "/v1/models/" + "x" * 2_000: 400,
}


async def test_paths(start_node: StartNode, start_vendor: StartVendor) -> None:
    node = await start_node(provider(await start_vendor(Play.json(ANSWER))))
    for path, expected in PATHS.items():
        sent = post(path) if expected == 200 else post(path).replace(b"POST", b"GET", 1)
        assert status(await raw(node.listening[0].url, sent)) == expected, path


async def test_a_header_that_is_too_long_is_told_as_json(start_node: StartNode) -> None:
    node = await start_node()
    answer = await raw(node.listening[0].url, post(x_long="x" * 9_000))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == 431
    assert b"application/json" in head
    assert json.loads(body)["error"]["code"] == "headers_too_large"
    assert status(await raw(node.listening[0].url, b"NONSENSE\r\n\r\n")) == 400


async def test_a_key_that_is_no_text_is_a_wrong_key(start_node: StartNode) -> None:
    node = await start_node(KEYS)
    for name in ("authorization", "x_api_key", "x_goog_api_key"):
        value = "Bearer \xff\xfe" if name == "authorization" else "\xff\xfe"
        assert status(await raw(node.listening[0].url, post(**{name: value}))) == 401, name


async def test_a_failure_that_nobody_foresaw_is_logged_without_a_value(
    start_node: StartNode, start_vendor: StartVendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of a default node, where a traceback is for a person to read: its frames hold keys and prompts."""

    async def fails(_self: Dispatch, job: object) -> None:
        raise RuntimeError(f"at {type(job).__name__}")

    file = tmp_path / "log"
    file.touch()
    node = await start_node(
        f'[telemetry]\nlog_level = "debug"\nlog_file = "{file}"\n'
        + KEYS
        + provider(await start_vendor(Play.json(ANSWER)))
    )
    prepare_logs(node.loaded.settings, "")()
    monkeypatch.setattr(Dispatch, "complete", fails)
    monkeypatch.setattr(Dispatch, "stream", fails)
    planted = "planted-prompt-of-somebody"
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat"):
        for stream in (False, True):
            said = {"messages": [{"role": "user", "content": planted}], "input": planted, "max_tokens": 5}
            body = json.dumps({"model": "m", "stream": stream, **said}).encode()
            answer = await raw(node.listening[0].url, post(path, body, authorization=f"Bearer {KEY}"))
            assert status(answer) == 500, answer
            assert b"RuntimeError" not in answer
    logged = file.read_text()
    assert "RuntimeError: at Job" in logged
    assert ", in fails" in logged  # the places are told, and no value of their frames
    for secret in (KEY, planted, "sk-secret-of-primary"):
        assert secret not in logged


async def test_who_opens_every_connection_shuts_out_only_its_own_address(
    start_node: StartNode, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Shares(64)
    monkeypatch.setattr(supervisor, "client_places", lambda: places)
    node = await start_node(role="All")
    urls = {one.role: one.url for one in node.listening}
    held = []
    for number in range(2 * places.places):
        port = node.listening[number % len(urls)].port
        held.append(await asyncio.open_connection("127.0.0.1", port))
    try:
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(connector=connector) as other:
            for role, url in urls.items():
                async with asyncio.timeout(60), other.get(f"{url}/health") as reply:
                    assert reply.status == 200, role
        assert places.held("127.0.0.1") < places.places
    finally:
        for _, writer in held:
            writer.close()


async def test_a_grpc_connection_that_says_nothing_is_ended(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_server, "IDLE_MS", 300)
    port = free_port()
    await start_node(f"[server]\ngrpc_port = {port}\n")
    for sent in (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(60):
            await reader.read()
        writer.close()


async def test_a_body_is_inflated_for_who_may_send_one(
    start_node: StartNode, start_vendor: StartVendor
) -> None:
    node = await start_node(KEYS + provider(await start_vendor(Play.json(ANSWER))))
    url = node.listening[0].url
    bomb = gzip.compress(b" " * 60_000_000)
    sent = {"content_encoding": "gzip"}
    assert status(await raw(url, post(body=bomb, **sent))) == 401
    assert status(await raw(url, post("/v1/nothing", body=bomb, **sent))) == 404
    assert status(await raw(url, post(body=bomb, authorization=f"Bearer {KEY}", **sent))) == 413
    good = gzip.compress(json.dumps(BODY).encode())
    assert status(await raw(url, post(body=good, authorization=f"Bearer {KEY}", **sent))) == 200
    assert status(await raw(url, post(body=good[:-9], authorization=f"Bearer {KEY}", **sent))) == 400
    other = post(body=good, authorization=f"Bearer {KEY}", content_encoding="br")
    assert status(await raw(url, other)) == 415


LONG = "x" * 257
TOO_LONG = [
    ("/v1/chat/completions", {**BODY, "model": LONG}),
    ("/v1/chat/completions", {**BODY, "user": LONG}),
    ("/v1/chat/completions", {**BODY, "metadata": {LONG: "1"}}),
    ("/v1/chat/completions", {**BODY, "persona": LONG}),
    ("/v1/chat/completions", {**BODY, "conversation": LONG}),
    ("/v1/chat/completions", {**BODY, "intellirouter": {"tags": [LONG]}}),
    ("/v1/chat/completions", {**BODY, "intellirouter": {"tags": ["x"] * 300}}),
    ("/v1/chat/completions", {**BODY, "intellirouter": {"fallbacks": [LONG]}}),
    ("/v1/completions", {"model": LONG, "prompt": "x"}),
    ("/v1/responses", {"model": LONG, "input": "x"}),
    ("/v1/embeddings", {"model": LONG, "input": "x"}),
    ("/v1/messages", {**BODY, "model": LONG, "max_tokens": 5}),
    ("/api/chat", {**BODY, "model": LONG}),
    ("/api/generate", {"model": LONG, "prompt": "x"}),
    ("/api/embed", {"model": LONG, "input": "x"}),
    ("/api/show", {"model": LONG}),
    (f"/v1beta/models/{LONG}:generateContent", {"contents": []}),
]


async def test_names_have_a_length_everywhere(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor))
    url = node.listening[0].url
    for path, body in TOO_LONG:
        async with http.post(url + path, json=body) as reply:
            text = await reply.text()
            assert reply.status == 400, (path, str(body)[:80], text[:300])
            assert len(text) < 1_000
    async with http.get(f"{url}/metrics") as reply:
        assert LONG not in await reply.text()
    assert not vendor.received


WORD = "y" * 300_000
REPEATED = [
    ("/v1/chat/completions", {**BODY, "response_format": {"type": WORD}}),
    ("/v1/chat/completions", {**BODY, "tools": [{"type": "function", "function": {"name": WORD}}]}),
    ("/v1/messages", {**BODY, "max_tokens": 5, "system": [{"type": WORD}]}),
    ("/v1/chat/completions", {**BODY, "intellirouter": {WORD: 1}}),
    ("/v1/feedback", {WORD: 1}),
    ("/v1/chains/validate", {WORD: 1}),
    (
        "/v1/chains/validate",
        {"definition": {"chain": {"name": WORD}, "steps": [{"id": WORD, "set": {"x": "{{ " + WORD}}]}},
    ),
    ("/rag/v1/retrieve", {"query": "a", "collections": ["kb"], WORD: 1}),
    ("/v1/personas/validate", {"source": f'prompt = "x"\n{WORD} = 1\n'}),
]


async def test_however_much_is_sent_an_error_repeats_little_of_it(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    node = await start_node(provider(await start_vendor(Play.json(ANSWER))), role="All")
    urls = {one.role: one.url for one in node.listening}
    roles = {"/v1/chains": "ChainEngine", "/rag": "RagManager", "/v1/personas": "PersonaLayer"}
    for path, body in REPEATED:
        role = next((name for start, name in roles.items() if path.startswith(start)), "Router")
        async with http.post(urls[role] + path, json=body) as reply:
            text = await reply.text()
            assert reply.status in (200, 400, 404, 405), (path, text[:300])
            assert len(text) < 25_000, (path, text[:300])


MANY: list[tuple[str, Any]] = [
    ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}] * 40_000}),
    ("/v1/messages", {**BODY, "tools": [{"name": "f", "input_schema": {}}] * 40_000}),
    ("/api/chat", {"model": "m", "messages": [{}] * 120_000}),
    ("/v1/feedback", {"request_id": "x", "comment": [[]] * 120_000}),
]


async def test_a_body_holds_so_many_values(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    url = (await start_node(provider(vendor))).listening[0].url
    for path, body in MANY:
        async with http.post(url + path, json=body) as reply:
            text = await reply.text()
            assert reply.status == 400, path
            assert "more than 100,000 values (server.max_body_values)" in text
            assert f"'{max(body, key=lambda name: len(str(body[name])))}' is " in text
    # of more fields than any request has, none is looked for: reading a million of them held the loop for seconds
    async with http.post(f"{url}/v1/chat/completions", json={f"k{n}": n for n in range(120_000)}) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]["message"].endswith("values (server.max_body_values).")
    assert not vendor.received
    # a long text is one value, whatever stands in it, and whoever needs more values says so
    text = 'x,[{"\\' * 60_000
    for more, said in (("", {"content": text}), ("[server]\nmax_body_values = 200_000\n", {"content": "a"})):
        url = (await start_node(more + provider(vendor))).listening[0].url
        times = 40_000 if more else 1
        body = {"model": "m", "messages": [{"role": "user", **said}] * times}
        async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200, await reply.text()


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.integers() | st.text('",[{\\x\n'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('",[{\\'), inner),
    )
)
async def test_values_are_counted_as_they_are_read(value: Any) -> None:
    def values(one: Any) -> int:
        inside = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        return sum(1 + values(each) for each in inside) + (not inside and isinstance(one, dict | list))

    text = json.dumps(value).encode()
    number = values(value)
    if number:
        assert await holds_more_than(number - 1, text + b" " * 2 * number)
    assert not await holds_more_than(number, text + b" " * 2 * number)
