"""Connections of an application: as many for each address as leave some for others, and errors of HTTP in our words.

A descriptor is taken by each connection, idle or not, and when none is left nobody is served, no upstream is reached and no file
is opened. So an address gets no further connection while it has more than its share (`bounds.shares`) of those that the process
may have.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from intellirouter.bounds.shares import Shares
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest, RequestError
from intellirouter.web.errors import error_response

SHARE = 0.7
"""Of the descriptors that the process may open, for connections of clients; upstreams, files and pipes need the others."""


class HeadersTooLarge(RequestError):
    """A header, or the request line, is longer than it may be."""

    code = "headers_too_large"
    status = 431


def client_places() -> Shares:
    """Places for the connections of all roles of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Shares(0 if soft == resource.RLIM_INFINITY else max(16, int(soft * SHARE)))


class Connection(RequestHandler):
    """One connection of a client."""

    __slots__ = ("_address", "_places")

    def __init__(self, places: Shares, server: web.Server, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._places = places
        self._address: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or end the connection at once."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        if not self._places.take(address):
            self.force_close()  # what may still arrive is not looked at
            cast("asyncio.Transport", transport).abort()
            return
        self._address = address
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place back."""
        if self._address is None:
            return
        self._places.give(self._address)
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The client will send no more."""
        if self._address is not None:
            super().eof_received()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109  the name that aiohttp gave it
        """Let what is under way end, for `timeout` seconds in all: aiohttp waits as long again for what has not ended by then."""
        try:
            async with asyncio.timeout(timeout):
                await super().shutdown(timeout)
        except TimeoutError:
            self.force_close()  # whose end cancels the handler

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is no HTTP, or not ours: as JSON, like every other refusal."""
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        error: RequestError
        if isinstance(exc, LineTooLong):
            error = HeadersTooLarge("A header or the request line is longer than 8190 bytes.")
        else:
            words = (message or "").splitlines()
            error = InvalidRequest(
                f"This is not a valid HTTP request{': ' + words[0][:200] if words and words[0] else ''}."
            )
        response = error_response(error, encode_error)
        response.force_close()
        return response


class Connections(web.Server):
    """Makes the connections of one application; `adopt` turns the server that a runner made into one."""

    places: Shares

    @classmethod
    def adopt(cls, server: web.Server, places: Shares) -> None:
        """Make this server's further connections ours."""
        server.__class__ = cls
        cast("Connections", server).places = places

    def __call__(self) -> RequestHandler:
        """A connection."""
        return Connection(self.places, self, loop=self._loop, **self._kwargs)
