"""A drained node and proxies that do not ask `/health/ready`: the open-source nginx sends on until it hears it from an answer.

A proxy that knows another node says so with `x-intellirouter-drain: refuse`. A drained node then takes no new request of it, and
answers 421 Misdirected Request (RFC 9110, 15.5.20), which nothing else here answers: nothing was read or paid for, so that any
request may be sent to the next node. What is under way goes on; who does not say so is served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from intellirouter.web.probes import Health

HEADER = "x-intellirouter-drain"
REFUSE = "refuse"
Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Draining:
    """Stands before an application's own `serve`."""

    def __init__(self, serve: Serve, health: Health) -> None:
        self._serve = serve
        self._health = health

    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        """Answer a request, or have it sent elsewhere."""
        if self._health.draining and request.headers.get(HEADER) == REFUSE:
            return _elsewhere()
        return self._serve(request)


async def _elsewhere() -> web.StreamResponse:
    return web.Response(status=421, text="This node is about to stop: ask another.\n")
