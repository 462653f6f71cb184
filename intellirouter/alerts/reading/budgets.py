"""How far budgets are used up: what the governors of all nodes noted in the shared store."""

from __future__ import annotations

from intellirouter.alerts.sample import Sample
from intellirouter.inference.limits.thresholds import reached
from intellirouter.memory.store import StateStore


async def budgets(store: StateStore, now: float) -> list[Sample]:
    """Of those that reached a threshold in their period. Raises `StateUnavailable`."""
    return [
        Sample(
            "budget",
            float(one.percent),
            f"{one.who} {one.period}",
            note=f"${one.used:,.2f} of ${one.limit:,.2f}",
        )
        for one in await reached(store, now)
    ]
