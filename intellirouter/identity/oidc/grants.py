"""Sign-ins that a provider vouches for: asked about there again and again, so that who is let go there is let go here.

A grant is a record in the shared store (encrypted where there is a key); sessions of the console and of commands name it. While
the provider is away a grant holds for `session_hours` from when it was last confirmed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import structlog

from intellirouter.errors import AuthenticationFailed
from intellirouter.identity.oidc.errors import ProviderTrouble, WayLost
from intellirouter.identity.oidc.provider import Provider, Vouched
from intellirouter.memory.store import StateStore
from intellirouter.security.people import Account

GRANT = "grant:"
ASKING_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Grant(msgspec.Struct, frozen=True):
    """Times in Unix seconds. Without a `refresh_token` the provider cannot be asked again."""

    provider: str
    account: str
    subject: str
    checked: float
    refresh_token: str = ""


class Grants:
    """See `sessions.Vouching`. `taken` turns what a provider says now into an account, or refuses it. Methods raise `StateError`."""

    def __init__(
        self,
        store: StateStore,
        providers: Mapping[str, Provider],
        taken: Callable[[Provider, Vouched], Awaitable[Account]],
        seconds: float,
    ) -> None:
        self._store = store
        self._providers = providers
        self._taken = taken
        self._seconds = seconds

    async def begin(self, provider: Provider, account: Account, vouched: Vouched) -> str:
        """Remember it; its name."""
        name = secrets.token_urlsafe(16)
        grant = Grant(provider.section.name, account.id, account.subject, time.time(), vouched.refresh_token)
        await self._put(name, grant)
        return name

    async def check(self, name: str) -> None:
        """Ask the provider where it is time to. Raises `AuthenticationFailed` for what does not hold any more."""
        value = await self._store.get(GRANT + name)
        grant = None if value is None else msgspec.json.decode(value, type=Grant)
        provider = None if grant is None else self._providers.get(grant.provider)
        if grant is None or provider is None:
            raise WayLost("The sign-in has ended: sign in again.")
        age, section = time.time() - grant.checked, provider.section
        over = age > section.session_hours * 3600
        if over and not grant.refresh_token:
            raise WayLost("The sign-in has lasted as long as it may: sign in again.")
        if age < section.recheck_seconds or not grant.refresh_token:
            return
        lease = await self._store.acquire(GRANT + name, secrets.token_hex(8), ASKING_SECONDS)
        if lease is None:  # another request is asking; a refresh token may be good once
            if over:
                raise WayLost("The sign-in is being asked about: try again.")
            return
        try:
            await self._renew(name, grant, provider, over=over)
        finally:
            await self._store.release(lease)

    async def _renew(self, name: str, grant: Grant, provider: Provider, *, over: bool) -> None:
        value = await self._store.get(GRANT + name)
        if value is None:
            raise WayLost("The sign-in has ended: sign in again.")
        if msgspec.json.decode(value, type=Grant) != grant:
            return  # somebody asked meanwhile
        try:
            vouched = await provider.renewed(grant.refresh_token, grant.subject)
        except ProviderTrouble as error:
            if over:
                raise AuthenticationFailed(error.message) from error
            log.warning("oidc.not_rechecked", provider=grant.provider)
            return
        if vouched.claims:
            await self._taken(provider, vouched)
        fresh = msgspec.structs.replace(grant, checked=time.time(), refresh_token=vouched.refresh_token)
        await self._put(name, fresh)

    async def end(self, name: str) -> None:
        """Forget it, here and at the provider."""
        value = await self._store.get(GRANT + name)
        if value is None or not await self._store.delete(GRANT + name):
            return
        grant = msgspec.json.decode(value, type=Grant)
        provider = self._providers.get(grant.provider)
        if provider is not None and grant.refresh_token:
            await provider.revoke(grant.refresh_token)

    async def _put(self, name: str, grant: Grant) -> None:
        await self._store.set(GRANT + name, msgspec.json.encode(grant), ttl=self._seconds)
