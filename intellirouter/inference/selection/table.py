"""Every strategy by name."""

from __future__ import annotations

import difflib

from intellirouter.errors import InvalidRequest
from intellirouter.inference.selection.consistent_hash import consistent_hash
from intellirouter.inference.selection.cost import cost_optimized
from intellirouter.inference.selection.fallback import fallback
from intellirouter.inference.selection.least_busy import least_busy
from intellirouter.inference.selection.lowest_latency import lowest_latency
from intellirouter.inference.selection.option import Strategy
from intellirouter.inference.selection.round_robin import round_robin
from intellirouter.inference.selection.rules import rules
from intellirouter.inference.selection.split import split
from intellirouter.inference.selection.usage import usage
from intellirouter.inference.selection.weighted import weighted

LEARNED = "learned"
"""Outcomes decide."""

STRATEGIES: dict[str, Strategy] = {
    "fallback": fallback,
    "round-robin": round_robin,
    "weighted": weighted,
    "least-busy": least_busy,
    "lowest-latency": lowest_latency,
    "cost-optimized": cost_optimized,
    "usage": usage,
    "consistent-hash": consistent_hash,
    "rules": rules,
    "split": split,
    LEARNED: fallback,  # the order where nothing is learnt; `inference.learned` decides before it
}

READ_THE_REQUEST = frozenset({"cost-optimized", "consistent-hash", "rules", "split", LEARNED})
"""Strategies that look at the request; the others know all they need from the targets."""

KEEP_TOGETHER = frozenset({"consistent-hash", "split"})
"""Those that ask what a request belongs to."""

_OTHER_NAMES = {
    "fallback-order": "fallback",
    "priority": "fallback",
    "random": "weighted",
    "least-connections": "least-busy",
    "latency": "lowest-latency",
    "cost": "cost-optimized",
    "usage-based": "usage",
    "session": "consistent-hash",
    "content": "rules",
    "percentage": "split",
    "learning": LEARNED,
    "smart": LEARNED,
}


def strategy_name(given: str) -> str:
    """The table's name for what was written. Raises `InvalidRequest` with the nearest."""
    name = given.strip().lower().replace("_", "-")
    name = _OTHER_NAMES.get(name, name)
    if name in STRATEGIES:
        return name
    close = difflib.get_close_matches(name, [*STRATEGIES, *_OTHER_NAMES], n=1)
    advice = f"Did you mean '{close[0]}'?" if close else f"Strategies: {', '.join(STRATEGIES)}."
    raise InvalidRequest(f"There is no strategy '{given[:60]}'. {advice}", param="strategy")
