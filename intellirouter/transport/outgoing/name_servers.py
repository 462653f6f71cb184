"""Asks name servers by their address instead of the system's."""

from __future__ import annotations

from collections.abc import Sequence

import dns.asyncresolver
import dns.exception


class NameServers:
    """`servers` are `host:port`, asked for at most `seconds`."""

    def __init__(self, servers: Sequence[str], seconds: float) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        places = [server.rpartition(":") for server in servers]
        hosts = [host.strip("[]") for host, _, _ in places]
        self._resolver.nameservers = list(hosts)
        self._resolver.nameserver_ports = {
            host: int(port) for host, (_, _, port) in zip(hosts, places, strict=True)
        }
        self._resolver.lifetime = seconds

    async def addresses(self, host: str, most: int) -> list[str]:
        """What they say; empty where they know of none."""
        found: list[str] = []
        for kind in ("A", "AAAA"):
            try:
                answer = await self._resolver.resolve(host, kind, raise_on_no_answer=False)
            except (
                dns.exception.DNSException
            ):  # the other kind may be there; none at all is said by the caller
                continue
            found += [str(line) for line in answer.rrset or ()]
        return found[:most]
