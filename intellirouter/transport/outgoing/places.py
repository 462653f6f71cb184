"""What an address may look like, and what the operator allows by name.

One reading of a URL decides: it is parsed once, and what was parsed is what is asked. Spellings that readers disagree about (numbers
in octal, hexadecimal or fewer than four parts, credentials, backslashes) are refused and not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from yarl import URL

from intellirouter.errors import InvalidRequest
from intellirouter.transport.outgoing.addresses import METADATA, Address, Network, complaint

MAX_URL = 8_000
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_CLOSED_PORTS = frozenset(range(1024)) - {80, 443} | {
    # databases, caches, queues and engines that take commands from whoever reaches them
    1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5432, 5672, 5900, 5984, 6000, 6379, 6443, 6566,
    6665, 6666, 6667, 6668, 6669, 6697, 9092, 9200, 9300, 10080, 10250, 10255, 11211, 27017, 27018,
}  # fmt: skip


class AddressRefused(InvalidRequest):
    """The address leads where requests on somebody's behalf may not go."""

    code = "address_refused"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Exceptions the operator made: names, names under a suffix, networks, each with a port or for every one."""

    names: frozenset[tuple[str, int | None]] = frozenset()
    suffixes: tuple[tuple[str, int | None], ...] = ()
    networks: tuple[tuple[Network, int | None], ...] = ()

    @classmethod
    def read(cls, entries: Iterable[str]) -> Allowed:
        """From `host`, `host:port`, `*.suffix`, an address or a network in CIDR. Raises `ValueError`."""
        names: set[tuple[str, int | None]] = set()
        suffixes: list[tuple[str, int | None]] = []
        networks: list[tuple[Network, int | None]] = []
        for entry in entries:
            host, port = _split(entry.strip().lower())
            try:
                networks.append((ip_network(host), port))
                continue
            except ValueError as cause:
                if "/" in host or not host.strip("*.") or _ends_in_number(host):
                    raise ValueError(
                        f"'{entry}' is not a name, an address or a network such as 10.0.0.0/8"
                    ) from cause
            if host.startswith("*."):
                suffixes.append((host[1:], port))
            else:
                names.add((host.rstrip("."), port))
        return cls(frozenset(names), tuple(suffixes), tuple(networks))

    def name(self, host: str, port: int) -> bool:
        """Whether the name was allowed, wherever it leads."""
        if (host, None) in self.names or (host, port) in self.names:
            return True
        return any(host.endswith(end) and only in (None, port) for end, only in self.suffixes)

    def address(self, address: Address, port: int) -> bool:
        """Whether the address was. One of a cloud's metadata only by itself, never as one of a network."""
        for net, only in self.networks:
            if only not in (None, port) or address.version != net.version or address not in net:
                continue
            if address not in METADATA or net.num_addresses == 1:
                return True
        return False


def _split(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):  # no port, or a bare IPv6 address
        return entry.strip("[]"), None
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"'{entry}' has no port behind its colon")
    return host.strip("[]"), int(port)


def _ends_in_number(host: str) -> bool:
    return bool(_NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]))


def literal(host: str) -> Address | None:
    """The host as an IP address, if it is one."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def read(text: str, allowed: Allowed, *, trusted: bool = False) -> URL:
    """The URL, when a request may be made to it as far as one can tell before its name is looked up. Raises `AddressRefused`.

    A `trusted` one stands in the configuration: only its form is checked.
    """
    if len(text) > MAX_URL or _FORBIDDEN.search(text):
        raise AddressRefused(
            "The address is too long, or holds spaces, control characters or backslashes: in a template `urlencode` writes them for an address."
        )
    try:
        url = URL(text)
        host, port = (url.raw_host or "").rstrip(".").lower(), url.port
    except ValueError as cause:
        raise AddressRefused("The address cannot be read.") from cause
    if url.scheme not in ("http", "https"):
        raise AddressRefused("The address must begin with http:// or https://.")
    if not host or not port or "%" in host:
        raise AddressRefused("The address names no host.")
    if trusted:
        return url
    if url.raw_user is not None or url.raw_password is not None:
        raise AddressRefused("The address holds a user name or a password; give them as a header.")
    address = literal(host)
    if address is None and _ends_in_number(host):
        raise _refused(
            "writes its IP address in a form that is read in several ways; write four decimal numbers"
        )
    if address is not None:
        judge(address, port, allowed)
    if not allowed.name(host, port) and not (address and allowed.address(address, port)):
        if address is None and (host == "localhost" or host.endswith(".localhost")):
            raise _refused("names this machine itself")
        if port in _CLOSED_PORTS:
            raise _refused(f"names port {port}, which is no web server's")
    return url


def judge(address: Address, port: int, allowed: Allowed) -> None:
    """Raises `AddressRefused` for an address that leads inside and that nobody allowed."""
    said = complaint(address)
    if said is not None and not allowed.address(address, port):
        raise _refused(f"leads to {said}")


def _refused(why: str) -> AddressRefused:
    return AddressRefused(
        f"The address {why}. Whoever runs this node may allow it by name in [outgoing] allow."
    )
