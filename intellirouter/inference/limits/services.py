"""What is asked of a service that is no provider's model, and costs: taken before, settled after, as of a model.

Limits and budgets of key, team and model hold, and the ledger has it under the model's name. What it cost is told by the price
and by what was sent, as such services tell little of it themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from intellirouter.chat.response import Usage
from intellirouter.config.schema.rag import RerankPrice
from intellirouter.inference.cost import plain_usd
from intellirouter.inference.limits.governor import Governor
from intellirouter.security.caller import Caller


@dataclass(slots=True)
class Used:
    """What one request used: the tokens that were sent, or None where nothing was."""

    tokens: int | None


class Metered:
    """One service. Without a price it costs what `[budgets] unknown_price` says."""

    def __init__(self, governor: Governor, price: RerankPrice | None) -> None:
        self._governor, self._price = governor, price

    @contextlib.asynccontextmanager
    async def asked(self, caller: Caller, model: str, tokens: int) -> AsyncIterator[Used]:
        """A request of so many tokens, while the context is open. Raises `RateLimited`, `BudgetExceeded`, `StateUnavailable`."""
        grant = await self._governor.charge(caller, model, tokens, self._usd(tokens))
        used = Used(tokens)
        try:
            yield used
        finally:  # also where its answer never came: it was sent
            if used.tokens is None:
                self._governor.settle(grant, None, None, model)
            else:
                usage = Usage(input_tokens=used.tokens, estimated=True)
                self._governor.settle(grant, usage, self._usd(used.tokens), model)

    def _usd(self, tokens: int) -> float | None:
        if self._price is not None:
            return self._price.request + tokens * self._price.input / 1e6
        unknown = self._governor.unknown_price
        return None if unknown is None else plain_usd(tokens, 0, unknown)
