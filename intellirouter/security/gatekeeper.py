"""Who may call a role: clients with a key, other roles with a signed call."""

from __future__ import annotations

from asyncio import BaseTransport
from collections.abc import Mapping
from typing import TYPE_CHECKING

from intellirouter.errors import AuthenticationFailed
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.caller import PEER_HEADER, Caller

if TYPE_CHECKING:  # a node whose roles do not trust one another by token must not pay for jwt
    from intellirouter.security.peer_tokens import PeerVerifier


class Gatekeeper:
    """The authenticator of one role. `verifier` is None where roles do not trust one another by token.

    Where roles trust one another by token, a role that is not the front takes nobody else's unsigned call: with keys
    switched off, whoever reached its port would be in.
    """

    def __init__(self, ring: KeyRing, verifier: PeerVerifier | None, role: str, *, front: bool) -> None:
        self._ring = ring
        self._front = front
        self._role = role
        self._verifier = verifier

    def authenticate(self, headers: Mapping[str, str], transport: BaseTransport | None) -> Caller:
        """Who sent these headers over this connection. Raises `AuthenticationFailed`."""
        signed = headers.get(PEER_HEADER)
        if signed is not None:
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
        return self._ring.authenticate(headers)
