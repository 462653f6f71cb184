"""The course of a request over its candidates: what follows each kind of failure."""

from __future__ import annotations

import dataclasses

import pytest

from intellirouter.errors import (
    BudgetExceeded,
    ContentFiltered,
    ContextLengthExceeded,
    IntelliRouterError,
    StreamInterrupted,
    UnsupportedByTarget,
    UpstreamAuthFailed,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.course import TRIES_AT_REST, Course
from intellirouter.inference.offline_transport import OFFLINE
from intellirouter.inference.retry import RetryBudget, Verdict, backoff, verdict
from intellirouter.transport.contract import Deadlines


def candidate(name: str, window: int | None = None) -> Candidate:
    provider = dataclasses.replace(OFFLINE, name=name)
    return Candidate(f"{name}/{name}", provider, provider.target(name), Deadlines(), context_window=window)


def walk(
    candidates: list[Candidate], errors: dict[str, IntelliRouterError], max_attempts: int = 6
) -> list[tuple[str, bool]]:
    """Who is tried, and whether after a wait, when each fails with its error."""
    course = Course(candidates, max_attempts=max_attempts, max_wait=5, budget=RetryBudget())
    tried = []
    while (step := course.next(0)) is not None and len(tried) < 20:
        name = step.candidate.provider.name
        tried.append((name, step.wait > 0))
        course.failed(step.candidate, errors[name], 0)
    return tried


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UpstreamUnavailable("x"), Verdict.AGAIN),
        (UpstreamProtocolError("x"), Verdict.AGAIN),
        (StreamInterrupted("x"), Verdict.AGAIN),
        (UpstreamUnavailable("x", retry_after=3), Verdict.REST),
        (UpstreamRateLimited("x"), Verdict.REST),
        (UpstreamTimeout("x", phase="first_byte"), Verdict.NEXT),
        (UpstreamAuthFailed("x"), Verdict.NEXT),
        (UnsupportedByTarget("x"), Verdict.NEXT),
        (UpstreamRejected("x", upstream_status=404), Verdict.NEXT),
        (UpstreamRejected("x", upstream_status=400), Verdict.STOP),
        (ContentFiltered("x", upstream_status=400), Verdict.STOP),
        (ContextLengthExceeded("x", upstream_status=400), Verdict.LARGER),
        (BudgetExceeded("x"), Verdict.STOP),
    ],
)
def test_what_an_error_leaves_to_do(error: IntelliRouterError, expected: Verdict) -> None:
    assert verdict(error) is expected


def test_who_broke_is_tried_once_more_and_who_was_silent_is_not() -> None:
    errors = {"a": UpstreamUnavailable("x"), "b": UpstreamTimeout("x", phase="idle")}
    assert walk([candidate("a"), candidate("b")], errors) == [("a", False), ("a", True), ("b", False)]


def test_who_asks_for_a_rest_is_left_for_the_others_and_waited_for_last() -> None:
    errors = {"a": UpstreamRateLimited("x", retry_after=2), "b": UpstreamTimeout("x", phase="idle")}
    tried = walk([candidate("a"), candidate("b")], errors)
    assert tried[:3] == [("a", False), ("b", False), ("a", True)]
    assert sum(name == "a" for name, _ in tried) <= TRIES_AT_REST


def test_a_rest_that_is_too_long_is_not_waited_for() -> None:
    assert walk([candidate("a")], {"a": UpstreamRateLimited("x", retry_after=6)}) == [("a", False)]


def test_only_a_longer_context_is_tried_after_one_that_was_too_short() -> None:
    too_long = ContextLengthExceeded("x", upstream_status=400)
    candidates = [candidate("a", 8_000), candidate("b", 4_000), candidate("c", 128_000), candidate("d")]
    errors = {"a": too_long, "c": too_long, "d": UpstreamTimeout("x", phase="idle")}
    assert walk(candidates, errors) == [("a", False), ("c", False), ("d", False)]


def test_a_request_at_fault_is_tried_nowhere_else() -> None:
    errors = {"a": ContentFiltered("x", upstream_status=400)}
    assert walk([candidate("a"), candidate("b")], errors) == [("a", False)]


def test_attempts_are_bounded_over_all_targets() -> None:
    names = [f"t{number}" for number in range(9)]
    errors: dict[str, IntelliRouterError] = {name: UpstreamUnavailable("x") for name in names}
    assert len(walk([candidate(name) for name in names], errors, max_attempts=5)) == 5


def test_retries_stay_a_share_of_the_requests() -> None:
    budget = RetryBudget(share=0.2, most=10)
    assert sum(budget.spend() for _ in range(50)) == 10
    for _ in range(100):
        budget.earn()
    assert sum(budget.spend() for _ in range(50)) == 10
    for _ in range(11):
        budget.earn()
    assert sum(budget.spend() for _ in range(50)) == 2


def test_a_hundred_retries_may_come_at_once_before_they_are_a_share() -> None:
    budget = RetryBudget()
    assert sum(budget.spend() for _ in range(200)) == 100
    for _ in range(51):
        budget.earn()
    assert sum(budget.spend() for _ in range(200)) == 10


def test_backoff_grows_and_is_bounded() -> None:
    assert all(0.05 <= backoff(1) <= 0.1 for _ in range(50))
    assert all(4 <= backoff(99) <= 8 for _ in range(50))
