"""The time that a step with a `timeout` and other steps in it may take, all that it holds included.

The time of the steps runs from the first of them that takes any: its outcome tells when it began, so that a run which is taken over ends when
it would have ended. What comes too late is recorded as such, and a walk that finds it recorded takes the same way again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from intellirouter.errors import IntelliRouterError


class TimeIsUp(IntelliRouterError):
    """The time of the step at `owner` is over. Nothing below that step goes on, whatever its `on_error` says."""

    code = "timeout"
    status = 504

    def __init__(self, owner: str, message: str) -> None:
        super().__init__(message)
        self.owner = owner


@dataclass(slots=True)
class Deadline:
    """Of the step at a path: `until` is a Unix time, None while nothing below it has begun; `outer` is that of a step around it."""

    at: str
    seconds: float
    outer: Deadline | None = None
    until: float | None = None

    def begin(self, moment: float) -> None:
        """Something below began at this Unix time."""
        if self.until is None or moment + self.seconds < self.until:
            self.until = moment + self.seconds
        if self.outer is not None:
            self.outer.begin(moment)

    def ahead(self, moment: float) -> tuple[float, Deadline]:
        """When the first of this one and those around it would be over (Unix time), and which that is, if something began at `moment`."""
        until = moment + self.seconds if self.until is None else min(self.until, moment + self.seconds)
        if self.outer is None:
            return until, self
        beyond, which = self.outer.ahead(moment)
        return (beyond, which) if beyond < until else (until, self)

    def first(self) -> Deadline:
        """Of this one and those around it, the one that ends first. All have begun."""
        beyond = self.outer.first() if self.outer is not None else self
        return beyond if (beyond.until or 0.0) < (self.until or 0.0) else self

    def left(self) -> float:
        """Seconds until the first of them is over, less than none where that was before now. All have begun."""
        return (self.first().until or 0.0) - time.time()

    def error(self) -> dict[str, str]:
        """What an outcome says where its time is over."""
        return {
            "code": TimeIsUp.code,
            "message": f"Step '{self.at}' took longer than its {self.seconds:g} s.",
        }

    def passed(self) -> TimeIsUp:
        """The error that ends the step."""
        return TimeIsUp(self.at, f"It took longer than its {self.seconds:g} s.")

    def named(self, owner: str) -> Deadline:
        """This one, or the one around it that is of the step at `owner`."""
        return self if self.at == owner or self.outer is None else self.outer.named(owner)


_DEADLINE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def deadline() -> Deadline | None:
    """That of what is walked now."""
    return _DEADLINE.get()


@contextlib.contextmanager
def timing(at: str, seconds: float | None) -> Iterator[None]:
    """What is walked meanwhile may take so long; None: as long as what is around it."""
    if seconds is None:
        yield
        return
    before = _DEADLINE.set(Deadline(at, seconds, _DEADLINE.get()))
    try:
        yield
    finally:
        _DEADLINE.reset(before)


def told(outcome: dict[str, Any]) -> None:
    """Take from an outcome when it began. Raises `TimeIsUp` where it says that the time was over."""
    within, about = _DEADLINE.get(), outcome.get("about")
    if within is None or not isinstance(about, dict):
        return
    if isinstance(began := about.get("began"), (int, float)):
        within.begin(began)
    if isinstance(owner := about.get("over"), str):
        raise within.named(owner).passed()


def capped(seconds: float | None, moment: float) -> tuple[float | None, Deadline | None]:
    """How long a wait may last that begins at `moment` and would last so long, and whose time is then over: None where its own is."""
    within = _DEADLINE.get()
    if within is None:
        return seconds, None
    until, which = within.ahead(moment)
    left = max(0.0, until - moment)
    return (seconds, None) if seconds is not None and seconds <= left else (left, which)


def waited(seconds: float | None, began: float) -> Deadline | None:
    """A wait that would have lasted so long began then (Unix time): whose time is over where nothing came; None where its own is."""
    _, sooner = capped(seconds, began)
    if (within := _DEADLINE.get()) is not None:
        within.begin(began)
    return sooner


def wakes(seconds: float, within: Deadline | None) -> dict[str, Any]:
    """The outcome of a sleep that begins now: `until` is when it ends (Unix time), at a deadline that comes first."""
    now = time.time()
    if within is None:
        return {"ok": {"slept": seconds, "until": now + seconds}}
    within.begin(now)
    left = max(0.0, within.left())
    about: dict[str, Any] = {"began": now}
    if left < seconds:
        about["over"] = within.first().at
    return {"ok": {"slept": min(left, seconds), "until": now + min(left, seconds)}, "about": about}
