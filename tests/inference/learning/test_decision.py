"""Whom to ask, given what is expected: cost, floors, doubt, exploration."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.inference.learning.decision import WATCHED, Choice, Wishes, decide, exploring
from intellirouter.inference.learning.outcome import score_of

CHANCE = random.Random(1)


def choice(
    name: str,
    success: float,
    cost: float | None,
    *,
    outcomes: float = 500,
    error: float = 0.02,
    seconds: float | None = None,
) -> Choice:
    return Choice(name, success, error, outcomes, cost, seconds)


CHEAP, MIDDLE, DEAR = choice("cheap", 0.6, 1), choice("middle", 0.8, 3), choice("dear", 0.9, 10)


def first(choices: list[Choice], **wishes: object) -> tuple[str, str]:
    decision = decide(choices, Wishes(**wishes), CHANCE)  # type: ignore[arg-type]
    return choices[decision.order[0]].id, decision.reason


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"cost_weight": 0.0}, "dear"),
        ({"cost_weight": 1.0, "floor": 0.5}, "cheap"),
        ({"cost_weight": 1.0, "floor": 0.7}, "middle"),
        ({"cost_weight": 1.0, "floor": 0.85}, "dear"),
        ({"cost_weight": 1.0, "floor": 0.99}, "dear"),  # nobody is that good: the best there is
        ({"cost_weight": 0.7}, "middle"),
    ],
)
def test_cost_against_quality_and_the_floor(wishes: dict[str, float], expected: str) -> None:
    assert first([CHEAP, MIDDLE, DEAR], **wishes) == (expected, "learned")


def test_time_counts_where_it_is_wished() -> None:
    slow, quick = choice("slow", 0.8, 1, seconds=10), choice("quick", 0.75, 1, seconds=0.5)
    assert first([slow, quick])[0] == "slow"
    assert first([slow, quick], latency_weight=1.0)[0] == "quick"


def test_nothing_learnt_is_the_operators_order_and_the_default() -> None:
    blank = [choice(name, 0.5 + place / 10, 1, outcomes=0) for place, name in enumerate("abc")]
    assert first(blank) == ("a", "cold")
    assert first(blank, default=2) == ("c", "cold")


def test_nothing_learnt_of_auto_is_price_and_how_hard_it_looks() -> None:
    blank = [choice("a", 0.5, 1, outcomes=0), choice("b", 0.9, 2, outcomes=0)]
    assert first(blank, by_price=True, cost_weight=0.0) == ("b", "prior")


def test_in_doubt_the_default_answers() -> None:
    near = [choice("a", 0.70, 1, error=0.2), choice("b", 0.72, 1, error=0.2)]
    assert first(near) == ("a", "default")
    sure = [choice("a", 0.70, 1, error=0.001), choice("b", 0.72, 1, error=0.001)]
    assert first(sure) == ("b", "learned")
    assert first([near[0], choice("b", 0.95, 1, outcomes=3)])[0] == "a"


def test_a_share_explores_and_says_how_likely_that_was() -> None:
    """The less is known and the smaller the lead, the more: at most an even part of the share, at least a tenth of that."""
    unknown = [
        choice("a", 0.7, None, error=0.3),
        choice("b", 0.7, None, error=0.3),
        choice("c", 0.7, None, error=0.3),
    ]
    sure = [choice("a", 0.97, None, error=0.001), CHEAP, MIDDLE]
    for choices, least, each in ((unknown, WATCHED, 0.1), (sure, WATCHED, 0.01), (sure, 1.0, 0.1)):
        found, chance = Counter[int](), random.Random(4)
        for _ in range(6_000):
            decision = decide(choices, Wishes(cost_weight=0.0, explore=0.3, least=least), chance)
            found[decision.order[0]] += 1
            assert decision.propensity == pytest.approx(1 - 2 * each if decision.order[0] == 0 else each)
        for place in (1, 2):
            assert found[place] == pytest.approx(6_000 * each, rel=0.35)


@given(
    known=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.5)), min_size=2, max_size=10),
    share=st.floats(0, 0.5),
    least=st.sampled_from((WATCHED, 1.0)),
)
def test_exploration_never_takes_more_than_its_share(
    known: list[tuple[float, float]], share: float, least: float
) -> None:
    worth, errors = [one for one, _ in known], [error for _, error in known]
    best = max(range(len(worth)), key=worth.__getitem__)
    chances = exploring(errors, worth, best, share, least)
    assert sum(chances) == pytest.approx(1)
    assert 1 - chances[best] <= share + 1e-9
    others = [one for place, one in enumerate(chances) if place != best]
    assert all(least * share / len(worth) <= one + 1e-9 for one in others), "each of the others has its part"


choices_ = st.lists(
    st.builds(
        Choice,
        id=st.uuids().map(str),
        success=st.floats(0, 1),
        error=st.floats(0, 0.5),
        outcomes=st.floats(0, 1000),
        cost=st.none() | st.floats(0, 10),
        seconds=st.none() | st.floats(0, 60),
    ),
    min_size=1,
    max_size=10,
)
wishes_ = st.builds(
    Wishes,
    cost_weight=st.floats(0, 1),
    latency_weight=st.floats(0, 1),
    floor=st.floats(0, 1),
    explore=st.floats(0, 0.5),
    default=st.integers(0, 12),
    by_price=st.booleans(),
)


@given(choices=choices_, wishes=wishes_, seed=st.integers())
def test_every_target_is_in_the_order_once(choices: list[Choice], wishes: Wishes, seed: int) -> None:
    decision = decide(choices, wishes, random.Random(seed))
    assert sorted(decision.order) == list(range(len(choices)))
    assert 0 < decision.propensity <= 1
    assert 0 <= decision.confidence <= 1
    assert decision.shown(choices)["targets"][0]["target"] == choices[decision.order[0]].id


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.01, 10**400, "1", None, [], {}])
def test_what_is_no_score(value: object) -> None:
    with pytest.raises(ValueError):
        score_of(value)


@pytest.mark.parametrize(("value", "score"), [(True, 1.0), (False, 0.0), (1, 1.0), (0.25, 0.25), (0, 0.0)])
def test_what_is_one(value: object, score: float) -> None:
    assert score_of(value) == score
