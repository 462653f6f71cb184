"""Users, service accounts and teams as records of the shared store; every node hears of a change."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from intellirouter.errors import Conflict, InvalidRequest, NotFound
from intellirouter.memory.store import StateStore
from intellirouter.security.people import Account, Kind, Team

ACCOUNTS, TEAMS, REVOKED = "people:account:", "people:team:", "people:revoked:"
_FAMILY, _NAMES = "people:", "people:name:"
GONE = "people:gone:"
"""What was deleted, by its key without the family: a backup that has it yet must not bring it back."""
GONE_SECONDS = 2 * 365 * 86_400.0
"""How old a backup may be that is restored, for that to hold."""
CHANNEL = "admin:all:people"
MAX_TRIES = 10
MAX_ACCOUNTS = 200_000
"""Whom a node knows in memory. One more is neither made nor taken from an issuer."""

T = TypeVar("T")
Heard = Callable[[str], Awaitable[None]]


class PeopleStore:
    """Methods raise `StateUnavailable`. `heard` is told of each change before a method returns: `account:<id>`, `team:<name>` or
    `revoked:<session>:<until>`.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self.heard: Heard | None = None

    # accounts

    async def accounts(self, kind: Kind | None = None) -> list[Account]:
        """Everybody, by name."""
        found = [account async for account in self._all(ACCOUNTS, Account)]
        return sorted((one for one in found if kind in (None, one.kind)), key=lambda one: one.name)

    async def create(self, account: Account) -> Account:
        """Keep a new account. Raises `Conflict` where the name is taken."""
        taken = await self._store.set(
            _name_key(account.kind, account.name), account.id.encode(), only_if_absent=True
        )
        if not taken:
            raise Conflict(f"There is a {account.kind} named '{account.name}' already.", param="name")
        await self._store.set(ACCOUNTS + account.id, msgspec.json.encode(account))
        await self._told(f"account:{account.id}")
        return account

    async def account(self, account_id: str) -> Account | None:
        """By id."""
        kept = await self._store.get(ACCOUNTS + account_id)
        return None if kept is None else msgspec.json.decode(kept, type=Account)

    async def find(self, name: str, kind: Kind | None = None) -> Account:
        """By id, or else by name; a user before a service account of the same name. Raises `NotFound`.

        Whoever is named as another's id is not taken for it: what is given to one would be the other's.
        """
        known_by_id = await self.account(name)
        if known_by_id is not None and kind in (None, known_by_id.kind):
            return known_by_id
        kinds: tuple[Kind, ...] = ("user", "service") if kind is None else (kind,)
        for one in kinds:
            if (known := await self._store.get(_name_key(one, name))) is not None:
                name = known.decode()
                break
        found = await self.account(name)
        if found is None or (kind is not None and found.kind != kind):
            raise NotFound(f"There is no {kind or 'user'} '{name[:100]}'.")
        return found

    async def update(self, name: str, **changes: Any) -> Account:
        """Change some fields; all else stays. Raises `NotFound`, `Conflict`."""
        place = ACCOUNTS + (await self.find(name)).id
        account = await self._change(
            place, Account, lambda old: msgspec.structs.replace(old, **changes), name
        )
        await self._told(f"account:{account.id}")
        return account

    async def vouched(self, told: Account) -> Account:
        """Keep somebody as their issuer tells of them; what was given, limited or blocked here stays. Raises `Conflict`."""
        there = await self.account(told.id)
        if there is None:
            try:
                return await self.create(told)
            except Conflict:
                if (
                    await self.account(told.id) is None
                ):  # another node was not quicker: the name is somebody else's
                    raise
        elif follows(there, told) == there:
            return there
        return await self.update(
            told.id, tenant=told.tenant, teams=told.teams, roles=told.roles, email=told.email
        )

    async def delete(self, name: str) -> Account:
        """Forget an account: its tokens, its keys and what was left in its name do nothing from then on. Raises `NotFound`."""
        account = await self.find(name)
        await self._delete(ACCOUNTS + account.id, _name_key(account.kind, account.name))
        await self._told(f"account:{account.id}")
        return account

    async def block(self, name: str) -> Account:
        """Take nothing from it until it is unblocked. Raises `NotFound`."""
        return await self.update(name, blocked=time.time())

    async def unblock(self, name: str) -> Account:
        """Take it again. Raises `NotFound`."""
        return await self.update(name, blocked=None)

    # teams

    async def teams(self) -> list[Team]:
        """Every team, by name."""
        return sorted([team async for team in self._all(TEAMS, Team)], key=lambda team: team.name)

    async def create_team(self, team: Team) -> Team:
        """Keep a new team. Raises `Conflict` where the name is taken."""
        if not await self._store.set(TEAMS + team.name, msgspec.json.encode(team), only_if_absent=True):
            raise Conflict(f"There is a team named '{team.name}' already.", param="name")
        await self._told(f"team:{team.name}")
        return team

    async def update_team(self, name: str, **changes: Any) -> Team:
        """Change some fields; all else stays. Raises `NotFound`."""
        team = await self._change(
            TEAMS + name, Team, lambda old: msgspec.structs.replace(old, **changes), name
        )
        await self._told(f"team:{name}")
        return team

    async def delete_team(self, name: str) -> None:
        """Forget a team; its members stay, without what they had of it. Raises `NotFound`."""
        if not await self._delete(TEAMS + name):
            raise NotFound(f"There is no team '{name[:100]}'.")
        await self._told(f"team:{name}")

    # sign-ins

    async def revoke(self, session: str, until: float) -> None:
        """Take no token of this sign-in any more, on any node."""
        await self._store.set(
            REVOKED + session, msgspec.json.encode(until), ttl=max(1.0, until - time.time())
        )
        await self._told(f"revoked:{session}:{until}")

    async def revoked(self) -> dict[str, float]:
        """Every sign-in that was ended and whose tokens would be good yet."""
        names = [name async for name in self._store.scan(REVOKED)]
        kept = await _in_parts(self._store, names)
        return {
            name.removeprefix(REVOKED): msgspec.json.decode(value, type=float)
            for name, value in zip(names, kept, strict=True)
            if value is not None
        }

    async def _delete(self, *places: str) -> int:
        for place in places if await self._store.get(places[0]) is not None else ():
            await self._store.set(GONE + place.removeprefix(_FAMILY), b"1", ttl=GONE_SECONDS)
        return await self._store.delete(*places)

    async def _all(self, prefix: str, kind: type[T]) -> Any:
        names = [name async for name in self._store.scan(prefix)]
        for value in await _in_parts(self._store, names):
            if value is not None:
                yield msgspec.json.decode(value, type=kind)

    async def _change(self, place: str, kind: type[T], change: Callable[[T], T], name: str) -> T:
        for _ in range(MAX_TRIES):
            there = await self._store.get_versioned(place)
            if there.value is None:
                raise NotFound(f"There is no {kind.__name__.lower()} '{name[:100]}'.")
            changed = change(msgspec.json.decode(there.value, type=kind))
            if await self._store.put_if(place, msgspec.json.encode(changed), there.version) is not None:
                return changed
        raise Conflict(f"'{name[:100]}' is being changed by others: try again.")

    async def _told(self, what: str) -> None:
        if self.heard is not None:
            await self.heard(what)
        await self._store.publish(CHANNEL, what.encode())


def follows(there: Account, told: Account) -> Account:
    """The account as its issuer tells of it now."""
    return msgspec.structs.replace(
        there, tenant=told.tenant, teams=told.teams, roles=told.roles, email=told.email
    )


async def _in_parts(store: StateStore, names: list[str]) -> list[bytes | None]:
    values: list[bytes | None] = []
    for start in range(0, len(names), 500):
        values += await store.get_many(names[start : start + 500])
    return values


def _name_key(kind: str, name: str) -> str:
    """Names may hold what keys of the store must not: by hash."""
    if len(name) > 256:
        raise InvalidRequest("A name has at most 128 characters.", param="name")
    return f"{_NAMES}{kind}:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
