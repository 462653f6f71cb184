"""What only the fast transport promises: bounds on connections, their idle time, resumed TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trustme
import uvloop

from intellirouter.errors import UpstreamTimeout, UpstreamUnavailable
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.contract import Deadlines
from intellirouter.transport.fast.client import FastTransport
from intellirouter.transport.fast.request import RequestWriter
from tests.servers.raw_http import Connection, RawServer, Script, repeat

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
DEADLINES = Deadlines(connect=5, first_byte=5, idle=5, total=10)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that nodes run on."""
    return {"uvloop": uvloop.new_event_loop}


@contextlib.asynccontextmanager
async def meeting(
    script: Script,
    *,
    tls: ssl.SSLContext | None = None,
    max_connections: int = 100,
    keep_idle: float = 30,
    ca_file: Path | None = None,
) -> AsyncIterator[tuple[FastTransport, RawServer]]:
    transport = FastTransport(max_connections=max_connections, keep_idle=keep_idle, ca_file=ca_file)
    async with RawServer(script, tls=tls).running() as server:
        try:
            yield transport, server
        finally:
            await transport.aclose()


async def fetch(transport: FastTransport, url: str, deadlines: Deadlines = DEADLINES) -> bytes:
    reply = await transport.send(HttpRequest("POST", url, (), b"{}"), deadlines)
    try:
        return await reply.read(1 << 20)
    finally:
        reply.close()


async def test_connections_are_bounded() -> None:
    async with meeting(repeat(HELLO), max_connections=3) as (transport, server):
        assert await asyncio.gather(*[fetch(transport, server.url) for _ in range(100)]) == [b"hello"] * 100
        assert server.connections == 3


async def test_cut_connections_make_room() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(HELLO.replace(b"200", b"200" if connection.number % 2 else b"500"))

    async with meeting(script, max_connections=2) as (transport, server):
        assert await asyncio.gather(*[fetch(transport, server.url) for _ in range(40)]) == [b"hello"] * 40


async def test_waiting_for_room_has_the_connect_deadline() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.hang()

    async with meeting(script, max_connections=1) as (transport, server):
        first = asyncio.create_task(fetch(transport, server.url))
        with pytest.raises(UpstreamTimeout) as caught:
            while True:  # the first to ask gets the room, whichever that is
                await asyncio.sleep(0)
                await fetch(transport, server.url, Deadlines(connect=0.1, first_byte=5, idle=5, total=5))
        assert caught.value.phase == "connect"
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_leaving_the_queue_loses_no_place() -> None:
    async with meeting(repeat(HELLO), max_connections=1) as (transport, server):
        for _ in range(20):
            tasks = [asyncio.create_task(fetch(transport, server.url)) for _ in range(8)]
            for step, task in enumerate(tasks[1::2]):
                for _ in range(step):
                    await asyncio.sleep(0)
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(result == b"hello" or isinstance(result, asyncio.CancelledError) for result in results)
        assert await fetch(transport, server.url) == b"hello"


async def test_an_idle_connection_is_closed() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(HELLO)
        await connection.hang()

    async with meeting(script, keep_idle=0.1) as (transport, server):
        assert await fetch(transport, server.url) == b"hello"
        async with asyncio.timeout(20):
            await server.left.wait()


async def test_the_servers_own_idle_time_is_kept() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(HELLO.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=1, max=9\r\n\r\n"))
        await connection.hang()

    async with meeting(script) as (transport, server):
        assert await fetch(transport, server.url) == b"hello"
        async with asyncio.timeout(20):
            await server.left.wait()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_is_resumed(tmp_path: Path, version: ssl.TLSVersion) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    authority.issue_cert("localhost").configure_cert(context)
    resumed: list[bool] = []

    async def script(connection: Connection) -> None:
        await connection.request()
        resumed.append(connection.writer.get_extra_info("ssl_object").session_reused)
        await connection.send(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    async def keeping(connection: Connection) -> None:
        await connection.request()
        resumed.append(connection.writer.get_extra_info("ssl_object").session_reused)
        await connection.send(HELLO)

    async with meeting(keeping, tls=context, ca_file=tmp_path / "ca.pem") as (transport, server):
        assert await fetch(transport, server.url) == b"hello"
        server.script = script
        assert await fetch(transport, server.url) == b"hello"
        assert await fetch(transport, server.url) == b"hello"
    assert resumed == [False, True, True]


async def test_the_environment_may_name_the_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with meeting(repeat(HELLO), tls=context) as (transport, server):
        with pytest.raises(UpstreamUnavailable):
            await fetch(transport, server.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with meeting(repeat(HELLO), tls=context) as (transport, server):
        assert await fetch(transport, server.url) == b"hello"


async def test_nothing_is_sent_once_closed() -> None:
    async with meeting(repeat(HELLO)) as (transport, server):
        await transport.aclose()
        with pytest.raises(UpstreamUnavailable):
            await fetch(transport, server.url)
        assert not server.connections


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("http://a", "a", "/"),
        ("http://a:80/x", "a", "/x"),
        ("https://A.example:8443/x?y=1#z", "a.example:8443", "/x?y=1"),
        ("http://[::1]:8080/", "[::1]:8080", "/"),
        ("https://bücher.example/ü?q=ä", "xn--bcher-kva.example", "/%C3%BC?q=%C3%A4"),
        ("http://a/x%2Fy%zz?", "a", "/x%2Fy%zz"),
    ],
)
def test_a_url_taken_apart(url: str, host: str, target: str) -> None:
    route = RequestWriter().route(url)
    assert route.host == f"host: {host}\r\n".encode()
    assert route.target == target.encode()


def test_a_request_may_name_its_own_host_and_credentials() -> None:
    writer = RequestWriter()
    route = writer.route("http://user:pass@a/")
    head = writer.head(
        "POST", route, (("Host", "b"), ("Authorization", "Bearer x"), ("Content-Length", "7")), 2
    )
    assert head == (
        b"POST / HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer x\r\naccept-encoding: identity\r\ncontent-length: 2\r\n\r\n"
    )
