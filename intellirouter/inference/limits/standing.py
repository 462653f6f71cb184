"""How budgets stand: what of each is used in its present period."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from intellirouter.config.schema.limits import BudgetsSection
from intellirouter.inference.limits.terms import counter_of, periods_of

MOST = 1_000
"""Budgets that are told of."""


class Standing(msgspec.Struct, kw_only=True):
    """One budget of a `kind` (key, team, tag, user). `tenant` is whose tag or user it is. US dollars; `resets_in` seconds, None: never, or with the month."""

    kind: str
    name: str
    tenant: str | None
    period: str
    limit: float
    used: float = 0.0
    resets_in: float | None = None


Own = Iterable[tuple[str, Mapping[str, float]]]
"""What keys and accounts bring with them: by name, US dollars by period."""


def listed(budgets: BudgetsSection, tenants: Iterable[str], own: Own) -> Iterator[tuple[str, Standing]]:
    """Every budget with the name of its counter. Of a key, what the configuration says holds before its own."""
    for kind, named in (("key", budgets.keys), ("team", budgets.teams)):
        for name, budget in named.items():
            for period, limit in periods_of(budget):
                counter = f"budget:{kind}:{name}:{counter_of(period)}"
                yield counter, Standing(kind=kind, name=name, tenant=None, period=period, limit=limit)
    for tenant in sorted(tenants):
        for kind, named in (("tag", budgets.tags), ("user", budgets.users)):
            for name, budget in named.items():
                for period, limit in periods_of(budget):
                    counter = f"budget:{tenant}:{kind}:{name}:{counter_of(period)}"
                    yield counter, Standing(kind=kind, name=name, tenant=tenant, period=period, limit=limit)
    for name, periods in own:
        for period, limit in periods.items() if name not in budgets.keys else ():
            counter = f"budget:key:{name}:{counter_of(period)}"
            yield counter, Standing(kind="key", name=name, tenant=None, period=period, limit=limit)
