"""The words of a message: what is wrong, how badly, since when, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from intellirouter.alerts.judge import Alert
from intellirouter.alerts.notice import Item, Tells
from intellirouter.alerts.rule import Severity
from intellirouter.counts import counted

MOST_LINES = 20
MAX_LINE = 600

_WORDS: dict[Tells, str] = {
    "fired": "",
    "worse": "worse: ",
    "better": "better: ",
    "recovered": "recovered: ",
    "again": "still: ",
    "escalated": "not acknowledged: ",
}
Tone = Literal["failure", "warning", "success", "info"]


class Message(msgspec.Struct, omit_defaults=True):
    """What goes out by one channel. `attempts` of sending it failed; the next is at `next` (Unix seconds)."""

    id: str
    channel: str
    at: float
    items: list[Item]
    attempts: int = 0
    next: float = 0.0
    error: str = ""


def severity_of(items: Sequence[Item]) -> Severity:
    """The worst of them."""
    return "critical" if any(item.alert.severity == "critical" for item in items) else "warning"


def tone_of(items: Sequence[Item]) -> Tone:
    """How a message is to be taken as a whole."""
    open_ = [item for item in items if item.tells != "recovered"]
    if not open_:
        return "success"
    return "failure" if severity_of(open_) == "critical" else "warning"


def title_of(items: Sequence[Item], origin: str) -> str:
    """One line; `origin` is who says it."""
    open_ = [item for item in items if item.tells != "recovered"]
    if len(items) == 1:
        return f"[{_state(items[0])}] {_what(items[0].alert)} ({origin})"[:MAX_LINE]
    over = len(items) - len(open_)
    words = [counted(len(open_), "alert")] if open_ else []
    words += [f"{over} recovered"] if over else []
    state = severity_of(open_).upper() if open_ else "RECOVERED"
    return f"[{state}] {', '.join(words)} ({origin})"


def _state(item: Item) -> str:
    return "RECOVERED" if item.tells == "recovered" else item.alert.severity.upper()


def _what(alert: Alert) -> str:
    return f"{alert.title}: {alert.subject}" if alert.subject else alert.title


def text_of(items: Sequence[Item]) -> str:
    """A paragraph each, plain text."""
    lines = []
    for item in items[:MOST_LINES]:
        alert = item.alert
        head = f"{_WORDS[item.tells]}{_state(item)} {_what(alert)}"
        facts = [f"value {figure(alert.value, alert.unit)}", f"since {moment(alert.fired)}", f"id {alert.id}"]
        lines.append(f"{head}\n  {', '.join(facts)}")
        if alert.note:
            lines.append(f"  {alert.note[:MAX_LINE]}")
        if alert.advice and item.tells != "recovered":
            lines.append(f"  → {alert.advice}")
    if len(items) > MOST_LINES:
        lines.append(f"… and {len(items) - MOST_LINES} more: intellirouter alerts ls")
    return "\n".join(lines)


def moment(at: float) -> str:
    """In UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def figure(value: float, unit: str) -> str:
    """A value as people write it."""
    match unit:
        case "share":
            return f"{value:.1%}"
        case "s":
            return f"{value:.3g} s"
        case "usd":
            return f"${value:,.2f}"
        case "":
            return f"{value:.6g}"
        case _:
            return f"{value:.3g} {unit}"


def document(message: Message, origin: str) -> dict[str, Any]:
    """The same for programs."""
    return {
        "id": message.id,
        "type": "alerts",
        "origin": origin,
        "at": round(message.at, 3),
        "severity": severity_of(message.items),
        "title": title_of(message.items, origin),
        "text": text_of(message.items),
        "alerts": [{"tells": item.tells, **shown(item.alert)} for item in message.items],
    }


def shown(alert: Alert) -> dict[str, Any]:
    """An alert for people and programs."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "subject": alert.subject,
        "title": alert.title,
        "status": "firing" if alert.firing else "pending",
        "severity": alert.severity,
        "level": alert.level,
        "value": alert.value,
        "unit": alert.unit,
        "figure": figure(alert.value, alert.unit),
        "note": alert.note,
        "advice": alert.advice,
        "since": round(alert.since, 3),
        "fired": round(alert.fired, 3) or None,
    }
