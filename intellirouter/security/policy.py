"""Roles: the built-in ones, and those of `[auth] policy_file` (YAML, or TOML by its ending).

    roles:
      support:
        description: answers customers from the manuals
        inherits: [viewer]
        permissions: [inference:chat, documents:search, personas:use]
        models: ["small*"]
        collections: [manuals]
      lab:
        rules:
          - permissions: ["inference:*"]
          - permissions: ["chains:*", "runs:*"]
            chains: ["lab-*"]
    bindings:
      - role: support
        teams: [helpdesk]

A role may name `permissions` and resources itself, or list `rules` that each do. A policy's role of a built-in name takes its
place, but `admin` stays what it is.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intellirouter.bounds import yamls
from intellirouter.errors import ConfigError, IntelliRouterError
from intellirouter.security.grants import RESOURCES, Grants, Rule, grants_of
from intellirouter.security.permissions import PERMISSION, ROLES, SIGNED_IN, matching, of_role

MAX_ROLES = 10_000
MAX_BYTES = 4_000_000
MAX_PATTERNS = 200
"""Names that one rule may list of a kind: they go along with calls between nodes."""
_KNOWN_AT_TOP = ("roles", "bindings")
_OF_ROLE = ("description", "inherits", "permissions", "rules", *RESOURCES)
_OF_RULE = ("permissions", *RESOURCES)
_OF_BINDING = ("role", "users", "teams", "tenants")
_EVERYONE: frozenset[str] = frozenset({SIGNED_IN})


@dataclass(frozen=True, slots=True)
class Role:
    """A role: what it lets, its own and what it inherits."""

    name: str
    description: str = ""
    rules: tuple[Rule, ...] = ()
    built_in: bool = False

    @property
    def permissions(self) -> frozenset[str]:
        """Everything that it lets, on whatever."""
        return frozenset[str]().union(*(rule.permissions for rule in self.rules))


@dataclass(frozen=True, slots=True)
class Policy:
    """Every role there is, and who has some by the policy itself: user, team or tenant to roles."""

    roles: Mapping[str, Role]
    users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    teams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tenants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def bound(self, user: str, teams: Iterable[str], tenant: str) -> tuple[str, ...]:
        """The roles that the bindings give."""
        found = [*self.users.get(user, ()), *self.tenants.get(tenant, ())]
        for team in teams:
            found += self.teams.get(team, ())
        return tuple(dict.fromkeys(found))

    def granted(self, roles: Iterable[str], tenant: str) -> tuple[frozenset[str], Grants | None]:
        """What these roles let somebody of the tenant. A role that is not there lets nothing."""
        rules = [
            rule
            for name in roles
            if (role := self.roles.get(name)) is not None
            for rule in role.rules
            if rule.holds_for(tenant)
        ]
        permissions, grants = grants_of(rules)
        return permissions | _EVERYONE, grants


def _built_in() -> dict[str, Role]:
    return {
        name: Role(name, text, (Rule(of_role(name) or frozenset()),), built_in=True)
        for name, text in ROLES.items()
    }


BUILT_IN = Policy(_built_in())
"""What holds without a policy file."""


def read_policy(file: Path | None) -> Policy:
    """The policy of a file; without one, the built-in roles. Raises `ConfigError` that names every mistake."""
    if file is None:
        return BUILT_IN
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"auth.policy_file: {file} is larger than {MAX_BYTES:,} bytes.")
        text = data.decode()
        document = tomllib.loads(text) if file.suffix == ".toml" else yamls.read(text, _scalar).data
    except OSError as cause:
        raise ConfigError(f"auth.policy_file: {file} cannot be read ({cause.strerror}).") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise ConfigError(f"auth.policy_file: {file}: {cause}.") from cause
    except IntelliRouterError as cause:
        raise ConfigError(f"auth.policy_file: {file}: {cause.message}") from cause
    try:
        return policy_of(document if document is not None else {})
    except ConfigError as error:
        raise ConfigError(f"auth.policy_file: {file}: {error.message}") from error


def _scalar(text: str, plain: bool) -> object:
    return None if plain and text in ("", "~", "null") else text


def policy_of(document: Any) -> Policy:
    """The policy of a document that was read. Raises `ConfigError` that names every mistake."""
    reader = _Reader()
    policy = reader.policy(document)
    if reader.problems:
        raise ConfigError(" ".join(reader.problems[:20]))
    return policy


def no_role(name: str, policy: Policy) -> str:
    """What to say of a role that is not there."""
    return f"there is no role '{name[:60]}'. Roles: {', '.join(list(policy.roles)[:40])}."


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, PERMISSION, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


class _Reader:
    """Reads on after a mistake, so that all are told at once."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def policy(self, document: Any) -> Policy:
        whole = self._table(document, "the policy", _KNOWN_AT_TOP)
        given = self._table(whole.get("roles") or {}, "roles", None)
        if len(given) > MAX_ROLES:
            self.problems.append(f"there are more than {MAX_ROLES:,} roles.")
            return BUILT_IN
        if "admin" in given:
            self.problems.append("roles.admin: the role 'admin' holds everything and cannot be changed.")
        bodies = {name: self._table(body, f"roles.{name}", _OF_ROLE) for name, body in given.items()}
        roles = dict(BUILT_IN.roles)
        for name in bodies:
            self._role(name, bodies, roles, ())
        bound: dict[str, dict[str, tuple[str, ...]]] = {"users": {}, "teams": {}, "tenants": {}}
        for index, body in enumerate(self._list(whole.get("bindings"), "bindings")):
            self._binding(f"bindings[{index}]", body, roles, bound)
        return Policy(roles, **bound)

    def _role(
        self,
        name: str,
        bodies: Mapping[str, Mapping[str, Any]],
        roles: dict[str, Role],
        above: tuple[str, ...],
    ) -> Role | None:
        where = f"roles.{name}"
        done = roles.get(name)
        if name not in bodies or (done is not None and not done.built_in):
            return done
        if name in above:
            self.problems.append(f"{where}: inherits itself ({' → '.join((*above, name))}).")
            return None
        body = bodies[name]
        rules: list[Rule] = []
        for other in self._words(body.get("inherits"), f"{where}.inherits"):
            # a role that takes a built-in one's place may inherit that one
            found = (
                BUILT_IN.roles.get(other)
                if other == name
                else self._role(other, bodies, roles, (*above, name))
            )
            if found is None:
                if not any("inherits itself" in problem for problem in self.problems):
                    self.problems.append(f"{where}.inherits: there is no role '{other[:60]}'.")
                continue
            rules += found.rules
        own = {key: body[key] for key in _OF_RULE if key in body}
        if own:
            rules.append(self._rule(where, own))
        for index, each in enumerate(self._list(body.get("rules"), f"{where}.rules")):
            rules.append(
                self._rule(f"{where}.rules[{index}]", self._table(each, f"{where}.rules[{index}]", _OF_RULE))
            )
        roles[name] = Role(name, str(body.get("description") or ""), tuple(rules))
        return roles[name]

    def _rule(self, where: str, body: Mapping[str, Any]) -> Rule:
        if not body.get("permissions"):
            self.problems.append(f"{where}: names no permissions.")
        permissions: frozenset[str] = frozenset()
        for pattern in self._words(body.get("permissions"), f"{where}.permissions"):
            found = matching([pattern])
            if not found:
                self.problems.append(
                    f"{where}.permissions: there is no permission '{pattern[:60]}'{_nearest(pattern)}."
                )
            permissions |= found
        resources: dict[str, tuple[str, ...]] = {}
        for kind in RESOURCES:
            if kind not in body:
                continue
            resources[kind] = self._words(body[kind], f"{where}.{kind}")
            if not resources[kind]:
                self.problems.append(f"{where}.{kind}: is empty: leave it out for all, or name some.")
            if len(resources[kind]) > MAX_PATTERNS:
                self.problems.append(f"{where}.{kind}: names more than {MAX_PATTERNS}.")
        return Rule(permissions, **resources)

    def _binding(
        self,
        where: str,
        body: Any,
        roles: Mapping[str, Role],
        bound: dict[str, dict[str, tuple[str, ...]]],
    ) -> None:
        table = self._table(body, where, _OF_BINDING)
        role = table.get("role")
        if role not in roles:
            self.problems.append(f"{where}.role: there is no role '{str(role)[:60]}'.")
            return
        if not any(table.get(kind) for kind in bound):
            self.problems.append(f"{where}: names no users, teams or tenants.")
        for kind, known in bound.items():
            for name in self._words(table.get(kind), f"{where}.{kind}"):
                known[name] = (*known.get(name, ()), str(role))

    def _table(self, value: Any, where: str, known: tuple[str, ...] | None) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.problems.append(f"{where}: is to be a table of names.")
            return {}
        for name in value:
            if known is not None and name not in known:
                self.problems.append(f"{where}: has no '{str(name)[:60]}' (known: {', '.join(known)}).")
        return value

    def _list(self, value: Any, where: str) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            self.problems.append(f"{where}: is to be a list.")
            return []
        return value

    def _words(self, value: Any, where: str) -> tuple[str, ...]:
        words = self._list([value] if isinstance(value, str) else value, where)
        if not all(isinstance(word, str) and word for word in words):
            self.problems.append(f"{where}: is to be a list of names.")
            return ()
        return tuple(words)
