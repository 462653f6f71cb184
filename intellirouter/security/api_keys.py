"""API keys of clients: known by their SHA-256 only, found in whichever header an SDK puts them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping

from intellirouter.config.schema.auth import AuthKey, AuthSection
from intellirouter.errors import AuthenticationFailed
from intellirouter.security.authority import Standing, ended, unknown
from intellirouter.security.caller import ANONYMOUS, NOBODY, OPERATOR, Caller, Owner
from intellirouter.security.fence import NO_FENCE, Fence
from intellirouter.security.policy import BUILT_IN, Policy

CONFIGURED = "config:"
"""What the ref of a key of the configuration file begins with."""


def hash_key(key: str) -> str:
    """The form a key is stored in: keys are long and random, so a plain digest is enough."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The key a client sent: a bearer token (OpenAI, newer Anthropic), `x-api-key` or `x-goog-api-key`."""
    bearer = headers.get("authorization", "")
    if bearer[:7].lower() == "bearer ":
        return bearer[7:].strip()
    return headers.get("x-api-key") or headers.get("x-goog-api-key")


class KeyRing:
    """The keys of the configuration file, and the virtual ones made at run time: by hash, and by the ref of their record."""

    def __init__(self, section: AuthSection, policy: Policy = BUILT_IN) -> None:
        self._virtual: Mapping[str, Standing] = {}
        self._records: Mapping[str, Standing] = {}
        self.configure(section, policy)

    def configure(self, section: AuthSection, policy: Policy) -> None:
        """Take these keys and these roles in place of the last ones."""
        self.enabled = section.enabled
        self.policy = policy
        self._callers = {key.sha256: _caller(key, policy) for key in section.keys}
        self._configured = {caller.ref: caller for caller in self._callers.values()}

    def has_configured(self, name: str) -> bool:
        """Whether the configuration has a key of this name."""
        return f"{CONFIGURED}{name}" in self._configured

    def take(self, by_hash: Mapping[str, Standing], by_ref: Mapping[str, Standing]) -> None:
        """Take these virtual keys in place of the last ones: every secret and every record, ended ones too."""
        self._virtual, self._records = by_hash, by_ref

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Who sent these headers. Raises `AuthenticationFailed`."""
        if not self.enabled:
            return ANONYMOUS
        key = presented_key(headers)
        if not key:
            raise AuthenticationFailed(
                "No API key: send it as 'Authorization: Bearer …', 'x-api-key' or 'x-goog-api-key'."
            )
        digest = hash_key(key)
        caller = self._callers.get(digest)
        if caller is not None:
            return caller
        made = self._virtual.get(digest)
        if made is None:
            raise AuthenticationFailed("The API key is not known here.")
        if refused := made.refused(time.time()):
            raise AuthenticationFailed(f"The API key {refused}.")
        return made.caller

    def caller_of(self, owner: Owner) -> Caller:
        """The owner as it may act now. Raises `KeyEnded`, `UnknownKey` where this ring has no record of it."""
        if owner == OPERATOR.owner():
            return OPERATOR
        if not self.enabled:
            if owner.key_id == NOBODY and owner.tenant == ANONYMOUS.tenant:
                return ANONYMOUS
            raise unknown(owner)
        ref = owner.ref or f"{CONFIGURED}{owner.key_id}"
        caller = self._configured.get(ref)
        if caller is None:
            caller = self._made(owner)
        if caller.tenant != owner.tenant:  # a new key of an old name is somebody else
            raise unknown(owner)
        return caller

    def _made(self, owner: Owner) -> Caller:
        record = self._records.get(owner.ref)
        if record is None and not owner.ref:  # stored before there were refs: its name has to do
            named = [one for one in self._records.values() if one.caller.key_id == owner.key_id]
            record = max(named, key=lambda one: not one.ended, default=None)
        if record is None:
            raise unknown(owner)
        if refused := record.refused(time.time()):
            raise ended(owner, refused)
        return record.caller


def _caller(key: AuthKey, policy: Policy) -> Caller:
    fence = Fence(key.endpoints, key.addresses, key.collections, key.max_parallel)
    permissions, grants = policy.granted(key.roles, key.tenant) if key.roles else (None, None)
    return Caller(
        key_id=key.name,
        tenant=key.tenant,
        team=key.team,
        scopes=frozenset() if key.roles else frozenset(key.scopes),
        permissions=permissions,
        grants=grants,
        models=key.models,
        record=key.record,
        fence=None if fence == NO_FENCE else fence,
        ref=f"{CONFIGURED}{key.name}",
    )
