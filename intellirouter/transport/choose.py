"""The transport that the configuration names."""

from __future__ import annotations

from typing import Literal

from intellirouter.security.peer_certificates import PeerTls
from intellirouter.transport.aiohttp_client import AiohttpTransport
from intellirouter.transport.contract import Transport
from intellirouter.transport.fast.client import FastTransport

Kind = Literal["fast", "aiohttp"]


def make_transport(kind: Kind, *, max_connections: int, peer: PeerTls | None = None) -> Transport:
    """A transport with at most `max_connections` per origin. Opens nothing yet. `peer` is the fast one's alone."""
    if kind == "aiohttp" and peer is None:
        return AiohttpTransport(limit_per_host=max_connections)
    return FastTransport(max_connections=max_connections, peer=peer)
