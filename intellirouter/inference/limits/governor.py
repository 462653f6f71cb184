"""The governor: takes what a request may use before it runs, settles what it used after.

A request takes one from every request rate, an estimate of tokens from every token rate, and an estimate of dollars from
every budget that concerns it: its key's, its team's, its model's. All or none is taken. Settled is the difference; a
request that cost nothing gets everything back but its place in the request rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice

import msgspec
import structlog

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import Usage
from intellirouter.chat.tokens import estimate_tokens
from intellirouter.config.schema.limits import BudgetsSection, LimitsSection, Rate
from intellirouter.config.schema.model_registry import Price
from intellirouter.errors import BudgetExceeded, RateLimited
from intellirouter.inference.background import background
from intellirouter.inference.catalog import Candidate, ModelEntry
from intellirouter.inference.cost import plain_usd
from intellirouter.inference.job import CHAT, COUNT, EMBEDDINGS, Job
from intellirouter.inference.limits.guess import Guesses
from intellirouter.inference.limits.ledger import Ledger
from intellirouter.inference.limits.purse import Purse
from intellirouter.inference.limits.purses import Purses
from intellirouter.inference.limits.standing import MOST, Own, Standing, listed
from intellirouter.inference.limits.terms import (
    MINUTE,
    PERIODS,
    BudgetTerm,
    RateTerm,
    Terms,
    Told,
    budgets_of,
    counter_of,
    named_budgets_of,
    rates_of,
)
from intellirouter.inference.limits.thresholds import Thresholds
from intellirouter.inference.offline_transport import OFFLINE
from intellirouter.inference.provider import Provider
from intellirouter.inference.usage import answers_of
from intellirouter.memory.store import StateStore
from intellirouter.records.named import tags_of, user_of
from intellirouter.security.caller import Caller, Quota

MAX_TERMS = 50_000
NO_TERMS = Terms()
FREE = Price()
LEAST_USD = 1e-6
"""A budget with less left than this is used up."""

log = structlog.get_logger(__name__)


class Grant(msgspec.Struct):
    """What was taken for one request, and the targets that may serve it. `read` is our estimate of its input tokens."""

    caller: Caller
    model: str
    candidates: Sequence[Candidate] = ()
    read: int = 0
    tokens: float = 0.0
    usd: float = 0.0
    terms: Terms = NO_TERMS
    headers: dict[str, str] = {}
    settled: bool = False


class Governor:
    """One per process."""

    def __init__(
        self, store: StateStore, ledger: Ledger, limits: LimitsSection, budgets: BudgetsSection
    ) -> None:
        self._ledger = ledger
        self._known: dict[tuple[str, str | None, str], tuple[Quota | None, Terms]] = {}
        self._minute = -1
        self._purses = Purses(store, self._known.clear)
        self._thresholds = Thresholds(store)
        self.guesses = Guesses()
        self.configure(limits, budgets)

    def configure(self, limits: LimitsSection, budgets: BudgetsSection) -> None:
        """Take these limits in place of the last ones."""
        self._limits = limits
        self._budgets = budgets
        self.unknown_price = None if budgets.unknown_price == "refuse" else budgets.unknown_price
        self._known.clear()
        rates = (limits.each_key, *limits.keys.values(), *limits.teams.values(), *limits.models.values())
        self._by_name = bool(budgets.tags or budgets.users)
        self._anything = (
            any(rate != Rate() for rate in rates) or bool(budgets.keys or budgets.teams) or self._by_name
        )

    async def admit(
        self, job: Job, entry: ModelEntry, candidates: Sequence[Candidate] = (), operation: str = CHAT
    ) -> Grant:
        """Take what the request may use, whichever of the candidates serves it; by default the model's own.

        Raises `RateLimited`, `BudgetExceeded`, `StateUnavailable`.
        """
        caller, candidates = job.caller, candidates or entry.candidates
        grant = Grant(caller, entry.name, candidates)
        if not self._anything and caller.quota is None:
            return grant
        now = time.time()
        grant.terms = self._terms(caller, entry.name, now)
        if self._by_name:
            grant.terms = self._with_named(grant.terms, job)
        if operation != COUNT:
            self._estimate(grant, job.request, operation)
        await self._take_all(grant, now)
        return grant

    async def charge(self, caller: Caller, model: str, tokens: int, usd: float | None) -> Grant:
        """Take what a request to a service may use that is no provider's; `usd` is None where its price is not known.

        Raises as `admit`.
        """
        grant = Grant(caller, model, read=tokens, tokens=tokens, usd=usd or 0.0)
        if not self._anything and caller.quota is None:
            return grant
        now = time.time()
        grant.terms = self._terms(caller, model, now)
        if usd is None and grant.terms.budgets:
            raise _unpriced(model)
        await self._take_all(grant, now)
        return grant

    async def count(self, job: Job) -> None:
        """Count a request that is answered without asking anybody: by the rates of requests alone. Raises `RateLimited`."""
        caller = job.caller
        if not self._anything and caller.quota is None:
            return
        now = time.time()
        terms = self._terms(caller, job.request.model, now)
        taken: list[Purse] = []
        try:
            for rate in terms.rates:
                if rate.what == "requests":
                    if not rate.purse.take_now(1.0, now):
                        await _take_rate(rate, 1.0, terms)
                    taken.append(rate.purse)
        except BaseException:
            for purse in taken:
                purse.give_back(1.0, time.time())
            raise

    def _estimate(self, grant: Grant, request: ChatRequest, operation: str) -> None:
        """What the request may use: of the price, that of the dearest target."""
        guesses, counted = self.guesses, bool(grant.terms.budgets)
        grant.read = estimate = estimate_tokens(request)
        asked = 0
        if operation != EMBEDDINGS:
            asked = int(guesses.length(grant.model) if request.max_tokens is None else request.max_tokens)
            if request.n is not None:
                asked *= answers_of(request)
        most = 0
        dearest = 0.0
        unknown: list[Candidate] = []
        for candidate in grant.candidates:
            read = int(estimate * guesses.ratio(candidate.id))
            if counted:
                price = candidate.price or self.price_of(candidate)
                if price is None:
                    unknown.append(candidate)
                    continue
                usd = plain_usd(read, asked, price)
                if usd > dearest:
                    dearest = usd
            if read + asked > most:
                most = read + asked
        grant.tokens, grant.usd = most, dearest
        if unknown:
            self._leave_out(grant, unknown)

    @staticmethod
    def _leave_out(grant: Grant, unknown: Sequence[Candidate]) -> None:
        """Targets without a price, where a budget must count what they cost."""
        grant.candidates = [one for one in grant.candidates if one not in unknown]
        if not grant.candidates:
            raise _unpriced(grant.model)

    def price_of(self, candidate: Candidate) -> Price | None:
        """What its tokens cost: the price that is known, or the one configured for those that are not."""
        if candidate.price is not None:
            return candidate.price
        if candidate.provider is OFFLINE:
            return FREE
        return self.unknown_price

    async def outbound(self, provider: Provider) -> float | None:
        """Count a request to a provider; the seconds to wait when its configured limits are used up."""
        name = f"rate:provider:{provider.name}"
        if provider.tokens_per_minute is not None:
            tokens = self._purses.of(f"{name}:tokens", provider.tokens_per_minute, MINUTE, whole=True)
            if (wait := await tokens.take(1.0)) is not None:
                return wait
        if provider.requests_per_minute is not None:
            requests = self._purses.of(f"{name}:requests", provider.requests_per_minute, MINUTE, whole=True)
            return await requests.take(1.0)
        return None

    def outbound_used(self, provider: Provider, usage: Usage) -> None:
        """The tokens a provider's answer used: known only after, so the next request pays for what this one was over."""
        if provider.tokens_per_minute is not None:
            name = f"rate:provider:{provider.name}:tokens"
            purse = self._purses.of(name, provider.tokens_per_minute, MINUTE, whole=True)
            self._purses.give_back(purse, 1.0 - usage.total_tokens, time.time())

    async def _take_all(self, grant: Grant, now: float) -> None:
        """All of it, or nothing."""
        taken: list[tuple[Purse, float]] = []
        try:
            await self._take_each(grant, taken, now)
        except BaseException:
            for purse, amount in taken:
                purse.give_back(amount, time.time())
            raise

    async def _take_each(self, grant: Grant, taken: list[tuple[Purse, float]], now: float) -> None:
        terms = grant.terms
        for rate in terms.rates:
            amount = 1.0 if rate.what == "requests" else grant.tokens
            if not rate.purse.take_now(amount, now):
                await _take_rate(rate, amount, terms)
            taken.append((rate.purse, amount))
        for budget in terms.budgets:
            if not budget.purse.take_now(grant.usd, now) and await budget.purse.take(grant.usd) is not None:
                self._thresholds.refused(budget)
                raise _exceeded(budget, grant.usd)
            taken.append((budget.purse, grant.usd))
        if terms.told:
            grant.headers = terms.headers(now)

    def settle(self, grant: Grant, usage: Usage | None, usd: float | None, model: str) -> None:
        """The request ended, with this usage and cost; without usage it failed. Only the first call counts."""
        if grant.settled:
            return
        grant.settled = True
        now = time.time()
        used = usage.total_tokens if usage is not None else 0
        for purse in grant.terms.token_purses:
            self._purses.give_back(purse, grant.tokens - used, now)
        for budget in grant.terms.budgets:
            self._purses.give_back(budget.purse, grant.usd - (usd or 0.0), now)
            self._thresholds.spent(budget)
        if usage is not None:
            self._ledger.spent(grant.caller, model, usage, usd or 0.0)
            if not usage.estimated:
                self.guesses.answered(grant.model, usage)

    async def standings(self, tenants: Iterable[str], own: Own = ()) -> list[Standing]:
        """How the configured budgets stand, those of tags and users for these tenants, and keys' own. Raises `StateUnavailable`."""
        found = []
        now = time.time()
        for counter, standing in islice(listed(self._budgets, tenants, own), MOST):
            window = PERIODS[standing.period]
            standing.used = round(await self._purses.used(counter, window), 10)
            standing.resets_in = window - now % window if window else None
            found.append(standing)
        return found

    def budgets(self) -> Sequence[BudgetTerm]:
        """Those that were spent from lately, as this process sees them."""
        return list(self._thresholds.known.values())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Pay debts every second; give unused leases back at the end."""
        async with self._purses.running(), background(budgets=self._watch()):
            yield

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                await self._thresholds.look()
            except Exception:  # one bad budget must not end all later looks
                log.exception("budgets.crashed")

    def _terms(self, caller: Caller, model: str, now: float) -> Terms:
        minute = int(now // MINUTE)
        if minute != self._minute or len(self._known) > MAX_TERMS:
            self._minute = minute
            self._known.clear()
        name = (caller.key_id, caller.team, model)
        known = self._known.get(name)
        if known is not None and (known[0] is caller.quota or known[0] == caller.quota):
            return known[1]
        terms = self._work_out(caller, model)
        self._known[name] = (caller.quota, terms)
        return terms

    def _with_named(self, terms: Terms, job: Job) -> Terms:
        """With the budgets of the end user and the tags that the request names. They are the tenant's: its names are its own."""
        request, tenant = job.request, job.caller.tenant
        metadata = request.source.body.get("metadata") if request.source is not None else request.metadata
        user = user_of(request.user, metadata, request.extra.get("safety_identifier"))
        tags = tags_of(job.headers, metadata, request.options.tags if request.options is not None else ())
        more = tuple(
            self._budget(f"budget:{tenant}:{who}", who, period, limit)
            for who, period, limit in named_budgets_of(self._budgets, user, tags)
        )
        return Terms(terms.rates, (*terms.budgets, *more), terms.told) if more else terms

    def _budget(self, counter: str, who: str, period: str, limit: float) -> BudgetTerm:
        key = f"{counter}:{counter_of(period)}"
        return BudgetTerm(self._purses.of(key, limit, PERIODS[period], whole=False), period, who)

    def _work_out(self, caller: Caller, model: str) -> Terms:
        rates: list[RateTerm] = []
        for who, rate in rates_of(self._limits, caller, model):
            for what, limit in (
                ("requests", rate.requests_per_minute),
                ("tokens", rate.tokens_per_minute),
            ):
                if limit is not None:
                    purse = self._purses.of(f"rate:{who}:{what}", limit, MINUTE, whole=True)
                    rates.append(RateTerm(purse, what, who))
        budgets = tuple(
            self._budget(f"budget:{who}", who, period, limit)
            for who, period, limit in budgets_of(self._budgets, caller)
        )
        told = {term.what: Told(term.purse, term.what) for term in reversed(rates)}
        return Terms(tuple(rates), budgets, tuple(told.values()))


