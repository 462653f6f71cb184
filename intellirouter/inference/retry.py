"""What follows a failed attempt. Pure: an error in, a verdict out; and the budget that keeps retries from a storm.

Not tenacity, which a chain's steps use: it calls one function again and sleeps between. Here a retry mostly goes to another target, a target's
own `Retry-After` competes with the others' readiness, and `course.py` must be able to say all of it without a clock.
"""

from __future__ import annotations

import random
from enum import Enum

from intellirouter.errors import (
    AnswerTooLong,
    ContextLengthExceeded,
    IntelliRouterError,
    UnsupportedByTarget,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRedirected,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnfit,
)

BACKOFF_FIRST = 0.1
BACKOFF_LONGEST = 8.0
GONE = (404, 410)


class Verdict(Enum):
    """`AGAIN`: the same target may answer at once. `REST`: it may later. `NEXT`: only another target can.

    `LARGER`: a model with a longer context can. `STOP`: the request itself is at fault.
    """

    AGAIN = "again"
    REST = "rest"
    NEXT = "next"
    LARGER = "larger"
    STOP = "stop"


def verdict(error: IntelliRouterError) -> Verdict:
    """What the error leaves to do."""
    match error:
        case ContextLengthExceeded():
            return Verdict.LARGER
        case UpstreamUnfit():
            return Verdict.NEXT
        case UpstreamRejected():
            # the model is not there, which says nothing of the request
            return Verdict.NEXT if error.upstream_status in GONE else Verdict.STOP
        case UpstreamRateLimited():
            return Verdict.REST
        case (
            UpstreamTimeout()
            | UpstreamAuthFailed()
            | UpstreamRedirected()
            | UnsupportedByTarget()
            | AnswerTooLong()
        ):
            return Verdict.NEXT
        case UpstreamError():
            return Verdict.AGAIN if error.retry_after is None else Verdict.REST
        case _:
            return Verdict.STOP


def backoff(tries: int) -> float:
    """Seconds before the try after `tries` failed ones: exponential with full jitter, never below half.

    Source: Brooker, "Exponential Backoff And Jitter" (2015), the equal-jitter form.
    """
    ceiling: float = min(BACKOFF_LONGEST, BACKOFF_FIRST * 2.0 ** min(tries - 1, 10))
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311  spreads retries, no secret


class RetryBudget:
    """Retries may be a share of requests, so that a failing provider is not met with a multiple of its load.

    Each request earns `share` of a retry; the account holds at most `most`. Source: Finagle's RetryBudget.
    """

    def __init__(self, share: float = 0.2, most: float = 100.0) -> None:
        self._share = share
        self._most = most
        self._balance = most

    def earn(self) -> None:
        """A request arrived."""
        self._balance = min(self._most, self._balance + self._share)

    def spend(self) -> bool:
        """Take one retry; False when the account is empty."""
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True
