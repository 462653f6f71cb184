"""Names become addresses, checked. What is given back is what the connection is made to: nothing is looked up twice."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
from aiohttp.abc import AbstractResolver, ResolveResult

from intellirouter.transport.outgoing.places import AddressRefused, Allowed, judge

LOOKUP_SECONDS = 5.0
MAX_ADDRESSES = 32


class RefusedName(OSError):
    """The name leads inside. aiohttp passes an `OSError` of its resolver on."""

    def __init__(self, refusal: AddressRefused) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class CheckedResolver(AbstractResolver):
    """Asks the system, or `name_servers` (`host:port`). A name of which one address leads inside is refused whole."""

    def __init__(self, allowed: Allowed, name_servers: Sequence[str] = ()) -> None:
        self._allowed = allowed
        self._resolver: dns.asyncresolver.Resolver | None = None
        if name_servers:
            self._resolver = dns.asyncresolver.Resolver(configure=False)
            places = [server.rpartition(":") for server in name_servers]
            hosts = [host.strip("[]") for host, _, _ in places]
            self._resolver.nameservers = list(hosts)
            self._resolver.nameserver_ports = {
                host: int(port) for host, (_, _, port) in zip(hosts, places, strict=True)
            }
            self._resolver.lifetime = LOOKUP_SECONDS

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See `AbstractResolver`. Raises `OSError`."""
        found = await (self._system(host, port) if self._resolver is None else _asked(self._resolver, host))
        if not found:
            raise OSError(f"no address of {host} was found")
        if not self._allowed.name(host.rstrip(".").lower(), port):
            try:
                for address in found:
                    judge(ip_address(address), port, self._allowed)
            except AddressRefused as refusal:
                raise RefusedName(refusal) from refusal
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
            if family in (socket.AF_UNSPEC, socket.AF_INET6 if ":" in address else socket.AF_INET)
        ]

    async def _system(self, host: str, port: int) -> list[str]:
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(place[4][0]).partition("%")[0] for place in found))[:MAX_ADDRESSES]

    async def close(self) -> None:
        """See `AbstractResolver`."""


async def _asked(resolver: dns.asyncresolver.Resolver, host: str) -> list[str]:
    found: list[str] = []
    for kind in ("A", "AAAA"):
        try:
            answer = await resolver.resolve(host, kind, raise_on_no_answer=False)
        except dns.exception.DNSException:  # the other kind may be there; none at all is said by the caller
            continue
        found += [str(line) for line in answer.rrset or ()]
    return found[:MAX_ADDRESSES]
