"""The identity a request runs under."""

from __future__ import annotations

from dataclasses import dataclass, field

PEER_HEADER = "x-intellirouter-peer"
"""The header in which another role signs its call."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a key brings with it: a rate per minute, and budgets in US dollars by period (`hour`, `day`, `month`, `total`)."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budgets: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `tenant` separates data (caches, conversations, collections): one tenant never sees another's.

    `models` is what the key may use (empty: everything); `role` is set when another role of ours calls. `quota`
    is the key's own; `priority` orders waiting requests, higher first.
    """

    key_id: str = "anonymous"
    tenant: str = "default"
    team: str | None = None
    scopes: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    role: str | None = None
    quota: Quota | None = None
    priority: int = 0
    metadata: dict[str, str] = field(default_factory=dict)

    def may(self, scope: str) -> bool:
        """True when the key carries `scope` or `admin`."""
        return scope in self.scopes or "admin" in self.scopes


ANONYMOUS = Caller(scopes=frozenset({"inference", "chains", "personas"}))
"""The caller when authentication is off: the node's work is open to it, personas and chains included; its administration is not."""
