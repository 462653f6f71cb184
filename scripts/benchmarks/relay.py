"""An aiohttp server, our transport, and nothing between: what a gateway of these two parts can do at most.

    python -m scripts.benchmarks.relay PORT UPSTREAM

It reads each request, sends it on and answers with what came back. No keys, no limits, no routing, no log, no second try.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web

from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.contract import Deadlines
from intellirouter.transport.fast.client import FastTransport

MAX_ANSWER_BYTES = 64 << 20
HEADERS = (("content-type", "application/json"),)


async def serve(port: int, upstream: str) -> None:
    """Until the process is ended."""
    transport, deadlines = FastTransport(), Deadlines()

    async def relay(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        asked = HttpRequest(request.method, upstream + request.path, HEADERS, body)
        reply = await transport.send(asked, deadlines)
        try:
            answer = await reply.read(MAX_ANSWER_BYTES)
        finally:
            reply.close()
        return web.Response(status=reply.status, body=answer, content_type="application/json")

    app = web.Application(client_max_size=MAX_ANSWER_BYTES)
    app.router.add_route("*", "/{path:.*}", relay)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(int(sys.argv[1]), sys.argv[2]))
