"""Opening sockets: names to addresses (kept for a while), the first address that answers (RFC 8305), TLS resumed."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohappyeyeballs
import structlog

from intellirouter.bounds.kept import BoundedMap
from intellirouter.errors import ConfigError
from intellirouter.security.peer_certificates import PeerTls, check_server, present, trust
from intellirouter.transport.fast.request import Origin

log = structlog.get_logger(__name__)

P = TypeVar("P", bound=asyncio.Protocol)

_DNS_SECONDS = 30.0
_MAX_NAMES = 4096
_STAGGER_SECONDS = 0.25
_HANDSHAKE_SECONDS = 60.0  # a bound for the loop's own timer; the caller's connect deadline is shorter


class ResumingContext(ssl.SSLContext):
    """A client context that offers the last session a host gave, which saves a round trip and the certificate check.

    asyncio has no parameter for it; both its own and uvloop's TLS wrap their buffers here.
    """

    sessions: BoundedMap[str, ssl.SSLSession]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext.wrap_bio`."""
        session = self.sessions.get(kwargs.get("server_hostname") or "")
        if session is not None:
            kwargs["session"] = session
        return super().wrap_bio(*args, **kwargs)

    def remember(self, host: str, session: ssl.SSLSession | None) -> None:
        """Keep `session` for the next connection to `host`."""
        if session is not None and session.has_ticket:
            self.sessions.put(host, session)


def client_context(ca_file: Path | None, peer: PeerTls | None = None) -> ResumingContext:
    """Verifies certificate and host name, against `ca_file` or the system's authorities; `peer` brings its own of both sides."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sessions = BoundedMap(_MAX_NAMES)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if peer is not None:
        trust(context, peer.ca)
        present(context, peer)
    elif ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    return context


class _Name:
    """A host's addresses, and until when they are kept."""

    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        self.until = 0.0
        self.found: list[Any] = []


class Connector:
    """Opens connections. The TLS context is made when the first https origin is used: it reads many certificates."""

    def __init__(self, ca_file: Path | None = None, peer: PeerTls | None = None) -> None:
        self._ca_file = ca_file
        self._peer = peer
        self._context: ResumingContext | None = None
        self._stamp: tuple[float, ...] = ()
        self._names: BoundedMap[tuple[str, int], _Name] = BoundedMap(_MAX_NAMES)

    async def connect(self, origin: Origin, factory: Callable[[], P]) -> P:
        """A connected protocol. Raises `OSError` (`socket.gaierror`, `ssl.SSLError` among them)."""
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(origin.host, origin.port)
        try:
            sock = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=_STAGGER_SECONDS, interleave=1
            )
        except OSError:
            self._names.drop((origin.host, origin.port))
            raise
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme != "https":
                _, protocol = await loop.create_connection(factory, sock=sock)
            else:
                transport, protocol = await loop.create_connection(
                    factory,
                    sock=sock,
                    ssl=self._tls(),
                    server_hostname=origin.host,
                    ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                )
                self._check(transport)
        except BaseException:
            sock.close()
            raise
        return protocol

    def _tls(self) -> ResumingContext:
        """The context; a new one, without the sessions of the old, after this node's certificate changed on disk."""
        stamp = self._peer.stamp() if self._peer is not None else ()
        if self._context is None or stamp != self._stamp:
            try:
                self._context, self._stamp = client_context(self._ca_file, self._peer), stamp
            except (
                ConfigError
            ) as error:  # half of a change, perhaps: looked at again with the next connection
                if self._context is None:
                    raise
                log.warning("tls.certificate_not_taken", problem=error.message)
        return self._context

    def _check(self, transport: asyncio.Transport) -> None:
        if self._peer is not None:
            try:
                check_server(transport.get_extra_info("peercert"), self._peer.role)
            except ssl.SSLError:
                transport.abort()
                raise

    def remember(self, origin: Origin, transport: asyncio.BaseTransport) -> None:
        """Keep the TLS session of a connection that has answered (TLS 1.3 sends tickets after the handshake)."""
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and self._context is not None:
            self._context.remember(origin.host, tls.session)

    async def _addresses(self, host: str, port: int) -> list[Any]:
        name = self._names.get((host, port))
        if name is None:
            name = _Name()
            self._names.put((host, port), name)
        async with name.asking:  # a burst asks once
            if name.until <= time.monotonic():
                name.found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
                name.until = time.monotonic() + _DNS_SECONDS
            return name.found
