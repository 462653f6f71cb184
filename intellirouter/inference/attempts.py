"""Attempts: from an ordered list of candidates to the first answer.

One attempt follows another as the course says. With hedging, a target that is silent for `hedge_after` seconds is not
given up: the next is asked beside it, the first answer wins, the other is cancelled. What reached a provider and was
not refused is paid for, whether its answer was waited for or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import msgspec

from intellirouter.chat.response import Usage
from intellirouter.counts import counted
from intellirouter.errors import (
    IntelliRouterError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from intellirouter.inference import spans
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.concealing import conceal
from intellirouter.inference.course import Course
from intellirouter.inference.job import Attempt, Trace
from intellirouter.inference.limits.governor import Governor
from intellirouter.inference.record import Recorder
from intellirouter.inference.retry import RetryBudget
from intellirouter.inference.standing import Board
from intellirouter.providers.adapter import Target

T = TypeVar("T")

Try = Callable[[Candidate, Target, Attempt], Awaitable[T]]
Discard = Callable[[T], Usage | None]
"""Let go of an answer that nobody needs, and say what it used if it said so."""
MAX_AT_ONCE = 2
_TELLS_LEAST_FIRST = (UpstreamUnavailable, UpstreamTimeout, UpstreamRateLimited, UpstreamRejected)


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_attempts` over all targets; `max_wait` seconds in all for targets that asked for a rest.

    After `hedge_after` seconds of silence, or `p95` of what is usual for the target, the next one is asked too. `patient`
    is to wait for a target that says when to come back, before the next one is asked.
    """

    max_attempts: int = 6
    max_wait: float = 5.0
    hedge_after: float | Literal["p95"] | None = None
    patient: bool = False


def _forget(_result: object) -> None:
    """For answers that hold nothing and cost nothing."""


class Answered(msgspec.Struct, Generic[T], frozen=True):
    """An answer, who gave it, and the record of the call that got it."""

    result: T
    candidate: Candidate
    record: Attempt


@dataclass(slots=True)
class _Running(Generic[T]):
    task: asyncio.Task[Answered[T]]
    candidate: Candidate
    slow: bool = False


