"""Bad input: a clear error, and a server that goes on."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY, STREAM
from tests.servers.vendor import Play

JSON = "application/json"
MB = 1024 * 1024

CASES: list[tuple[str, bytes, str, int, str, str | None]] = [
    ("truncated JSON", b'{"model": "m", "mess', JSON, 400, "not valid JSON", None),
    ("invalid UTF-8", b'{"model": "\xff\xfe"}', JSON, 400, "UTF-8", None),
    ("empty", b"", JSON, 400, "empty", None),
    ("an array", b"[]", JSON, 400, "JSON object", None),
    ("nested deeply", b'{"a":' + b"[" * 200_000, JSON, 400, "", None),
    ("a form", b"model=m", "application/x-www-form-urlencoded", 415, "application/json", None),
    ("no model", b'{"messages":[{"role":"user","content":"x"}]}', JSON, 400, "model", "model"),
    ("no messages", b'{"model":"m"}', JSON, 400, "messages", "messages"),
    ("messages of the wrong type", b'{"model":"m","messages":"hi"}', JSON, 400, "an array", "messages"),
    ("a message of the wrong type", b'{"model":"m","messages":[7]}', JSON, 400, "an object", "messages[0]"),
    (
        "content of the wrong type",
        b'{"model":"m","messages":[{"role":"user","content":7}]}',
        JSON,
        400,
        "a string",
        "messages[0].content",
    ),
    (
        "an unknown role",
        b'{"model":"m","messages":[{"role":"owner","content":"x"}]}',
        JSON,
        400,
        "assistant",
        "messages[0].role",
    ),
    (
        "a role of the wrong type",
        b'{"model":"m","messages":[{"role":["user"],"content":"x"}]}',
        JSON,
        400,
        "assistant",
        "messages[0].role",
    ),
    (
        "a temperature of the wrong type",
        b'{"model":"m","temperature":"hot","messages":[{"role":"user","content":"x"}]}',
        JSON,
        400,
        "a number",
        "temperature",
    ),
    (
        "a model name of 100 kB",
        b'{"model":"%b","messages":[{"role":"user","content":"x"}]}' % (b"m" * 100_000),
        JSON,
        400,
        "at most 256 characters",
        "model",
    ),
]


@pytest.fixture
async def url(start_node: StartNode, start_vendor: StartVendor) -> AsyncIterator[str]:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor) + "[server]\nkeep_alive_timeout = 1\nbody_timeout = 1\n")
    yield node.listening[0].url


async def assert_still_answers(http: aiohttp.ClientSession, url: str) -> None:
    async with http.post(f"{url}/v1/chat/completions", json=BODY) as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    ("body", "kind", "status", "words", "param"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
async def test_a_bad_body_is_refused_in_words_that_help(
    url: str,
    http: aiohttp.ClientSession,
    body: bytes,
    kind: str,
    status: int,
    words: str,
    param: str | None,
) -> None:
    async with http.post(f"{url}/v1/chat/completions", data=body, headers={"content-type": kind}) as reply:
        error = (await reply.json())["error"]
    assert reply.status == status
    assert words in error["message"]
    assert error["param"] == param
    assert len(error["message"]) < 500
    await assert_still_answers(http, url)


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_body_over_the_limit_is_413(url: str, http: aiohttp.ClientSession, compressed: bool) -> None:
    body, headers = b" " * (20 * MB), {"content-type": JSON}
    if compressed:
        body, headers["content-encoding"] = gzip.compress(body), "gzip"
    try:
        async with http.post(f"{url}/v1/chat/completions", data=body, headers=headers) as reply:
            assert reply.status == 413
            assert "max_body_bytes" in (await reply.json())["error"]["message"]
    except aiohttp.ClientConnectionError:
        assert not compressed  # the server may stop reading before a client has sent it all
    await assert_still_answers(http, url)


async def test_ten_thousand_messages_are_no_trouble(url: str, http: aiohttp.ClientSession) -> None:
    body = {**BODY, "messages": BODY["messages"] * 10_000}
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.status == 200


async def raw(url: str, data: bytes) -> bytes:
    """Send bytes, and read until the server closes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 60)
    except ConnectionError:
        return b""
    finally:
        writer.close()


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEAD + b"X: " + b"y" * 20_000 + b"\r\n\r\n", b" 431 "),
        (HEAD + b"X: " + b"y" * (10 * MB) + b"\r\n\r\n", b""),  # cut while we still send: the 431 may be lost
        (HEAD + b"".join(b"X-%d: y\r\n" % i for i in range(100_000)) + b"\r\n", b""),
        (b"NONSENSE\r\n\r\n", b" 400 "),
        (HEAD + b"Content-Len", b""),
        (HEAD + b"Content-Length: 50\r\n\r\n{", b" 400 "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b""),
    ],
    ids=[
        "long header",
        "header bomb",
        "many headers",
        "not HTTP",
        "slow-loris headers",
        "slow-loris body",
        "bad chunk",
    ],
)
async def test_broken_http_is_refused_or_timed_out(
    url: str, http: aiohttp.ClientSession, data: bytes, expected: bytes
) -> None:
    answer = await raw(url, data)
    assert expected in answer.partition(b"\r\n")[0]
    await assert_still_answers(http, url)


async def test_an_endless_upstream_is_cut_at_the_limit(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    piece = b'{"choices": "' + b"x" * MB
    vendor = await start_vendor(Play([piece] * 1024, headers={"content-type": JSON}))
    node = await start_node(provider(vendor) + "[router]\nmax_response_bytes = 4000000\nmax_attempts = 1\n")
    before = psutil.Process().memory_info().rss
    async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=BODY) as reply:
        error = (await reply.json())["error"]
    assert reply.status == 502
    assert "longer than 4000000 bytes" in error["message"]
    assert psutil.Process().memory_info().rss - before < 100 * MB
    await asyncio.wait_for(vendor.cut.wait(), 60)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_that_sends_headers_and_nothing_is_given_up(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, stream: bool
) -> None:
    vendor = await start_vendor(Play(headers={"content-type": JSON}, end="hang"))
    timeouts = "timeouts = {connect = 0.3, first_token = 0.3, idle = 0.3, total = 2}"
    node = await start_node(provider(vendor, more=timeouts))
    async with http.post(
        f"{node.listening[0].url}/v1/chat/completions", json={**BODY, "stream": stream}
    ) as reply:
        assert reply.status == 504
        assert (await reply.json())["error"]["code"] == "upstream_timeout"


async def test_a_silent_stream_carries_comments(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    events: list[Any] = [0.5, *STREAM]
    vendor = await start_vendor(Play.sse(*events))
    node = await start_node(provider(vendor) + "[router]\nkeep_alive_seconds = 0.1\n")
    async with http.post(
        f"{node.listening[0].url}/v1/chat/completions", json={**BODY, "stream": True}
    ) as reply:
        text = await reply.text()
    assert text.startswith(": keep-alive\n\n")
    assert text.endswith("data: [DONE]\n\n")
    assert json.loads(text.split("data: ")[2])["choices"][0]["delta"]["content"] == "Hello"
