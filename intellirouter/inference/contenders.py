"""The targets of one decision as what decides sees them: where each stands by price, who can serve, who is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import msgspec

from intellirouter.config.schema.model_registry import Price
from intellirouter.inference.catalog_entries import Candidate
from intellirouter.inference.learning.decision import Decision
from intellirouter.inference.selection.cost import expected_cost
from intellirouter.inference.selection.option import Facts, Option


def ratings_of(candidates: Sequence[Candidate]) -> Mapping[str, float]:
    """Where each stands between the cheapest and the dearest, 0 to 1, by rank; the middle where no price is known."""
    return _ratings(
        tuple(
            [
                (one.id, None if one.price is None else one.price.input + one.price.output)
                for one in candidates
            ]
        )
    )


@lru_cache(1_024)
def _ratings(prices: tuple[tuple[str, float | None], ...]) -> Mapping[str, float]:
    """The same for names and prices; every request of a group asks it anew."""
    ranked = sorted({price for _, price in prices if price is not None})
    if len(ranked) < 2:
        return MappingProxyType(dict.fromkeys((name for name, _ in prices), 0.5))
    step = 1 / (len(ranked) - 1)
    return MappingProxyType(
        {name: 0.0 if price is None else ranked.index(price) * step for name, price in prices}
    )


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


def can(candidate: Candidate, needs: frozenset[str]) -> bool:
    """Whether a target is known to lack nothing the request needs."""
    return not candidate.capabilities or needs <= candidate.capabilities


def cost(option: Option, facts: Facts, price: Price | None, fresh: float = 1.0) -> float | None:
    """US dollars for the request, None where nobody knows. Of the prompt only the share `fresh` is not in the target's cache."""
    whole = expected_cost(option, facts)
    if whole == float("inf"):
        return None
    if fresh >= 1 or price is None or price.cached is None:
        return whole
    saved = facts.input_tokens * (1 - fresh) * (price.input - price.cached) / 1e6
    return max(0.0, whole - saved)
