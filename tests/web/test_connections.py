"""An address has its share of the connections, and gets it back with each that ends. A stop ends them all in its time."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from intellirouter.bounds.shares import Shares
from intellirouter.web.connections import Connection

PLACES = 16


async def test_a_place_comes_back_with_the_connection_that_ends() -> None:
    places = Shares(PLACES)

    async def hello(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="hello")

    handler = web.Server(hello)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(places, handler, loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        for _ in range(3 * PLACES):  # one after the other: more than there are places
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/") as reply:
                assert await reply.text() == "hello"
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(PLACES)]
        ends = [asyncio.create_task(reader.read()) for reader, _ in held]
        async with asyncio.timeout(60):  # those beyond the share of one address are ended at once
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for _, writer in held:
            writer.close()
        await asyncio.gather(*ends, return_exceptions=True)
        async with asyncio.timeout(60):
            while True:
                try:
                    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/"):
                        break
                except aiohttp.ClientError:  # the ends arrive one by one
                    await asyncio.sleep(0.01)
    finally:
        server.close()
        await handler.shutdown(1)


async def test_a_stop_takes_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    async def as_long_as_it_likes(_connection: RequestHandler, *_given: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(RequestHandler, "shutdown", as_long_as_it_likes)
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(_request: web.BaseRequest) -> web.StreamResponse:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return web.Response()

    handler, loop, places = (
        web.Server(endless, handler_cancellation=True),
        asyncio.get_running_loop(),
        Shares(9),
    )
    made: list[Connection] = []

    def connection() -> Connection:
        made.append(Connection(places, handler, loop=loop))
        return made[-1]

    server = await loop.create_server(connection, "127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(60):
            await begun.wait()
            await made[0].shutdown(0.05)
            await cancelled.wait()
            assert await reader.read() == b""
        writer.close()
    finally:
        server.close()
