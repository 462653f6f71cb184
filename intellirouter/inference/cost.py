"""What tokens cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from intellirouter.chat.response import Usage
from intellirouter.config.schema.model_registry import Price

WRITE_5M, WRITE_1H = 1.25, 2.0
"""Of the input rate, for what is written into a prompt cache, where no rate of its own is known. Source: Anthropic's
price list, the only vendor that charges for writes and keeps them for one of two times."""


class Priced(Protocol):
    """What has the rates of a `Price`."""

    @property
    def input(self) -> float:
        """See `Price`."""

    @property
    def output(self) -> float:
        """See `Price`."""

    @property
    def cached(self) -> float | None:
        """See `Price`."""

    @property
    def cache_write(self) -> float | None:
        """See `Price`."""

    @property
    def cache_write_1h(self) -> float | None:
        """See `Price`."""


class Rates(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A `Price`, to be kept with what was asked."""

    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None


def rates_of(prices: Iterable[Price | None]) -> tuple[Rates, ...]:
    """The known ones, each once."""
    told = (
        Rates(one.input, one.output, one.cached, one.cache_write, one.cache_write_1h)
        for one in prices
        if one is not None
    )
    return tuple(dict.fromkeys(told))


def cost_usd(usage: Usage, price: Priced) -> float:
    """US dollars for `usage`. Cached and cache-write tokens are parts of the input, priced at their own rates."""
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    plain = max(0, usage.input_tokens - cached - written)
    total = plain * price.input + usage.output_tokens * price.output
    if cached:
        total += cached * (price.input if price.cached is None else price.cached)
    if written:
        total += _written(written, min(written, usage.cache_write_1h_tokens or 0), price)
    return total / 1e6


def plain_usd(read: int, written: int, price: Price) -> float:
    """US dollars for so many tokens, none of which is in a cache."""
    return (read * price.input + written * price.output) / 1e6


def _written(tokens: int, for_an_hour: int, price: Priced) -> float:
    short = price.input * WRITE_5M if price.cache_write is None else price.cache_write
    long = price.input * WRITE_1H if price.cache_write_1h is None else price.cache_write_1h
    return (tokens - for_an_hour) * short + for_an_hour * long
