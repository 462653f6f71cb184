"""What tokens cost."""

from __future__ import annotations

from intellirouter.chat.response import Usage
from intellirouter.config.schema.model_registry import Price


def cost_usd(usage: Usage, price: Price) -> float:
    """US dollars for `usage`. Cached and cache-write tokens are parts of the input, priced at their own rates."""
    cached = usage.cached_tokens or 0
    written = usage.cache_write_tokens or 0
    plain = max(0, usage.input_tokens - cached - written)
    cached_rate = price.input if price.cached is None else price.cached
    write_rate = price.input if price.cache_write is None else price.cache_write
    total = (
        plain * price.input + cached * cached_rate + written * write_rate + usage.output_tokens * price.output
    )
    return total / 1e6
