"""From `[alerts]` to rules and to who is told. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

import msgspec

from intellirouter.alerts.builtin import BY_NAME
from intellirouter.alerts.notice import Policy, QuietHours, Step, Taker
from intellirouter.alerts.rule import Level, Merge, Rule
from intellirouter.config.schema.alerts import DAYS, AlertRule, AlertsSection

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Problem = tuple[tuple[str | int, ...], str]


class Own(msgspec.Struct, frozen=True):
    """What to measure for a rule that the operator made: a metric's series, or how they change in a window."""

    rule: str
    metric: str
    where: Mapping[str, str]
    by: str
    of: str
    window: float


def rules_of(section: AlertsSection) -> dict[str, Rule]:
    """By name, those that are on."""
    rules = {}
    for name, rule in BY_NAME.items():
        other = section.rules.get(name)
        if other is None:
            rules[name] = rule
        elif other.enabled:
            rules[name] = _changed(rule, other)
    for name, made in section.rules.items():
        if name not in BY_NAME and made.enabled and made.metric:
            rules[name] = _made(name, made)
    return rules


def _changed(rule: Rule, other: AlertRule) -> Rule:
    levels = rule.levels
    if other.warning is not None or other.critical is not None:
        kept: dict[str, float] = {level.severity: level.at for level in rule.levels}
        levels = _levels(kept | _thresholds(other))
    return Rule(
        name=rule.name,
        title=other.title or rule.title,
        levels=levels,
        unit=rule.unit,
        below=rule.below,
        for_seconds=_given(other.for_seconds, rule.for_seconds),
        clear_seconds=_given(other.clear_seconds, rule.clear_seconds),
        hysteresis=_given(other.hysteresis, rule.hysteresis),
        merge=rule.merge,
        least=_given(other.least, rule.least),
        quantile=rule.quantile,
        advice=rule.advice,
    )


def _thresholds(section: AlertRule) -> dict[str, float]:
    given = {"warning": section.warning, "critical": section.critical}
    return {name: at for name, at in given.items() if at is not None}


def _levels(at: Mapping[str, float]) -> tuple[Level, ...]:
    found = []
    if "warning" in at:
        found.append(Level(at["warning"], "warning"))
    if "critical" in at:
        found.append(Level(at["critical"], "critical"))
    return tuple(found)


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _made(name: str, made: AlertRule) -> Rule:
    plain = Rule(name, made.title or name.replace("_", " "), ())
    merge: Merge = "quantile" if made.of in _QUANTILES else "sum" if made.of == "increase" else "max"
    return Rule(
        name=name,
        title=plain.title,
        levels=_levels(_thresholds(made)),
        below=made.below,
        for_seconds=_given(made.for_seconds, plain.for_seconds),
        clear_seconds=_given(made.clear_seconds, plain.clear_seconds),
        hysteresis=_given(made.hysteresis, plain.hysteresis),
        merge=merge,
        least=_given(made.least, plain.least),
        quantile=_QUANTILES.get(made.of, plain.quantile),
    )


def own_of(section: AlertsSection) -> tuple[Own, ...]:
    """What rules of the operator's own measure."""
    return tuple(
        Own(name, made.metric, made.where, made.by, made.of, made.window_seconds)
        for name, made in section.rules.items()
        if name not in BY_NAME and made.enabled and made.metric
    )


def policy_of(section: AlertsSection) -> Policy:
    """Who is told, and when."""
    return Policy(
        channels={channel.name: Taker(channel.severity, channel.rules) for channel in section.channels},
        steps=tuple(
            Step(step.after_seconds, step.channels)
            for step in sorted(section.steps, key=lambda step: step.after_seconds)
        )
        or (Step(),),
        repeat_seconds=section.repeat_seconds,
        group_seconds=section.group_seconds,
        quiet=tuple(
            QuietHours(
                quiet.start,
                quiet.end,
                ZoneInfo(quiet.zone),
                frozenset(DAYS.index(day) for day in quiet.days),
            )
            for quiet in section.quiet_hours
        ),
    )


def problems(section: AlertsSection) -> Iterator[Problem]:
    """What of `[alerts]` cannot be."""
    for name, rule in section.rules.items():
        yield from _of_rule(name, rule)
    names: set[str] = set()
    for index, channel in enumerate(section.channels):
        if channel.name in names:
            yield ("alerts", "channels", index, "name"), f"there are two channels '{channel.name}'."
        names.add(channel.name)
    for index, step in enumerate(section.steps):
        for wanted in step.channels:
            if "*" not in wanted and wanted not in names:
                yield ("alerts", "steps", index, "channels"), f"there is no channel '{wanted}'."


def _of_rule(name: str, rule: AlertRule) -> Iterator[Problem]:
    path = ("alerts", "rules", name)
    known, given = BY_NAME.get(name), _thresholds(rule)
    if known is None:
        if not rule.metric:
            near = difflib.get_close_matches(name, BY_NAME, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Built-in rules: {', '.join(BY_NAME)}."
            yield path, f"is no built-in rule, and one of your own needs 'metric'. {hint}"
        elif not given:
            yield path, "needs 'warning' or 'critical'."
    elif rule.metric:
        yield (*path, "metric"), f"'{name}' is a built-in rule; give your own another name."
        return
    elif given and len({level.severity for level in known.levels}) < len(known.levels):
        yield path, f"the levels of '{name}' are fixed: it can only be switched off."
        return
    levels = (_changed(known, rule) if known is not None else _made(name, rule)).levels
    below = known.below if known is not None else rule.below
    if len(levels) == 2 and (levels[0].at < levels[1].at if below else levels[0].at > levels[1].at):
        side = "below" if below else "above"
        yield path, f"'critical' ({levels[1].at:g}) must be {side} 'warning' ({levels[0].at:g})."
