"""The fast transport: an exchange from request to reply."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from intellirouter.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable, UpstreamUnreachable
from intellirouter.providers.adapter import HttpRequest
from intellirouter.security.peer_certificates import PeerTls
from intellirouter.transport.contract import Deadlines
from intellirouter.transport.fast.connect import Connector
from intellirouter.transport.fast.connection import Connection, StaleConnection
from intellirouter.transport.fast.pool import Pool
from intellirouter.transport.fast.reply import FastReply
from intellirouter.transport.fast.request import Origin, RequestWriter
from intellirouter.transport.outbox import Outbox

_CLOSE_SECONDS = 5.0


class FastTransport:
    """See `Transport`. At most `max_connections` per origin; one unused for `keep_idle` seconds is closed.

    `ca_file` replaces the system's certificate authorities; `peer` is for calls to another role by certificate.
    """

    def __init__(
        self,
        *,
        max_connections: int = 16_384,
        keep_idle: float = 30.0,
        ca_file: Path | None = None,
        peer: PeerTls | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._keep_idle = keep_idle
        self._connector = Connector(ca_file, peer)
        self._writer = RequestWriter()
        self._outbox = Outbox()
        self._pools: dict[Origin, Pool] = {}
        self._closed = False

    async def send(
        self, request: HttpRequest, deadlines: Deadlines, on_sent: Callable[[], None] | None = None
    ) -> FastReply:
        """See `Transport.send`."""
        if self._closed:
            raise UpstreamUnavailable("the transport is closed")
        until = time.monotonic() + deadlines.total
        route = self._writer.route(request.url)
        head = self._writer.head(request.method, route, request.headers, len(request.body))
        pool = self._pools.get(route.origin) or self._pool(route.origin)
        connection = pool.take() or await self._open(pool, deadlines, until)
        bodyless = request.method == "HEAD"
        if on_sent is not None:
            on_sent()
        try:
            return await connection.send(head, request.body, deadlines, until, bodyless=bodyless)
        except StaleConnection:
            connection = await self._open(pool, deadlines, until, fresh=True)
            if on_sent is not None:
                on_sent()
        except asyncio.CancelledError:
            connection.cut()
            raise
        try:
            return await connection.send(head, request.body, deadlines, until, bodyless=bodyless)
        except StaleConnection as cause:
            raise UpstreamUnavailable("the provider closed the connection without an answer") from cause
        except asyncio.CancelledError:
            connection.cut()
            raise

    async def _open(
        self, pool: Pool, deadlines: Deadlines, until: float, *, fresh: bool = False
    ) -> Connection:
        left = until - time.monotonic()
        limit = min(deadlines.connect, left)
        try:
            async with asyncio.timeout(limit):
                return await pool.open(fresh=fresh)
        except TimeoutError as cause:
            phase = "total" if limit == left else "connect"
            raise UpstreamTimeout(f"no connection within {limit:.3g} s", phase=phase) from cause
        except OSError as cause:
            raise _translated(cause) from cause

    def _pool(self, origin: Origin) -> Pool:
        pool = Pool(
            origin,
            self._connector,
            self._outbox,
            limit=self._max_connections,
            keep_idle=self._keep_idle,
        )
        self._pools[origin] = pool
        return pool

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._closed = True
        async with asyncio.timeout(_CLOSE_SECONDS), asyncio.TaskGroup() as closing:
            for pool in self._pools.values():
                closing.create_task(pool.aclose())


def _translated(cause: OSError) -> UpstreamError:
    match cause:
        case ssl.SSLError():
            reason = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or str(cause)
            return UpstreamUnreachable(f"TLS with the provider failed: {reason}")
        case socket.gaierror():
            return UpstreamUnreachable("the provider's host name does not resolve")
        case _:
            return UpstreamUnreachable("the connection to the provider failed")
