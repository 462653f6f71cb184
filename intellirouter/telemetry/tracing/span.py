"""Spans as the code that works sees them. Where nothing is traced, each of these calls is next to nothing.

The span under way is found through the context of the task (`current`), as OpenTelemetry has it, so that nothing is handed along.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass
from random import getrandbits
from typing import Literal, Protocol

Kind = Literal["server", "client", "internal"]
Attributes = Mapping[str, str | bool | int | float | Sequence[str]]
NOTHING: Attributes = {}
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch
"""Trace, parent and flags of a trace context. Source: W3C Trace Context, "traceparent"."""


class Span(Protocol):
    """Something that takes time. `recorded` is False for a trace that is only passed along."""

    @property
    def recorded(self) -> bool:
        """Whether it will be exported."""

    @property
    def traceparent(self) -> str:
        """Its context for whoever is asked on its behalf. Source: W3C Trace Context."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; empty where there is none."""

    def child(self, name: str, kind: Kind = "internal", attributes: Attributes = NOTHING) -> Span:
        """A part of it that begins now."""

    def note(self, attributes: Attributes) -> None:
        """Say more of it."""

    def end(self, error: str = "") -> None:
        """It is over; `error` is the code of what it failed with."""


class Tracer(Protocol):
    """Begins the traces of one role."""

    def request(self, traceparent: str | None, described: Callable[[], tuple[str, Attributes]]) -> Span:
        """A request that this role answers, as a part of the trace it came with. Its name and attributes are asked for only
        when it is recorded."""

    def part_of(self, what: str, name: str, attributes: Attributes = NOTHING) -> Span:
        """A part of the work of that id: all parts of it, on whatever node and after whatever crash, are one trace."""

    def whole(
        self, what: str, name: str, seconds: float, error: str, attributes: Attributes = NOTHING
    ) -> None:
        """The work of that id, which is over and took so long: the root of its parts."""


@dataclass(frozen=True, slots=True)
class PassedAlong:
    """What is not recorded: whoever is asked is told so, or would begin in the middle. `given` is what the request came with."""

    given: str | None = None
    recorded: bool = False
    trace_id: str = ""

    @property
    def traceparent(self) -> str:
        """What was given, or else a trace that nobody records."""
        return self.given or f"00-{getrandbits(128):032x}-{getrandbits(64):016x}-00"  # a name, not a secret

    def child(self, name: str, kind: Kind = "internal", attributes: Attributes = NOTHING) -> PassedAlong:  # noqa: ARG002
        """Itself."""
        return self

    def note(self, attributes: Attributes) -> None:
        """Nothing."""

    def end(self, error: str = "") -> None:
        """Nothing."""


def traceparent_of(headers: Mapping[str, str]) -> str | None:
    """The trace context that a request came with, if it is one."""
    given = headers.get("traceparent")
    return given if given is not None and TRACEPARENT(given) else None


_CURRENT: ContextVar[Span | None] = ContextVar("span", default=None)


def current() -> Span | None:
    """The span under way in this task, if it is recorded."""
    span = _CURRENT.get()
    return span if span is not None and span.recorded else None


def outgoing(traceparent: str | None) -> str | None:
    """The context to send along: that of the span under way, or else what the call came with."""
    span = _CURRENT.get()
    return traceparent if span is None else span.traceparent


def enter(span: Span) -> Token[Span | None]:
    """Make it the span under way in this task, until `leave`."""
    return _CURRENT.set(span)


def leave(token: Token[Span | None]) -> None:
    """Go back to what was under way before."""
    _CURRENT.reset(token)


@contextlib.contextmanager
def within(span: Span) -> Iterator[Span]:
    """Work under `span`, and end it; with the code of the error that gets out, if one does."""
    token = enter(span)
    error = ""
    try:
        yield span
    except BaseException as cause:
        error = code_of(cause)
        raise
    finally:
        leave(token)
        span.end(error)


@contextlib.contextmanager
def step(name: str, kind: Kind = "internal", attributes: Attributes = NOTHING) -> Iterator[Span | None]:
    """A part of the span under way; None where nothing is recorded. Not for the body of an async generator: its consumer may
    be another task."""
    parent = current()
    if parent is None:
        yield None
        return
    with within(parent.child(name, kind, attributes)) as span:
        yield span


def code_of(error: BaseException) -> str:
    """What `error.type` says: the code of ours, the class of another. Never the message, which may hold what was said."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else type(error).__name__
