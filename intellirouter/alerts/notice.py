"""What is told of alerts, to which channels, and when. Pure: the time is given.

An alert is told when it fires and when it gets worse, to the channels of the first step; of the further ones after their time, as
long as nobody acknowledged it; again each `repeat_seconds`; and when it is over, to all that were told. A silence keeps what it
matches to itself. What concerns one channel within `group_seconds` goes in one message; in quiet hours what is no more than a
warning waits for their end, and what began and ended meanwhile is not told at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from intellirouter.alerts.judge import Alert, Change
from intellirouter.alerts.rule import Severity

MAX_GATHERED = 50
"""Items that wait for one channel; of more the oldest are left out."""

Tells = Literal["fired", "worse", "better", "recovered", "again", "escalated"]


class Silence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nothing is told of what matches both patterns (`*` any run of letters) until then."""

    id: str
    rule: str
    subject: str
    until: float
    by: str = ""
    note: str = ""
    at: float = 0.0

    def keeps(self, alert: Alert, now: float) -> bool:
        """True while it concerns the alert."""
        return (
            now < self.until
            and fnmatchcase(alert.rule, self.rule)
            and fnmatchcase(alert.subject, self.subject)
        )


class Ack(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody has taken an alert on, as bad as it was (`level`)."""

    level: int
    by: str = ""
    note: str = ""
    at: float = 0.0


class Item(msgspec.Struct, omit_defaults=True):
    """One line of a message."""

    tells: Tells
    alert: Alert


class Gathered(msgspec.Struct, omit_defaults=True):
    """What waits to be told to one channel, and since when."""

    since: float = 0.0
    items: list[Item] = []


@dataclass(frozen=True, slots=True)
class Taker:
    """What a channel wants to hear: from which severity on, and of which rules (patterns)."""

    severity: Severity = "warning"
    rules: tuple[str, ...] = ("*",)

    def takes(self, alert: Alert) -> bool:
        """True for what it wants to hear of."""
        if self.severity == "critical" and alert.severity != "critical":
            return False
        return any(fnmatchcase(alert.rule, pattern) for pattern in self.rules)


@dataclass(frozen=True, slots=True)
class Step:
    """After so many seconds without an acknowledgement these channels (patterns) are told."""

    after_seconds: float = 0.0
    channels: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` of these days (Monday is 0), over midnight where `end` is earlier; the day is that of the start."""

    start: time
    end: time
    zone: ZoneInfo
    days: frozenset[int] = frozenset(range(7))

    def hold(self, now: float) -> bool:
        """True within them."""
        here = datetime.fromtimestamp(now, self.zone)
        begun, lasts = here.time() >= self.start, here.time() < self.end
        if self.start > self.end:
            yesterday = (here - timedelta(days=1)).weekday()
            return (here.weekday() in self.days and begun) or (yesterday in self.days and lasts)
        return here.weekday() in self.days and (self.start == self.end or (begun and lasts))


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is told, and how often."""

    channels: Mapping[str, Taker]
    steps: tuple[Step, ...] = (Step(),)
    repeat_seconds: float = 0.0
    group_seconds: float = 0.0
    quiet: tuple[QuietHours, ...] = ()

    def of_step(self, step: Step, alert: Alert) -> Iterator[str]:
        """The channels that hear of an alert by a step."""
        for name, taker in self.channels.items():
            if taker.takes(alert) and any(fnmatchcase(name, pattern) for pattern in step.channels):
                yield name


def gather(
    policy: Policy,
    alerts: Mapping[str, Alert],
    changes: Sequence[Change],
    silences: Sequence[Silence],
    acks: Mapping[str, Ack],
    waiting: dict[str, Gathered],
    now: float,
) -> None:
    """Add to `waiting` (by channel) what there is to tell, and note in the alerts that it is told."""
    for change in changes:
        if change.what in ("better", "recovered") and not _silent(change.alert, silences, now):
            for channel in change.alert.told:
                _add(waiting, channel, Item(change.what, change.alert), now)
    for alert in alerts.values():
        if alert.firing and not _silent(alert, silences, now):
            _tell(policy, alert, acks, waiting, now)


def _silent(alert: Alert, silences: Sequence[Silence], now: float) -> bool:
    return any(silence.keeps(alert, now) for silence in silences)


def acknowledged(alert: Alert, acks: Mapping[str, Ack]) -> bool:
    """True when somebody has taken it on as it is, or worse."""
    ack = acks.get(alert.id)
    return ack is not None and ack.level >= alert.level


def _tell(
    policy: Policy, alert: Alert, acks: Mapping[str, Ack], waiting: dict[str, Gathered], now: float
) -> None:
    fresh = alert.level > alert.told_level
    if fresh:
        alert.steps = 0
    alert.told_level = alert.level
    acked = acknowledged(alert, acks)
    while alert.steps < len(policy.steps) and (not acked or fresh):
        step = policy.steps[alert.steps]
        if now - alert.changed < step.after_seconds:
            break
        first: Tells = "escalated" if alert.steps else "fired"
        for channel in policy.of_step(step, alert):
            tells = "worse" if fresh and channel in alert.told else first
            _add(waiting, channel, Item(tells, msgspec.structs.replace(alert)), now)
            if channel not in alert.told:
                alert.told = [*alert.told, channel]
        alert.steps, alert.told_at = alert.steps + 1, now
        fresh = False
    if not acked and policy.repeat_seconds and alert.told and now - alert.told_at >= policy.repeat_seconds:
        for channel in alert.told:
            _add(waiting, channel, Item("again", msgspec.structs.replace(alert)), now)
        alert.told_at = now


def _add(waiting: dict[str, Gathered], channel: str, item: Item, now: float) -> None:
    """Beside what waits; of one alert the last word counts, and one that ended before it was told is not told."""
    gathered = waiting.setdefault(channel, Gathered(since=now))
    if not gathered.items:
        gathered.since = now
    before = next((one for one in gathered.items if one.alert.id == item.alert.id), None)
    if before is not None:
        gathered.items = [one for one in gathered.items if one is not before]
        if before.tells == "fired" and item.tells == "recovered":
            return
        if before.tells == "fired":
            item = Item("fired", item.alert)
        elif item.tells == "again":
            item = Item(before.tells, item.alert)
    gathered.items = [*gathered.items, item][-MAX_GATHERED:]


def due(policy: Policy, waiting: dict[str, Gathered], now: float) -> dict[str, list[Item]]:
    """Take from `waiting` what goes now, by channel."""
    quiet = any(hours.hold(now) for hours in policy.quiet)
    found = {}
    for channel, gathered in list(waiting.items()):
        if channel not in policy.channels:
            del waiting[channel]
            continue
        if now - gathered.since < policy.group_seconds:
            continue
        goes = [item for item in gathered.items if not quiet or item.alert.severity == "critical"]
        gathered.items = [item for item in gathered.items if item not in goes]
        if goes:
            found[channel] = goes
        if not gathered.items:
            del waiting[channel]
    return found
