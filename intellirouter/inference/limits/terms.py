"""The terms of one caller for one model: every limit that concerns the two, worked out once and used by many requests."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from intellirouter.config.schema.limits import Budget, BudgetsSection, LimitsSection, Rate
from intellirouter.inference.limits.purse import Purse
from intellirouter.security.caller import Caller

MINUTE = 60.0
PERIODS = {"hour": 3600.0, "day": 86_400.0, "month": 0.0, "total": 0.0}


@dataclass(frozen=True, slots=True)
class RateTerm:
    """A limit per minute. `what` is `requests` or `tokens`; `who` is `key:…`, `team:…` or `model:…`."""

    purse: Purse
    what: str
    who: str


@dataclass(frozen=True, slots=True)
class BudgetTerm:
    """A limit in US dollars of a period (`hour`, `day`, `month`, `total`)."""

    purse: Purse
    period: str
    who: str


@dataclass(frozen=True, slots=True)
class Terms:
    """In the order in which they are taken from. A calendar month starts with a minute, so terms serve for one."""

    rates: tuple[RateTerm, ...] = ()
    budgets: tuple[BudgetTerm, ...] = ()
    told: tuple[Told, ...] = ()
    token_purses: tuple[Purse, ...] = field(init=False)

    def __post_init__(self) -> None:
        tokens = tuple(term.purse for term in self.rates if term.what == "tokens")
        object.__setattr__(self, "token_purses", tokens)

    def headers(self, now: float) -> dict[str, str]:
        """What the caller is told of its limits, in OpenAI's headers. `now` is `time.time()`."""
        headers: dict[str, str] = {}
        if self.told:
            reset = f"{math.ceil(MINUTE - now % MINUTE)}s"  # every rate is one of a minute
            for told in self.told:
                told.tell(headers, now, reset)
        return headers


class Told:
    """A limit that callers are told of: the first of its kind, which is the key's own where it has one."""

    __slots__ = ("_limit", "_limit_name", "_purse", "_remaining_name", "_reset_name")

    def __init__(self, purse: Purse, what: str) -> None:
        self._purse = purse
        self._limit = str(int(purse.limit))
        self._limit_name = f"x-ratelimit-limit-{what}"
        self._remaining_name = f"x-ratelimit-remaining-{what}"
        self._reset_name = f"x-ratelimit-reset-{what}"

    def tell(self, headers: dict[str, str], now: float, reset: str) -> None:
        """Add the three headers."""
        headers[self._limit_name] = self._limit
        headers[self._remaining_name] = str(int(self._purse.remaining(now)))
        headers[self._reset_name] = reset


def rates_of(limits: LimitsSection, caller: Caller, model: str) -> Iterator[tuple[str, Rate]]:
    """Who is limited, and how."""
    quota = caller.quota
    own = limits.keys.get(caller.key_id)
    if (
        own is None
        and quota is not None
        and (quota.requests_per_minute, quota.tokens_per_minute) != (None, None)
    ):
        own = Rate(
            requests_per_minute=_limit(quota.requests_per_minute),
            tokens_per_minute=_limit(quota.tokens_per_minute),
        )
    yield f"key:{caller.key_id}", own or limits.each_key
    if caller.team and caller.team in limits.teams:
        yield f"team:{caller.team}", limits.teams[caller.team]
    if model in limits.models:
        yield f"model:{model}", limits.models[model]


def _limit(given: int | None) -> int | None:
    """Below zero is none at all: a key may have been kept before that was refused."""
    return None if given is None else max(0, given)


def budgets_of(budgets: BudgetsSection, caller: Caller) -> Iterator[tuple[str, str, float]]:
    """Who has a budget, of which period, of how many US dollars."""
    own = budgets.keys.get(caller.key_id)
    periods = periods_of(own) if own is not None else (caller.quota.budgets if caller.quota else ())
    for period, limit in periods:
        yield f"key:{caller.key_id}", period, limit
    if caller.team and (team := budgets.teams.get(caller.team)) is not None:
        for period, limit in periods_of(team):
            yield f"team:{caller.team}", period, limit


def named_budgets_of(
    budgets: BudgetsSection, user: str, tags: Iterable[str]
) -> Iterator[tuple[str, str, float]]:
    """The same of the end user and the tags that a request names."""
    named = [("user", user, budgets.users.get(user))] if user else []
    named += [("tag", tag, budgets.tags.get(tag)) for tag in tags]
    for kind, name, budget in named:
        if budget is not None:
            for period, limit in periods_of(budget):
                yield f"{kind}:{name}", period, limit


def counter_of(period: str) -> str:
    """A calendar month is a counter of its own name: its length is no fixed number of seconds."""
    if period != "month":
        return period
    now = time.gmtime()
    return f"month:{now.tm_year}-{now.tm_mon:02}"


def periods_of(budget: Budget) -> tuple[tuple[str, float], ...]:
    """The periods that are limited, with their limits."""
    return tuple((name, limit) for name in PERIODS if (limit := getattr(budget, name)) is not None)
