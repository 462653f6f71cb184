"""API keys of clients: known by their SHA-256 only, found in whichever header an SDK puts them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping

from intellirouter.config.schema.auth import AuthSection
from intellirouter.errors import AuthenticationFailed
from intellirouter.security.caller import ANONYMOUS, Caller


def hash_key(key: str) -> str:
    """The form a key is stored in: keys are long and random, so a plain digest is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The key a client sent: a bearer token (OpenAI, newer Anthropic), `x-api-key` or `x-goog-api-key`."""
    bearer = headers.get("authorization", "")
    if bearer[:7].lower() == "bearer ":
        return bearer[7:].strip()
    return headers.get("x-api-key") or headers.get("x-goog-api-key")


class KeyRing:
    """The keys of the configuration file, and in `virtual` those made at run time: by hash, with their end in Unix time."""

    def __init__(self, section: AuthSection) -> None:
        self.virtual: dict[str, tuple[Caller, float]] = {}
        self.configure(section)

    def configure(self, section: AuthSection) -> None:
        """Take these keys in place of the last ones."""
        self.enabled = section.enabled
        self._callers = {
            key.sha256: Caller(
                key_id=key.name,
                tenant=key.tenant,
                team=key.team,
                scopes=frozenset(key.scopes),
                models=key.models,
            )
            for key in section.keys
        }

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Who sent these headers. Raises `AuthenticationFailed`."""
        if not self.enabled:
            return ANONYMOUS
        key = presented_key(headers)
        if not key:
            raise AuthenticationFailed("No API key: send it as 'Authorization: Bearer …' or 'x-api-key'.")
        digest = hash_key(key)
        caller = self._callers.get(digest)
        if caller is not None:
            return caller
        made = self.virtual.get(digest)
        if made is None:
            raise AuthenticationFailed("The API key is not known here.")
        caller, until = made
        if time.time() >= until:
            raise AuthenticationFailed("The API key has expired.")
        return caller

    def caller_of(self, key_id: str, tenant: str) -> Caller | None:
        """Whom the key of this id stands for now; None when it is gone, revoked or expired."""
        for caller in self._callers.values():
            if (caller.key_id, caller.tenant) == (key_id, tenant):
                return caller
        for caller, until in self.virtual.values():
            if (caller.key_id, caller.tenant) == (key_id, tenant) and time.time() < until:
                return caller
        return None
