"""How a centre knows its edges: each signs with a token of its own (`[chain_engine.edges]`), in the form of calls between roles.

An edge may stand where nobody watches it, so it has no part in `[ipc.security]`: its token is good for the one errand of edges,
under its own name, and for no other role.
"""

from __future__ import annotations

from asyncio import BaseTransport
from collections.abc import Mapping

import jwt

from intellirouter.config.schema.chain_edges import ChainEdge
from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import AuthenticationFailed
from intellirouter.security.caller import Caller
from intellirouter.security.errands import EDGE
from intellirouter.security.peer_tokens import PeerVerifier
from intellirouter.security.replay import Memory


class EdgeVerifier:
    """Checks the calls of edges to `role`."""

    def __init__(self, edges: Mapping[str, ChainEdge], role: str, seen: Memory | None = None) -> None:
        self._verifiers = {
            name: PeerVerifier(
                IpcSecurity(enabled=True, token=edge.token, previous_token=edge.previous_token),
                role,
                seen,
                setting=f"chain_engine.edges.{name}.token",
            )
            for name, edge in edges.items()
        }

    def verify(self, signed: str, transport: BaseTransport | None = None) -> Caller | None:
        """The edge that signed; None where it is no edge of `[chain_engine.edges]` that claims to. Raises `AuthenticationFailed`."""
        try:
            claims = jwt.decode(signed, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            return None
        name = claims.get("sub")  # whose token to check with; nothing else is believed of it yet
        if claims.get("roles") != [EDGE] or not isinstance(name, str) or name not in self._verifiers:
            return None
        caller = self._verifiers[name].verify(signed, transport)
        if caller.via != {EDGE} or caller.key_id != name:
            raise AuthenticationFailed(
                "The call of an edge was refused: its token is good for its own errand alone."
            )
        return caller
