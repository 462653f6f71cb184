"""Sign-ins: a refresh token each, kept by its hash, and short tokens made from it; ended once, ended on every node."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

import msgspec

from intellirouter.errors import AuthenticationFailed
from intellirouter.identity.store import PeopleStore
from intellirouter.identity.tokens import Tokens
from intellirouter.identity.vouching import Vouching
from intellirouter.memory.store import StateStore
from intellirouter.security.people import Account

_SESSION, _KEY = "people:session:", "people:signing-key"
GRACE_SECONDS = 10.0
"""How long the last refresh token is taken again: its answer may have been lost on the way."""


class Kept(msgspec.Struct, frozen=True):
    """One sign-in. `previous` is the hash of the refresh token before, `turned` when it was replaced.

    `grant` is what a provider vouches for it with (`oidc/grants.py`); empty where a password did.
    """

    account: str
    sha256: str
    began: float
    previous: str = ""
    turned: float = 0.0
    grant: str = ""


class Granted(msgspec.Struct, frozen=True):
    """What who signs in is given: OAuth 2's names (RFC 6749, 5.1)."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105  a name


class SignIns:
    """Methods raise `StateUnavailable`."""

    def __init__(
        self,
        store: StateStore,
        people: PeopleStore,
        tokens: Tokens,
        token_seconds: int,
        refresh_seconds: int,
        vouching: Vouching | None = None,
    ) -> None:
        self._vouching = vouching
        self._store = store
        self._people = people
        self._tokens = tokens
        self._token_seconds = token_seconds
        self._refresh_seconds = refresh_seconds

    async def begin(self, account: Account, grant: str = "") -> Granted:
        """Sign somebody in, by a password or by a provider's grant."""
        session, secret = secrets.token_urlsafe(16), secrets.token_urlsafe(32)
        kept = Kept(account.id, _digest(secret), time.time(), grant=grant)
        await self._store.set(_SESSION + session, msgspec.json.encode(kept), ttl=self._refresh_seconds)
        return self._granted(account, session, secret)

    async def refresh(self, token: str) -> Granted:
        """New tokens for a refresh token, which is good once: one that comes again was stolen, and ends the sign-in.

        Raises `AuthenticationFailed`.
        """
        session, _, secret = token.partition(".")
        refused = AuthenticationFailed("The refresh token is not good any more: sign in again.")
        if not session or not secret or len(token) > 200:
            raise refused
        place = _SESSION + session
        there = await self._store.get_versioned(place)
        if there.value is None:
            raise refused
        kept = msgspec.json.decode(there.value, type=Kept)
        account = await self._people.account(kept.account)
        if account is None or account.blocked is not None or kept.began < account.signed_out:
            raise refused
        if not hmac.compare_digest(_digest(secret), kept.sha256):
            stolen = kept.previous and hmac.compare_digest(_digest(secret), kept.previous)
            if stolen and time.time() - kept.turned > GRACE_SECONDS:
                await self.end(session)
            raise refused
        if kept.grant:
            await self._check(session, kept.grant)
        fresh = secrets.token_urlsafe(32)
        turned = Kept(kept.account, _digest(fresh), kept.began, kept.sha256, time.time(), kept.grant)
        if (
            await self._store.put_if(
                place, msgspec.json.encode(turned), there.version, ttl=self._refresh_seconds
            )
            is None
        ):
            raise refused
        return self._granted(account, session, fresh)

    async def end(self, session: str) -> None:
        """Sign out: its tokens are taken no more, on any node."""
        value = await self._store.get(_SESSION + session)
        await self._store.delete(_SESSION + session)
        await self._people.revoke(session, time.time() + self._token_seconds + 60)
        kept = None if value is None else msgspec.json.decode(value, type=Kept)
        if kept is not None and kept.grant and self._vouching is not None:
            await self._vouching.end(kept.grant)

    async def _check(self, session: str, grant: str) -> None:
        try:
            if self._vouching is None:
                raise AuthenticationFailed("Its provider is not configured here any more: sign in again.")
            await self._vouching.check(grant)
        except AuthenticationFailed:
            await self.end(session)
            raise

    def _granted(self, account: Account, session: str, secret: str) -> Granted:
        token = self._tokens.made(account, session, self._token_seconds)
        return Granted(token, f"{session}.{secret}", self._token_seconds)


async def signing_key(store: StateStore) -> bytes:
    """The key that all nodes of a store sign with, made by the first that asks."""
    await store.set(_KEY, secrets.token_hex(32).encode(), only_if_absent=True)
    kept = await store.get(_KEY)
    if kept is None:
        raise AuthenticationFailed("The key for tokens is not there.")
    return kept


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
