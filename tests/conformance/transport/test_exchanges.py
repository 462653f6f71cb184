"""What every transport does with connections, time and requests."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable

import pytest
import trustme

from intellirouter.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.contract import Deadlines, Transport
from tests.conformance.transport.conftest import Serve, expect_difference
from tests.servers.raw_http import Connection, once, repeat

DEADLINES = Deadlines(connect=5, first_byte=5, idle=5, total=10)
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"


async def fetch(
    transport: Transport, url: str, deadlines: Deadlines = DEADLINES, body: bytes = b"{}"
) -> bytes:
    reply = await transport.send(HttpRequest("POST", url, (), body), deadlines)
    try:
        return await reply.read(1 << 20)
    finally:
        reply.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("the condition did not come true in 60 s")


# Connections.


async def test_a_connection_is_used_again(transport: Transport, serve: Serve) -> None:
    trailers = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n"
    for data in (HELLO, trailers, b"HTTP/1.1 204 N\r\n\r\n"):
        server = await serve(repeat(data))
        for _ in range(3):
            reply = await transport.send(HttpRequest("POST", server.url, (), b"{}"), DEADLINES)
            assert "x-trailer" not in reply.headers
            await reply.read(100)
            reply.close()
            reply.close()
        assert server.connections == 1


async def test_many_at_once(transport: Transport, serve: Serve) -> None:
    server, patient = await serve(repeat(HELLO)), Deadlines()
    answers = await asyncio.gather(*[fetch(transport, server.url, patient) for _ in range(200)])
    assert answers == [b"hello"] * 200
    before = server.connections
    await asyncio.gather(*[fetch(transport, server.url, patient) for _ in range(50)])
    assert server.connections == before


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        HELLO + b"garbage",
        HELLO + HELLO,
    ],
    ids=["connection: close", "HTTP/1.0", "garbage behind it", "a second response behind it"],
)
async def test_a_connection_that_is_not_fit_is_left(
    request: pytest.FixtureRequest, transport: Transport, serve: Serve, data: bytes
) -> None:
    if data.endswith(b"garbage"):
        expect_difference(request, "aiohttp gives the response up for what is behind it")
    server = await serve(repeat(data))
    for _ in range(3):
        assert await fetch(transport, server.url) == b"hello"
    assert server.connections == 3


async def test_unasked_bytes_are_not_the_next_answer(
    request: pytest.FixtureRequest, transport: Transport, serve: Serve
) -> None:
    expect_difference(request, "aiohttp keeps what arrives on an idle connection")
    asked = asyncio.Event()
    sent = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(HELLO)
        await asked.wait()
        await connection.send(OK + b"Content-Length: 6\r\n\r\npoison")
        sent.set()
        await connection.hang()

    server = await serve(script)
    assert await fetch(transport, server.url) == b"hello"
    asked.set()
    await sent.wait()
    for _ in range(20):  # the client's end of the same loop sees them now
        await asyncio.sleep(0.001)
    assert await fetch(transport, server.url) == b"hello"
    assert server.connections == 2


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_stale_connection_is_replaced_once(transport: Transport, serve: Serve, how: str) -> None:
    """The server takes the second request of a connection and ends it without a word."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(HELLO)
        if await connection.request() is not None and how == "reset":
            connection.reset()

    server = await serve(script)
    assert await fetch(transport, server.url) == b"hello"
    assert await fetch(transport, server.url) == b"hello"
    assert server.connections == 2
    assert len(server.requests) == 3


async def test_all_connections_stale(transport: Transport, serve: Serve) -> None:
    """Not another kept connection is tried, which may be as stale, but a new one."""
    answered = 0

    async def script(connection: Connection) -> None:
        nonlocal answered
        await connection.request()
        answered += 1
        await until(lambda: answered >= 5)  # so that there are five
        await connection.send(HELLO)
        await connection.request()

    server = await serve(script)
    await asyncio.gather(*[fetch(transport, server.url) for _ in range(5)])
    assert await fetch(transport, server.url) == b"hello"
    assert server.connections == 6


async def test_a_failure_after_the_first_byte_is_not_tried_again(transport: Transport, serve: Serve) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(HELLO)
        await connection.request()
        await connection.send(OK + b"Content-Length: 9\r\n\r\nhel")

    server = await serve(script)
    await fetch(transport, server.url)
    with pytest.raises(UpstreamUnavailable):
        await fetch(transport, server.url)
    assert len(server.requests) == 2


