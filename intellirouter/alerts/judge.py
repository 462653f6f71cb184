"""Judges figures by rules: what was known becomes what is known now. Pure: the time is given.

An alert is a rule and a subject. It is *pending* while a level was reached and not yet for long enough, *firing* from then on, and
forgotten when it recovered. It gets a new id whenever it starts to fire, so that an acknowledgement is of that time alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import msgspec

from intellirouter.alerts.rule import Rule, Severity
from intellirouter.alerts.sample import Figure

MAX_ALERTS = 500
"""That are known at a time; what comes then waits until there is room."""

What = Literal["fired", "worse", "better", "recovered"]


class Alert(msgspec.Struct, omit_defaults=True):
    """Times are Unix seconds. `reached` says since when the value is as bad as each level, 0 where it is not; `level` counts from 1;
    `changed` is when it last rose.

    What is from `told` on belongs to `notice.py`.
    """

    rule: str
    subject: str
    title: str = ""
    advice: str = ""
    unit: str = ""
    id: str = ""
    level: int = 0
    severity: Severity = "warning"
    value: float = 0.0
    note: str = ""
    since: float = 0.0
    fired: float = 0.0
    changed: float = 0.0
    easing: float = 0.0
    reached: list[float] = []
    told: list[str] = []
    told_level: int = 0
    told_at: float = 0.0
    steps: int = 0

    @property
    def key(self) -> str:
        """The same for every time it fires."""
        return f"{self.rule}|{self.subject}"

    @property
    def firing(self) -> bool:
        """False while it is pending."""
        return self.level > 0


class Change(msgspec.Struct):
    """Something to be told of, with the alert as it was then."""

    what: What
    alert: Alert


def judge(
    rules: Mapping[str, Rule],
    figures: Mapping[tuple[str, str], Figure],
    alerts: dict[str, Alert],
    now: float,
    *,
    partial: bool = False,
) -> list[Change]:
    """Bring `alerts` (by key) to what the figures say; what changed, in order.

    What has no figure is taken for well: nothing says otherwise. `partial`: the figures are not of all nodes, so that nothing
    follows from one that is missing.
    """
    changes: list[Change] = []
    for (name, subject), figure in figures.items():
        rule, key = rules[name], f"{name}|{subject}"
        alert = alerts.get(key)
        if alert is None:
            if not rule.reaches(figure.value, rule.levels[0]) or len(alerts) >= MAX_ALERTS:
                continue
            alert = alerts[key] = Alert(name, subject, since=now)
        changes += _judged(rule, alert, figure, now)
    for alert in alerts.values():
        if (alert.rule, alert.subject) not in figures and (alert.rule not in rules or not partial):
            changes += _missing(rules.get(alert.rule), alert, now)
    for key in [key for key, alert in alerts.items() if not alert.firing and not any(alert.reached)]:
        del alerts[key]
    return changes


def _judged(rule: Rule, alert: Alert, figure: Figure, now: float) -> list[Change]:
    alert.title, alert.advice, alert.unit = rule.title, rule.advice, rule.unit
    alert.value, alert.note = figure.value, figure.note
    known = [*alert.reached, *[0.0] * len(rule.levels)]
    alert.reached = [
        (known[number] or now) if rule.reaches(figure.value, level) else 0.0
        for number, level in enumerate(rule.levels)
    ]
    risen = max(
        (
            number
            for number, since in enumerate(alert.reached, 1)
            if since and now - since >= rule.for_seconds
        ),
        default=0,
    )
    if alert.level > len(rule.levels):  # the rule has fewer levels now
        alert.level = len(rule.levels)
    if risen > alert.level:
        return [_risen(rule, alert, risen, now)]
    return _eased(rule, alert, now)


def _risen(rule: Rule, alert: Alert, level: int, now: float) -> Change:
    fresh = not alert.firing
    if fresh:
        alert.fired = now
        alert.id = hashlib.sha256(f"{alert.key}|{now}".encode()).hexdigest()[:12]
    alert.level, alert.severity = level, rule.levels[level - 1].severity
    alert.changed, alert.easing = now, 0.0
    return Change("fired" if fresh else "worse", msgspec.structs.replace(alert))


def _eased(rule: Rule, alert: Alert, now: float) -> list[Change]:
    if not alert.firing or rule.holds(alert.value, rule.levels[alert.level - 1]):
        alert.easing = 0.0
        return []
    alert.easing = alert.easing or now
    if now - alert.easing < rule.clear_seconds:
        return []
    held = [number for number in range(1, alert.level) if rule.holds(alert.value, rule.levels[number - 1])]
    if not held:
        return [_recovered(alert, now)]
    alert.level = held[-1]
    alert.severity, alert.easing = rule.levels[alert.level - 1].severity, 0.0
    return [Change("better", msgspec.structs.replace(alert))]


def _missing(rule: Rule | None, alert: Alert, now: float) -> list[Change]:
    alert.reached = []
    if not alert.firing:
        return []
    alert.easing = alert.easing or now
    if rule is not None and now - alert.easing < rule.clear_seconds:
        return []
    alert.note = "it is not measured any more" if rule is not None else "the rule is gone"
    return [_recovered(alert, now)]


def _recovered(alert: Alert, now: float) -> Change:
    was = msgspec.structs.replace(alert, changed=now)
    alert.level, alert.reached, alert.easing = 0, [], 0.0
    return Change("recovered", was)
