"""Whom to ask: expected success, what this request would cost at each target, how long it would take.

In order: a target below the floor is passed over while one is above it; of the rest leads the greatest worth, which is
success less weighted cost and time, both relative to the dearest and slowest of the group. Where that lead is too small
against what is not known, the default of the group leads.

A share of requests explores. Another target is tried as often as it may be the better one after all (probability matching,
Thompson, 1933), at most an even part of the share: the more is known, the fewer tries, and those where they cost least. A
tenth of the share goes on for ever, so that a change is noticed. Once one is, all are tried evenly for a while: that another
was surely worse is what was known before.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import msgspec

COST_POINTS = 0.25
"""At `cost_weight` 1, what success a request for nothing may be worse by than one at the dearest target."""
TIME_POINTS = 0.25
ENOUGH = 20.0
"""Weight of outcomes from which on a target is known."""
WATCHED = 0.1
"""What is left of exploration where a target is surely not the best."""
EXPLORED_AFTER_CHANGE = 0.8
"""The least share of requests that explore once a target has changed."""
_ROOT_TWO = math.sqrt(2)
SURE = 0.55
"""Below this confidence that another target is worth more than the default, the default answers."""


class Wishes(msgspec.Struct, frozen=True):
    """How a group is to decide. `cost_weight` and `latency_weight` 0 to 1, `floor` a probability, `explore` a share,
    `least` what of it a target gets that is surely not the best.

    `default` is the index of the target that answers while unsure. `by_price`: before anything was learnt, prices say who is
    good at hard questions; otherwise the operator's order holds until outcomes are known.
    """

    cost_weight: float = 0.5
    latency_weight: float = 0.0
    floor: float = 0.0
    explore: float = 0.0
    least: float = WATCHED
    default: int = 0
    by_price: bool = False


class Choice(msgspec.Struct, frozen=True):
    """One target for one question. `cost` in US dollars and `seconds` are expected, None where nobody knows."""

    id: str
    success: float
    error: float
    outcomes: float
    cost: float | None = None
    seconds: float | None = None


class Decision(msgspec.Struct, frozen=True):
    """`order` holds every index once, best first. `propensity` is how likely the first was to be it.

    `reason`: `learned`, `prior`, `default` (not sure), `cold` (nothing learnt), `explored`, `sticky`, or what named the target.
    """

    order: tuple[int, ...]
    reason: str
    confidence: float = 1.0
    propensity: float = 1.0
    worth: tuple[float, ...] = ()

    def shown(self, choices: Sequence[Choice]) -> dict[str, Any]:
        """For an explanation: every target's scores, the chosen first."""
        targets = []
        for place in self.order:
            choice = choices[place]
            row: dict[str, Any] = {"target": choice.id, "success": round(choice.success, 3)}
            if choice.cost is not None:
                row["cost_usd"] = float(f"{choice.cost:.3g}")
            if choice.seconds is not None:
                row["seconds"] = round(choice.seconds, 2)
            if self.worth:
                row["worth"] = round(self.worth[place], 3)
            row["outcomes"] = round(choice.outcomes)
            targets.append(row)
        return {"reason": self.reason, "confidence": round(self.confidence, 2), "targets": targets}


def decide(choices: Sequence[Choice], wishes: Wishes, chance: random.Random) -> Decision:
    """The order in which to ask. `choices` stand in the operator's order."""
    count = len(choices)
    worth = worths(choices, wishes)
    known = [choice.outcomes >= ENOUGH for choice in choices].count(True)
    priced = known < 2 and wishes.by_price and len({choice.cost for choice in choices}) > 1
    default = wishes.default if wishes.default < count else 0
    ranked = _ranked(choices, worth, wishes)
    best, confidence = ranked[0], 1.0
    if known < 2 and not priced:
        best, reason = default, "cold"
    elif known < 2:
        reason = "prior"
    else:
        confidence = _confidence(choices, worth, best, default)
        unsure = confidence < SURE or choices[best].outcomes < ENOUGH
        best, reason = (default, "default") if unsure and best != default else (best, "learned")
    first, propensity = best, 1.0
    if wishes.explore and count > 1:
        chances = exploring([c.error for c in choices], worth, best, wishes.explore, wishes.least)
        drawn, propensity = chance.random(), chances[best]
        if drawn < 1.0 - propensity:
            first = _drawn(drawn, chances, best)
            reason, propensity = "explored", chances[first]
    rest = range(count) if reason == "cold" else ranked
    order = [first, *[place for place in rest if place != first]]
    return Decision(tuple(order), reason, confidence, propensity, tuple(worth))


