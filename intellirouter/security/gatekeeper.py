"""Who may call a role: clients with a key, other roles with a signed call."""

from __future__ import annotations

from asyncio import BaseTransport
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from intellirouter.errors import AuthenticationFailed
from intellirouter.security.api_keys import KeyRing, presented_key
from intellirouter.security.caller import PEER_HEADER, Caller
from intellirouter.security.certificate_names import names_of

if TYPE_CHECKING:  # a node whose roles do not trust one another by token must not pay for jwt
    from intellirouter.security.edge_tokens import EdgeVerifier
    from intellirouter.security.peer_tokens import PeerVerifier


class Gatekeeper:
    """The authenticator of one role. `client_keys` is whose key a client has that sends none, by a name in its certificate. `verifier` is None where roles do not trust one another by token, `edges` where none is taken in.

    Where roles trust one another by token, a role that is not the front takes nobody else's unsigned call: with keys
    switched off, whoever reached its port would be in.
    """

    def __init__(
        self,
        ring: KeyRing,
        verifier: PeerVerifier | None,
        role: str,
        *,
        front: bool,
        client_keys: Mapping[str, str] = MappingProxyType({}),
        edges: EdgeVerifier | None = None,
    ) -> None:
        self._ring = ring
        self._edges = edges
        self._client_keys = client_keys
        self._front = front
        self._role = role
        self._verifier = verifier

    def authenticate(self, headers: Mapping[str, str], transport: BaseTransport | None) -> Caller:
        """Who sent these headers over this connection. Raises `AuthenticationFailed`."""
        signed = headers.get(PEER_HEADER)
        if signed is not None:
            if self._edges is not None and (edge := self._edges.verify(signed, transport)) is not None:
                return edge
            if self._verifier is None:
                raise AuthenticationFailed(
                    "The call of another role was refused: ipc.security is not enabled on this node."
                )
            return self._verifier.verify(signed, transport)
        if self._verifier is not None and not self._front and not self._ring.enabled:
            raise AuthenticationFailed(
                f"The {self._role} takes calls of other roles, signed with ipc.security.token; "
                "clients need an API key (auth.enabled)."
            )
        if (
            self._client_keys
            and self._ring.enabled
            and presented_key(headers) is None
            and transport is not None
        ):
            for name in names_of(transport.get_extra_info("peercert")):
                if name in self._client_keys:
                    return self._ring.named(self._client_keys[name])
        return self._ring.authenticate(headers)