class Attempts:
    """Makes attempts and reports every outcome to the board, the trace and the recorder.

    `pay` takes what calls used that gave no answer, or one that nobody needed.
    """

    def __init__(
        self,
        board: Board,
        recorder: Recorder,
        governor: Governor,
        pay: Callable[[Candidate, Trace, Attempt, Usage | None], None],
    ) -> None:
        self._board = board
        self._pay = pay
        self._governor = governor
        self._recorder = recorder
        self._budget = RetryBudget()

    async def first(
        self,
        candidates: Sequence[Candidate],
        attempt: Try[T],
        trace: Trace,
        deadline: float,
        limits: Limits,
        discard: Discard[T] = _forget,
    ) -> Answered[T]:
        """The first answer. Raises the error that tells most when nobody answers, with all that was tried.

        `discard` lets go of an answer that came together with the first.
        """
        self._budget.earn()
        hedge_after = limits.hedge_after
        if hedge_after == "p95":
            hedge_after = self._board.of(candidates[0]).usual()
        if hedge_after is not None and len(candidates) > 1:
            course = self._course(candidates, limits)
            return await self._hedged(course, attempt, trace, deadline, hedge_after, discard)
        failure: IntelliRouterError | None = None
        lead = candidates[0]
        if self._board.of(lead).circuit.closed and time.monotonic() < deadline and limits.max_attempts > 0:
            # mostly the first answers, and then there is no course to keep
            try:
                answered = await self._one(lead, attempt, trace)
            except IntelliRouterError as error:
                failure = error
            else:
                trace.provider = lead.provider.name
                return answered
        course = self._course(candidates, limits)
        if failure is not None:
            now = self._board.clock()
            course.next(now)
            course.failed(lead, failure, now)
        while (candidate := await self._step(course, trace, deadline)) is not None:
            try:
                answered = await self._one(candidate, attempt, trace)
            except IntelliRouterError as error:
                course.failed(candidate, error, self._board.clock())
                failure = worse(failure, error)
            else:
                trace.provider = candidate.provider.name
                return answered
        raise _none_answered(failure, trace)

    def _course(self, candidates: Sequence[Candidate], limits: Limits) -> Course:
        return Course(
            candidates,
            max_attempts=limits.max_attempts,
            max_wait=limits.max_wait,
            budget=self._budget,
            patient=limits.patient,
        )

    async def _hedged(
        self,
        course: Course,
        attempt: Try[T],
        trace: Trace,
        deadline: float,
        hedge_after: float,
        discard: Discard[T],
    ) -> Answered[T]:
        failure: IntelliRouterError | None = None
        running: list[_Running[T]] = []
        try:
            while True:
                if not running:
                    candidate = await self._step(course, trace, deadline)
                    if candidate is None:
                        raise _none_answered(failure, trace)
                    running.append(self._launch(candidate, attempt, trace))
                may_hedge = course.alternative and len(running) < MAX_AT_ONCE
                done, _ = await asyncio.wait(
                    [entry.task for entry in running],
                    timeout=hedge_after if may_hedge else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not done and (candidate := await self._step(course, trace, deadline)) is not None:
                    running[-1].slow = True
                    running.append(self._launch(candidate, attempt, trace))
                for entry in [entry for entry in running if entry.task in done]:
                    running.remove(entry)
                    error = entry.task.exception()
                    if error is None:
                        trace.provider = entry.candidate.provider.name
                        return entry.task.result()
                    if not isinstance(error, IntelliRouterError):
                        raise error
                    course.failed(entry.candidate, error, self._board.clock())
                    failure = worse(failure, error)
        finally:
            await self._cancel(running, discard, trace)

    def _launch(self, candidate: Candidate, attempt: Try[T], trace: Trace) -> _Running[T]:
        return _Running(asyncio.create_task(self._one(candidate, attempt, trace)), candidate)

    async def _cancel(self, running: list[_Running[T]], discard: Discard[T], trace: Trace) -> None:
        for entry in running:
            entry.task.cancel()
        for entry in running:
            with contextlib.suppress(asyncio.CancelledError, IntelliRouterError):
                unneeded = await entry.task
                used = discard(unneeded.result) or unneeded.record.bill(None)
                self._pay(unneeded.candidate, trace, unneeded.record, used)
            if entry.slow and entry.task.cancelled():
                late = UpstreamTimeout(
                    "another target answered first",
                    phase="first_byte",
                    provider=entry.candidate.provider.name,
                )
                self._board.failed(entry.candidate, 0, late, trace.witness)

    async def _step(self, course: Course, trace: Trace, deadline: float) -> Candidate | None:
        while (step := course.next(self._board.clock())) is not None:
            left = deadline - time.monotonic()
            if step.wait >= left:
                continue
            if step.wait:
                trace.waited += step.wait
                await asyncio.sleep(step.wait)
            circuit = self._board.of(step.candidate).circuit
            if circuit.closed or circuit.admit(self._board.clock(), trace.witness):
                return step.candidate
        return None

    async def _one(self, candidate: Candidate, attempt: Try[T], trace: Trace) -> Answered[T]:
        standing = self._board.of(candidate)
        now = self._board.clock()
        if candidate.max_concurrency is not None and standing.load >= candidate.max_concurrency:
            standing.circuit.unsure()
            raise UpstreamRateLimited(
                f"{candidate.id} is busy with {counted(standing.load, 'call')}",
                provider=candidate.provider.name,
            )
        provider = candidate.provider
        if provider.requests_per_minute is not None or provider.tokens_per_minute is not None:
            await self._within_limits(candidate)
        key = standing.provider.keys.pick(now)
        standing.provider.minute.add(now, 1, 0)
        span = spans.begin(candidate, trace)
        record = trace.start(candidate.id)
        standing.load += 1
        try:
            result = await attempt(candidate, standing.target(candidate, key), record)
        except IntelliRouterError as error:
            conceal(error, provider)
            trace.end(record, error)
            self._board.failed(candidate, key, error, trace.witness)
            self._recorder.failed(candidate, error, record.seconds)
            if span is not None:
                span.end(error.code)
            self._pay(candidate, trace, record, record.bill(error))
            raise
        except asyncio.CancelledError:
            standing.circuit.unsure()
            trace.given_up(record)
            if span is not None:
                span.end("cancelled")
            self._pay(candidate, trace, record, record.bill(None))
            raise
        finally:
            standing.load -= 1
        trace.end(record)
        if span is not None:
            spans.answered(trace, candidate, span)
        self._board.answered(candidate, record.seconds, record.size, record.tokens)
        self._recorder.answered(candidate, record.seconds)
        return Answered(result, candidate, record)

    async def _within_limits(self, candidate: Candidate) -> None:
        provider = candidate.provider
        wait = await self._governor.outbound(provider)
        if wait is not None:
            standing = self._board.of(candidate)
            standing.circuit.unsure()
            standing.resting_until = max(standing.resting_until, self._board.clock() + wait)
            raise UpstreamRateLimited(
                f"the configured limits of {provider.name} are used up",
                provider=provider.name,
                retry_after=wait,
            )


def worse(first: IntelliRouterError | None, second: IntelliRouterError) -> IntelliRouterError:
    """The error that tells the caller most: a provider's reason over a timeout over a refusal to connect."""
    return second if first is None or _rank(second) >= _rank(first) else first


def _rank(error: IntelliRouterError) -> int:
    return next((place for place, kind in enumerate(_TELLS_LEAST_FIRST) if isinstance(error, kind)), -1)


def _none_answered(failure: IntelliRouterError | None, trace: Trace) -> IntelliRouterError:
    error = failure or UpstreamUnavailable("no target could be asked before the request's deadline")
    if trace.attempts:
        error.details.setdefault("attempts", [attempt.shown() for attempt in trace.attempts])
    if trace.cost_usd:
        error.details.setdefault("cost_usd", trace.cost_usd)
    return error
