"""The transport on aiohttp's client: plain, complete, and the yardstick for any faster one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import aiohttp

from intellirouter.errors import UpstreamError, UpstreamProtocolError, UpstreamTimeout, UpstreamUnavailable
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.contract import Deadlines, Reply

_MAX_HEADER_BYTES = 64 * 1024


class AiohttpTransport:
    """See `Transport`. The session is opened on first use, inside the running loop."""

    def __init__(self, *, limit_per_host: int = 0) -> None:
        self._limit = limit_per_host
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: HttpRequest, deadlines: Deadlines) -> Reply:
        """See `Transport.send`."""
        until = time.monotonic() + deadlines.total
        # `connect` bounds connecting; `first_byte` and `total` are timed here, since aiohttp's read time-out would
        # also bound every later read.
        timeout = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=deadlines.connect)
        limit = min(deadlines.first_byte + deadlines.connect, deadlines.total)
        try:
            async with asyncio.timeout(limit):
                response = await self._opened().request(
                    request.method,
                    request.url,
                    data=request.body or None,
                    headers=request.headers,
                    timeout=timeout,
                    allow_redirects=False,
                )
        except aiohttp.ServerTimeoutError as cause:
            raise UpstreamTimeout(f"no connection within {deadlines.connect:g} s", phase="connect") from cause
        except TimeoutError as cause:
            phase = "total" if limit == deadlines.total else "first_byte"
            raise UpstreamTimeout(f"no response within {limit:g} s", phase=phase) from cause
        except (aiohttp.ClientError, OSError, ValueError) as cause:
            raise _translated(cause) from cause
        return AiohttpReply(response, deadlines.idle, until)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=self._limit, ttl_dns_cache=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("user-agent",),
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
                auto_decompress=True,
            )
        return self._session

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        if self._session is not None:
            await self._session.close()


class AiohttpReply:
    """See `Reply`."""

    def __init__(self, response: aiohttp.ClientResponse, idle: float, until: float) -> None:
        self._response = response
        self._idle = idle
        self._until = until
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `Reply.chunks`."""
        while data := await self._read_some():
            yield data

    async def read(self, limit: int) -> bytes:
        """See `Reply.read`."""
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise UpstreamProtocolError(f"the provider's answer is longer than {limit} bytes")
        pieces: list[bytes] = []
        size = 0
        while data := await self._read_some():
            size += len(data)
            if size > limit:
                raise UpstreamProtocolError(f"the provider's answer is longer than {limit} bytes")
            pieces.append(data)
        return b"".join(pieces)

    async def _read_some(self) -> bytes:
        left = self._until - time.monotonic()
        wait = min(self._idle, max(left, 0.001))
        try:
            async with asyncio.timeout(wait):
                return await self._response.content.readany()
        except TimeoutError as cause:
            phase = "total" if wait < self._idle else "idle"
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
            return UpstreamUnavailable("the connection broke before the answer was complete")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return UpstreamUnavailable("TLS with the provider failed")
        case aiohttp.ClientConnectorDNSError():
            return UpstreamUnavailable("the provider's host name does not resolve")
        case aiohttp.ServerDisconnectedError():
            return UpstreamUnavailable("the provider closed the connection without an answer")
        case aiohttp.ClientOSError() | OSError():
            return UpstreamUnavailable("the connection to the provider failed")
        case aiohttp.ClientResponseError():
            return UpstreamProtocolError("the provider's response is not HTTP")
        case _:
            return UpstreamUnavailable(f"the request could not be sent ({type(cause).__name__})")
