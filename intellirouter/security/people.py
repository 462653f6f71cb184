"""People, teams and service accounts, as one node knows them, and what each may now."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal

import msgspec

from intellirouter.security.authority import Standing
from intellirouter.security.caller import Caller, Quota
from intellirouter.security.policy import BUILT_IN, Policy

USER, SERVICE = "user", "service"
Kind = Literal["user", "service"]
REF_PREFIXES = ("user_", "service_")
"""What the refs of people and service accounts begin with: those of keys begin otherwise."""
NAME = re.compile(r"[^\s/:?#\x00-\x1f\x7f]{1,128}")

MAX_NAMES = 100
"""Teams of a person, and roles of a person or a team."""


def is_name(text: str) -> bool:
    """Whether an account or a team may be called that: nothing in it that nobody sees, so that no two look the same by it."""
    return NAME.fullmatch(text) is not None and text.isprintable()


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person or a service account. Times in Unix seconds.

    `password` is an Argon2 hash. `issuer` and `subject` say who vouches for a person that came with a token of somebody else;
    such a person's tenant, teams and roles are what the last token said, `given` what an administrator added.
    """

    id: str
    name: str
    created: float
    kind: Kind = "user"
    title: str = ""
    email: str = ""
    tenant: str = "default"
    teams: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budgets: dict[str, float] = {}
    password: str | None = None
    signed_out: float = 0.0
    """Tokens that were made before this are good no more."""
    issuer: str = ""
    subject: str = ""
    blocked: float | None = None

    @property
    def label(self) -> str:
        """What logs, limits and spending call it: no key has such a name."""
        return f"{self.kind}:{self.name}"

    def shown(self) -> dict[str, object]:
        """For people and the admin API: everything but the hash."""
        facts: dict[str, object] = {"object": self.kind, **msgspec.to_builtins(self)}
        facts["password"] = self.password is not None
        for name in ("teams", "roles", "given"):
            facts.setdefault(name, [])
        facts.setdefault("kind", self.kind)
        facts.setdefault("tenant", self.tenant)
        facts["status"] = "blocked" if self.blocked is not None else "live"
        return facts


