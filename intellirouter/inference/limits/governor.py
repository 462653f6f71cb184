"""The governor: takes what a request may use before it runs, settles what it used after.

A request takes one from every request rate, an estimate of tokens from every token rate, and an estimate of dollars from
every budget that concerns it: its key's, its team's, its model's. All or none is taken. Settled is the difference; a
request that failed gets everything back but its place in the request rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import structlog

from intellirouter.chat.response import Usage
from intellirouter.chat.tokens import estimate_tokens
from intellirouter.config.schema.limits import Budget, BudgetsSection, LimitsSection, Rate
from intellirouter.errors import BudgetExceeded, RateLimited, StateError
from intellirouter.inference.background import background
from intellirouter.inference.catalog import ModelEntry
from intellirouter.inference.cost import cost_usd
from intellirouter.inference.job import Job
from intellirouter.inference.limits.ledger import Ledger
from intellirouter.inference.limits.purse import Purse
from intellirouter.inference.provider import Provider
from intellirouter.memory.store import StateStore
from intellirouter.security.caller import Caller

MINUTE = 60.0
PERIODS = {"hour": 3600.0, "day": 86_400.0, "month": 0.0, "total": 0.0}
MAX_PURSES = 50_000
FIRST_GUESS = 256
"""Tokens an answer is guessed to be long before any of its model was seen."""
SMOOTHING = 0.2

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Grant:
    """What was taken for one request."""

    caller: Caller
    model: str
    tokens: float = 0.0
    usd: float = 0.0
    token_purses: list[Purse] = field(default_factory=list)
    budget_purses: list[Purse] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    settled: bool = False


class Governor:
    """One per process."""

    def __init__(
        self, store: StateStore, ledger: Ledger, limits: LimitsSection, budgets: BudgetsSection
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._purses: OrderedDict[str, Purse] = OrderedDict()
        self._lengths: dict[str, float] = {}
        self.configure(limits, budgets)

    def configure(self, limits: LimitsSection, budgets: BudgetsSection) -> None:
        """Take these limits in place of the last ones."""
        self._limits = limits
        self._budgets = budgets
        rates = (limits.each_key, *limits.keys.values(), *limits.teams.values(), *limits.models.values())
        self._anything = any(rate != Rate() for rate in rates) or bool(budgets.keys or budgets.teams)

    async def admit(self, job: Job, entry: ModelEntry) -> Grant:
        """Take what the request may use. Raises `RateLimited`, `BudgetExceeded`, `StateUnavailable`."""
        caller = job.caller
        grant = Grant(caller, entry.name)
        if not self._anything and caller.quota is None:
            return grant
        asked = job.request.max_tokens or self._lengths.get(entry.name, FIRST_GUESS)
        read = estimate_tokens(job.request)
        grant.tokens = read + asked
        price = entry.candidates[0].price if entry.candidates else None
        if price is not None:
            grant.usd = cost_usd(Usage(input_tokens=read, output_tokens=int(asked)), price)
        taken: list[tuple[Purse, float]] = []
        try:
            await self._take_all(grant, taken)
        except BaseException:
            for purse, amount in taken:
                purse.give_back(amount)
            raise
        return grant

    async def outbound(self, provider: Provider) -> float | None:
        """Count a request to a provider; the seconds to wait when its configured limits are used up."""
        name = f"rate:provider:{provider.name}"
        if provider.tokens_per_minute is not None:
            tokens = self._purse(f"{name}:tokens", provider.tokens_per_minute, MINUTE, whole=True)
            if (wait := await tokens.take(1.0)) is not None:
                return wait
        if provider.requests_per_minute is not None:
            requests = self._purse(f"{name}:requests", provider.requests_per_minute, MINUTE, whole=True)
            return await requests.take(1.0)
        return None

    def outbound_used(self, provider: Provider, usage: Usage) -> None:
        """The tokens a provider's answer used: known only after, so the next request pays for what this one was over."""
        if provider.tokens_per_minute is not None:
            name = f"rate:provider:{provider.name}:tokens"
            purse = self._purse(name, provider.tokens_per_minute, MINUTE, whole=True)
            purse.give_back(1.0 - usage.total_tokens)

    async def _take_all(self, grant: Grant, taken: list[tuple[Purse, float]]) -> None:
        for who, rate in self._rates(grant.caller, grant.model):
            if rate.requests_per_minute is not None:
                purse = self._purse(f"rate:{who}:requests", rate.requests_per_minute, MINUTE, whole=True)
                await self._take_rate(purse, 1.0, grant, taken, "requests", who)
            if rate.tokens_per_minute is not None:
                purse = self._purse(f"rate:{who}:tokens", rate.tokens_per_minute, MINUTE, whole=True)
                grant.token_purses.append(purse)
                await self._take_rate(purse, grant.tokens, grant, taken, "tokens", who)
        for who, period, limit in self._budgets_of(grant.caller):
            purse = self._purse(
                f"budget:{who}:{period}", limit, PERIODS[period.partition(":")[0]], whole=False
            )
            grant.budget_purses.append(purse)
            if await purse.take(grant.usd) is not None:
                word = period.partition(":")[0]
                raise BudgetExceeded(
                    f"The {word} budget of {limit:g} US dollars of the {who.replace(':', ' ')} is used up.",
                    period=word,
                    limit=limit,
                )
            taken.append((purse, grant.usd))

    async def _take_rate(
        self,
        purse: Purse,
        amount: float,
        grant: Grant,
        taken: list[tuple[Purse, float]],
        what: str,
        who: str,
    ) -> None:
        if amount > purse.limit:
            raise RateLimited(
                f"The request may use {amount:.0f} tokens, more than the {purse.limit:.0f} per minute of the "
                f"{who.replace(':', ' ')}: ask for fewer with max_tokens.",
                retry_after=MINUTE,
            )
        wait = await purse.take(amount)
        _note(grant, purse, what)
        if wait is not None:
            raise RateLimited(
                f"The limit of {purse.limit:.0f} {what} per minute of the {who.replace(':', ' ')} is reached.",
                retry_after=wait,
                headers=dict(grant.headers),
            )
        taken.append((purse, amount))

    def settle(self, grant: Grant, usage: Usage | None, usd: float | None, model: str) -> None:
        """The request ended, with this usage and cost; without usage it failed. Only the first call counts."""
        if grant.settled:
            return
        grant.settled = True
        used = usage.total_tokens if usage is not None else 0
        for purse in grant.token_purses:
            purse.give_back(grant.tokens - used)
        for purse in grant.budget_purses:
            purse.give_back(grant.usd - (usd or 0.0))
        if usage is not None:
            self._ledger.spent(grant.caller, model, usage, usd or 0.0)
            known = self._lengths.get(grant.model)
            length = float(usage.output_tokens)
            self._lengths[grant.model] = length if known is None else known + SMOOTHING * (length - known)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Pay debts every second; give unused leases back at the end."""
        try:
            async with background(limits=self._run()):
                yield
        finally:
            await self._each(Purse.close)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                await self._each(Purse.pay)
            except Exception:  # one bad purse must not end all later payments
                log.exception("limits.crashed")

    async def _each(self, act: Callable[[Purse], Awaitable[None]]) -> None:
        for purse in list(self._purses.values()):
            try:
                await act(purse)
            except StateError as error:
                log.warning("limits.not_settled", counter=purse.key, reason=error.message)
                return

    def _rates(self, caller: Caller, model: str) -> Iterator[tuple[str, Rate]]:
        limits = self._limits
        quota = caller.quota
        own = limits.keys.get(caller.key_id)
        if own is None and quota is not None and (quota.requests_per_minute or quota.tokens_per_minute):
            own = Rate(
                requests_per_minute=quota.requests_per_minute, tokens_per_minute=quota.tokens_per_minute
            )
        yield f"key:{caller.key_id}", own or limits.each_key
        if caller.team and caller.team in limits.teams:
            yield f"team:{caller.team}", limits.teams[caller.team]
        if model in limits.models:
            yield f"model:{model}", limits.models[model]

    def _budgets_of(self, caller: Caller) -> Iterator[tuple[str, str, float]]:
        own = self._budgets.keys.get(caller.key_id)
        periods = _periods(own) if own is not None else (caller.quota.budgets if caller.quota else ())
        for period, limit in periods:
            yield f"key:{caller.key_id}", _named(period), limit
        if caller.team and (team := self._budgets.teams.get(caller.team)) is not None:
            for period, limit in _periods(team):
                yield f"team:{caller.team}", _named(period), limit

    def _purse(self, key: str, limit: float, window: float, *, whole: bool) -> Purse:
        purse = self._purses.get(key)
        if purse is None or purse.limit != limit:
            purse = self._purses[key] = Purse(self._store, key, limit, window, whole=whole)
            if len(self._purses) > MAX_PURSES:
                self._purses.popitem(last=False)
        return purse


def _periods(budget: Budget) -> tuple[tuple[str, float], ...]:
    return tuple((name, limit) for name in PERIODS if (limit := getattr(budget, name)) is not None)


def _named(period: str) -> str:
    """A calendar month is a counter of its own name: its length is no fixed number of seconds."""
    if period != "month":
        return period
    now = time.gmtime()
    return f"month:{now.tm_year}-{now.tm_mon:02}"


def _note(grant: Grant, purse: Purse, what: str) -> None:
    """OpenAI's headers, of the first limit of each kind: the key's own."""
    if f"x-ratelimit-limit-{what}" not in grant.headers:
        grant.headers |= {
            f"x-ratelimit-limit-{what}": f"{purse.limit:.0f}",
            f"x-ratelimit-remaining-{what}": f"{purse.remaining():.0f}",
            f"x-ratelimit-reset-{what}": f"{purse.resets_in():.0f}s",
        }
