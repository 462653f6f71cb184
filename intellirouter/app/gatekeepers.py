"""Who may call the roles of this process."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from intellirouter.app.component import Opened
from intellirouter.config.schema.settings import Settings
from intellirouter.roles.keys import KEY_RING, SEEN
from intellirouter.roles.role import Role
from intellirouter.security.gatekeeper import Gatekeeper

if TYPE_CHECKING:
    from intellirouter.security.edge_tokens import EdgeVerifier
    from intellirouter.security.peer_tokens import PeerVerifier


def gatekeeper_of(settings: Settings, opened: Opened, role: Role) -> Gatekeeper:
    """The gatekeeper of one role, the same over HTTP and gRPC."""
    section = settings.ipc.security
    verifier = None
    if section.enabled:  # a node whose roles do not trust one another by token must not pay for jwt
        module = importlib.import_module("intellirouter.security.peer_tokens")
        verifier = cast("PeerVerifier", module.PeerVerifier(section, role.name, opened[SEEN]))
    edges = None
    if settings.chain_engine.edges and role.name == "ChainEngine":
        module = importlib.import_module("intellirouter.security.edge_tokens")
        edges = cast(
            "EdgeVerifier", module.EdgeVerifier(settings.chain_engine.edges, role.name, opened[SEEN])
        )
    tls = settings.server.tls
    return Gatekeeper(
        opened[KEY_RING],
        verifier,
        role.name,
        front=role.name == "Router",
        client_keys=tls.client_keys if tls is not None else {},
        edges=edges,
    )