async def test_early_close_cuts(transport: Transport, serve: Serve) -> None:
    server = await serve(once(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
    reply = await transport.send(HttpRequest("POST", server.url, (), b"{}"), DEADLINES)
    async for piece in reply.chunks():
        assert piece == b"hello"
        break
    reply.close()
    async with asyncio.timeout(60):
        await server.left.wait()


@pytest.mark.parametrize("begun", [False, True], ids=["before the response", "in its body"])
async def test_cancelling_cuts(transport: Transport, serve: Serve, begun: bool) -> None:
    server = await serve(once(OK + b"Content-Length: 9\r\n\r\nhello" if begun else b""))
    task = asyncio.create_task(fetch(transport, server.url))
    await until(lambda: bool(server.requests))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(60):
        await server.left.wait()


async def test_closing_the_transport_cuts(transport: Transport, serve: Serve) -> None:
    server = await serve(once(b""))
    task = asyncio.create_task(fetch(transport, server.url))
    await until(lambda: bool(server.requests))
    await transport.aclose()
    with pytest.raises(UpstreamError):
        await task
    async with asyncio.timeout(60):
        await server.left.wait()


async def test_a_slow_reader_slows_the_server(transport: Transport, serve: Serve) -> None:
    total = 96 * 1024 * 1024
    sent = 0

    async def script(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        await connection.send(OK + b"Content-Length: %d\r\n\r\n" % total)
        for _ in range(total // 65536):
            await connection.send(bytes(65536))
            sent += 65536

    server = await serve(script)
    reply = await transport.send(HttpRequest("POST", server.url, (), b"{}"), DEADLINES)
    chunks = reply.chunks()
    got = len(await anext(chunks))
    seen = -1
    while seen != sent:  # until the server stands still
        seen = sent
        await asyncio.sleep(0.1)
    assert sent < total // 2
    async for piece in chunks:
        got += len(piece)
    assert got == total
    reply.close()


async def test_a_response_before_the_request_was_taken(transport: Transport, serve: Serve) -> None:
    """A server may refuse a long request early; its connection is not used again."""

    async def script(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await connection.hang()

    server = await serve(script)
    for _ in range(2):
        assert await fetch(transport, server.url, body=bytes(32 * 1024 * 1024)) == b"no"
    assert server.connections == 2


# Time.


@pytest.mark.parametrize(
    ("data", "deadlines", "phase"),
    [
        (b"", Deadlines(connect=5, first_byte=0.2, idle=5, total=10), "first_byte"),
        (
            b"HTTP/1.1 100 Continue\r\n\r\n",
            Deadlines(connect=5, first_byte=0.2, idle=5, total=10),
            "first_byte",
        ),
        (b"", Deadlines(connect=5, first_byte=5, idle=5, total=0.2), "total"),
        (
            OK + b"Content-Length: 9\r\n\r\nhel",
            Deadlines(connect=5, first_byte=5, idle=0.2, total=10),
            "idle",
        ),
        (
            OK + b"Content-Length: 9\r\n\r\nhel",
            Deadlines(connect=5, first_byte=5, idle=5, total=0.2),
            "total",
        ),
    ],
    ids=[
        "silence",
        "only an interim response",
        "silence, total",
        "silence in the body",
        "in the body, total",
    ],
)
async def test_silence(
    transport: Transport, serve: Serve, data: bytes, deadlines: Deadlines, phase: str
) -> None:
    server = await serve(once(data))
    began = time.monotonic()
    with pytest.raises(UpstreamTimeout) as caught:
        await fetch(transport, server.url, deadlines)
    assert caught.value.phase == phase
    assert time.monotonic() - began >= 0.19
    async with asyncio.timeout(60):
        await server.left.wait()
    assert server.connections == 1


async def test_a_dripping_body_is_bounded_by_the_total(transport: Transport, serve: Serve) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK + b"Content-Length: 100000\r\n\r\n")
        while True:
            await connection.send(b"x")
            await asyncio.sleep(0.02)

    server = await serve(script)
    with pytest.raises(UpstreamTimeout) as caught:
        await fetch(transport, server.url, Deadlines(connect=5, first_byte=5, idle=5, total=0.4))
    assert caught.value.phase == "total"


async def test_slow_headers_are_bounded(transport: Transport, serve: Serve) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        while True:
            await connection.send(b"HTTP/1.1 200 OK\r\nx: y")
            await asyncio.sleep(0.02)

    server = await serve(script)
    with pytest.raises(UpstreamTimeout) as caught:
        await fetch(transport, server.url, Deadlines(connect=5, first_byte=0.3, idle=5, total=5))
    assert caught.value.phase == "first_byte"


async def test_a_server_that_does_not_read(transport: Transport, serve: Serve) -> None:
    released = asyncio.Event()

    async def script(connection: Connection) -> None:
        connection.writer.transport.pause_reading()
        await released.wait()

    server = await serve(script)
    with pytest.raises(UpstreamTimeout) as caught:
        await fetch(
            transport, server.url, Deadlines(connect=5, first_byte=0.3, idle=5, total=5), bytes(64 << 20)
        )
    assert caught.value.phase == "first_byte"
    released.set()


async def test_a_handshake_without_an_end(transport: Transport, serve: Serve) -> None:
    async def script(connection: Connection) -> None:
        await connection.hang()

    server = await serve(script)
    with pytest.raises(UpstreamTimeout) as caught:
        await fetch(
            transport,
            server.url.replace("http:", "https:"),
            Deadlines(connect=0.3, first_byte=5, idle=5, total=5),
        )
    assert caught.value.phase == "connect"


# Requests.


async def test_what_is_sent(transport: Transport, serve: Serve) -> None:
    server = await serve(repeat(HELLO))
    headers = (("Authorization", "Bearer sk-1"), ("x-a", "é"), ("content-type", "application/json"))
    url = server.url + "v1/models/a%2Fb/caf%C3%A9:run?alt=sse&x=1"
    for method, body in (
        ("POST", b"{}"),
        ("GET", b""),
        ("DELETE", b""),
        ("POST", b""),
        ("POST", bytes(1 << 20)),
    ):
        reply = await transport.send(HttpRequest(method, url, headers, body), DEADLINES)
        await reply.read(100)
        reply.close()
        request = server.requests[-1]
        assert request.line == f"{method} /v1/models/a%2Fb/caf%C3%A9:run?alt=sse&x=1 HTTP/1.1"
        assert request.body == body
        assert request.headers["host"] == server.url.split("/")[2]
        assert request.headers["authorization"] == "Bearer sk-1"
        assert request.headers["x-a"].encode("latin-1").decode() == "é"
        assert request.headers["content-type"] == "application/json"
        assert ("content-length" in request.headers) == (method != "GET")
        assert "user-agent" not in request.headers


async def test_an_empty_post_says_so(transport: Transport, serve: Serve) -> None:
    server = await serve(repeat(HELLO))
    await fetch(transport, server.url, body=b"")
    assert server.requests[-1].headers["content-length"] == "0"


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("", (("x-a", "1\r\nx-b: 2"),)),
        ("", (("x-a", "1\nx-b: 2"),)),
        ("", (("x-a", "1\rx-b: 2"),)),
        ("", (("x-a\r\nx-b", "2"),)),
        ("", (("x-a: 1\r\nx-b", "2"),)),
        ("", (("x-a", "1\0"),)),
    ],
)
async def test_request_splitting_is_refused(
    transport: Transport, serve: Serve, url: str, headers: tuple[tuple[str, str], ...]
) -> None:
    server = await serve(repeat(HELLO))
    with pytest.raises(UpstreamError):
        await transport.send(HttpRequest("POST", server.url + url, headers, b"{}"), DEADLINES)
    assert not server.requests


async def test_a_url_cannot_split_a_request(transport: Transport, serve: Serve) -> None:
    """It is refused or encoded; no line of it becomes a header."""
    server = await serve(repeat(HELLO))
    for path in ("a\r\nx-b: 2", "a b", "a\nb", "?q=\r\n\r\nGET / HTTP/1.1"):
        try:
            reply = await transport.send(HttpRequest("POST", server.url + path, (), b"{}"), DEADLINES)
        except UpstreamError:
            continue
        reply.close()
        assert "x-b" not in server.requests[-1].headers
        assert len(server.requests[-1].line.split(" ")) == 3
        assert server.requests[-1].body == b"{}"


@pytest.mark.parametrize(
    "url", ["", "ftp://127.0.0.1/", "http://", "http://[::1", "http://127.0.0.1:99999/", "/v1"]
)
async def test_a_url_that_leads_nowhere(transport: Transport, url: str) -> None:
    with pytest.raises(UpstreamError):
        await fetch(transport, url)


async def test_nobody_listens(transport: Transport, serve: Serve) -> None:
    server = await serve(once(b""))
    port = server.port
    with pytest.raises(UpstreamUnavailable):
        await fetch(transport, f"http://127.0.0.2:{port}/")
    with pytest.raises(UpstreamUnavailable):
        await fetch(transport, "http://no-such-host.invalid/")


async def test_ipv6(transport: Transport, serve: Serve) -> None:
    server = await serve(repeat(HELLO), host="::1")
    assert await fetch(transport, server.url) == b"hello"
    assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


async def test_credentials_in_a_url(transport: Transport, serve: Serve) -> None:
    server = await serve(repeat(HELLO))
    assert await fetch(transport, server.url.replace("//", "//us%40er:pa%3Ass@")) == b"hello"
    assert server.requests[0].headers["authorization"] == "Basic dXNAZXI6cGE6c3M="


# TLS.


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls(
    transport: Transport, serve: Serve, authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    context = server_tls(authority, "localhost")
    context.minimum_version = context.maximum_version = version
    server = await serve(repeat(OK + b"Content-Length: 100000\r\n\r\n" + bytes(100_000)), tls=context)
    for _ in range(3):
        assert len(await fetch(transport, server.url)) == 100_000
    assert server.connections == 1


async def test_a_certificate_for_another_name(
    transport: Transport, serve: Serve, authority: trustme.CA
) -> None:
    server = await serve(repeat(HELLO), tls=server_tls(authority, "elsewhere.example"))
    with pytest.raises(UpstreamUnavailable):
        await fetch(transport, server.url)


async def test_an_unknown_authority(transport: Transport, serve: Serve) -> None:
    server = await serve(repeat(HELLO), tls=server_tls(trustme.CA(), "localhost"))
    with pytest.raises(UpstreamUnavailable):
        await fetch(transport, server.url)
    assert not server.requests
