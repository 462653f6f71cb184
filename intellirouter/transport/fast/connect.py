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

    sessions: dict[str, ssl.SSLSession]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext.wrap_bio`."""
        session = self.sessions.get(kwargs.get("server_hostname") or "")
        if session is not None:
            kwargs["session"] = session
        return super().wrap_bio(*args, **kwargs)

    def remember(self, host: str, session: ssl.SSLSession | None) -> None:
        """Keep `session` for the next connection to `host`."""
        if session is not None and session.has_ticket:
            if len(self.sessions) >= _MAX_NAMES:
                self.sessions.clear()
            self.sessions[host] = session


def client_context(ca_file: Path | None, peer: PeerTls | None = None) -> ResumingContext:
    """Verifies certificate and host name, against `ca_file` or the system's authorities; `peer` brings its own of both sides."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sessions = {}
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


class Connector:
    """Opens connections. The TLS context is made when the first https origin is used: it reads many certificates."""

    def __init__(self, ca_file: Path | None = None, peer: PeerTls | None = None) -> None:
        self._ca_file = ca_file
        self._peer = peer
        self._context: ResumingContext | None = None
        self._stamp: tuple[float, ...] = ()
        self._names: dict[tuple[str, int], tuple[float, list[Any]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Lock] = {}

    async def connect(self, origin: Origin, factory: Callable[[], P]) -> P:
        """A connected protocol. Raises `OSError` (`socket.gaierror`, `ssl.SSLError` among them)."""
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(origin.host, origin.port)
        try:
            sock = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=_STAGGER_SECONDS, interleave=1
            )
        except OSError:
            self._names.pop((origin.host, origin.port), None)
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
        key = (host, port)
        kept = self._names.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        if len(self._names) >= _MAX_NAMES:
            self._names.clear()
            self._asking.clear()
        async with self._asking.setdefault(key, asyncio.Lock()):  # a burst asks once
            kept = self._names.get(key)
            if kept is not None and kept[0] > time.monotonic():
                return kept[1]
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self._names[key] = (time.monotonic() + _DNS_SECONDS, found)
            return found
