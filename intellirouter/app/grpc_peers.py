"""The roles of this process over gRPC, on `[server] grpc_port`: one server for all of them. Imported grpc only when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache, partial
from typing import Any, cast

from aiohttp import web

from intellirouter.app.gatekeepers import gatekeeper_of
from intellirouter.app.node import Node
from intellirouter.config.schema.settings import Settings
from intellirouter.roles.keys import CHAINS, CHAT, DOORS, METRICS, PERSONAS, RETRIEVER, TRACERS
from intellirouter.roles.role import Role
from intellirouter.telemetry.metrics import RequestMeter
from intellirouter.web import inside

PEERS: Mapping[str, web.AppKey[Any]] = {
    "Router": CHAT,
    "RagManager": RETRIEVER,
    "PersonaLayer": PERSONAS,
    "ChainEngine": CHAINS,
}
"""What each role is to the others."""


def serving(node: Node, roles: Sequence[Role]) -> AbstractAsyncContextManager[int]:
    """Serve `roles` of the node while the context is open."""
    settings, opened = node.loaded.settings, node.opened
    module = importlib.import_module("intellirouter.peers.grpc.server")
    server = settings.server
    offered = [
        module.Offered(
            role.name,
            opened[PEERS[role.name]],
            gatekeeper_of(settings, opened, role),
            cache(partial(RequestMeter, opened[METRICS], role.name)),
            opened[TRACERS](role.name),
            None if role.counts_requests else opened[DOORS],
            partial(inside.asked, node.servers[role.name]),
        )
        for role in roles
    ]
    context = module.serving(
        offered,
        server.host,
        server.grpc_port,
        _tls(settings, module),
        server.max_body_bytes,
        server.max_body_values,
    )
    return cast("AbstractAsyncContextManager[int]", context)


def _tls(settings: Settings, module: Any) -> Any:
    """Where roles trust one another by certificate, a client must present one: no one else speaks gRPC here."""
    security, own = settings.ipc.security, settings.server.tls
    ca = security.ca if security.enabled else None
    if own is not None:
        return module.ServerTls(own.certificate, own.key, ca)
    if ca is not None:
        return module.ServerTls(security.certificate, security.key, ca)
    return None
