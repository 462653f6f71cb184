"""A whole answer reads like aiohttp's own, whatever the client speaks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import pytest
from aiohttp import web

from intellirouter.transport.outbox import Outbox
from intellirouter.web.whole import WholeResponse

BODY = b'{"said": "' + "wörter".encode() * 20 + b'"}'
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


async def whole(request: web.BaseRequest) -> web.StreamResponse:
    response = WholeResponse(BODY, {"x-own": "one"})
    response.tell("x-request-id", "two")
    return response


async def plain(request: web.BaseRequest) -> web.StreamResponse:
    headers = {"x-own": "one", "x-request-id": "two", "content-type": "application/json"}
    return web.Response(body=BODY, headers=headers)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """The port of a server that answers with `handler`."""
    runner = web.ServerRunner(web.Server(handler), handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def said(handler: Handler, sent: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """Status line, headers and the rest, until the server closes or says nothing more for a while."""
    async with serving(handler) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        first, *lines = head[:-4].split(b"\r\n")
        headers = {
            name.decode().lower(): value.strip().decode()
            for name, _, value in (line.partition(b":") for line in lines)
        }
        rest = await asyncio.wait_for(reader.readexactly(int(headers["content-length"])), 60)
        if headers.get("connection") == "close" or first.startswith(b"HTTP/1.0"):
            writer.write_eof()
            rest += await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return first, headers, rest


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        b"POST / HTTP/1.0\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        b"POST / HTTP/1.0\r\nhost: x\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n",
    ],
    ids=["1.1", "1.1 close", "1.0", "1.0 keep-alive"],
)
async def test_it_says_what_aiohttps_own_says(sent: bytes) -> None:
    first, headers, body = await said(whole, sent)
    expected = await said(plain, sent)
    assert parsedate_to_datetime(headers.pop("date")).tzinfo
    expected[1].pop("date")
    assert (first, headers, body) == expected


async def test_requests_behind_one_another_are_answered_in_order() -> None:
    one = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
    async with serving(whole) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(one * 20)
        for _ in range(20):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(len(BODY)) == BODY
        writer.close()


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x", "a\nb", "a\rb", "a\0b"])
async def test_a_header_cannot_begin_another(value: str) -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        return WholeResponse(BODY, {"x-own": value})

    async with serving(broken) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


async def test_a_slow_client_holds_the_answer_up_and_gets_all_of_it() -> None:
    large = b"0123456789abcdef" * (1 << 20)
    ended = asyncio.Event()

    async def big(request: web.BaseRequest) -> web.StreamResponse:
        response = WholeResponse(large, {})
        await response.prepare(request)
        await response.write_eof()
        ended.set()
        return response

    async with serving(big) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            received = await loop.sock_recv(client, 1024)
            assert not ended.is_set()  # what nobody has read yet waits here, and holds the handler
            head_bytes = received.index(b"\r\n\r\n") + 4
            while len(received) < head_bytes + len(large):
                received += await asyncio.wait_for(loop.sock_recv(client, 1 << 20), 60)
            await asyncio.wait_for(ended.wait(), 60)
    assert received[head_bytes:] == large


async def test_an_answer_to_nobody_is_no_fault() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def late(request: web.BaseRequest) -> web.StreamResponse:
        arrived.set()
        await gone.wait()
        response = WholeResponse(BODY, {})
        await response.prepare(request)
        with pytest.raises(ConnectionResetError):
            await response.write_eof()
        return response

    async with serving(late) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        await arrived.wait()
        writer.transport.abort()
        await asyncio.sleep(0)
        gone.set()


@pytest.mark.parametrize("closing", [False, True], ids=["kept", "closed meanwhile"])
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
async def test_answers_of_one_turn_go_out_together_and_all_arrive(closing: bool, waits: bool) -> None:
    """Also where the server closes the connection as soon as it has answered."""
    outbox, turn = Outbox(), asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if waits:
            await turn.wait()
        if closing:
            request.protocol.close()
        response = WholeResponse(BODY, {})
        response.outbox = outbox
        return response

    async with serving(answer) as port, asyncio.TaskGroup() as asking:

        async def ask() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            body = await asyncio.wait_for(reader.readexactly(len(BODY)), 60)
            if closing:
                assert await asyncio.wait_for(reader.read(1), 60) == b""
            writer.close()
            return head.partition(b"\r\n")[0] + body

        asked = [asking.create_task(ask()) for _ in range(12)]
        asyncio.get_running_loop().call_later(0.1, turn.set)
    assert [task.result() for task in asked] == [b"HTTP/1.1 200 OK" + BODY] * 12
