"""A request to a role's own server from inside its process, for a caller who was let in elsewhere.

It goes through everything that a request from outside does, over a pair of sockets.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from intellirouter.errors import InvalidRequest, StreamInterrupted, UpstreamError
from intellirouter.security.caller import Caller
from intellirouter.transport.contract import Deadlines
from intellirouter.transport.fast.connection import Connection
from intellirouter.transport.outbox import Outbox
from intellirouter.web.endpoint import VOUCHED

_PATIENCE = Deadlines(first_byte=3600.0, idle=3600.0, total=3600.0)
"""Whoever asks has a deadline of its own."""


class _Alone:
    """What a connection is told that serves one request."""

    def release(self, connection: Connection) -> None:
        """The answer is whole."""
        connection.cut()

    def gone(self, connection: Connection) -> None:
        """It is closed."""


async def asked(
    server: web.Server, caller: Caller, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> AsyncIterator[tuple[int, dict[str, str]] | bytes]:
    """Status and headers of the answer first, then its body as it comes.

    Raises `InvalidRequest` for what is no request, `StreamInterrupted` where the answer ends early.
    """
    head = _head(method, path, headers, len(body))
    connection = await _connected(server, caller)
    try:
        until = time.monotonic() + _PATIENCE.total
        reply = await connection.send(head, body, _PATIENCE, until, bodyless=method == "HEAD")
        yield reply.status, reply.headers
        async for piece in reply.chunks():
            yield piece
    except UpstreamError as cause:
        raise StreamInterrupted("The role's answer ended early.") from cause
    finally:
        connection.cut()


async def _connected(server: web.Server, caller: Caller) -> Connection:
    """A connection of which every request is the caller's: what serves it is a task of this context."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    token = VOUCHED.set(caller)
    try:
        await loop.connect_accepted_socket(server, theirs)
    finally:
        VOUCHED.reset(token)
    _, connection = await loop.create_connection(lambda: Connection(_Alone(), 0.0, Outbox()), sock=ours)
    return connection


def _head(method: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", "connection: close", f"content-length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any(not line.isprintable() for line in lines) or not path.startswith("/") or " " in method + path:
        raise InvalidRequest("This is no HTTP request.")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
