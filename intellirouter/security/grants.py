"""What somebody's roles let them do, and on what: rules that hold together, and the caller they make of it.

A rule names permissions and patterns of resources. A request is let in where one rule has its permission, and every resource
that it names matches that rule. What is used on the way counts as well: who asks a model and names a collection needs the
collection from a rule with `documents:search`, a persona from one with `personas:use`, a tool from one with `tools:use`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

import msgspec

from intellirouter.security.fence import Fence, literal

Patterns = tuple[str, ...]
"""Names that may hold `*`; empty: everything."""
NOTHING: Patterns = ("",)
"""Matches no name."""
KINDS = ("models", "collections", "chains", "personas", "tools")
"""The kinds of resources that a rule may name."""
_AREAS = {
    "models": ("inference:",),
    "collections": ("collections:", "documents:"),
    "chains": ("chains:", "schedules:", "runs:", "hooks:"),
    "personas": ("personas:",),
    "tools": ("tools:",),
}
_USED_BY = {
    "models": ("inference:chat", "chains:start"),
    "collections": ("documents:search",),
    "chains": ("chains:start",),
    "personas": ("personas:use",),
    "tools": ("tools:use",),
}
"""By kind: permissions whose own resources these are, and those that let one use them on the way."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule lets, on what. `tenants`: for whom it holds at all."""

    permissions: frozenset[str]
    models: Patterns = ()
    collections: Patterns = ()
    chains: Patterns = ()
    personas: Patterns = ()
    tools: Patterns = ()
    tenants: Patterns = ()

    @property
    def bare(self) -> bool:
        """True when it holds for every resource."""
        return not any(getattr(self, kind) for kind in KINDS)

    def holds_for(self, tenant: str) -> bool:
        """Whether it says anything of somebody of that tenant."""
        return not self.tenants or any_matches(tenant, self.tenants)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one entrance leaves of each kind."""

    models: Patterns = ()
    collections: Patterns = ()
    chains: Patterns = ()
    personas: Patterns = ()
    tools: Patterns = ()

    def fenced(self, fence: Fence | None) -> Fence | None:
        """The fence, with these in it."""
        if not (self.collections or self.chains or self.personas or self.tools):
            return fence
        old = fence if fence is not None else Fence()
        return Fence(
            endpoints=old.endpoints,
            addresses=old.addresses,
            max_parallel=old.max_parallel,
            collections=both(old.collections, self.collections),
            chains=both(old.chains, self.chains),
            personas=both(old.personas, self.personas),
            tools=both(old.tools, self.tools),
        )


class Grants(msgspec.Struct, frozen=True, dict=True):
    """The rules of somebody whose rules name resources; who has none such needs no grants."""

    rules: tuple[Rule, ...]

    def limits(self, permission: str = "") -> Limits:
        """What is left when entering by a permission; without one, what work done later is left."""
        known: dict[str, Limits] = self.__dict__.setdefault("limits_by_permission", {})
        found = known.get(permission)
        if found is None:  # as many as there are permissions
            found = known[permission] = Limits(**{kind: self._patterns(kind, permission) for kind in KINDS})
        return found

    def _patterns(self, kind: str, permission: str) -> Patterns:
        own = permission.startswith(_AREAS[kind])
        wanted = (permission,) if own else _USED_BY[kind]
        found: dict[str, None] = {}
        for rule in self.rules:
            if rule.permissions.isdisjoint(wanted):
                continue
            patterns: Patterns = getattr(rule, kind)
            if not patterns:
                return ()
            found.update(dict.fromkeys(patterns))
        return tuple(found) or NOTHING


def grants_of(rules: Iterable[Rule]) -> tuple[frozenset[str], Grants | None]:
    """The permissions of some rules, and what they say of resources; None where they say nothing."""
    listed = tuple(rules)
    permissions = frozenset[str]().union(*(rule.permissions for rule in listed))
    bare = frozenset[str]().union(*(rule.permissions for rule in listed if rule.bare))
    used = {name for names in _USED_BY.values() for name in names}
    if bare == permissions and used <= bare:
        return permissions, None
    return permissions, Grants(listed)


def concerns(permission: str, kind: str) -> bool:
    """Whether what a rule says of this kind of resource bounds what the permission lets."""
    return permission.startswith(_AREAS[kind]) or permission in _USED_BY[kind]


def any_matches(name: str, patterns: Patterns) -> bool:
    """Whether a name matches one of the patterns."""
    return any(name == pattern or fnmatchcase(name, literal(pattern)) for pattern in patterns)


def both(one: Patterns, other: Patterns) -> Patterns:
    """Patterns of what matches one of each list. Of two with `*` that overlap only in part nothing is left: rather too little."""
    if not one or not other:
        return one or other
    found = [a for a in one if any_matches(a, other)] + [b for b in other if any_matches(b, one)]
    return tuple(dict.fromkeys(found)) or NOTHING


RESOURCES = tuple(one.name for one in fields(Rule) if one.name != "permissions")
"""What a rule of a policy may name besides its permissions."""
