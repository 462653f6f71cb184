"""One request on its way through dispatch, and the record of what was tried for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import Usage
from intellirouter.errors import IntelliRouterError
from intellirouter.security.caller import Caller
from intellirouter.telemetry.tracing.span import Span


class Job(msgspec.Struct, frozen=True):
    """What to do, for whom, until when.

    `granted` names models that the operator's configuration leads to, such as a shared persona's: the key need not list them.
    `deadline` is an absolute `time.monotonic()`. `relay` names the dialect whose bytes the front can send on
    unchanged; None asks for the full canonical answer. `headers` are the client's, for rules.
    """

    request: ChatRequest
    caller: Caller
    request_id: str
    deadline: float
    relay: str | None = None
    headers: Mapping[str, str] = {}
    granted: tuple[str, ...] = ()


class Attempt(msgspec.Struct):
    """One call to one target. `outcome` is `ok` or the error's code; times are seconds since the job began."""

    candidate: str
    started: float
    outcome: str = ""
    seconds: float = 0.0
    upstream_status: int | None = None
    message: str = ""

    def shown(self) -> dict[str, Any]:
        """The attempt for error details and explanations."""
        facts: dict[str, Any] = {
            "target": self.candidate,
            "outcome": self.outcome,
            "ms": round(self.seconds * 1e3, 1),
        }
        if self.upstream_status is not None:
            facts["upstream_status"] = self.upstream_status
        if self.message:
            facts["message"] = self.message
        return facts


class Trace(msgspec.Struct):
    """What happened to a job: every attempt, who answered, what it used and cost."""

    began: float = msgspec.field(default_factory=time.perf_counter)
    attempts: list[Attempt] = []
    provider: str = ""
    model: str = ""
    upstream_seconds: float = 0.0
    usage: Usage | None = None
    cost_usd: float | None = None
    notes: tuple[str, ...] = ()
    waited: float = 0.0  # seconds, because targets had asked for a rest
    rescued: int = 0  # times the stream was taken over after its first token
    headers: dict[str, str] = {}  # of limits, for the caller
    steps: dict[str, float] = {}  # seconds of what came before and after: persona, conversation, retrieval …
    plan: Callable[[], dict[str, Any]] = dict
    operation: str = "chat"  # as OpenTelemetry's GenAI conventions call it
    spans: dict[str, Span] = {}  # of calls that are not yet paid for, by candidate

    def start(self, candidate: str) -> Attempt:
        """Note that an attempt begins."""
        attempt = Attempt(candidate, time.perf_counter() - self.began)
        self.attempts.append(attempt)
        return attempt

    def end(self, attempt: Attempt, error: IntelliRouterError | None = None) -> None:
        """Note how it ended."""
        attempt.seconds = time.perf_counter() - self.began - attempt.started
        self.upstream_seconds += attempt.seconds
        if error is None:
            attempt.outcome = "ok"
            return
        attempt.outcome = error.code
        attempt.message = error.message[:200]
        attempt.upstream_status = getattr(error, "upstream_status", None)

    def given_up(self, attempt: Attempt) -> None:
        """Note that nobody waits for it any more."""
        attempt.seconds = time.perf_counter() - self.began - attempt.started
        attempt.outcome = "cancelled"

    def explained(self) -> dict[str, Any]:
        """The whole decision, for `x-intellirouter-explain`."""
        return {
            **self.plan(),
            "attempts": [attempt.shown() for attempt in self.attempts],
            "answered_by": {"provider": self.provider, "model": self.model},
            "waited_ms": round(self.waited * 1e3, 1),
            "rescued": self.rescued,
            "overhead_ms": round(self.overhead_seconds * 1e3, 2),
            "cost_usd": self.cost_usd,
            "steps_ms": {name: round(seconds * 1e3, 2) for name, seconds in self.steps.items()},
        }

    @property
    def overhead_seconds(self) -> float:
        """The time so far that was ours and not an upstream's."""
        return max(0.0, time.perf_counter() - self.began - self.upstream_seconds)
