"""Headers of any bytes, on every role: HTTP allows them, and clients that write Latin-1 send them."""

from __future__ import annotations

import itertools
import json

import pytest

from intellirouter.web.header_text import readable
from tests.bounds.test_door import raw, status
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.fault_vendor import whole
from tests.servers.installation import configured_key
from tests.servers.vendor import Play

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
CALLS = (
    ("Router", "POST", "/v1/chat/completions", CHAT),
    ("Router", "POST", "/v1/chat/completions", CHAT | {"stream": True}),
    ("Router", "POST", "/v1/messages", CHAT | {"max_tokens": 5}),
    ("Router", "POST", "/v1/responses", {"model": "m", "input": "hi"}),
    ("Router", "POST", "/v1beta/models/m:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
    ("Router", "POST", "/api/chat", CHAT | {"stream": False}),
    ("Router", "POST", "/v1/embeddings", {"model": "m", "input": "hi"}),
    ("Router", "GET", "/v1/files", None),
    ("Router", "GET", "/admin/requests", None),
    ("Router", "GET", "/console", None),
    ("Router", "GET", "/nowhere", None),
    ("RagManager", "POST", "/rag/v1/collections", {"name": "c"}),
    ("RagManager", "GET", "/v1/vector_stores", None),
    ("PersonaLayer", "GET", "/v1/personas", None),
    ("ChainEngine", "POST", "/v1/chains/none/runs", {}),
    ("ChainEngine", "GET", "/v1/runs", None),
)
NAMES = (
    "x-intellirouter-persona", "x-intellirouter-strategy", "x-intellirouter-peer", "x-intellirouter-rag", "x-session-id",
    "x-request-id", "idempotency-key", "anthropic-version", "anthropic-beta", "traceparent", "tracestate", "user-agent", "cookie",
    "accept", "content-type", "content-encoding", "expect", "origin", "host", "last-event-id", "x-forwarded-for", "x-title",
)  # fmt: skip
VALUES = (b"\xff\xfe", b"Zo\xeb", b"\xed\xa0\x80", "Zoë".encode())


async def test_no_header_is_a_failure_of_ours(start_node: StartNode, start_vendor: StartVendor) -> None:
    vendor = await start_vendor(Play.json(whole("hello", "m")))
    node = await start_node(provider(vendor) + "[auth]\nenabled = true\n" + configured_key("ann"), role="All")
    urls = {listening.role: listening.url for listening in node.listening}
    for (role, method, path, body), name, value in itertools.product(CALLS, NAMES, VALUES):
        data = b"" if body is None else json.dumps(body).encode()
        given = {
            "host": b"localhost",
            "authorization": b"Bearer ann",
            "content-type": b"application/json",
            name: value,
        }
        lines = [
            f"{method} {path} HTTP/1.1".encode(),
            *(key.encode() + b": " + told for key, told in given.items()),
        ]
        lines += [b"connection: close", f"content-length: {len(data)}".encode()]
        answer = await raw(urls[role], b"\r\n".join(lines) + b"\r\n\r\n" + data)
        assert status(answer) != 500, (path, name, value, answer)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"plain", "plain"),
        ("Zoë".encode(), "Zoë"),
        (b"Zo\xeb", "Zoë"),
        (b"a\x80\x85b", "a\ufffd\ufffdb"),
        (b"\xed\xa0\x80", "í\ufffd\ufffd"),
    ],
)
def test_what_is_no_utf8_is_read_as_latin1(sent: bytes, read: str) -> None:
    assert readable(sent.decode("utf-8", "surrogateescape")) == read
