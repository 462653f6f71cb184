"""Who may call a role: clients with a key, other roles with a signed call."""

from __future__ import annotations

from collections.abc import Mapping

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import AuthenticationFailed
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.caller import Caller
from intellirouter.security.peer_tokens import HEADER, PeerVerifier


class Gatekeeper:
    """The authenticator of one role.

    Where roles trust one another by token, a role that is not the front takes nobody else's unsigned call: with keys
    switched off, whoever reached its port would be in.
    """

    def __init__(self, ring: KeyRing, section: IpcSecurity, role: str, *, front: bool) -> None:
        self._ring = ring
        self._front = front
        self._role = role
        self._verifier = PeerVerifier(section, role)

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Who sent these headers. Raises `AuthenticationFailed`."""
        signed = headers.get(HEADER)
        if signed is not None:
            return self._verifier.verify(signed)
        if self._verifier.enabled and not self._front and not self._ring.enabled:
            raise AuthenticationFailed(
                f"The {self._role} takes calls of other roles, signed with ipc.security.token; "
                "clients need an API key (auth.enabled)."
            )
        return self._ring.authenticate(headers)