def _drawn(drawn: float, chances: Sequence[float], best: int) -> int:
    """Which of the others it is, `drawn` being less than their chances together."""
    others = [place for place in range(len(chances)) if place != best]
    for place in others:
        drawn -= chances[place]
        if drawn < 0:
            return place
    return others[-1]


def searching(share: float, *, changed: bool) -> tuple[float, float]:
    """Of the share that the operator lets explore: the share that does now, and the part of its even share that every target gets.

    All of it once a target has changed, for what was known of the others was known before. Nothing where nothing may explore.
    """
    return (max(share, EXPLORED_AFTER_CHANGE), 1.0) if share and changed else (share, WATCHED)


def exploring(
    errors: Sequence[float], worth: Sequence[float], best: int, share: float, least: float = WATCHED
) -> list[float]:
    """How likely each target is asked where `best` leads and `share` of requests may explore; the sum is 1.

    Each of the others gets at least the part `least` of its even share, 0 to 1, however surely it is not the best.
    """
    even, top, error = share / len(worth), worth[best], errors[best]
    chances = [
        even * max(least, math.erfc(max(0.0, top - one) / (math.hypot(its, error) or 1e-9) / _ROOT_TWO))
        for one, its in zip(worth, errors, strict=True)
    ]
    chances[best] = 0.0
    chances[best] = 1.0 - sum(chances)
    return chances


def worths(choices: Sequence[Choice], wishes: Wishes) -> list[float]:
    """Success less what cost and time weigh, for each."""
    costs = _relative([choice.cost for choice in choices]) if wishes.cost_weight else [0.0] * len(choices)
    if not wishes.latency_weight:
        points = wishes.cost_weight * COST_POINTS
        return [choice.success - points * cost for choice, cost in zip(choices, costs, strict=True)]
    times = _relative([choice.seconds for choice in choices])
    return [
        choice.success - wishes.cost_weight * COST_POINTS * cost - wishes.latency_weight * TIME_POINTS * time
        for choice, cost, time in zip(choices, costs, times, strict=True)
    ]


def _relative(values: Sequence[float | None]) -> list[float]:
    """Shares of the greatest; what nobody knows counts as the middle of what is known."""
    known = [value for value in values if value is not None]
    most = max(known, default=0.0)
    if most <= 0:
        return [0.0] * len(values)
    middle = sorted(known)[len(known) // 2] if len(known) < len(values) else 0.0
    return [(middle if value is None else value) / most for value in values]


def _ranked(choices: Sequence[Choice], worth: Sequence[float], wishes: Wishes) -> list[int]:
    """Those above the floor by worth, then those below by success; what is the same in the operator's order."""
    if wishes.floor <= 0:
        return sorted(range(len(choices)), key=worth.__getitem__, reverse=True)  # and that keeps their order

    def key(place: int) -> tuple[bool, float, int]:
        below = choices[place].success < wishes.floor
        return below, -(choices[place].success if below else worth[place]), place

    if wishes.cost_weight >= 1 and wishes.floor > 0:  # the cheapest that is good enough, whatever it is worth
        above = [p for p in range(len(choices)) if choices[p].success >= wishes.floor]
        above.sort(key=lambda place: (_cost(choices[place]), -worth[place]))
        return [*above, *(p for p in sorted(range(len(choices)), key=key) if p not in above)]
    return sorted(range(len(choices)), key=key)


def _cost(choice: Choice) -> float:
    return math.inf if choice.cost is None else choice.cost


def _confidence(choices: Sequence[Choice], worth: Sequence[float], best: int, default: int) -> float:
    """How likely the best is worth more than the default, both normal."""
    if best == default:
        return 1.0
    spread = math.hypot(choices[best].error, choices[default].error) or 1e-9
    return 0.5 * (1 + math.erf((worth[best] - worth[default]) / spread / _ROOT_TWO))
