"""The transport on aiohttp's client: plain, complete, and the yardstick for any faster one.

Known to differ from `fast/`: a body that ends with the connection looks complete when the connection was reset, garbage
right behind a body spoils it, and a late framing error is `UpstreamUnavailable` (aiohttp does not tell these apart). What a
server sends unasked on an idle connection, aiohttp takes for the answer to the next request.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import aiohttp

from intellirouter.errors import (
    AnswerTooLong,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.content_coding import decoder_for, is_chunked
from intellirouter.transport.contract import Deadlines, Reply

_MAX_HEADER_BYTES = 64 * 1024
_TIMER_SLACK = 0.005


@dataclass(slots=True)
class _Attempt:
    """One sending: told by aiohttp when its connection is ready, and whether it was a kept one."""

    timeout: asyncio.Timeout
    first_byte: float
    until: float
    on_sent: Callable[[], None] | None = None
    reused: bool = False

    def connected(self, *, reused: bool) -> None:
        self.reused = reused
        if self.on_sent is not None:
            self.on_sent()
        now = time.monotonic()
        limit = min(self.first_byte, self.until - now)
        self.timeout.reschedule(asyncio.get_running_loop().time() + limit)


class AiohttpTransport:
    """See `Transport`. Sessions are opened on first use, inside the running loop. `ca_file` replaces the system's CAs."""

    def __init__(self, *, limit_per_host: int = 0, ca_file: Path | None = None) -> None:
        self._limit = limit_per_host
        self._ca_file = ca_file
        self._pooled: aiohttp.ClientSession | None = None
        self._unpooled: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(
        self, request: HttpRequest, deadlines: Deadlines, on_sent: Callable[[], None] | None = None
    ) -> Reply:
        """See `Transport.send`."""
        if self._closed:
            raise UpstreamUnavailable("the transport is closed")
        until = time.monotonic() + deadlines.total
        if self._pooled is None:
            self._pooled = self._session(keep=True)
        try:
            return await self._attempt(self._pooled, request, deadlines, until, on_sent)
        except _Stale:
            if self._unpooled is None:
                self._unpooled = self._session(keep=False)
            return await self._attempt(self._unpooled, request, deadlines, until, on_sent)

    async def _attempt(
        self,
        session: aiohttp.ClientSession,
        request: HttpRequest,
        deadlines: Deadlines,
        until: float,
        on_sent: Callable[[], None] | None,
    ) -> Reply:
        # aiohttp bounds connecting; the rest is timed here, since its read time-out would also bound later reads.
        timeout = aiohttp.ClientTimeout(total=None, connect=deadlines.connect)
        scope = asyncio.timeout(deadlines.connect + deadlines.first_byte)
        attempt = _Attempt(scope, deadlines.first_byte, until, on_sent)
        try:
            async with asyncio.timeout(until - time.monotonic()), scope:
                response = await session.request(
                    request.method,
                    request.url,
                    data=request.body or None,
                    headers=request.headers,
                    timeout=timeout,
                    allow_redirects=False,
                    trace_request_ctx=attempt,
                )
        except aiohttp.ServerTimeoutError as cause:
            raise UpstreamTimeout(f"no connection within {deadlines.connect:g} s", phase="connect") from cause
        except TimeoutError as cause:
            if until - time.monotonic() <= _TIMER_SLACK:
                raise UpstreamTimeout("no response in time", phase="total") from cause
            raise UpstreamTimeout(
                f"no response within {deadlines.first_byte:g} s", phase="first_byte"
            ) from cause
        except (aiohttp.ClientError, OSError, ValueError) as cause:
            if attempt.reused and _before_any_byte(cause):
                raise _Stale from cause
            raise _translated(cause) from cause
        if response.status < 200:
            response.close()
            raise UpstreamProtocolError("the provider switches protocols unasked")
        reply = AiohttpReply(response, deadlines.idle, until)
        try:
            is_chunked(reply.headers.get("transfer-encoding", ""))
        except UpstreamProtocolError:
            response.close()
            raise
        return reply

    def _session(self, *, keep: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=self._limit,
            ttl_dns_cache=30,
            force_close=not keep,
            ssl=ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"accept-encoding": "identity"},
            skip_auto_headers=("user-agent", "content-type", "accept"),
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            auto_decompress=False,
            trace_configs=[_tracing()],
        )

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._closed = True
        for session in (self._pooled, self._unpooled):
            if session is not None:
                await session.close()


