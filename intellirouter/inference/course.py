"""The course of one request over its candidates: which to try next, and how long to wait before. Sans-io.

Fail over first, wait last: a target that asks for a rest is left for the others, and only when nobody else is left do
we wait for it; a patient course waits for one that says for how long. A target that broke is tried once more at once, a silent one is not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from intellirouter.errors import IntelliRouterError
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.retry import RetryBudget, Verdict, backoff, verdict

TRIES_AT_REST = 4
"""Tries of a target that keeps refusing, the first included."""


class Step(msgspec.Struct, frozen=True):
    """Try `candidate` after `wait` seconds."""

    candidate: Candidate
    wait: float = 0.0


class Course:
    """Made of the candidates in order; asked for the next step, told of every failure."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        max_attempts: int,
        max_wait: float,
        budget: RetryBudget,
        patient: bool = False,
    ) -> None:
        self._ahead = deque([Step(candidate) for candidate in candidates])
        self._resting: list[tuple[float, Candidate]] = []
        self._tries: dict[str, int] = {}
        self._left = max_attempts
        self._wait_left = max_wait
        self._budget = budget
        self._patient = patient

    def next(self, now: float) -> Step | None:
        """The next step, or None when nothing is left to try."""
        if self._left <= 0:
            return None
        if self._ahead:
            step = self._ahead.popleft()
        elif self._resting:
            ready, candidate = min(self._resting, key=lambda entry: entry[0])
            self._resting.remove((ready, candidate))
            step = Step(candidate, max(0.0, ready - now))
        else:
            return None
        self._left -= 1
        tried = step.candidate.id
        self._tries[tried] = self._tries.get(tried, 0) + 1
        return step

    @property
    def alternative(self) -> bool:
        """True when another target could be tried without waiting."""
        return self._left > 0 and bool(self._ahead) and not self._ahead[0].wait

    def failed(self, candidate: Candidate, error: IntelliRouterError, now: float) -> None:
        """A step failed."""
        tries = self._tries[candidate.id]
        match verdict(error):
            case Verdict.AGAIN if tries == 1 and self._budget.spend():
                self._ahead.appendleft(Step(candidate, backoff(tries)))
            case Verdict.REST if tries < TRIES_AT_REST and self._budget.spend():
                asked = getattr(error, "retry_after", None)
                rest = asked if asked is not None else backoff(tries + 3)
                if len(candidate.provider.keys) > tries:
                    self._ahead.appendleft(Step(candidate))  # another key may be welcome at once
                elif rest <= self._wait_left:
                    self._wait_left -= rest
                    if self._patient and asked is not None:
                        self._ahead.appendleft(Step(candidate, rest))
                    else:
                        self._resting.append((now + rest, candidate))
            case Verdict.LARGER:
                self._ahead = deque(step for step in self._ahead if _larger(step.candidate, candidate))
                self._resting.clear()
            case Verdict.STOP:
                self._ahead.clear()
                self._resting.clear()


def _larger(other: Candidate, than: Candidate) -> bool:
    if other.id == than.id or other.target.model == than.target.model:
        return False
    if other.context_window is None or than.context_window is None:
        return True
    return other.context_window > than.context_window
