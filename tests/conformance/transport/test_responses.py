"""What every transport makes of a response, well-formed or not."""

from __future__ import annotations

import gzip
import zlib

import pytest

from intellirouter.errors import UpstreamError, UpstreamProtocolError, UpstreamUnavailable
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.contract import Deadlines, Transport
from tests.conformance.transport.conftest import Serve, expect_difference
from tests.servers.raw_http import Connection, once

DEADLINES = Deadlines(connect=5, first_byte=5, idle=5, total=10)
LIMIT = 4 * 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"
TEXT = b"to be, or not to be, that is the question; " * 40


def length(body: bytes, *lines: bytes) -> bytes:
    return (
        OK + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


# name: (what the server sends, how it ends, the body)
GOOD: dict[str, tuple[bytes, str, bytes]] = {
    "length": (length(b"hello"), "hang", b"hello"),
    "empty": (length(b""), "hang", b""),
    "length and half-close": (length(b"hello"), "half-close", b"hello"),
    "length and close": (length(b"hello"), "close", b"hello"),
    "length, connection: close": (length(b"hello", b"Connection: close"), "close", b"hello"),
    "chunked": (CHUNKED + b"\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hang", b"hello!"),
    "chunked, upper-case size": (CHUNKED + b"\r\nA\r\n0123456789\r\n0\r\n\r\n", "hang", b"0123456789"),
    "chunk extensions": (CHUNKED + b'\r\n5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n', "hang", b"hello"),
    "trailers": (CHUNKED + b"\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", "hang", b"hello"),
    "until close": (OK + b"\r\nhello", "close", b"hello"),
    "until half-close": (OK + b"\r\nhello", "half-close", b"hello"),
    "until close, nothing": (OK + b"\r\n", "close", b""),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", "close", b"hello"),
    "no reason phrase": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "hang", b"ok"),
    "100 and 103 first": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + length(b"ok"),
        "hang",
        b"ok",
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", "hang", b""),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "hang", b""),
    "gzip": (length(gzip.compress(TEXT), b"Content-Encoding: gzip"), "hang", TEXT),
    "x-gzip in capitals": (length(gzip.compress(TEXT), b"Content-Encoding: GZIP"), "hang", TEXT),
    "gzip of nothing": (length(gzip.compress(b""), b"Content-Encoding: gzip"), "hang", b""),
    "gzip, no body": (length(b"", b"Content-Encoding: gzip"), "hang", b""),
    "gzip, two members": (
        length(gzip.compress(TEXT) + gzip.compress(b"!"), b"Content-Encoding: gzip"),
        "hang",
        TEXT + b"!",
    ),
    "deflate": (length(zlib.compress(TEXT), b"Content-Encoding: deflate"), "hang", TEXT),
    "raw deflate": (length(raw_deflate(TEXT), b"Content-Encoding: deflate"), "hang", TEXT),
    "identity": (length(TEXT, b"Content-Encoding: identity"), "hang", TEXT),
    "gzip until close": (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(TEXT), "close", TEXT),
}

# name: (what the server sends, how it ends, the error)
BAD: dict[str, tuple[bytes, str, type[UpstreamError]]] = {
    "reset at once": (b"", "reset", UpstreamUnavailable),
    "closed at once": (b"", "close", UpstreamUnavailable),
    "closed in the status line": (b"HTTP/1.1 2", "close", UpstreamUnavailable),
    "closed in the headers": (OK + b"Content-Le", "close", UpstreamUnavailable),
    "only an interim response": (b"HTTP/1.1 100 Continue\r\n\r\n", "close", UpstreamUnavailable),
    "not HTTP": (b"220 mail.example ESMTP\r\n", "hang", UpstreamProtocolError),
    "TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46", "hang", UpstreamProtocolError),
    "header without a colon": (OK + b"nonsense\r\n\r\n", "hang", UpstreamProtocolError),
    "negative length": (OK + b"Content-Length: -1\r\n\r\n", "hang", UpstreamProtocolError),
    "two lengths": (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "hang", UpstreamProtocolError),
    "length and chunked": (
        CHUNKED + b"Content-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "hang",
        UpstreamProtocolError,
    ),
    "huge length": (OK + b"Content-Length: 99999999999999999999999\r\n\r\nx", "hang", UpstreamProtocolError),
    "short body": (OK + b"Content-Length: 10\r\n\r\nhello", "close", UpstreamUnavailable),
    "short body, reset": (OK + b"Content-Length: 10\r\n\r\nhello", "reset", UpstreamUnavailable),
    "chunked, no last chunk": (CHUNKED + b"\r\n5\r\nhello\r\n", "close", UpstreamUnavailable),
    "chunked, cut in a chunk": (CHUNKED + b"\r\n5\r\nhel", "close", UpstreamUnavailable),
    "chunked, cut in the trailer": (CHUNKED + b"\r\n5\r\nhello\r\n0\r\n", "close", UpstreamUnavailable),
    "chunk size is no number": (CHUNKED + b"\r\nzz\r\nhello\r\n", "hang", UpstreamProtocolError),
    "chunk longer than its size": (CHUNKED + b"\r\n2\r\nhello\r\n0\r\n\r\n", "hang", UpstreamProtocolError),
    "chunk size overflows": (CHUNKED + b"\r\n" + b"f" * 40 + b"\r\nx", "hang", UpstreamProtocolError),
    "until close, reset": (OK + b"\r\nhello", "reset", UpstreamUnavailable),
    "long header": (OK + b"X: " + b"a" * 300_000 + b"\r\n\r\n", "hang", UpstreamProtocolError),
    "endless header": (OK + b"X: " + b"a" * 300_000, "hang", UpstreamProtocolError),
    "damaged gzip": (
        length(b"\x1f\x8b" + b"x" * 50, b"Content-Encoding: gzip"),
        "hang",
        UpstreamProtocolError,
    ),
    "gzip that is not": (length(b"hello there", b"Content-Encoding: gzip"), "hang", UpstreamProtocolError),
    "gzip cut short": (
        length(gzip.compress(TEXT)[:-12], b"Content-Encoding: gzip"),
        "hang",
        UpstreamProtocolError,
    ),
    "damaged deflate": (length(b"\xff" * 50, b"Content-Encoding: deflate"), "hang", UpstreamProtocolError),
    "unknown coding": (length(b"hello", b"Content-Encoding: snappy"), "hang", UpstreamProtocolError),
    "unknown transfer coding": (
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        "hang",
        UpstreamProtocolError,
    ),
    "null byte in a header": (OK + b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n", "hang", UpstreamProtocolError),
    "gzip bomb": (
        length(gzip.compress(bytes(64 * 1024 * 1024)), b"Content-Encoding: gzip"),
        "hang",
        UpstreamProtocolError,
    ),
    "longer than the limit": (length(bytes(LIMIT + 1)), "hang", UpstreamProtocolError),
    "longer than the limit, until close": (OK + b"\r\n" + bytes(LIMIT + 1), "close", UpstreamProtocolError),
    "upgrade unasked": (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "hang",
        UpstreamProtocolError,
    ),
}