class Team(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A team: what its members have of it."""

    name: str
    created: float
    title: str = ""
    roles: tuple[str, ...] = ()

    def shown(self) -> dict[str, object]:
        """For people and the admin API."""
        return {"object": "team", "roles": [], **msgspec.to_builtins(self)}


def new_account(name: str, kind: Kind = "user", **more: object) -> Account:
    """An account that is not kept yet."""
    account = Account(id=f"{kind}_{secrets.token_hex(8)}", name=name, created=time.time(), kind=kind)
    return msgspec.structs.replace(account, **more)


class Directory:
    """Everybody, by id. What somebody may is worked out when it is asked for, and kept until anything changes."""

    def __init__(self, policy: Policy = BUILT_IN) -> None:
        self._policy = policy
        self._accounts: dict[str, Account] = {}
        self._teams: dict[str, Team] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._subjects: dict[tuple[str, str], str] = {}
        self._passwords: set[str] = set()
        """Who has one: strangers ask whether anybody does."""
        self._standings: dict[str, Standing] = {}
        self._revoked: dict[str, float] = {}
        self.changes = 0
        """Grows with everything that is taken: whoever keeps what it worked out from here looks at it."""

    def configure(self, policy: Policy) -> None:
        """Take these roles in place of the last ones."""
        self._policy = policy
        self._changed()

    def take(self, accounts: Iterable[Account], teams: Iterable[Team], revoked: Mapping[str, float]) -> None:
        """Take these in place of the last ones."""
        self._accounts = {account.id: account for account in accounts}
        self._teams = {team.name: team for team in teams}
        self._names = {(one.kind, one.name): one.id for one in self._accounts.values()}
        self._subjects = {(one.issuer, one.subject): one.id for one in self._accounts.values() if one.issuer}
        self._passwords = {one.id for one in self._accounts.values() if one.password is not None}
        self._revoked = dict(revoked)
        self._changed()

    def put(self, account: Account) -> None:
        """Take one account as it is now."""
        old = self._accounts.get(account.id)
        if old is not None:
            self._names.pop((old.kind, old.name), None)
        self._accounts[account.id] = account
        self._names[account.kind, account.name] = account.id
        if account.issuer:
            self._subjects[account.issuer, account.subject] = account.id
        (self._passwords.add if account.password is not None else self._passwords.discard)(account.id)
        self._changed()

    def drop(self, account_id: str) -> None:
        """Forget an account."""
        account = self._accounts.pop(account_id, None)
        if account is not None:
            self._names.pop((account.kind, account.name), None)
            self._subjects.pop((account.issuer, account.subject), None)
        self._passwords.discard(account_id)
        self._changed()

    def revoke(self, session: str, until: float) -> None:
        """Take no token of this sign-in any more; `until` is when the last of them ends by itself."""
        now = time.time()
        if len(self._revoked) > 10_000:
            self._revoked = {name: end for name, end in self._revoked.items() if end > now}
        self._revoked[session] = until
        self._changed()

    def _changed(self) -> None:
        self.changes += 1
        self._standings.clear()

    @property
    def count(self) -> int:
        """How many accounts there are."""
        return len(self._accounts)

    def budgeted(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        """What everybody is called that has budgets and is not blocked, with these, by period."""
        for account in self._accounts.values():
            if account.budgets and account.blocked is None:
                yield account.label, account.budgets

    def labels(self) -> set[str]:
        """What everybody is called where a key's name could stand."""
        return {account.label for account in self._accounts.values()}

    def teams(self) -> set[str]:
        """Every team that was made, and those that somebody is in."""
        return {*self._teams, *(team for account in self._accounts.values() for team in account.teams)}

    def tenants_of(self, team: str) -> set[str]:
        """Of everybody who is in a team."""
        return {account.tenant for account in self._accounts.values() if team in account.teams}

    @property
    def has_users(self) -> bool:
        """Whether somebody could sign in with a password."""
        return bool(self._passwords)

    def revoked(self, session: str) -> bool:
        """Whether the sign-in was ended."""
        return session in self._revoked

    def signed_out(self, account_id: str) -> float:
        """Since when (Unix seconds) sign-ins of an account count."""
        account = self._accounts.get(account_id)
        return 0.0 if account is None else account.signed_out

    def account(self, account_id: str) -> Account | None:
        """By id."""
        return self._accounts.get(account_id)

    def named(self, name: str, kind: Kind = "user") -> Account | None:
        """By name."""
        return self._accounts.get(self._names.get((kind, name), ""))

    def of_subject(self, issuer: str, subject: str) -> Account | None:
        """Whom an issuer of tokens calls that."""
        return self._accounts.get(self._subjects.get((issuer, subject), ""))

    def roles_of(self, account: Account) -> tuple[str, ...]:
        """Its own roles, those of its teams, and those that the policy binds."""
        found = [*account.roles, *account.given]
        for name in account.teams:
            if (team := self._teams.get(name)) is not None:
                found += team.roles
        bound = self._policy.bound(account.name, account.teams, account.tenant)
        return tuple(dict.fromkeys((*found, *bound)))

    def standing(self, account_id: str) -> Standing | None:
        """How an account stands now; None where there is none."""
        found = self._standings.get(account_id)
        if found is None:
            account = self._accounts.get(account_id)
            if account is None:
                return None
            found = self._standings[account_id] = Standing(
                self.caller(account), ended="is blocked" if account.blocked is not None else ""
            )
        return found

    def caller(self, account: Account) -> Caller:
        """The identity an account stands for."""
        permissions, grants = self._policy.granted(self.roles_of(account), account.tenant)
        quota = Quota(account.requests_per_minute, account.tokens_per_minute, tuple(account.budgets.items()))
        return Caller(
            key_id=account.label,
            tenant=account.tenant,
            team=account.teams[0] if account.teams else None,
            quota=None if quota == Quota() else quota,
            permissions=permissions,
            grants=grants,
            ref=account.id,
        )


def held_by(key: Caller, account: Caller) -> Caller:
    """A key in the hands of an account: it may what both may, and no more."""
    narrowed = key.entering()
    return replace(
        narrowed,
        tenant=account.tenant,
        team=narrowed.team or account.team,
        scopes=frozenset(),
        permissions=key.held & account.held,
        grants=account.grants,
    )
