"""What `/admin/routing/…` answers, as types: what is sent is made of them, and `/openapi.json` tells them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from intellirouter.inference.learning.progress import Kind, Point
from intellirouter.inference.learning.weights import Facts, Weights


class Heeds(msgspec.Struct, frozen=True):
    """How far two parts of what was learnt are heeded, 0 to 1: the structure of a question, and its words."""

    structure: float
    words: float


class RoutingTarget(msgspec.Struct, frozen=True):
    """What is known of one target.

    `outcomes` learnt ever; `weight` of those that still count; `success` their mean score; `uncertainty` the standard error of
    an expected success; `confidence` 0 where nothing is known and 1 where all is; `error` the mean squared error of
    prediction; `changes` how often it was found to have changed; `trend` oldest first.
    """

    target: str
    outcomes: int
    weight: float
    success: float
    uncertainty: float
    confidence: float
    error: float
    heeds: Heeds
    changes: int
    kinds: tuple[Kind, ...]
    trend: tuple[Point, ...]


class RoutingGroup(msgspec.Struct, frozen=True):
    """One group that learns. `trained` in Unix time; `exploring`: more than usual, because a target changed."""

    group: str
    version: int
    trained: float
    exploring: bool
    outcomes: int
    targets: tuple[RoutingTarget, ...]


class RoutingDecisions(msgspec.Struct, frozen=True):
    """Decisions of one process since its start, of one target for one reason.

    `regret`: how much less success was expected than of the best target, per decision; `saved_usd` beside the dearest.
    """

    group: str
    target: str
    reason: str
    count: int
    confidence: float
    regret: float
    saved_usd: float


class RoutingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What was learnt, and what was decided by it."""

    object: str = "routing"
    groups: tuple[RoutingGroup, ...]
    decisions: tuple[RoutingDecisions, ...]


class RoutingScore(msgspec.Struct, frozen=True):
    """One target for one question: expected success, cost and time, and what that is worth. Absent: nobody knows."""

    target: str
    success: float
    outcomes: int
    cost_usd: float | UnsetType = UNSET
    seconds: float | UnsetType = UNSET
    worth: float | UnsetType = UNSET


class RoutingSelection(msgspec.Struct, frozen=True):
    """`kind`: easy, medium, hard; `tier`: simple, medium, complex, reasoning; `targets`: the chosen first."""

    group: str
    reason: str
    confidence: float
    targets: tuple[RoutingScore, ...]
    kind: str | UnsetType = UNSET
    tier: str | UnsetType = UNSET


class RoutingExplained(msgspec.Struct, frozen=True):
    """Where a request would go. `passed_over` says why of each target; `selection` is absent where nothing learns; `guards` says
    which found something and what they did, as `x-intellirouter-guards` has it; `switched` is what `[features]` takes from the choice,
    in words, by its switch."""

    model: str
    strategy: str
    order: tuple[str, ...]
    passed_over: dict[str, str]
    selection: RoutingSelection | UnsetType = UNSET
    guards: str | UnsetType = UNSET
    switched: dict[str, str] | UnsetType = UNSET


class CurvePoint(msgspec.Struct, frozen=True):
    """`quality` with this `share` of the prompts at the strong model."""

    share: float
    quality: float


class RoutingEvaluated(msgspec.Struct, frozen=True, kw_only=True):
    """Quality against cost of two models. `by`: `prior` or `learnt`; `apgr` null where both are equally good.

    `saved`: the share of requests that need not go to the strong model for 90, 95 and 100 % of its quality.
    """

    object: str = "routing.eval"
    by: str
    prompts: int
    quality_weak: float
    quality_strong: float
    apgr: float | None
    saved: dict[str, float]
    curve: tuple[CurvePoint, ...]


def group_of(name: str, weights: Weights) -> RoutingGroup:
    """What the weights of a group say of it."""
    targets = tuple(
        _target(target, fact) for target, fact in zip(weights.targets, weights.facts, strict=True)
    )
    outcomes = sum(target.outcomes for target in targets)
    return RoutingGroup(
        name, weights.version, round(weights.trained, 3), weights.exploring, outcomes, targets
    )


def _target(name: str, fact: Facts) -> RoutingTarget:
    return RoutingTarget(
        target=name,
        outcomes=fact.seen,
        weight=round(fact.weight, 1),
        success=fact.good,
        uncertainty=fact.uncertainty,
        confidence=round(fact.confidence, 3),
        error=fact.error,
        heeds=Heeds(fact.basis, fact.grams),
        changes=fact.changes,
        kinds=fact.kinds,
        trend=fact.trend,
    )


def explained(model: str, shown: dict[str, Any]) -> RoutingExplained:
    """A plan's explanation as it is answered."""
    return msgspec.convert({"model": model, **shown}, RoutingExplained)
