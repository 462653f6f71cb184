"""Nobody gives what they do not hold: what somebody made would have beyond who makes them.

Compared are permissions, and for each of them the patterns of models, collections, chains, personas and tools it comes with.
"""

from __future__ import annotations

from collections.abc import Iterable

from intellirouter.security.caller import Caller
from intellirouter.security.fence import NO_FENCE
from intellirouter.security.grants import KINDS, NOTHING, Patterns, any_matches, concerns, grants_of
from intellirouter.security.permissions import EVERYTHING
from intellirouter.security.policy import Policy


def of_role(name: str, policy: Policy) -> Caller:
    """Whoever has this role and no other, whatever their tenant. A role that is not there lets nothing."""
    role = policy.roles.get(name)
    permissions, grants = grants_of(() if role is None else role.rules)
    return Caller(permissions=permissions, grants=grants)


def foreign(tenant: str, giver: Caller) -> bool:
    """Whether what would be given there is another tenant's: what somebody holds, they hold in their own, unless they hold everything."""
    return tenant != giver.tenant and not giver.held >= EVERYTHING


def exceeding(made: Caller, giver: Caller) -> str:
    """The permission that `made` would have and `giver` has not, or has on less; empty where there is none."""
    if beyond := made.held - giver.held:
        return min(beyond)
    for permission in sorted(made.held):
        for kind in (one for one in KINDS if concerns(permission, one)):
            if not _within(_named(made, permission, kind), _named(giver, permission, kind)):
                return f"{permission} on other {kind}"
    return ""


def _named(caller: Caller, permission: str, kind: str) -> Patterns:
    entered = caller.entering(permission)
    found: Patterns = entered.models if kind == "models" else getattr(entered.fence or NO_FENCE, kind)
    return found


def _within(asked: Patterns, held: Patterns) -> bool:
    """Whether all that the first match is matched by the second. A `*` of the first can only be met by one of the second."""
    if not held or asked == NOTHING:
        return True
    return bool(asked) and _all_match(asked, held)


def _all_match(asked: Iterable[str], held: Patterns) -> bool:
    return all(any_matches(pattern, held) for pattern in asked)
