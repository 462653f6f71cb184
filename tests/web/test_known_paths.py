"""Answers are the same the first time and every time after, whatever is asked in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from intellirouter.web.known_paths import KnownPaths

NAME: web.AppKey[str] = web.AppKey("name", str)


async def _told(request: web.Request) -> web.StreamResponse:
    where = request.match_info
    said = f"{request.app[NAME]} {where.route.method} {where.get('id')} {request.query_string}"
    return web.Response(text=f"{said} {(await request.read()).decode()}")


@asynccontextmanager
async def _serving(name: str) -> AsyncIterator[int]:
    app = web.Application()
    app[NAME] = name
    routes = [web.get("/things", _told), web.post("/things", _told), web.get("/things/{id}", _told)]
    app.add_routes([*routes, web.get("/things/known", _told), web.get("/with space", _told)])
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    runner.server.request_handler = KnownPaths(runner.server.request_handler)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _asked(port: int, line: str, more: str = "", body: str = "") -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}content-length: {len(body)}\r\n\r\n"
    writer.write((head + body).encode())
    answer = (await asyncio.wait_for(reader.read(), 60)).decode()
    writer.close()
    status, _, rest = answer.partition("\r\n")
    return f"{status.split()[1]} {rest.rpartition(chr(10))[2]}"


async def test_the_second_answer_is_the_first() -> None:
    expected = {
        "GET /things": "200 one GET None  ",
        "GET /things?a=1": "200 one GET None a=1 ",
        "POST /things": "200 one POST None  ",
        "GET /things/7": "200 one GET 7  ",
        "GET /things/8": "200 one GET 8  ",
        "GET /things/known": "200 one GET None  ",
        "GET /with%20space": "200 one GET None  ",
        "HEAD /things": "200 ",
        "DELETE /things": "405 405: Method Not Allowed",
        "GET /nothing": "404 404: Not Found",
    }
    async with _serving("one") as port, _serving("two") as other:
        for _ in range(3):
            assert {line: await _asked(port, line) for line in expected} == expected
            assert await _asked(other, "GET /things") == "200 two GET None  "
            assert await _asked(port, "POST /things", body="hello") == "200 one POST None  hello"
            waited = await _asked(port, "POST /things", "expect: 100-continue\r\n", "hello")
            assert waited == "100 one POST None  hello"
