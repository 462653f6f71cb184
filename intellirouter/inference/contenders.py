"""The targets of one decision as what decides sees them: where each stands by price, who can serve, who is named."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from intellirouter.config.schema.model_registry import Price
from intellirouter.inference.catalog_entries import Candidate
from intellirouter.inference.learning.decision import Decision
from intellirouter.inference.selection.cost import expected_cost
from intellirouter.inference.selection.option import Facts, Option


def ratings_of(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Where each stands between the cheapest and the dearest, 0 to 1, by rank; the middle where no price is known."""
    prices = {one.id: one.price.input + one.price.output for one in candidates if one.price is not None}
    ranked = sorted(set(prices.values()))
    if len(ranked) < 2:
        return dict.fromkeys((one.id for one in candidates), 0.5)
    step = 1 / (len(ranked) - 1)
    return {one.id: ranked.index(prices[one.id]) * step if one.id in prices else 0.0 for one in candidates}


def led(
    decision: Decision, candidates: Sequence[Candidate], targets: tuple[str, ...], reason: str
) -> Decision:
    """The decision with the named targets first, where one of them can serve."""
    first = [
        place
        for target in targets
        for place in decision.order
        if target == candidates[place].id or target in candidates[place].tags
    ]
    if not first:
        return decision
    order = dict.fromkeys((*first, *decision.order))
    return msgspec.structs.replace(
        decision, order=tuple(order), reason=reason, propensity=1.0, confidence=1.0
    )


def can(candidate: Candidate, needs: object) -> bool:
    """Whether a target is known to lack nothing the request needs."""
    known = candidate.capabilities
    return not known or all(
        name in known
        for name in ("vision", "tools", "json_schema", "audio", "pdf")
        if getattr(needs, name, False) and (name != "audio" or "audio" in known)
    )


def cost(option: Option, facts: Facts, price: Price | None, fresh: float = 1.0) -> float | None:
    """US dollars for the request, None where nobody knows. Of the prompt only the share `fresh` is not in the target's cache."""
    whole = expected_cost(option, facts)
    if whole == float("inf"):
        return None
    if fresh >= 1 or price is None or price.cached is None:
        return whole
    saved = facts.input_tokens * (1 - fresh) * (price.input - price.cached) / 1e6
    return max(0.0, whole - saved)
