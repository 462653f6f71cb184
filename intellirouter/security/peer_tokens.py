"""How roles trust one another: a token signed for each call, with the shared `[ipc.security] token`.

Where roles trust one another by certificate alone (`peer_certificates.py`), the same claims go unsigned: the connection vouches for them.

A token (JWT, RFC 7519, HS256) names the role it is for and the roles of the node that asks, lives a minute, is good for one
call, and carries the caller whole: tenant, team, models, limits, budgets, priority. So a key is the same key on every node.
While a new token is rolled out, what `previous_token` signed is valid too.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from asyncio import BaseTransport
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

import jwt
import msgspec
from pydantic import SecretStr

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import AuthenticationFailed, PeerUnavailable
from intellirouter.security.caller import PEER_HEADER, Caller, Quota
from intellirouter.security.errands import callers_of, scopes_for
from intellirouter.security.fence import Fence
from intellirouter.security.grants import Grants
from intellirouter.security.peer_certificates import check_caller, peer_tls
from intellirouter.security.permissions import of_scopes
from intellirouter.security.replay import LIFETIME_SECONDS, REMEMBERED_SECONDS, SKEW_SECONDS, Memory, Seen

MAX_TOKEN_ID = 64
_ISSUER = "intellirouter"
_ALGORITHM, _UNSIGNED = "HS256", "none"


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token says. Every field of the caller has its own; one that is absent is its default."""

    iss: str
    aud: str
    sub: str
    iat: int
    exp: int
    jti: str
    roles: frozenset[str]
    tenant: str
    ref: str = ""
    team: str | None = None
    scopes: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    quota: Quota | None = None
    priority: int = 0
    metadata: dict[str, str] = {}
    record: Literal["off", "errors", "all"] | None = None
    fence: Fence | None = None
    permissions: frozenset[str] | None = None
    grants: Grants | None = None

    def caller(self) -> Caller:
        """On whose behalf the call is made, were it made by nobody."""
        return Caller(
            key_id=self.sub,
            tenant=self.tenant,
            team=self.team,
            scopes=self.scopes,
            models=self.models,
            quota=self.quota,
            priority=self.priority,
            metadata=self.metadata,
            record=self.record,
            fence=self.fence,
            ref=self.ref,
            permissions=self.permissions,
            grants=self.grants,
        )


def _key(token: SecretStr) -> bytes:
    """A key of the right length for any token, of no use for anything else."""
    return hashlib.sha256(b"intellirouter peer call\0" + token.get_secret_value().encode()).digest()


class PeerSigner:
    """Signs this node's calls to other roles; `asking` are the roles that run on it."""

    def __init__(self, section: IpcSecurity, asking: Collection[str] = ("Router",)) -> None:
        self._key = _key(section.token) if section.enabled and section.token is not None else None
        self._vouched = peer_tls(section, "") is not None
        self._asking = frozenset(asking)

    def headers(self, role: str, caller: Caller) -> dict[str, str]:
        """What to send with a call to `role` for `caller`; nothing where trust is switched off.

        Raises `PeerUnavailable` rather than lose a tenant, or what its key may, on the way.
        """
        if self._key is None and not self._vouched:
            if (
                caller.tenant != Caller().tenant
                or caller.models
                or caller.quota is not None
                or caller.permissions is not None
            ):
                raise PeerUnavailable(
                    f"a call for the key '{caller.key_id}' of the tenant '{caller.tenant}' cannot go to the {role} "
                    "unsigned: set ipc.security.token"
                )
            return {}
        now = int(time.time())
        may_go = scopes_for(self._asking, role)
        claims = Claims(
            iss=_ISSUER,
            aud=role,
            sub=caller.key_id,
            iat=now,
            exp=now + LIFETIME_SECONDS,
            jti=secrets.token_urlsafe(16),
            roles=self._asking,
            tenant=caller.tenant,
            ref=caller.ref,
            team=caller.team,
            scopes=caller.scopes & may_go
            if caller.permissions is not None
            else frozenset(scope for scope in may_go if of_scopes(frozenset({scope})) <= caller.held),
            models=caller.models,
            quota=caller.quota,
            priority=caller.priority,
            metadata=caller.metadata,
            record=caller.record,
            fence=caller.fence,
            permissions=None if caller.permissions is None else caller.permissions & of_scopes(may_go),
            grants=caller.grants,
        )
        told = msgspec.to_builtins(claims)
        if self._key is None:
            return {PEER_HEADER: jwt.encode(told, "", _UNSIGNED)}
        return {PEER_HEADER: jwt.encode(told, self._key, _ALGORITHM)}


class PeerVerifier:
    """Checks other roles' calls to `role`. `seen` is what all ways into a process remember together, `setting` what a refusal calls the token."""

    def __init__(
        self, section: IpcSecurity, role: str, seen: Memory | None = None, setting: str = "ipc.security.token"
    ) -> None:
        self._role, self._setting = role, setting
        tokens = (section.token, section.previous_token) if section.enabled else ()
        self._keys: list[bytes | None] = [_key(token) for token in tokens if token is not None]
        self._by_certificate = peer_tls(section, role) is not None
        if self._by_certificate and not self._keys:
            self._keys = [None]
        self._seen = seen or Seen(REMEMBERED_SECONDS)

    def verify(self, signed: str, transport: BaseTransport | None = None) -> Caller:
        """On whose behalf the call is made that came over `transport`. Raises `AuthenticationFailed`."""
        certified = None
        if self._by_certificate:
            certificate = transport.get_extra_info("peercert") if transport is not None else None
            certified = check_caller(certificate, self._role)
        for key in self._keys:
            try:
                claims = msgspec.convert(self._claims(signed, key), Claims)
            except jwt.InvalidSignatureError:
                continue  # perhaps the previous token signed it
            except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError) as cause:
                raise AuthenticationFailed(f"The call of another role was refused: {cause}.") from cause
            roles = claims.roles if certified is None else claims.roles & certified
            self._check(claims, roles)
            return replace(claims.caller(), via=roles)
        raise AuthenticationFailed(
            f"The call of another role was refused: it was not signed with this node's {self._setting}."
        )

    def _check(self, claims: Claims, roles: frozenset[str]) -> None:
        """What the signature does not say: whether these roles may ask, for that long, with these scopes, and only once."""
        problem = ""
        may = scopes_for(roles, self._role)
        if not roles:
            problem = f"its certificate does not name {', '.join(sorted(claims.roles)) or 'a role'}"
        elif not roles & callers_of(self._role):
            problem = f"the {' and the '.join(sorted(roles))} has no business with the {self._role}"
        elif claims.permissions is not None and not claims.permissions <= of_scopes(may):
            problem = "its permissions are more than travel between roles"
        elif not claims.scopes <= may:
            problem = f"the scope {', '.join(sorted(claims.scopes - may))} does not travel between roles"
        elif not 0 < claims.exp - claims.iat <= LIFETIME_SECONDS:
            problem = f"a token lives {LIFETIME_SECONDS} seconds at most"
        elif not 0 < len(claims.jti) <= MAX_TOKEN_ID or not claims.tenant:
            problem = "its jti or tenant is empty or too long"
        elif not self._seen.first_use(claims.jti, claims.iat, time.time()):
            problem = "its token was used before"
        if problem:
            raise AuthenticationFailed(f"The call of another role was refused: {problem}.")

    def _claims(self, signed: str, key: bytes | None) -> dict[str, Any]:
        """The claims, signed with `key`, or unsigned ones where the connection alone vouches for them."""
        options: Any = {"require": ["exp", "iat", "aud", "iss", "sub", "jti"]}
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
