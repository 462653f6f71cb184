"""Names become addresses, checked. What is given back is what the connection is made to: nothing is looked up twice."""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult

from intellirouter.transport.outgoing.places import AddressRefused, Allowed, judge

if TYPE_CHECKING:  # its library takes long, and is for nodes that name their servers
    from intellirouter.transport.outgoing.name_servers import NameServers

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
        self._asked: NameServers | None = None
        if name_servers:
            module = importlib.import_module("intellirouter.transport.outgoing.name_servers")
            self._asked = module.NameServers(name_servers, LOOKUP_SECONDS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See `AbstractResolver`. Raises `OSError`."""
        found = await (
            self._system(host, port) if self._asked is None else self._asked.addresses(host, MAX_ADDRESSES)
        )
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
