"""Strategies: what holds of all of them, and what each is for."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.errors import InvalidRequest
from intellirouter.inference.selection.cost import expected_cost
from intellirouter.inference.selection.option import Facts, Option, Rule
from intellirouter.inference.selection.rules import allowed, holds
from intellirouter.inference.selection.table import STRATEGIES, strategy_name

prices = st.none() | st.floats(0, 100)
options_lists = st.lists(
    st.builds(
        Option,
        id=st.uuids().map(str),
        weight=st.just(0.0) | st.floats(0.01, 100),
        load=st.integers(0, 50),
        latency=st.none() | st.floats(0.001, 60),
        input_price=prices,
        output_price=prices,
        headroom=st.floats(0, 1),
        tags=st.frozensets(st.sampled_from("abc")),
    ),
    max_size=8,
)
facts_of = st.builds(
    Facts,
    affinity=st.text(max_size=20),
    input_tokens=st.integers(0, 10**6),
    output_tokens=st.integers(0, 10**5),
    images=st.booleans(),
    tools=st.booleans(),
    tags=st.frozensets(st.sampled_from("xyz")),
    turn=st.integers(0, 10**9),
    rules=st.lists(
        st.builds(Rule, targets=st.just(("a", "b")), min_tokens=st.none() | st.integers(0, 10**6)), max_size=3
    ).map(tuple),
    chance=st.integers().map(random.Random),
)


@pytest.mark.parametrize("name", STRATEGIES)
@given(options=options_lists, facts=facts_of)
def test_an_order_holds_every_target_once(name: str, options: list[Option], facts: Facts) -> None:
    assert sorted(STRATEGIES[name](options, facts)) == list(range(len(options)))


@given(options=options_lists.filter(bool), facts=facts_of)
def test_the_cheapest_leads(options: list[Option], facts: Facts) -> None:
    costs = [expected_cost(options[i], facts) for i in STRATEGIES["cost-optimized"](options, facts)]
    assert costs == sorted(costs)


@given(options=options_lists.filter(bool), facts=facts_of)
def test_the_least_busy_leads(options: list[Option], facts: Facts) -> None:
    first = options[STRATEGIES["least-busy"](options, facts)[0]]
    loads = [(o.load + 1) / o.weight if o.weight else math.inf for o in options]
    assert ((first.load + 1) / first.weight if first.weight else math.inf) == min(loads)


@given(count=st.integers(1, 9), start=st.integers(0, 10**6))
def test_round_robin_serves_all_equally(count: int, start: int) -> None:
    options = [Option(str(i)) for i in range(count)]
    firsts = Counter(STRATEGIES["round-robin"](options, Facts(turn=start + i))[0] for i in range(count * 3))
    assert set(firsts.values()) == {3}


@given(
    options=options_lists.filter(lambda o: len(o) > 2),
    affinity=st.text(max_size=30),
    gone=st.integers(0, 100),
)
def test_a_target_that_leaves_moves_only_its_own_sessions(
    options: list[Option], affinity: str, gone: int
) -> None:
    even = [Option(o.id, weight=max(o.weight, 0.1)) for o in options]
    facts = Facts(affinity=affinity)
    order = [even[i].id for i in STRATEGIES["consistent-hash"](even, facts)]
    left = [o for i, o in enumerate(even) if i != gone % len(even)]
    missing = even[gone % len(even)].id
    assert [left[i].id for i in STRATEGIES["consistent-hash"](left, facts)] == [
        name for name in order if name != missing
    ]


def test_sessions_spread_by_weight_and_stay() -> None:
    options = [Option("a", weight=1), Option("b", weight=3)]
    for name in ("consistent-hash", "split"):
        strategy = STRATEGIES[name]
        firsts = Counter(strategy(options, Facts(affinity=f"s{i}"))[0] for i in range(2000))
        assert 0.20 < firsts[0] / 2000 < 0.30
        assert len({strategy(options, Facts(affinity="same"))[0] for _ in range(5)}) == 1


def test_a_target_over_its_share_yields_to_the_next() -> None:
    facts = Facts(affinity="hot")
    options = [Option(str(i)) for i in range(4)]
    favourite = STRATEGIES["consistent-hash"](options, facts)[0]
    busy = [Option(o.id, load=10 if i == favourite else 1) for i, o in enumerate(options)]
    order = STRATEGIES["consistent-hash"](busy, facts)
    assert order[0] != favourite
    assert order[-1] == favourite


@given(seed=st.integers())
def test_weighted_draws_in_proportion_and_zero_comes_last(seed: int) -> None:
    options = [Option("a", weight=0), Option("b", weight=1), Option("c", weight=9)]
    chance = random.Random(seed)
    orders = [STRATEGIES["weighted"](options, Facts(chance=chance)) for _ in range(400)]
    assert all(order[-1] == 0 for order in orders)
    assert 0.80 < sum(order[0] == 2 for order in orders) / 400 < 0.97


@given(seed=st.integers())
def test_the_slowest_of_three_never_leads(seed: int) -> None:
    options = [Option("a", latency=0.1), Option("b", latency=0.2), Option("c", latency=9)]
    order = STRATEGIES["lowest-latency"](options, Facts(chance=random.Random(seed)))
    assert order[0] != 2


def test_headroom_leads_and_exhaustion_comes_last() -> None:
    options = [Option("a", headroom=0.1), Option("b", headroom=0), Option("c", headroom=0.9)]
    assert STRATEGIES["usage"](options, Facts()) == [2, 0, 1]


@pytest.mark.parametrize(
    ("rule", "facts", "expected"),
    [
        (Rule(("x",), min_tokens=100), Facts(input_tokens=100), True),
        (Rule(("x",), min_tokens=100), Facts(input_tokens=99), False),
        (Rule(("x",), max_tokens=100), Facts(input_tokens=101), False),
        (Rule(("x",), images=True), Facts(images=True), True),
        (Rule(("x",), images=False), Facts(images=True), False),
        (Rule(("x",), tools=True), Facts(), False),
        (Rule(("x",), tags=frozenset({"a"})), Facts(tags=frozenset({"a", "b"})), True),
        (Rule(("x",), tags=frozenset({"a", "c"})), Facts(tags=frozenset({"a", "b"})), False),
        (Rule(("x",), headers={"X-Tier": "gold"}), Facts(headers={"x-tier": "gold"}), True),
        (Rule(("x",), headers={"x-tier": "gold"}), Facts(headers={"x-tier": "iron"}), False),
        (Rule(("x",), headers={"x-tier": "*"}), Facts(headers={"x-tier": "iron"}), True),
        (Rule(("x",), headers={"x-tier": "*"}), Facts(), False),
    ],
)
def test_a_rule_holds_when_everything_it_names_does(rule: Rule, facts: Facts, expected: bool) -> None:
    assert holds(rule, facts) is expected


def test_a_rule_leads_with_its_targets_and_only_excludes_the_rest() -> None:
    options = [Option("p/a"), Option("p/b", tags=frozenset({"vision"})), Option("p/c")]
    rules = (Rule(("p/c", "vision"), images=True), Rule(("p/b",), only=True))
    assert STRATEGIES["rules"](options, Facts(images=True, rules=rules)) == [2, 1, 0]
    assert allowed(options, Facts(images=True, rules=rules)) == [0, 1, 2]
    assert allowed(options, Facts(rules=rules)) == [1]


def test_names_are_forgiving_and_a_wrong_one_is_answered_with_the_nearest() -> None:
    assert strategy_name("Round_Robin") == "round-robin"
    assert strategy_name("cost") == "cost-optimized"
    with pytest.raises(InvalidRequest, match="least-busy"):
        strategy_name("least-bussy")
