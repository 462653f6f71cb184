"""One request on its way through dispatch, and the record of what was tried for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import Usage
from intellirouter.errors import IntelliRouterError
from intellirouter.guards.guard import Guard
from intellirouter.guards.report import Report
from intellirouter.inference.standing import witness_of
from intellirouter.security.caller import Caller
from intellirouter.telemetry.tracing.span import Span

CHAT, EMBEDDINGS, COUNT = "chat", "embeddings", "count_tokens"
"""What is done, as OpenTelemetry's GenAI conventions call it."""


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
    found: Report | None = None  # by guards, in what was retrieved for it
    formed: bool = False  # whoever asks holds the answer to its form by itself
    alone: bool = False  # no other model may answer in place of the one that is asked for
    guards: tuple[Guard, ...] = ()  # of the persona that it is asked as
    persona: str = ""  # that it is asked as, without its version


def _nothing(_error: IntelliRouterError | None) -> Usage | None:
    """The bill of a call that sent nothing."""
    return None


class Attempt(msgspec.Struct):
    """One call to one target. `outcome` is `ok` or the error's code; times are seconds since the job began.

    `sent` counts how often the provider got the request; `bill` says what the call is to be paid for when it ends
    without an answer: by this error, or None where nobody waited for it. `usage` and `cost_usd` are what was billed.
    """

    candidate: str
    started: float
    outcome: str = ""
    seconds: float = 0.0
    upstream_status: int | None = None
    message: str = ""
    sent: int = 0
    size: int = 0  # bytes of the request
    tokens: int = 0  # of the answer
    bill: Callable[[IntelliRouterError | None], Usage | None] = _nothing
    usage: Usage | None = None
    cost_usd: float | None = None

    def settle(self) -> None:
        """It is paid for, once and for all."""
        self.bill = _nothing

    def went_out(self) -> None:
        """The request goes to the provider, on one connection or, where that turns out to be dead, on another."""
        self.sent += 1

    def kept(self) -> Tried:
        """The attempt as it stands, for who looks at it later."""
        read = written = None
        if self.usage is not None:
            read, written = self.usage.input_tokens, self.usage.output_tokens
        return Tried(
            self.candidate,
            self.outcome,
            self.seconds,
            self.upstream_status,
            self.message,
            self.sent,
            read,
            written,
        )

    def shown(self) -> dict[str, Any]:
        """The attempt for error details and explanations."""
        return self.kept().shown()


class Tried(msgspec.Struct, gc=False, array_like=True):
    """What is told of an attempt: see there. A later version may add a field at the end, with a default."""

    candidate: str
    outcome: str
    seconds: float
    upstream_status: int | None
    message: str
    sent: int
    input_tokens: int | None
    output_tokens: int | None

    def shown(self) -> dict[str, Any]:
        """For people and programs."""
        facts: dict[str, Any] = {
            "target": self.candidate,
            "outcome": self.outcome,
            "ms": round(self.seconds * 1e3, 1),
        }
        if self.upstream_status is not None:
            facts["upstream_status"] = self.upstream_status
        if self.message:
            facts["message"] = self.message
        if self.sent > 1:
            facts["sent"] = self.sent
        if self.input_tokens is not None:
            facts["input_tokens"], facts["output_tokens"] = self.input_tokens, self.output_tokens
        return facts


def recalled(facts: Any) -> list[Attempt]:
    """The attempts that an error's details list, as a trace has them."""
    return [
        Attempt(
            one["target"],
            0.0,
            outcome=one["outcome"],
            seconds=one["ms"] / 1e3,
            upstream_status=one.get("upstream_status"),
            message=one.get("message", ""),
            sent=one.get("sent", 1),
        )
        for one in facts or ()
    ]


class Chosen(Protocol):
    """A decision that learns from how it went."""

    def answered(self, answered_by: str, response_id: str, signal: str | None) -> None:
        """The answer is complete: the target that gave it, its id, and what speaks against it."""

    def failed(self, target: str) -> None:
        """A target gave no answer."""

    def judged(self, target: str, kind: str, score: float) -> None:
        """A validator or a judge (a kind of outcome) says how good the target's answer is, 0 to 1."""


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
    lone: str = ""  # the strategy, where the plan had one target and nothing to choose
    decided: Chosen | None = None  # where outcomes decided who is asked
    operation: str = CHAT
    caller: Caller | None = None
    answered_by: list[str] = []  # the targets whose words the caller got, in order
    guards: Report | None = None  # what guards found
    guarded_to: str | None = None  # the model that a guard sent it to
    refused_by: str = ""  # the target whose content policy refused it
    policy_fallback: str | None = None  # the model that was asked instead
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

    @property
    def witness(self) -> str:
        """Whose request tells how targets stand."""
        return "" if self.caller is None else witness_of(self.caller)

    @property
    def calls(self) -> int:
        """How many requests providers got, or should have got, for this one."""
        attempts = self.attempts
        if len(attempts) == 1:
            return attempts[0].sent or 1
        return sum([attempt.sent or 1 for attempt in attempts])

    def explained(self) -> dict[str, Any]:
        """The whole decision, for `x-intellirouter-explain`."""
        return {
            **self.plan(),
            **({"guards": self.guards.shown()} if self.guards else {}),
            **({"guarded_to": self.guarded_to} if self.guarded_to else {}),
            **(
                {"content_policy": {"refused_by": self.refused_by, "asked_instead": self.policy_fallback}}
                if self.policy_fallback
                else {}
            ),
            "attempts": [attempt.shown() for attempt in self.attempts],
            "answered_by": {"provider": self.provider, "model": self.model},
            **({"targets": self.answered_by} if len(self.answered_by) > 1 else {}),
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
