"""Rules over time: when something fires, gets worse, recovers, and what is told of it to whom. Nothing here waits: the clock is given."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.alerts.board import State
from intellirouter.alerts.builtin import RULES
from intellirouter.alerts.chosen import own_of, policy_of, problems, rules_of
from intellirouter.alerts.habit import new_errors, spend_habit
from intellirouter.alerts.judge import Alert, judge
from intellirouter.alerts.notice import Ack, Gathered, Policy, QuietHours, Silence, Step, Taker, due, gather
from intellirouter.alerts.reading.meters import Meters
from intellirouter.alerts.reading.window import Window
from intellirouter.alerts.rule import Level, Rule
from intellirouter.alerts.sample import Figure, Reading, Sample, merged
from intellirouter.config.schema.alerts import AlertsSection
from intellirouter.telemetry.metrics import Metrics

RULE = Rule("r", "it is bad", (Level(10, "warning"), Level(20, "critical")), for_seconds=60, clear_seconds=30)
SHARP = Rule("r", "t", RULE.levels, clear_seconds=0, hysteresis=0)
LOW = Rule("r", "it is low", (Level(0.5, "warning"), Level(0.2, "critical")), below=True, clear_seconds=0)

BEGAN = 1e9
"""The Unix time at which each story begins."""


def told(rule: Rule, values: list[tuple[float, float | None]]) -> list[tuple[float, str, str]]:
    """What changes while a value is measured at moments; None: nothing is measured."""
    alerts: dict[str, Alert] = {}
    found = []
    for now, value in values:
        figures = {} if value is None else {("r", ""): Figure(value)}
        for change in judge({"r": rule}, figures, alerts, BEGAN + now):
            found.append((now, change.what, change.alert.severity))
    return found


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        (RULE, [(0, 12), (59, 12), (60, 12), (90, 12)], [(60, "fired", "warning")]),
        (RULE, [(0, 12), (30, 5), (40, 12), (99, 12)], []),  # the time begins anew
        (RULE, [(0, 25), (60, 25)], [(60, "fired", "critical")]),
        (
            RULE,
            [(0, 12), (60, 12), (70, 25), (130, 25)],
            [(60, "fired", "warning"), (130, "worse", "critical")],
        ),
        (  # not yet better by a tenth, then long enough
            RULE,
            [(0, 12), (60, 12), (70, 9.5), (200, 9.5), (210, 8), (239, 8), (240, 8)],
            [(60, "fired", "warning"), (240, "recovered", "warning")],
        ),
        (
            RULE,
            [(0, 25), (60, 25), (70, 12), (100, 12), (110, 1), (140, 1)],
            [(60, "fired", "critical"), (100, "better", "warning"), (140, "recovered", "warning")],
        ),
        (RULE, [(0, 12), (60, 12), (70, None), (100, None)], [(60, "fired", "warning"), (100, "recovered", "warning")]),
        (SHARP, [(0, 10), (1, 10), (2, 20), (3, 20), (4, 9)], [(0, "fired", "warning"), (2, "worse", "critical"), (4, "recovered", "critical")]),
        (LOW, [(0, 0.6), (1, 0.5), (2, 0.2), (3, 0.54), (4, 0.56)],
         [(1, "fired", "warning"), (2, "worse", "critical"), (3, "better", "warning"), (4, "recovered", "warning")]),
    ],
)  # fmt: skip
def test_an_alert_over_time(
    rule: Rule, values: list[tuple[float, float | None]], expected: list[tuple[float, str, str]]
) -> None:
    assert told(rule, values) == expected


@given(st.lists(st.one_of(st.none(), st.floats(0, 40)), max_size=60))
def test_what_fires_recovers_and_never_twice(values: list[float | None]) -> None:
    """Whatever is measured: it recovers only from firing, gets worse only while it fires, and is over once all is well for long."""
    moments = [(10.0 * number, value) for number, value in enumerate(values)]
    last = 10.0 * len(values)
    found = told(RULE, [*moments, *((last + 10.0 * number, 0.0) for number in range(8))])
    firing = False
    for _, what, _ in found:
        assert firing == (what != "fired")
        firing = what != "recovered"
    assert not firing


def test_of_a_part_of_the_picture_nothing_follows_from_what_is_missing() -> None:
    alerts: dict[str, Alert] = {}
    rules = {"r": RULE}
    for now in (1, 61):
        judge(rules, {("r", "a"): Figure(12), ("r", "b"): Figure(12)}, alerts, now)
    assert [
        change.what
        for now in (100, 900)
        for change in judge(rules, {("r", "a"): Figure(12)}, alerts, now, partial=True)
    ] == []
    assert [
        change.alert.subject
        for now in (1000, 1100)
        for change in judge(rules, {("r", "a"): Figure(12)}, alerts, now)
    ] == ["b"]


# what is told


def story(
    policy: Policy,
    events: list[tuple[float, float]],
    silences: list[Silence] | None = None,
    ack_at: float | None = None,
    rule: Rule = RULE,
) -> list[tuple[float, str, list[str]]]:
    """Messages, while the value of the one rule goes through `events`."""
    alerts: dict[str, Alert] = {}
    waiting: dict[str, Gathered] = {}
    acks: dict[str, Ack] = {}
    found = []
    for now, value in events:
        changes = judge({"r": rule}, {("r", ""): Figure(value)}, alerts, BEGAN + now)
        if ack_at is not None and now >= ack_at and "r|" in alerts and not acks:
            acks = {alerts["r|"].id: Ack(alerts["r|"].level)}
        gather(policy, alerts, changes, silences or [], acks, waiting, BEGAN + now)
        for channel, items in due(policy, waiting, BEGAN + now).items():
            found.append((now, channel, [item.tells for item in items]))
    return found


BOTH = {"chat": Taker(), "pager": Taker("critical")}
AT_ONCE = Rule("r", "t", RULE.levels, clear_seconds=0)


@pytest.mark.parametrize(
    ("policy", "events", "more", "expected"),
    [
        (Policy(BOTH), [(0, 12), (1, 25), (2, 0)], {},
         [(0, "chat", ["fired"]), (1, "chat", ["worse"]), (1, "pager", ["fired"]), (2, "chat", ["recovered"]), (2, "pager", ["recovered"])]),
        # grouping: what comes within is one message, and what ended meanwhile none
        (Policy({"chat": Taker()}, group_seconds=10), [(0, 12), (5, 25), (10, 25)], {}, [(10, "chat", ["fired"])]),
        (Policy({"chat": Taker()}, group_seconds=10), [(0, 12), (5, 0), (20, 0)], {}, []),
        # steps, until somebody takes it on
        (Policy(BOTH, steps=(Step(0, ("chat",)), Step(60, ("pager",)))), [(0, 25), (59, 25), (60, 25), (61, 25)], {},
         [(0, "chat", ["fired"]), (60, "pager", ["escalated"])]),
        (Policy(BOTH, steps=(Step(0, ("chat",)), Step(60, ("pager",)))), [(0, 25), (30, 25), (60, 25)], {"ack_at": 30}, [(0, "chat", ["fired"])]),
        # taken on as a warning, it is told again when it gets worse
        (Policy(BOTH), [(0, 12), (5, 12), (10, 25)], {"ack_at": 5}, [(0, "chat", ["fired"]), (10, "chat", ["worse"]), (10, "pager", ["fired"])]),
        # repeats
        (Policy({"chat": Taker()}, repeat_seconds=100), [(0, 12), (99, 12), (100, 12), (150, 12), (200, 12)], {},
         [(0, "chat", ["fired"]), (100, "chat", ["again"]), (200, "chat", ["again"])]),
        (Policy({"chat": Taker()}, repeat_seconds=100), [(0, 12), (50, 12), (100, 12)], {"ack_at": 50}, [(0, "chat", ["fired"])]),
        # silences: of it, of another, and over while it still lasts
        (Policy(BOTH), [(0, 25), (5, 0)], {"silences": [Silence("s", "r*", "*", BEGAN + 100)]}, []),
        (Policy({"chat": Taker()}), [(0, 12)], {"silences": [Silence("s", "other", "*", BEGAN + 100)]}, [(0, "chat", ["fired"])]),
        (Policy({"chat": Taker()}), [(0, 12), (99, 12), (100, 12)], {"silences": [Silence("s", "r", "*", BEGAN + 100)]}, [(100, "chat", ["fired"])]),
        # a channel of other rules
        (Policy({"chat": Taker(rules=("disk", "memory"))}), [(0, 25)], {}, []),
    ],
)  # fmt: skip
def test_what_is_told_to_whom(
    policy: Policy, events: list[tuple[float, float]], more: dict[str, Any], expected: list[Any]
) -> None:
    assert story(policy, events, rule=AT_ONCE, **more) == expected


def test_warnings_wait_for_the_end_of_quiet_hours_and_what_is_critical_does_not() -> None:
    night = QuietHours(time(22), time(7), ZoneInfo("Europe/Rome"))
    policy = Policy({"chat": Taker()}, quiet=(night,))
    at = datetime(2026, 11, 20, 21, 30, tzinfo=UTC).timestamp() - BEGAN  # 22:30 in Rome
    hour = 3600.0
    events = [(at, 12.0), (at + hour, 25.0), (at + 2 * hour, 12.0), (at + 9 * hour, 12.0)]
    assert story(policy, events, rule=AT_ONCE) == [
        (at + hour, "chat", ["fired"]),
        (at + 9 * hour, "chat", ["better"]),
    ]
    assert story(policy, [(at, 12.0), (at + 9 * hour, 12.0)], rule=AT_ONCE) == [
        (at + 9 * hour, "chat", ["fired"])
    ]
    assert story(policy, [(at, 12.0), (at + hour, 0.0), (at + 9 * hour, 0.0)], rule=AT_ONCE) == []


@pytest.mark.parametrize(
    ("start", "end", "days", "moment", "held"),
    [
        (time(22), time(7), range(7), datetime(2026, 11, 20, 23), True),
        (time(22), time(7), range(7), datetime(2026, 11, 20, 6, 59), True),
        (time(22), time(7), range(7), datetime(2026, 11, 20, 7), False),
        (time(22), time(7), (4,), datetime(2026, 11, 21, 3), True),  # Saturday, of Friday's night
        (time(22), time(7), (4,), datetime(2026, 11, 20, 3), False),  # Friday, of Thursday's night
        (time(9), time(17), (5, 6), datetime(2026, 11, 21, 12), True),
        (time(9), time(17), (5, 6), datetime(2026, 11, 20, 12), False),
        (time(0), time(0), (6,), datetime(2026, 11, 22, 15), True),
        (time(8), time(8), (6,), datetime(2026, 11, 22, 3), True),  # the whole of Sunday
        (time(8), time(8), (6,), datetime(2026, 11, 23, 3), False),
    ],
)
def test_quiet_hours(start: time, end: time, days: Any, moment: datetime, held: bool) -> None:
    hours = QuietHours(start, end, ZoneInfo("UTC"), frozenset(days))
    assert hours.hold(moment.replace(tzinfo=UTC).timestamp()) is held


# figures


def test_samples_of_many_nodes_become_one_figure() -> None:
    rules = {
        "share": Rule("share", "", RULE.levels, merge="share", least=20),
        "sum": Rule("sum", "", RULE.levels, merge="sum"),
        "p95": Rule("p95", "", RULE.levels, merge="quantile"),
        "low": LOW,
    }

    def node(name: str, failed: float, all_: float, spread: tuple[float, ...], low: float) -> Reading:
        samples = (
            Sample("share", failed, of=all_),
            Sample("sum", 2),
            Sample("p95", 0, spread=spread, bounds=(1.0, 2.0, 4.0)),
            Sample("low", low),
            Sample("unknown", 1),
        )
        return Reading(name, name, 0, samples)

    found = merged(rules, [node("a", 1, 10, (50, 0, 0, 0), 0.9), node("b", 4, 10, (40, 0, 10, 0), 0.3)])
    assert {name: round(figure.value, 3) for (name, _), figure in found.items()} == {
        "share": 0.25,
        "sum": 4,
        "p95": 3.0,  # half way into the bucket from 2 to 4
        "low": 0.3,
    }
    assert ("share", "") not in merged(rules, [node("a", 9, 10, (1, 0, 0, 0), 1)])  # too few to say


def test_a_window_forgets_what_is_older() -> None:
    window = Window(60)
    rises = [
        window.rise({"": (float(level),)}, now)[""][0]
        for now, level in [(0, 5), (30, 8), (60, 9), (95, 9), (200, 9)]
    ]
    assert rises == [5, 8, 9, 1, 0]
    late = Window(60, began=0)
    assert [late.rise({"": (float(level),)}, now)[""][0] for now, level in [(500, 70), (510, 72)]] == [0, 2]


async def test_the_meters_of_a_node() -> None:
    """Failures, times, spend and kinds of errors as the node counts them."""
    metrics = Metrics()
    meters = Meters(metrics.registry)
    await meters.read(0)
    for status, count in ((200, 90), (500, 10), (404, 50)):
        metrics.requests.labels("Router", "chat_completions", status).inc(count)
    for seconds in [0.02] * 90 + [20.0] * 10:
        metrics.request_seconds.labels("Router", "chat_completions").observe(seconds)
    metrics.request_seconds.labels("Router", "admin_requests_follow").observe(3600)
    metrics.llm_cost.labels("p", "m").inc(12.5)
    metrics.failures.labels("p", "timeout").inc()
    rules = rules_of(AlertsSection())
    figures = merged(rules, [Reading("n", "n", 60, tuple(await meters.read(60)))])
    assert figures["error_rate", "Router"].value == pytest.approx(10 / 150)
    assert 10 <= figures["latency_p95", "Router"].value <= 30
    assert figures["cost_hour", ""].value == 12.5
    assert figures["new_error", "p: timeout"].value == 1
    later = merged(rules, [Reading("n", "n", 4000, tuple(await meters.read(4000)))])
    assert ("error_rate", "Router") not in later  # nobody asked since
    assert later["cost_hour", ""].value == 0


async def test_a_rule_of_ones_own_over_any_metric() -> None:
    metrics = Metrics()
    made = {
        "retries": {"metric": "llm_api_calls", "where": {"outcome": "fail*"}, "by": "provider", "of": "increase", "warning": 3},
        "slow": {"metric": "llm_api_latency_seconds", "of": "p99", "critical": 1, "least": 5},
    }  # fmt: skip
    section = AlertsSection.model_validate({"rules": made})
    assert list(problems(section)) == []
    meters = Meters(metrics.registry, own_of(section))
    await meters.read(0)
    metrics.llm_calls.labels("a", "m", "failed").inc(4)
    metrics.llm_calls.labels("a", "m", "ok").inc(100)
    metrics.llm_calls.labels("b", "m", "failed").inc(1)
    for _ in range(10):
        metrics.llm_seconds.labels("a", "m").observe(3.0)
    figures = merged(rules_of(section), [Reading("n", "n", 9, tuple(await meters.read(9)))])
    assert {key: value.value for key, value in figures.items() if key[0] == "retries"} == {
        ("retries", "a"): 4,
        ("retries", "b"): 1,
    }
    assert figures["slow", ""].value > 2.5


def test_spend_that_leaves_its_habit() -> None:
    """A week of about two dollars an hour, then seven."""
    state = State()
    for hour in range(7 * 24):
        figures: Any = {("cost_hour", ""): Figure(2.0 + 0.1 * (hour % 5))}
        spend_habit(state, figures, hour * 3600.0)
        if hour >= 24:
            assert figures["spend_habit", ""].value < 1
    assert len(state.hours) == 7 * 24
    figures = {("cost_hour", ""): Figure(7.0)}
    spend_habit(state, figures, 7 * 24 * 3600.0)
    assert 1 < figures["spend_habit", ""].value < 3


def test_an_error_is_new_once() -> None:
    state, rules = State(), rules_of(AlertsSection())
    alerts: dict[str, Alert] = {}

    def seen(now: float, *kinds: str) -> list[tuple[str, str]]:
        figures = {("new_error", kind): Figure(1.0) for kind in kinds}
        new_errors(state, figures, now)
        return [(change.what, change.alert.subject) for change in judge(rules, figures, alerts, now)]

    assert seen(BEGAN, "a: timeout") == [("fired", "a: timeout")]
    assert seen(BEGAN + 100, "a: timeout") == []
    assert seen(BEGAN + 3700, "a: timeout") == [("recovered", "a: timeout")]
    assert seen(BEGAN + 3800, "a: timeout", "b: auth") == [("fired", "b: auth")]


# the configuration


@pytest.mark.parametrize(
    ("table", "path", "words"),
    [
        ({"rules": {"dsik": {"warning": 1}}}, "alerts.rules.dsik", "Did you mean 'disk'?"),
        (
            {"rules": {"mine": {"metric": "queue_depth"}}},
            "alerts.rules.mine",
            "needs 'warning' or 'critical'",
        ),
        ({"rules": {"disk": {"metric": "x", "warning": 1}}}, "alerts.rules.disk.metric", "another name"),
        ({"rules": {"disk": {"warning": 0.99}}}, "alerts.rules.disk", "must be above 'warning'"),
        ({"rules": {"cache_hits": {"critical": 0.6}}}, "alerts.rules.cache_hits", "must be below 'warning'"),
        ({"rules": {"budget": {"warning": 10}}}, "alerts.rules.budget", "only be switched off"),
        ({"steps": [{"channels": ["pager"]}]}, "alerts.steps.0.channels", "there is no channel 'pager'"),
    ],
)
def test_what_cannot_be_is_named(table: dict[str, Any], path: str, words: str) -> None:
    found = [
        (".".join(map(str, where)), said) for where, said in problems(AlertsSection.model_validate(table))
    ]
    assert [where for where, _ in found] == [path]
    assert words in found[0][1]


def test_the_built_in_rules_hold_and_can_be_changed() -> None:
    assert not list(problems(AlertsSection()))
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        levels = [level.at for level in rule.levels]
        assert levels == sorted(levels, reverse=rule.below), rule.name
        assert rule.advice, rule.name
        assert rule.title, rule.name
    section = AlertsSection.model_validate(
        {"rules": {"disk": {"warning": 0.5, "for_seconds": 9}, "memory": {"enabled": False}}}
    )
    rules = rules_of(section)
    assert "memory" not in rules
    assert (rules["disk"].levels[0].at, rules["disk"].levels[1].at, rules["disk"].for_seconds) == (
        0.5,
        0.97,
        9,
    )
    assert policy_of(section).steps == (Step(),)
