"""Endpoints that DNS names: a URL whose host is an SRV name goes to one of the servers the record lists now.

`https://_rag._tcp.example.com/path` is sent to `https://target:port/path`. The lowest priority is asked first, those of one priority in
proportion to their weights; the next one when no connection can be made, since then nothing was sent. Answers are kept for
their time to live, and beyond it while the name server does not answer.
Source: RFC 2782.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.resolver
import msgspec
import structlog

from intellirouter.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.contract import Deadlines, Reply, Transport

LOOKUP_SECONDS = 3.0
LEAST_TTL, LONGEST_TTL = 1.0, 3600.0
RETRY_SECONDS = 1.0
"""After a lookup that failed, where an earlier answer is still at hand."""
AVOIDED_SECONDS = 5.0
"""A server that could not be reached is asked last for so long."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """One line of an SRV record."""

    priority: int
    weight: int
    host: str
    port: int


def in_turn(servers: Sequence[Server], chance: random.Random) -> list[Server]:
    """The order in which to ask: by priority, then drawn by weight. Pure but for `chance`."""
    order: list[Server] = []
    for priority in sorted({server.priority for server in servers}):
        # those of weight 0 first, so that they are drawn rarely, and not never
        left = sorted((s for s in servers if s.priority == priority), key=lambda s: s.weight)
        while left:
            drawn = chance.randint(0, sum(server.weight for server in left))
            for server in left:
                drawn -= server.weight
                if drawn <= 0:
                    break
            order.append(server)
            left.remove(server)
    return order


class SrvResolver:
    """Looks SRV names up and keeps the answers. `server` is `host:port` of a name server, the system's when absent."""

    def __init__(self, server: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=server is None)
        if server is not None:
            host, _, port = server.rpartition(":")
            self._resolver.nameservers = [host.strip("[]")]
            self._resolver.port = int(port)
        self._resolver.lifetime = LOOKUP_SECONDS
        self._clock = clock
        self._known: dict[str, tuple[float, list[Server]]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def servers(self, name: str) -> list[Server]:
        """What the record lists. Raises `UpstreamUnreachable`."""
        async with self._asking.setdefault(name, asyncio.Lock()):  # a burst asks once
            until, known = self._known.get(name, (0.0, []))
            if self._clock() < until:
                return known
            try:
                answer = await self._resolver.resolve(name, "SRV")
            except (dns.exception.DNSException, OSError) as cause:
                if not known or isinstance(cause, (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)):
                    self._known.pop(name, None)
                    raise UpstreamUnreachable(f"no SRV record of {name} was found") from cause
                log.warning("srv.lookup_failed", name=name, error=type(cause).__name__)
                self._known[name] = (self._clock() + RETRY_SECONDS, known)
                return known
            found = [
                Server(line.priority, line.weight, line.target.to_text(omit_final_dot=True), line.port)
                for line in answer
            ]
            ttl = answer.rrset.ttl if answer.rrset is not None else LEAST_TTL
            self._known[name] = (self._clock() + min(max(ttl, LEAST_TTL), LONGEST_TTL), found)
            return found


class SrvTransport:
    """A transport for endpoints that may be SRV names: hosts that begin with an underscore."""

    def __init__(
        self, outside: Transport, resolver: SrvResolver, chance: random.Random | None = None
    ) -> None:
        self._outside = outside
        self._resolver = resolver
        self._chance = chance or random.Random()  # noqa: S311  draws servers, no secret
        self._avoided: dict[tuple[str, int], float] = {}

    async def send(
        self, request: HttpRequest, deadlines: Deadlines, on_sent: Callable[[], None] | None = None
    ) -> Reply:
        """See `Transport.send`."""
        parts = urlsplit(request.url)
        name = parts.hostname or ""
        if not name.startswith("_"):
            return await self._outside.send(request, deadlines, on_sent)
        failure: UpstreamError | None = None
        for server in self._order(await self._resolver.servers(name)):
            host = f"[{server.host}]" if ":" in server.host else server.host
            url = parts._replace(netloc=f"{host}:{server.port}").geturl()
            try:
                there = msgspec.structs.replace(request, url=url)
                return await self._outside.send(there, deadlines, on_sent)
            except UpstreamUnreachable as error:
                failure = error
            except UpstreamTimeout as error:
                if error.phase != "connect":
                    raise
                failure = error
            self._avoided[server.host, server.port] = time.monotonic() + AVOIDED_SECONDS
        raise failure or UpstreamUnreachable(f"the SRV record of {name} lists no server")

    def _order(self, servers: Sequence[Server]) -> list[Server]:
        now = time.monotonic()
        self._avoided = {place: until for place, until in self._avoided.items() if until > now}
        order = in_turn(servers, self._chance)
        return sorted(order, key=lambda server: (server.host, server.port) in self._avoided)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._outside.aclose()
