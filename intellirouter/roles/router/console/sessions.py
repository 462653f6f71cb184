"""Who is signed in to the console.

A session is a record in the shared store under the hash of a random id; the browser holds the id in a cookie that scripts cannot
read and other sites cannot send. The record names the key that signed in and not what it may do: that is asked of the key ring
with each request, so that a revoked key's session ends with the key, one of a secret or a token that is good no more with that, and the session of a person who signed out everywhere (a new
password) with that. Who came by a provider of identities is asked about there now and then (`identity/oidc/grants.py`). A setup link makes a session of the node's operator: whoever
can read the node's terminal or its store owns it anyway.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable

import msgspec

from intellirouter.errors import AuthenticationFailed, KeyEnded
from intellirouter.identity.vouching import Vouching
from intellirouter.memory.store import StateStore
from intellirouter.security.authority import UnknownKey
from intellirouter.security.caller import ANONYMOUS, OPERATOR, Caller, Owner

SETUP_SECONDS = 3600.0
_NOTED_SECONDS = 60.0

_SESSION, _SETUP = "console:session:", "console:setup:"


class Proof(msgspec.Struct, frozen=True):
    """What somebody signed in with: a key's secret, by its hash, or a token, by when it ends (Unix seconds) and its sign-in."""

    sha256: str = ""
    until: float | None = None
    sign_in: str = ""


class Session(msgspec.Struct, frozen=True):
    """One sign-in. `key_id` None: the operator, by a setup link. `token` must come with every write. `seen`: Unix seconds of its last use, within a minute.

    `began` is when it did; `grant` what a `provider` of identities vouches for it with.
    """

    token: str
    key_id: str | None = None
    tenant: str = "default"
    ref: str = ""
    seen: float = 0.0
    began: float = 0.0
    grant: str = ""
    provider: str = ""
    proof: Proof = Proof()


class Sessions:
    """Begins, finds and ends sessions. Methods raise `StateUnavailable`.

    `caller_of` gives the caller that the owner of a session is now, and raises `KeyEnded` when it is gone; `seconds` is how long an unused session lasts.
    `signed_out` says since when (Unix seconds) sign-ins of an account count; `proves` whether what somebody signed in with is good yet;
    `vouching` asks about grants.
    """

    def __init__(
        self,
        store: StateStore,
        caller_of: Callable[[Owner], Caller],
        seconds: float,
        *,
        keys: bool,
        signed_out: Callable[[str], float] = lambda _ref: 0.0,
        proves: Callable[[Proof], bool] = lambda _proof: True,
        vouching: Vouching | None = None,
    ) -> None:
        self._proves = proves
        self._signed_out = signed_out
        self._vouching = vouching
        self._store = store
        self._caller_of = caller_of
        self._seconds = seconds
        self.keys = keys

    async def begin(
        self, owner: Owner | None, grant: str = "", provider: str = "", proof: Proof | None = None
    ) -> tuple[str, Session]:
        """A new session of a key or a person, or of the operator, and the secret that belongs into the cookie."""
        secret, token, now = secrets.token_urlsafe(32), secrets.token_urlsafe(24), time.time()
        session = Session(token, seen=now, began=now)
        if owner is not None:
            session = Session(
                token, owner.key_id, owner.tenant, owner.ref, now, now, grant, provider, proof or Proof()
            )
        await self._store.set(_SESSION + _digest(secret), msgspec.json.encode(session), ttl=self._seconds)
        return secret, session

    async def find(self, secret: str | None) -> tuple[Session, Caller] | None:
        """The session of a cookie and the caller it stands for now; None when there is none (any more)."""
        if not secret or len(secret) > 200:
            return None
        name = _SESSION + _digest(secret)
        kept = await self._store.get_versioned(name)
        if kept.value is None:
            return None
        session = msgspec.json.decode(kept.value, type=Session)
        now = time.time()
        if not self._proves(session.proof):  # or a new secret is not heard of here yet: it ends unused
            return None
        noted = 0 <= now - session.seen < min(_NOTED_SECONDS, self._seconds / 10)
        if not noted and session.grant and not await self._holds(session.grant):
            await self.end(secret)
            return None
        caller = OPERATOR
        if session.key_id is not None:
            try:
                caller = self._caller_of(Owner(session.tenant, session.key_id, session.ref))
            except (
                UnknownKey
            ):  # made a moment ago, and not heard of here yet; or gone, and then it ends unused
                return None
            except KeyEnded:
                await self._store.delete(name)
                return None
            if session.began < self._signed_out(session.ref):
                await self.end(secret)
                return None
        if not noted:
            # a page asks many times a minute: writing down each use would make every look at the console a write;
            # a session that ended meanwhile stays ended
            used = msgspec.json.encode(msgspec.structs.replace(session, seen=now))
            await self._store.put_if(name, used, kept.version, ttl=self._seconds)
        return session, caller

    async def end(self, secret: str | None) -> None:
        """Forget a session. One that is not known is no error."""
        if not secret:
            return
        name = _SESSION + _digest(secret)
        value = await self._store.get(name)
        await self._store.delete(name)
        session = None if value is None else msgspec.json.decode(value, type=Session)
        if session is not None and session.grant and self._vouching is not None:
            await self._vouching.end(session.grant)

    async def _holds(self, grant: str) -> bool:
        try:
            if self._vouching is not None:
                await self._vouching.check(grant)
        except AuthenticationFailed:
            return False
        return self._vouching is not None

    async def visitor(self, secret: str | None) -> tuple[Session | None, Caller]:
        """Who sent this cookie. Raises `AuthenticationFailed` where keys are on and nobody is signed in."""
        found = await self.find(secret)
        if found is not None:
            return found
        if self.keys:
            raise AuthenticationFailed("Nobody is signed in to the console.")
        return None, ANONYMOUS

    async def redeem(self, link: str) -> tuple[str, Session]:
        """The operator's session for the secret of a setup link, once. Raises `AuthenticationFailed`."""
        if not link or len(link) > 200 or not await self._store.delete(_SETUP + _digest(link)):
            raise AuthenticationFailed(
                "The setup link was used already or is too old: `intellirouter console` prints a new one."
            )
        return await self.begin(None)


async def setup_link(store: StateStore) -> str:
    """The secret of a new setup link: good once, within an hour."""
    secret = secrets.token_urlsafe(16)
    await store.set(_SETUP + _digest(secret), b"1", ttl=SETUP_SECONDS)
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
