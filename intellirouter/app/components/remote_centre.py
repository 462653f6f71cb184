"""The centre of an edge: a client signed with the edge's own token, over HTTP or gRPC."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError
from intellirouter.peers.edges import Centre
from intellirouter.peers.http_edges import HttpCentre
from intellirouter.peers.http_roles import RoleClient
from intellirouter.security.errands import EDGE
from intellirouter.security.peer_certificates import peer_tls
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.transport.choose import make_transport

ASKED = "ChainEngine"


@contextlib.asynccontextmanager
async def centre(settings: Settings) -> AsyncIterator[Centre]:
    """The one of `[chain_engine.centre]`. Raises `ConfigError`."""
    section = settings.chain_engine.centre
    if section is None:
        raise ConfigError("chain_engine.centre: no centre to forward to.")
    signer = PeerSigner(IpcSecurity(enabled=True, token=section.token), {EDGE})
    trust = peer_tls(settings.ipc.security, ASKED)
    if section.protocol == "grpc":
        grpc = importlib.import_module("intellirouter.peers.grpc.clients")
        channel = grpc.Channel(ASKED, section.url, signer, section.timeout_seconds, trust)
        try:
            yield grpc.GrpcCentre(channel)
        finally:
            await channel.aclose()
        return
    transport = make_transport(settings.router.transport, max_connections=4, peer=trust)
    try:
        yield HttpCentre(RoleClient(transport, ASKED, section.url, signer, section.timeout_seconds))
    finally:
        await transport.aclose()
