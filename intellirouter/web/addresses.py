"""Whose address a request is of, and how often an address may ask before anybody looks who it is.

Behind proxies that are trusted the client is the last address of `X-Forwarded-For` that is none of theirs: what stands before it
anybody could have written. Requests of an address are counted by the generic cell rate algorithm (ITU-T I.371): as many at once as
fit into a minute, and then at that rate. A network of 2^64 addresses of IPv6 is somebody's one. The count is of this process.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import RateLimited
from intellirouter.web.errors import error_response

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MINUTE = 60.0
MOST_ADDRESSES = 50_000
"""Whose requests are counted; who was not seen for longest is forgotten first, and begins anew."""
MOST_HOPS = 20
UNCOUNTED = frozenset({"/health", "/live", "/ready", "/metrics"})
"""Probes and scrapers ask often, from one place."""


class Addresses:
    """Stands before an application's `serve`, where it is configured: elsewhere it costs nothing.

    `proxies` are believed; `most` requests a minute are each address's, None: any; those of `exempt` are not counted.
    """

    def __init__(
        self, serve: Serve, proxies: Sequence[str], most: int | None, exempt: Sequence[str] = ()
    ) -> None:
        self._serve = serve
        self._proxies = _networks(tuple(proxies))
        self._exempt = _networks(tuple(exempt))
        self._most = most
        self._until: OrderedDict[str, float] = OrderedDict()
        """When each one's requests would all have come, had they come at the rate (seconds of the monotonic clock)."""

    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        """Answer a request."""
        peer = request._transport_peername  # noqa: SLF001  `request.remote` would remember what it reads of it
        address = _read(str(peer[0]) if isinstance(peer, tuple) and peer else str(peer or ""))
        if address is not None and self._proxies and _within(address, self._proxies):
            address = self._behind(request, address)
            request._transport_peername = (str(address), 0)  # noqa: SLF001  what `request.remote` reads; aiohttp has no other way to say it
        if self._most is not None and address is not None and request.path not in UNCOUNTED:
            wait = self._wait(address, self._most)
            if wait > 0:
                return _refused(wait)
        return self._serve(request)

    def _behind(self, request: web.BaseRequest, proxy: Address) -> Address:
        """The client, as the proxies that are trusted say."""
        hops = ",".join(request.headers.getall("x-forwarded-for", [])).split(",")
        found = proxy
        for hop in reversed(hops[-MOST_HOPS:]):
            address = _read(hop.strip())
            if address is None:
                break
            found = address
            if not _within(address, self._proxies):
                break
        return found

    def _wait(self, address: Address, most: int) -> float:
        """Seconds until the address may ask again; 0: now, and it is counted."""
        if self._exempt and _within(address, self._exempt):
            return 0.0
        if most == 0:
            return MINUTE
        owner, now, each = _owner(address), time.monotonic(), MINUTE / most
        until = max(self._until.get(owner, now), now)
        wait = until + each - now - MINUTE
        if wait > 1e-9:
            return wait
        self._until[owner] = until + each
        self._until.move_to_end(owner)
        if len(self._until) > MOST_ADDRESSES:
            self._until.popitem(last=False)
        return 0.0


async def _refused(wait: float) -> web.StreamResponse:
    error = RateLimited(
        "This address asks more often than limits.address_requests_per_minute lets it.", retry_after=wait
    )
    return error_response(error, encode_error)


@lru_cache(maxsize=64)
def _networks(listed: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(one, strict=False) for one in listed)


@lru_cache(maxsize=8_192)
def _read(text: str) -> Address | None:
    """An address, perhaps with a port; one of IPv4 in IPv6's clothes is one of IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=8_192)
def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _owner(address: Address) -> str:
    return str(address) if address.version == 4 else str(int(address) >> 64)
