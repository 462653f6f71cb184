"""Endpoints that are SRV names: what the record lists now, and whether each of its servers can be reached."""

from __future__ import annotations

import asyncio
import dataclasses
from urllib.parse import urlsplit

import msgspec

from intellirouter.errors import UpstreamUnreachable
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.network import Place, reach
from intellirouter.transport.srv import Server, SrvResolver

MOST = 16
"""Servers of one record that are asked."""


async def reach_all(place: Place, dns_server: str | None, deadline: float) -> list[Finding]:
    """A finding on each server of a record, or one on a place that is no SRV name. Within twice `deadline` seconds."""
    name = urlsplit(place.url).hostname or ""
    if not name.startswith("_"):
        return [await reach(place, deadline)]
    try:
        async with asyncio.timeout(deadline):
            servers = await SrvResolver(dns_server).servers(name)
    except (UpstreamUnreachable, TimeoutError):
        asked = dns_server or "the system's name server"
        message = f"{name}: {asked} lists no server under this name"
        advice = 'Add an SRV record, or give [ipc] an endpoint with a host and discovery = "static".'
        return [Finding("network", place.name, Level.PROBLEM, message, advice)]
    found = await asyncio.gather(*(reach(_server(place, server), deadline) for server in servers[:MOST]))
    if any(one.level is Level.OK for one in found):
        # the others are asked in its place
        found = [
            msgspec.structs.replace(one, level=Level.WARNING) if one.level is Level.PROBLEM else one
            for one in found
        ]
    return found


def _server(place: Place, server: Server) -> Place:
    host = f"[{server.host}]" if ":" in server.host else server.host
    url = urlsplit(place.url)._replace(netloc=f"{host}:{server.port}").geturl()
    return dataclasses.replace(place, name=f"{place.name} {server.host}:{server.port}", url=url)
