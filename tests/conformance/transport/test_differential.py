"""Both transports are shown the same bytes, cut at the same places, and must come to the same end.

What a provider may send is put together from well-formed and damaged parts. Outcomes are compared by kind: the whole
answer with its status and body, or a failure. `INTELLIROUTER_FUZZ` sets the number of examples for a long campaign.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import os
import zlib
from collections.abc import Iterator

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intellirouter.errors import UpstreamError
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.aiohttp_client import AiohttpTransport
from intellirouter.transport.contract import Deadlines, Transport
from intellirouter.transport.fast.client import FastTransport
from tests.servers.raw_http import Connection, RawServer

EXAMPLES = int(os.environ.get("INTELLIROUTER_FUZZ", "250"))
DEADLINES = Deadlines(connect=5, first_byte=5, idle=5, total=10)
LIMIT = 1 << 20

Outcome = tuple[object, ...]
FAILED: Outcome = ("failed",)

BODIES = st.binary(max_size=300) | st.sampled_from([b"{}", b"data: {}\n\n" * 20, bytes(700)])
CODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}
STATUS_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 503 \xe9", b"HTTP/1.0 200 OK"]
)
FIELDS = st.sampled_from(
    [
        b"X-A: b",
        b"x-a:c",
        b"X-Empty:",
        b"Connection: keep-alive",
        b"Connection: close",
        b"Keep-Alive: timeout=5",
        b"Set-Cookie: a=b",
        b"Content-Type: application/json; charset=utf-8",
        b"Date: now",
        b"X-Long: " + b"y" * 5000,
    ]
)
INTERIM = st.sampled_from(
    [b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nLink: <a>\r\n\r\n" * 2]
)


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    out = []
    start = 0
    while start < len(body):
        size = draw(st.integers(1, len(body) - start))
        extension = draw(st.sampled_from([b"", b"", b";a=b", b";q"]))
        out.append(b"%x%b\r\n%b\r\n" % (size, extension, body[start : start + size]))
        start += size
        if len(out) > 8:
            out.append(b"%x\r\n%b\r\n" % (len(body) - start, body[start:]) if body[start:] else b"")
            break
    trailer = draw(st.sampled_from([b"", b"", b"X-T: 1\r\n"]))
    return b"".join(out) + b"0\r\n" + trailer + b"\r\n"


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """What a provider sends before it closes the connection."""
    coding = draw(st.sampled_from(sorted(CODINGS)))
    body = CODINGS[coding](draw(BODIES))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    fields = draw(st.lists(FIELDS, max_size=4))
    if coding != "identity":
        fields.append(b"Content-Encoding: " + coding.encode())
    if framing == "length":
        fields.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        fields.append(b"Transfer-Encoding: chunked")
        body = draw(chunked(body))
    head = b"\r\n".join([draw(STATUS_LINES), *draw(st.permutations(fields))]) + b"\r\n\r\n"
    data = draw(INTERIM) + head + body
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        data = draw(damaged(data))
    return data


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    if not data:
        return data
    at = draw(st.integers(0, min(len(data) - 1, 400)))
    match draw(st.sampled_from(["cut", "drop", "insert", "change"])):
        case "cut":
            return data[:at]
        case "drop":
            return data[:at] + data[at + draw(st.integers(1, 8)) :]
        case "insert":
            return data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[at:]
        case _:
            return data[:at] + draw(st.binary(min_size=1, max_size=1)) + data[at + 1 :]


class Bench:
    """A loop, one server whose next bytes are set per example, and both transports."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.pieces: list[bytes] = []
        self.server = RawServer(self._script)
        self._running = self.server.running()
        self.runner.run(self._running.__aenter__())

    async def _script(self, connection: Connection) -> None:
        await connection.request()
        for piece in self.pieces:
            await connection.send(piece)
            await asyncio.sleep(0)

    def outcomes(self, pieces: list[bytes]) -> tuple[Outcome, Outcome]:
        self.pieces = pieces
        return self.runner.run(self._both())

    def is_whole_without_its_tail(self, data: bytes, fast: Outcome) -> bool:
        """Whether aiohttp gave a whole response up only for the garbage behind it: the one known difference here."""
        return any(self.outcomes([data[:end]]) == (fast, fast) for end in range(len(data) - 1, 0, -1))

    async def _both(self) -> tuple[Outcome, Outcome]:
        return await outcome(FastTransport(), self.server.url), await outcome(
            AiohttpTransport(), self.server.url
        )

    def close(self) -> None:
        self.runner.run(self._running.__aexit__(None, None, None))
        self.runner.close()


async def outcome(transport: Transport, url: str) -> Outcome:
    try:
        reply = await transport.send(HttpRequest("POST", url, (), b"{}"), DEADLINES)
        try:
            return (reply.status, reply.headers.get("content-type"), await reply.read(LIMIT))
        finally:
            reply.close()
    except UpstreamError:
        return FAILED
    finally:
        await transport.aclose()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=responses(), cuts=st.lists(st.integers(0, 600), max_size=5))
def test_both_transports_come_to_the_same_end(bench: Bench, data: bytes, cuts: list[int]) -> None:
    marks = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(marks)]
    fast, plain = bench.outcomes(pieces)
    assert fast == plain or (plain == FAILED and bench.is_whole_without_its_tail(data, fast))
