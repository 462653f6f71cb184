"""API keys of clients: known by their SHA-256 only, found in whichever header an SDK puts them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from intellirouter.config.schema.auth import AuthKey, AuthSection
from intellirouter.errors import AuthenticationFailed, KeyEnded
from intellirouter.security.authority import Standing, ended, unknown
from intellirouter.security.caller import ANONYMOUS, NOBODY, OPERATOR, Caller, Owner
from intellirouter.security.fence import NO_FENCE, Fence
from intellirouter.security.people import REF_PREFIXES, Directory, held_by
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


class KeysAwaited(AuthenticationFailed):
    """The issuer of a token is being asked for its keys: who can, waits for `settled` and asks again."""

    def __init__(self, settled: Callable[[], Awaitable[None]]) -> None:
        super().__init__("The keys of the token's issuer are not here yet: try again.")
        self.settled = settled


class TokenTaker(Protocol):
    """Knows people by the tokens they bring."""

    def caller(self, token: str) -> Caller:
        """Raises `AuthenticationFailed`, or `KeysAwaited` where the issuer is to be asked first."""

    def until(self, token: str) -> float:
        """When (Unix seconds) one ends that `caller` took."""

    def troubles(self) -> list[str]:
        """Issuers that could not be asked when they were last, and why."""


def looks_like_token(key: str) -> bool:
    """Whether it is written as a JSON Web Token: no key of ours has two dots and begins so."""
    return key.startswith("eyJ") and key.count(".") == 2


class KeyRing:
    """The keys of the configuration file, and the virtual ones made at run time: by hash, and by the ref of their record."""

    def __init__(
        self, section: AuthSection, policy: Policy = BUILT_IN, people: Directory | None = None
    ) -> None:
        self._virtual: Mapping[str, Standing] = {}
        self._composed: dict[str, Caller] = {}
        self._composed_at = -1
        self.people = people or Directory(policy)
        self.tokens: TokenTaker | None = None
        """Who takes tokens of people; None where nobody does."""
        self._records: Mapping[str, Standing] = {}
        self.configure(section, policy)

    def configure(self, section: AuthSection, policy: Policy) -> None:
        """Take these keys and these roles in place of the last ones."""
        self.enabled = section.enabled
        self.policy = policy
        self.people.configure(policy)
        self._callers = {key.sha256: _caller(key, policy) for key in section.keys}
        self._configured = {caller.ref: caller for caller in self._callers.values()}

    def has_configured(self, name: str) -> bool:
        """Whether the configuration has a key of this name."""
        return f"{CONFIGURED}{name}" in self._configured

    def tenants(self) -> frozenset[str]:
        """Of the keys of the configuration, and of made ones."""
        made = (record.caller for record in self._records.values())
        return frozenset(caller.tenant for caller in (*self._callers.values(), *made))

    def budgeted(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        """The made keys and the accounts that have budgets and are good now, by name, with these, by period."""
        now = time.time()
        for record in self._records.values():
            quota = record.caller.quota
            if quota is not None and quota.budgets and not record.refused(now):
                yield record.caller.key_id, dict(quota.budgets)
        yield from self.people.budgeted()

    def names(self) -> set[str]:
        """Of every key and of everybody who stands for one; of keys that ended too."""
        callers = (*self._callers.values(), *(one.caller for one in self._records.values()))
        return {NOBODY, *(caller.key_id for caller in callers), *self.people.labels()}

    def teams(self) -> set[str]:
        """That a key or somebody is in. Tokens of other issuers may name more."""
        callers = (*self._callers.values(), *(one.caller for one in self._records.values()))
        return {caller.team for caller in callers if caller.team} | self.people.teams()

    def tenants_of(self, team: str) -> set[str]:
        """Of the keys and of everybody in a team."""
        made = (record.caller for record in self._records.values() if not record.ended)
        keys = {caller.tenant for caller in (*self._callers.values(), *made) if caller.team == team}
        return keys | self.people.tenants_of(team)

    def take(self, by_hash: Mapping[str, Standing], by_ref: Mapping[str, Standing]) -> None:
        """Take these virtual keys in place of the last ones: every secret and every record, ended ones too."""
        self._virtual, self._records, self._composed_at = by_hash, by_ref, -1

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Who sent these headers. Raises `AuthenticationFailed`."""
        if not self.enabled:
            return ANONYMOUS
        key = presented_key(headers)
        if not key:
            raise AuthenticationFailed(
                "No API key: send it as 'Authorization: Bearer …', 'x-api-key' or 'x-goog-api-key'."
            )
        if self.tokens is not None and looks_like_token(key):
            return self.tokens.caller(key)
        digest = hash_key(key)
        caller = self._callers.get(digest)
        if caller is not None:
            return caller
        made = self._virtual.get(digest)
        if made is None:
            raise AuthenticationFailed("The API key is not known here.")
        if refused := made.refused(time.time()):
            raise AuthenticationFailed(f"The API key {refused}.")
        if not (made.owner or made.roles):
            return made.caller
        try:
            return self._with_people(made)
        except KeyEnded as error:
            raise AuthenticationFailed("The API key belongs to nobody who may use it.") from error

    def until(self, key: str) -> float | None:
        """When (Unix seconds) a token ends; None for a key, which is good for as long as the ring `takes` it."""
        taker, key = self.tokens, key.strip()
        return taker.until(key) if self.enabled and taker is not None and looks_like_token(key) else None

    def takes(self, sha256: str) -> bool:
        """Whether the key whose secret has this hash is good now."""
        made = self._virtual.get(sha256)
        known = sha256 in self._callers or (made is not None and not made.refused(time.time()))
        return known or not self.enabled

    def _with_people(self, made: Standing) -> Caller:
        """The caller of a key that has roles, or belongs to somebody. Raises `KeyEnded`."""
        if self._composed_at != self.people.changes:
            self._composed, self._composed_at = {}, self.people.changes
        found = self._composed.get(made.caller.ref)
        if found is None:
            found = made.caller
            if made.roles:
                permissions, grants = self.policy.granted(made.roles, found.tenant)
                found = replace(found, scopes=frozenset(), permissions=permissions, grants=grants)
            if made.owner:
                found = held_by(found, self._person(Owner(found.tenant, found.key_id, made.owner)))
            self._composed[made.caller.ref] = found  # as many as there are keys
        return found

    def _person(self, owner: Owner) -> Caller:
        standing = self.people.standing(owner.ref)
        if standing is None:
            raise unknown(owner)
        if standing.ended:
            raise ended(owner, standing.ended)
        return standing.caller

    def caller_of(self, owner: Owner) -> Caller:
        """The owner as it may act now. Raises `KeyEnded`, `UnknownKey` where this ring has no record of it."""
        if owner == OPERATOR.owner():
            return OPERATOR
        if not self.enabled:
            if owner.key_id == NOBODY and owner.tenant == ANONYMOUS.tenant:
                return ANONYMOUS
            raise unknown(owner)
        ref = owner.ref or f"{CONFIGURED}{owner.key_id}"
        if ref.startswith(REF_PREFIXES):
            person = self._person(owner)
            if person.tenant != owner.tenant:  # what was left in another tenant stays there
                raise unknown(owner)
            return person
        caller = self._configured.get(ref)
        if caller is None:
            caller = self._made(owner)
        if caller.tenant != owner.tenant:  # a new key of an old name is somebody else
            raise unknown(owner)
        return caller

    def named(self, name: str) -> Caller:
        """The caller of the key of this name. Raises `AuthenticationFailed` where there is none that is good now."""
        caller = self._configured.get(f"{CONFIGURED}{name}")
        if caller is not None:
            return caller
        now = time.time()
        for record in self._records.values():
            if record.caller.key_id == name and not record.refused(now):
                return record.caller
        raise AuthenticationFailed("The certificate stands for a key that is not good here any more.")

    def _made(self, owner: Owner) -> Caller:
        record = self._records.get(owner.ref)
        if record is None and not owner.ref:  # stored before there were refs: its name has to do
            named = [one for one in self._records.values() if one.caller.key_id == owner.key_id]
            record = max(named, key=lambda one: not one.ended, default=None)
        if record is None:
            raise unknown(owner)
        if refused := record.refused(time.time()):
            raise ended(owner, refused)
        return self._with_people(record) if record.owner or record.roles else record.caller


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
