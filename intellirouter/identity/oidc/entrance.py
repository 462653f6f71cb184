"""From what a browser or a command brings back from a provider to an account of ours."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping

import msgspec

from intellirouter.errors import AuthenticationFailed
from intellirouter.identity.oidc.errors import NoRole, NotLetIn, WayLost
from intellirouter.identity.oidc.grants import Grants
from intellirouter.identity.oidc.provider import DeviceCode, Provider, Vouched
from intellirouter.identity.oidc.way import Way, Ways, challenge_of
from intellirouter.identity.store import PeopleStore, follows
from intellirouter.identity.tokens import account_of
from intellirouter.memory.store import StateStore
from intellirouter.security.people import Account, Directory
from intellirouter.security.permissions import SIGNED_IN

CODE, CODE_SECONDS = "people:code:", 60.0


class Entered(msgspec.Struct, frozen=True):
    """Who came in, and by which grant. `challenge` is of the command that waits for it."""

    account: str
    grant: str
    challenge: str = ""


class _Device(msgspec.Struct, frozen=True):
    code: str
    until: float


class Entrance:
    """Methods raise `NotLetIn` and its kinds, `ProviderTrouble`, `StateError`."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        ways: Ways,
        people: PeopleStore,
        directory: Directory,
        store: StateStore,
        seconds: float,
    ) -> None:
        self.providers = providers
        self.ways = ways
        self.grants = Grants(store, providers, self.taken, seconds)
        self._people = people
        self._directory = directory
        self._store = store

    async def came_back(self, provider: Provider, way: Way, code: str) -> tuple[Account, str]:
        """Somebody's browser is back with a code: who it is, and the grant of this sign-in."""
        return await self._entered(provider, await provider.redeemed(code, way))

    async def taken(self, provider: Provider, vouched: Vouched) -> Account:
        """Somebody as the provider tells of them now, kept. Raises `NoRole` for who has nothing here: of them nothing is kept."""
        try:
            told = account_of(vouched.claims, provider.section)
        except AuthenticationFailed as error:
            raise NotLetIn(
                error.message.replace("The token was refused", "The ID token was refused")
            ) from error
        there = await self._people.account(told.id)
        if there is not None and there.blocked is not None:
            raise NotLetIn("Your account is blocked here.")
        now = told if there is None else follows(there, told)
        if not self._directory.caller(now).held - {SIGNED_IN}:
            raise NoRole(
                f"{provider.section.shown} knows you, and you have no role here: an administrator gives one, by roles or "
                "role_map of [[auth.oidc]], a team or a binding."
            )
        return await self._people.vouched(told)

    async def _entered(self, provider: Provider, vouched: Vouched) -> tuple[Account, str]:
        account = await self.taken(provider, vouched)
        return account, await self.grants.begin(provider, account, vouched)

    # commands

    async def handed(self, account: Account, grant: str, challenge: str) -> str:
        """A code for the command that waits at the loopback address: good once, for a minute, with its verifier."""
        code = secrets.token_urlsafe(32)
        entered = Entered(account.id, grant, challenge)
        await self._store.set(CODE + _digest(code), msgspec.json.encode(entered), ttl=CODE_SECONDS)
        return code

    async def redeemed(self, code: str, verifier: str) -> tuple[Account, str]:
        """Who a command's code stands for; gone with the first try."""
        lost = WayLost("The code is not good any more: run `intellirouter login` again.")
        value = await self._store.get(CODE + _digest(code)) if 0 < len(code) <= 200 else None
        if value is None or not await self._store.delete(CODE + _digest(code)):
            raise lost
        entered = msgspec.json.decode(value, type=Entered)
        account = await self._people.account(entered.account)
        holds = len(verifier) <= 200 and hmac.compare_digest(
            challenge_of(verifier.encode("ascii", "replace").decode()), entered.challenge
        )
        if account is None or not holds:
            await self.grants.end(entered.grant)
            raise lost
        return account, entered.grant

    async def device(self, provider: Provider) -> DeviceCode:
        """A code to enter elsewhere; what the command asks again with is sealed, so that only we ask the provider with it."""
        code = await provider.device()
        held = _Device(code.device_code, time.time() + code.expires_in)
        return msgspec.structs.replace(
            code, device_code=self.ways.sealed(held, f"{provider.section.name} device")
        )

    async def polled(self, provider: Provider, sealed: str) -> tuple[Account, str]:
        """Who entered the code. Raises `Pending` until somebody did."""
        opened = self.ways.opened(sealed, f"{provider.section.name} device")
        held = msgspec.json.decode(opened, type=_Device)
        if time.time() > held.until:
            raise WayLost("Nobody entered the code in time: run `intellirouter login` again.")
        return await self._entered(provider, await provider.polled(held.code))

    def troubles(self) -> list[str]:
        """Providers that did not answer as they should when they were asked last, and why."""
        found = ((name, one.issuer.trouble) for name, one in self.providers.items())
        return [f"{name}: {trouble}" for name, trouble in found if trouble]

    async def aclose(self) -> None:
        """End what is under way."""
        for provider in self.providers.values():
            await provider.issuer.aclose()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
