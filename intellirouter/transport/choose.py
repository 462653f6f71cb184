"""The transport that the configuration names."""

from __future__ import annotations

from typing import Literal

from intellirouter.transport.aiohttp_client import AiohttpTransport
from intellirouter.transport.contract import Transport
from intellirouter.transport.fast.client import FastTransport

Kind = Literal["fast", "aiohttp"]


def make_transport(kind: Kind, *, max_connections: int) -> Transport:
    """A transport with at most `max_connections` per origin. Opens nothing yet."""
    if kind == "aiohttp":
        return AiohttpTransport(limit_per_host=max_connections)
    return FastTransport(max_connections=max_connections)
