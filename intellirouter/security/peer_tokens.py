"""How roles trust one another: a token signed for each call, with the shared `[ipc.security] token`.

Where roles trust one another by certificate alone (`peer_certificates.py`), the same claims go unsigned: the connection vouches for them.

A token (JWT, RFC 7519, HS256) names the role it is for, lives a minute, and carries on whose behalf the call is made, so a
tenant's data stays the tenant's on every node. While a new token is rolled out, what `previous_token` signed is valid too.
"""

from __future__ import annotations

import hashlib
import time
from asyncio import BaseTransport
from typing import Any

import jwt
from pydantic import SecretStr

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import AuthenticationFailed, PeerUnavailable
from intellirouter.security.caller import PEER_HEADER, Caller
from intellirouter.security.peer_certificates import check_caller, peer_tls

LIFETIME_SECONDS = 60
SKEW_SECONDS = 30
_ISSUER = "intellirouter"
_ALGORITHM, _UNSIGNED = "HS256", "none"


def _key(token: SecretStr) -> bytes:
    """A key of the right length for any token, of no use for anything else."""
    return hashlib.sha256(b"intellirouter peer call\0" + token.get_secret_value().encode()).digest()


class PeerSigner:
    """Signs this node's calls to other roles."""

    def __init__(self, section: IpcSecurity) -> None:
        self._key = _key(section.token) if section.enabled and section.token is not None else None
        self._vouched = peer_tls(section, "") is not None

    def headers(self, role: str, caller: Caller) -> dict[str, str]:
        """What to send with a call to `role` for `caller`; nothing where trust is switched off.

        Raises `PeerUnavailable` rather than lose a tenant on the way.
        """
        if self._key is None and not self._vouched:
            if caller.tenant != Caller().tenant:
                raise PeerUnavailable(
                    f"a call for the tenant '{caller.tenant}' cannot go to the {role} unsigned: set ipc.security.token"
                )
            return {}
        now = int(time.time())
        claims = {
            "iss": _ISSUER,
            "aud": role,
            "sub": caller.key_id,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "tenant": caller.tenant,
            "team": caller.team,
            "scopes": sorted(caller.scopes),
            "models": list(caller.models),
        }
        if self._key is None:
            return {PEER_HEADER: jwt.encode(claims, "", _UNSIGNED)}
        return {PEER_HEADER: jwt.encode(claims, self._key, _ALGORITHM)}


class PeerVerifier:
    """Checks other roles' calls to `role`."""

    def __init__(self, section: IpcSecurity, role: str) -> None:
        self._role = role
        tokens = (section.token, section.previous_token) if section.enabled else ()
        self._keys: list[bytes | None] = [_key(token) for token in tokens if token is not None]
        self._by_certificate = peer_tls(section, role) is not None
        if self._by_certificate and not self._keys:
            self._keys = [None]

    def verify(self, signed: str, transport: BaseTransport | None = None) -> Caller:
        """On whose behalf the call is made that came over `transport`. Raises `AuthenticationFailed`."""
        if self._by_certificate:
            check_caller(transport.get_extra_info("peercert") if transport is not None else None, self._role)
        for key in self._keys:
            try:
                claims = self._claims(signed, key)
            except jwt.InvalidSignatureError:
                continue  # perhaps the previous token signed it
            except jwt.InvalidTokenError as cause:
                raise AuthenticationFailed(f"The call of another role was refused: {cause}.") from cause
            return Caller(
                key_id=claims["sub"],
                tenant=claims["tenant"],
                team=claims["team"],
                scopes=frozenset(claims["scopes"]),
                models=tuple(claims["models"]),
                role="peer",
            )
        raise AuthenticationFailed(
            "The call of another role was refused: it was not signed with this node's ipc.security.token."
        )

    def _claims(self, signed: str, key: bytes | None) -> dict[str, Any]:
        """The claims, signed with `key`, or unsigned ones where the connection alone vouches for them."""
        options: Any = {"require": ["exp", "iat", "aud", "iss", "sub"]}
        if key is None:
            options["verify_signature"] = False
            options |= dict.fromkeys(("verify_exp", "verify_iat", "verify_aud", "verify_iss"), True)
        claims: dict[str, Any] = jwt.decode(
            signed,
            key or "",
            algorithms=[_ALGORITHM if key else _UNSIGNED],
            audience=self._role,
            issuer=_ISSUER,
            leeway=SKEW_SECONDS,
            options=options,
        )
        return claims