class _Stale(Exception):
    """A kept connection had been closed by the other side before it took the request."""


def _tracing() -> aiohttp.TraceConfig:
    """Tells an `_Attempt` of its connection."""

    async def reused(_session: aiohttp.ClientSession, context: SimpleNamespace, _facts: object) -> None:
        context.trace_request_ctx.connected(reused=True)

    async def created(_session: aiohttp.ClientSession, context: SimpleNamespace, _facts: object) -> None:
        context.trace_request_ctx.connected(reused=False)

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(reused)
    trace.on_connection_create_end.append(created)
    return trace


def _before_any_byte(cause: Exception) -> bool:
    """The connection ended without a response's first byte, as far as aiohttp tells."""
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return isinstance(cause.message, str)
    return isinstance(cause, aiohttp.ClientOSError) and not isinstance(cause, aiohttp.ClientConnectorError)


class AiohttpReply:
    """See `Reply`."""

    def __init__(self, response: aiohttp.ClientResponse, idle: float, until: float) -> None:
        self._response = response
        self.idle = idle
        self._until = until
        self.status = response.status
        headers: dict[str, str] = {}
        for raw_name, raw_value in response.raw_headers:
            key = raw_name.decode("latin-1").lower()
            value = raw_value.decode("latin-1")
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        self.headers: Mapping[str, str] = headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `Reply.chunks`."""
        decoder = decoder_for(self.headers.get("content-encoding", ""))
        while data := await self._read_some():
            if decoder is None:
                yield data
            else:
                for piece in decoder.feed(data):
                    yield piece
        if decoder is not None:
            decoder.close()

    async def read(self, limit: int) -> bytes:
        """See `Reply.read`."""
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit and "content-encoding" not in self.headers:
            raise AnswerTooLong(f"the provider's answer is longer than {limit} bytes")
        pieces: list[bytes] = []
        size = 0
        async for data in self.chunks():
            size += len(data)
            if size > limit:
                raise AnswerTooLong(f"the provider's answer is longer than {limit} bytes")
            pieces.append(data)
        return b"".join(pieces)

    async def _read_some(self) -> bytes:
        left = self._until - time.monotonic()
        wait = min(self.idle, max(left, 0.001))
        try:
            async with asyncio.timeout(wait):
                return await self._response.content.readany()
        except TimeoutError as cause:
            phase = "total" if wait < self.idle else "idle"
            raise UpstreamTimeout(f"the provider sent nothing for {wait:.3g} s", phase=phase) from cause
        except (aiohttp.ClientError, OSError) as cause:
            raise _translated(cause) from cause

    def close(self) -> None:
        """See `Reply.close`."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _translated(cause: Exception) -> UpstreamError:
    """What happened, without the text of anything that was sent."""
    match cause:
        case aiohttp.ClientPayloadError():
            # aiohttp gives bad chunking and an early end the same name.
            return UpstreamUnavailable("the connection broke before the answer was complete")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return UpstreamUnreachable("TLS with the provider failed")
        case aiohttp.ClientConnectorDNSError():
            return UpstreamUnreachable("the provider's host name does not resolve")
        case aiohttp.ClientConnectorError():
            return UpstreamUnreachable("the connection to the provider failed")
        case aiohttp.ServerDisconnectedError():
            return UpstreamUnavailable("the provider closed the connection without an answer")
        case aiohttp.ClientOSError() | OSError():
            return UpstreamUnavailable("the connection to the provider failed")
        case aiohttp.ClientResponseError():
            return UpstreamProtocolError("the provider's response is not HTTP")
        case _:
            return UpstreamUnavailable(f"the request could not be sent ({type(cause).__name__})")
