"""`cost-optimized`: the cheapest for this request."""

from __future__ import annotations

from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option


def expected_cost(option: Option, facts: Facts) -> float:
    """US dollars for the request as estimated; infinite when the price is not known."""
    if option.input_price is None or option.output_price is None:
        return float("inf")
    return (facts.input_tokens * option.input_price + facts.output_tokens * option.output_price) / 1e6


def cost_optimized(options: Sequence[Option], facts: Facts) -> list[int]:
    """By expected cost; what costs the same goes to the less busy; unknown prices come last."""
    costs = [expected_cost(option, facts) for option in options]
    return sorted(range(len(options)), key=lambda index: (costs[index], options[index].load))
