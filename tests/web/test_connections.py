"""An address has its share of the connections, and gets it back with each that ends."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

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