def _unpriced(model: str) -> BudgetExceeded:
    return BudgetExceeded(
        f"The price of the model '{model}' is not known, and a budget must count it. Its operator can "
        "set 'price' of the model, or [budgets] unknown_price.",
        model=model,
    )


def _exceeded(budget: BudgetTerm, usd: float) -> BudgetExceeded:
    """The refusal of a request that may cost `usd`."""
    purse = budget.purse
    left = purse.remaining(time.time())
    what = (
        f"has {left:.6f} left, and this request may cost {usd:.6f}: ask for less (max_tokens) or for a cheaper model"
        if left >= LEAST_USD
        else "is used up"
    )
    return BudgetExceeded(
        f"The {budget.period} budget of {purse.limit:g} US dollars of the {budget.who.replace(':', ' ')} {what}.",
        period=budget.period,
        limit=purse.limit,
    )


async def _take_rate(rate: RateTerm, amount: float, terms: Terms) -> None:
    purse = rate.purse
    who = rate.who.replace(":", " ")
    if purse.limit <= 0:
        raise RateLimited(
            f"The limit of {rate.what} of the {who} is 0: none are allowed.", retry_after=MINUTE
        )
    if amount > purse.limit:
        raise RateLimited(
            f"The request may use {amount:.0f} tokens, more than the {purse.limit:.0f} per minute of the "
            f"{who}: ask for fewer with max_tokens.",
            retry_after=MINUTE,
        )
    wait = await purse.take(amount)
    if wait is not None:
        raise RateLimited(
            f"The limit of {purse.limit:.0f} {rate.what} per minute of the {who} is reached.",
            retry_after=wait,
            headers=terms.headers(time.time()),
        )
