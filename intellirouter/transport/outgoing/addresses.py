"""Which IP addresses lead somewhere that only this machine or its network can reach.

Sources: the special-purpose registries of IANA (RFC 6890), RFC 4291 (mapped and compatible addresses), RFC 6052 and 8215 (NAT64),
RFC 3056 (6to4), RFC 4380 (Teredo), RFC 5214 (ISATAP); the clouds' own pages for their metadata services.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA: frozenset[Address] = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Google, Azure, OpenStack and most others
            "169.254.170.2",  # AWS, credentials of tasks
            "169.254.170.23",  # AWS, credentials of pods
            "169.254.0.23",  # Tencent
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",  # Google
            "100.100.100.200",  # Alibaba
            "192.0.0.192",  # Oracle
            "168.63.129.16",  # Azure: an address of the internet, answered by the host
        ),
    )
)
"""Whoever reaches one of these gets the machine's own credentials."""

_CARRIERS = tuple(
    (ip_network(net), kind)
    for net, kind in (
        ("::ffff:0:0/96", "mapped"),
        ("::ffff:0:0:0/96", "translated"),
        ("::/96", "compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("2002::/16", "6to4"),
        ("2001::/32", "Teredo"),
    )
)
_EXTRA = tuple(map(ip_network, ("100.64.0.0/10", "192.88.99.0/24", "fec0::/10", "5f00::/16")))
_PUBLIC = ip_network("2000::/3")
_ISATAP = (0x00005EFE, 0x02005EFE)


def complaint(address: Address) -> str | None:
    """What kind of place it is, as in "a loopback address"; None for one of the public internet."""
    if address in METADATA:
        return "an address of a cloud's metadata"
    if isinstance(address, IPv6Address) and not address.is_loopback and not address.is_unspecified:
        for net, kind in _CARRIERS:
            if address in net:
                return f"an IPv6 address that carries an IPv4 one ({kind})"
        if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
            return "an IPv6 address that carries an IPv4 one (ISATAP)"
    words = {
        "a loopback address": address.is_loopback,
        "an unspecified address": address.is_unspecified or address in ip_network("0.0.0.0/8"),
        "a link-local address": address.is_link_local,
        "a multicast or broadcast address": address.is_multicast or address == ip_address("255.255.255.255"),
        "an address of a shared network (CGNAT)": address in ip_network("100.64.0.0/10"),
        "a private address": address.is_private,
    }
    for said, true in words.items():
        if true:
            return said
    inside = any(address in net for net in _EXTRA) or (address.version == 6 and address not in _PUBLIC)
    if inside or address.is_reserved or not address.is_global:
        return "a reserved address"
    return None