async def fetch(transport: Transport, url: str, method: str = "POST", limit: int = LIMIT) -> bytes:
    reply = await transport.send(HttpRequest(method, url, (("x-a", "b"),), b"{}"), DEADLINES)
    try:
        return await reply.read(limit)
    finally:
        reply.close()


@pytest.mark.parametrize("size", [0, 1], ids=["whole", "dripped"])
@pytest.mark.parametrize("name", GOOD)
async def test_good_responses(transport: Transport, serve: Serve, name: str, size: int) -> None:
    data, end, body = GOOD[name]
    server = await serve(once(data, end=end, size=size))
    assert await fetch(transport, server.url) == body


@pytest.mark.parametrize("name", BAD)
async def test_bad_responses(
    request: pytest.FixtureRequest, transport: Transport, serve: Serve, name: str
) -> None:
    if name == "until close, reset":
        expect_difference(request, "aiohttp takes a reset for the end")
    data, end, error = BAD[name]
    server = await serve(once(data, end=end))
    with pytest.raises(error):
        await fetch(transport, server.url)
    assert server.connections == 1, "a new connection that fails is not tried again"


async def test_chunks_give_the_same_body(transport: Transport, serve: Serve) -> None:
    server = await serve(once(length(gzip.compress(TEXT), b"Content-Encoding: gzip"), size=7))
    reply = await transport.send(HttpRequest("POST", server.url, (), b"{}"), DEADLINES)
    assert b"".join([piece async for piece in reply.chunks()]) == TEXT
    reply.close()


async def test_what_arrived_before_a_break_is_given_out(transport: Transport, serve: Serve) -> None:
    server = await serve(once(CHUNKED + b"\r\n5\r\nhello\r\n", end="close"))
    reply = await transport.send(HttpRequest("POST", server.url, (), b"{}"), DEADLINES)
    seen = b""
    with pytest.raises(UpstreamUnavailable):
        async for piece in reply.chunks():
            seen += piece
    assert seen == b"hello"
    reply.close()


@pytest.mark.parametrize("count", [1, 100_000])
async def test_many_chunks_and_a_slow_end(transport: Transport, serve: Serve, count: int) -> None:
    """However much framing came with the body, the end may come in its own time."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + b"\r\n" + b"1\r\nx\r\n" * count)
        await connection.drip(b"0\r\nX-Sum: 1\r\n\r\n")
        await connection.hang()

    server = await serve(script)
    assert await fetch(transport, server.url) == b"x" * count


async def test_endless_framing_is_bounded(transport: Transport, serve: Serve) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + b"\r\n1;")
        for _ in range(10_000):
            await connection.send(b"x" * 10_000)

    server = await serve(script)
    with pytest.raises(UpstreamError):
        await fetch(transport, server.url)


async def test_status_and_headers(transport: Transport, serve: Serve) -> None:
    lines = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 2\r\nX-A: 1\r\nx-a: 2\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
    server = await serve(once(lines))
    reply = await transport.send(HttpRequest("POST", server.url, (), b"{}"), DEADLINES)
    reply.close()
    assert reply.status == 429
    assert dict(reply.headers) == {"retry-after": "2", "x-a": "1, 2", "x-empty": "", "content-length": "0"}


async def test_the_answer_to_head_has_no_body(transport: Transport, serve: Serve) -> None:
    server = await serve(once(OK + b"Content-Length: 10\r\n\r\n"))
    assert await fetch(transport, server.url, "HEAD") == b""


async def test_a_redirect_is_not_followed(transport: Transport, serve: Serve) -> None:
    server = await serve(
        once(b"HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    )
    reply = await transport.send(HttpRequest("POST", server.url, (), b"{}"), DEADLINES)
    assert reply.status == 307
    reply.close()
