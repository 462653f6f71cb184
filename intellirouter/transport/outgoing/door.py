"""Sends requests that somebody else named the address of."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import aiohttp
from yarl import URL

from intellirouter.config.schema.outgoing import OutgoingSection
from intellirouter.errors import (
    AnswerTooLong,
    InvalidRequest,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from intellirouter.transport.content_coding import decoder_for
from intellirouter.transport.outgoing.lookup import CheckedResolver, RefusedName
from intellirouter.transport.outgoing.places import AddressRefused, Allowed, literal, read

_MOVED = frozenset({301, 302, 303, 307, 308})
_KEPT_ACROSS = frozenset({"accept", "accept-language", "user-agent", "content-type"})
"""Headers that go along to another origin: the others may hold what is the first one's alone."""
_OURS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "proxy-authorization",
    }
)
_UNSAFE = frozenset("\r\n\0")
CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `seconds` is for the whole of it, redirects included; `max_bytes` for the answer's body, decoded.

    `types` are the content types that are taken, as in `image/*`; empty: any. `redirects` is how many are followed; None: as configured.
    `trusted`: the address stands in the operator's configuration, so it may lead inside, and no redirect is followed.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float | None = None
    max_bytes: int | None = None
    types: tuple[str, ...] = ()
    redirects: int | None = None
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back. Names of headers are lower-case; `url` is where it came from in the end, without its query."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def content_type(self) -> str:
        """The media type alone, lower-case; empty when none was told."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class WrongType(UpstreamProtocolError):
    """The answer is not of a type that was asked for."""

    code = "wrong_content_type"
    retryable = False


class OutgoingDoor:
    """One a process. Sessions are opened on first use, inside the running loop."""

    def __init__(self, section: OutgoingSection | None = None) -> None:
        self.section = section or OutgoingSection()
        self.allowed = Allowed.read(self.section.allow)
        self._resolver = CheckedResolver(self.allowed, self.section.name_servers)
        self._checked: aiohttp.ClientSession | None = None
        self._plain: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, ask: Ask) -> Answered:
        """The answer, whatever its status.

        Raises `AddressRefused`, `InvalidRequest` for headers that cannot be sent, `UpstreamTimeout`, `UpstreamUnavailable`,
        `AnswerTooLong`, `WrongType`.
        """
        seconds = min(ask.seconds or self.section.timeout_seconds, self.section.timeout_seconds)
        if ask.trusted and ask.seconds is not None:
            seconds = ask.seconds
        url = read(ask.url, self.allowed, trusted=ask.trusted)
        headers = _sendable(ask.headers)
        try:
            async with asyncio.timeout(seconds):
                return await self._followed(replace(ask, headers=headers), url)
        except TimeoutError as cause:
            raise UpstreamTimeout(
                f"{url.host} did not answer within {seconds:g} s.", phase="total"
            ) from cause

    async def _followed(self, ask: Ask, url: URL) -> Answered:
        most = 0 if ask.trusted else self.section.max_redirects if ask.redirects is None else ask.redirects
        for left in range(most, -1, -1):
            response = await self._sent(ask, url)
            try:
                target = response.headers.get("location") if response.status in _MOVED else None
                if target is None or most == 0:
                    return await self._read(ask, response, url)
            finally:
                response.close()
            if left:
                ask, url = self._moved(ask, url, target, response.status)
        raise UpstreamUnavailable(f"{url.host} redirects more than {most} times.")

    def _moved(self, ask: Ask, url: URL, target: str, status: int) -> tuple[Ask, URL]:
        """The next request. Raises `AddressRefused` like the first one."""
        try:
            there = url.join(URL(target))
        except ValueError as cause:
            raise UpstreamProtocolError(f"{url.host} redirects to what is no address.") from cause
        there = read(str(there), self.allowed)
        if url.scheme == "https" and there.scheme == "http":
            raise AddressRefused(
                "The address leads from https:// to http://, which anybody on the way could read."
            )
        if status == 303 or (status in (301, 302) and ask.method == "POST"):
            kept = {name: value for name, value in ask.headers.items() if name.lower() != "content-type"}
            ask = replace(ask, method="GET" if ask.method != "HEAD" else "HEAD", body=b"", headers=kept)
        if there.origin() != url.origin():
            ask = replace(ask, headers={n: v for n, v in ask.headers.items() if n.lower() in _KEPT_ACROSS})
        return ask, there

    async def _sent(self, ask: Ask, url: URL) -> aiohttp.ClientResponse:
        proxy = None if ask.trusted else self.section.proxy
        if proxy is not None:
            await self._vetted(url)
        session = self._session(checked=not ask.trusted and proxy is None)
        try:
            return await session.request(
                ask.method,
                url,
                data=ask.body or None,
                headers=ask.headers,
                allow_redirects=False,
                proxy=proxy.get_secret_value() if proxy is not None else None,
            )
        except aiohttp.ClientConnectorDNSError as cause:
            if isinstance(cause.os_error, RefusedName):
                raise cause.os_error.refusal from cause
            raise UpstreamUnreachable(f"The name {url.host} does not resolve.") from cause
        except (aiohttp.ClientError, OSError, ValueError) as cause:
            raise _translated(cause, url) from cause

    async def _vetted(self, url: URL) -> None:
        """Before the proxy is asked, which looks the name up by itself: one that leads inside as seen from here is refused."""
        if literal(url.raw_host or "") is not None:
            return
        try:
            await self._resolver.resolve(url.raw_host or "", url.port or 0)
        except RefusedName as refused:
            raise refused.refusal from refused
        except OSError:  # known to the proxy alone
            return

    async def _read(self, ask: Ask, response: aiohttp.ClientResponse, url: URL) -> Answered:
        headers = {name.lower(): value for name, value in response.headers.items()}
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if ask.types and response.status < 300 and not any(fnmatchcase(kind, wanted) for wanted in ask.types):
            raise WrongType(f"{url.host} sent {kind[:80] or 'no type'}; wanted: {', '.join(ask.types)}.")
        most = min(ask.max_bytes or self.section.max_bytes, self.section.max_bytes)
        body = bytearray()
        try:
            decoder = decoder_for(headers.get("content-encoding", ""))
            async for data in response.content.iter_any():
                for piece in (data,) if decoder is None else decoder.feed(data):
                    body += piece
                    if len(body) > most:
                        raise AnswerTooLong(f"{url.host} answered with more than {most:,} bytes.")
            if decoder is not None:
                decoder.close()
        except UpstreamError:
            raise
        except (aiohttp.ClientError, OSError) as cause:
            raise UpstreamUnavailable(
                f"The connection to {url.host} broke before the answer was complete."
            ) from cause
        return Answered(response.status, headers, bytes(body), str(url.with_query(None).with_fragment(None)))

    def _session(self, *, checked: bool) -> aiohttp.ClientSession:
        if self._closed:
            raise UpstreamUnavailable("The node is stopping.")
        found = self._checked if checked else self._plain
        if found is None:
            found = self._opened(self._resolver if checked else None)
            if checked:
                self._checked = found
            else:
                self._plain = found
        return found

    def _opened(self, resolver: CheckedResolver | None) -> aiohttp.ClientSession:
        ca_file = self.section.ca_file
        connector = aiohttp.TCPConnector(
            limit=self.section.max_connections,
            resolver=resolver,
            use_dns_cache=False,  # what is connected to was looked up and checked for this connection
            keepalive_timeout=15,
            ssl=ssl.create_default_context(cafile=ca_file) if ca_file else True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": "IntelliRouter", "accept-encoding": "gzip, deflate"},
            skip_auto_headers=("content-type", "accept"),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
        )

    async def aclose(self) -> None:
        """Cut every connection."""
        self._closed = True
        for session in (self._checked, self._plain):
            if session is not None:
                await session.close()


def _sendable(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers. Raises `InvalidRequest` for those that would change what the request is."""
    for name, value in headers.items():
        if name.lower() in _OURS:
            raise InvalidRequest(f"The header '{name[:60]}' is set by itself.", param="headers")
        plain = name.isascii() and all(char.isalnum() or char in "!#$%&'*+-.^_`|~" for char in name)
        if not name or not plain or not _UNSAFE.isdisjoint(value):
            raise InvalidRequest(f"The header '{name[:60]!a}' cannot be sent.", param="headers")
    return dict(headers)


def _translated(cause: Exception, url: URL) -> UpstreamError:
    """What happened, without the text of anything that was sent."""
    match cause:
        case aiohttp.ServerTimeoutError():
            return UpstreamTimeout(
                f"No connection to {url.host} within {CONNECT_SECONDS:g} s.", phase="connect"
            )
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return UpstreamUnreachable(f"TLS with {url.host} failed.")
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return UpstreamUnreachable("The proxy of [outgoing] does not let the request through.")
        case aiohttp.ClientConnectorError():
            return UpstreamUnreachable(f"No connection to {url.host} could be made.")
        case aiohttp.ClientResponseError():
            return UpstreamProtocolError(f"What {url.host} answers is not HTTP.")
        case _:
            return UpstreamUnavailable(f"The connection to {url.host} broke ({type(cause).__name__}).")
