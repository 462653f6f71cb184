"""The identity a request runs under, carried whole from the front to whatever is done for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from intellirouter.security.fence import NO_FENCE, Fence
from intellirouter.security.grants import Grants, any_matches, both
from intellirouter.security.permissions import of_scopes

Reach = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Tenant, models, scopes or permissions, and what its fence names: see `Caller.reach`."""
PEER_HEADER = "x-intellirouter-peer"
"""The header in which another role signs its call."""
HANDED_HEADER = "x-intellirouter-handed-on"
"""Beside it: what somebody asked of the Router goes on as it is, so that it is no errand of the Router's own."""
NOBODY = "anonymous"
"""The key id of everybody on a node without keys."""
OPERATOR_REF = "operator"
"""The ref of whoever came by the node's own terminal (a setup link)."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a key brings with it: a rate per minute, and budgets in US dollars by period (`hour`, `day`, `month`, `total`)."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budgets: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose something stored is. Kept with it in place of what the key may, which is asked anew each time it acts (`Authority`).

    `ref` names the key's record for good, `key_id` is its name for people. Work stored before there were refs has an empty one.
    """

    tenant: str
    key_id: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `tenant` separates data (caches, conversations, collections): one tenant never sees another's.

    `scopes` are a key's, which stand for permissions; `permissions` are those of somebody with roles, in their place. `grants` are
    the rules of those roles that name resources: whoever enters by a permission is left what they say of it (`entering`).
    `models` is what the caller may use, `*` for anything (empty: everything), `fence` where. `quota` is the key's own; `priority` orders waiting requests,
    higher first. `ref` is the record that vouches for the caller. `via` are the roles of the node that asks on its behalf;
    empty: it asks itself. `record` is how much of the content of its requests may be
    kept at most; None: as much as the configuration says.
    """

    key_id: str = NOBODY
    tenant: str = "default"
    team: str | None = None
    scopes: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    quota: Quota | None = None
    priority: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    fence: Fence | None = None
    ref: str = ""
    via: frozenset[str] = frozenset()
    record: Literal["off", "errors", "all"] | None = None
    permissions: frozenset[str] | None = None
    grants: Grants | None = None
    entered: dict[str, Caller] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What `entering` found, by permission: as many as there are. A copy that differs begins with none."""

    @property
    def held(self) -> frozenset[str]:
        """Every permission it has (`security/permissions.py`)."""
        return self.permissions if self.permissions is not None else of_scopes(self.scopes)

    def may(self, permission: str) -> bool:
        """True when it has the permission."""
        return permission in self.held

    def entering(self, permission: str = "") -> Caller:
        """Itself, with what its roles leave of models, collections and the rest for who enters by this permission.

        Without one: for work that is done later, in its name.
        """
        if self.grants is None:
            return self
        found = self.entered.get(permission)
        if found is None:
            limits = self.grants.limits(permission)
            models, fence = both(self.models, limits.models), limits.fenced(self.fence)
            found = self.entered[permission] = replace(self, models=models, fence=fence, grants=None)
        return found

    def may_use(self, *names: str) -> bool:
        """True when it may use a model that has any of these names."""
        return not self.models or any(name in self.models for name in names) or self._matches(names)

    def _matches(self, names: tuple[str, ...]) -> bool:
        patterns = tuple(one for one in self.models if "*" in one)
        return bool(patterns) and any(any_matches(name, patterns) for name in names)

    @property
    def is_operator(self) -> bool:
        """True for whoever runs the node: on one without keys that is everybody."""
        return self.ref in (NOBODY, OPERATOR_REF)

    def may_use_collection(self, name: str) -> bool:
        """True when the key may use the collection of that name."""
        return self.fence is None or self.fence.allows("collections", name)

    def may_use_chain(self, name: str) -> bool:
        """True when it may use the chain of that name."""
        return self.fence is None or self.fence.allows("chains", name)

    def may_use_persona(self, name: str) -> bool:
        """True when it may use the persona of that name."""
        return self.fence is None or self.fence.allows("personas", name)

    def may_use_tool(self, name: str) -> bool:
        """True when it may have the node run the tool of that name."""
        return self.fence is None or self.fence.allows("tools", name)

    def owner(self) -> Owner:
        """What is kept with stored work of this caller."""
        return Owner(self.tenant, self.key_id, self.ref)

    def reach(self) -> Reach:
        """All that decides what the caller may be told: a value kept under it is given to nobody who may less."""
        fence = self.fence or NO_FENCE
        used = (("c", fence.collections), ("h", fence.chains), ("p", fence.personas), ("t", fence.tools))
        held = self.scopes if self.permissions is None else self.permissions
        fenced = tuple(f"{kind}:{name}" for kind, names in used for name in sorted(names))
        return self.tenant, tuple(sorted(self.models)), tuple(sorted(held)), fenced


OPERATOR = Caller(
    key_id="operator",
    scopes=frozenset({"admin", "inference", "chains", "personas"}),
    metadata={"by": "setup link"},
    ref=OPERATOR_REF,
)
"""The caller of a console session that a setup link began: who can read the node's terminal owns it anyway."""
ANONYMOUS = Caller(scopes=frozenset({"inference", "chains", "personas"}), ref=NOBODY)
"""The caller when authentication is off: the node's work is open to it, personas and chains included; its administration is not."""
