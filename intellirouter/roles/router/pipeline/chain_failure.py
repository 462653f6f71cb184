"""Why a chain that was asked as a model gave no answer, as the error a model's would be.

Whose fault it was decides what a client does: a guard, a budget or a wrong input is the caller's and is not tried again, a
provider that failed may be, and a chain that fails by what it is would only cost as much once more.
"""

from __future__ import annotations

from collections.abc import Mapping

from intellirouter import errors
from intellirouter.errors import ChainFailed, IntelliRouterError, RateLimited, RequestError, UpstreamError
from intellirouter.peers.contract import RunResult

_THEIRS: Mapping[str, type[RequestError]] = {
    kind.code: kind
    for kind in (
        errors.InvalidRequest,
        errors.GuardBlocked,
        errors.BudgetExceeded,
        errors.PermissionDenied,
        errors.KeyEnded,
        errors.RateLimited,
        errors.PayloadTooLarge,
        errors.KeepsTooMuch,
    )
}
_PROVIDERS: Mapping[str, type[UpstreamError]] = {
    kind.code: kind
    for kind in (errors.UpstreamRejected, errors.ContextLengthExceeded, errors.ContentFiltered)
}
_MAY_PASS = frozenset(
    kind.code
    for kind in (
        UpstreamError,
        errors.UpstreamUnavailable,
        errors.UpstreamTimeout,
        errors.UpstreamAuthFailed,
        errors.UpstreamProtocolError,
        errors.StreamInterrupted,
        errors.Overloaded,
        errors.StateUnavailable,
        errors.PeerUnavailable,
    )
)
"""What may have passed by when the chain is asked again."""
_LATE = frozenset({"timeout", errors.CallerTimeout.code})
_WAITS = 60.0
"""Seconds before the next attempt, where a limit, ours or a provider's, ended the run: the run keeps no time of its own."""


def chain_failure(name: str, result: RunResult) -> IntelliRouterError:
    """The error to answer with; its details name the run."""
    message, cause = f"the chain '{name}' failed: {result.error}", result.cause or ""
    theirs = _THEIRS.get(cause)
    if theirs is RateLimited:
        return RateLimited(message, retry_after=_WAITS, run=result.run_id)
    if theirs is not None:
        return theirs(message, run=result.run_id)
    if cause in _PROVIDERS:
        return _PROVIDERS[cause](message, provider="chain", run=result.run_id)
    if cause == errors.UpstreamRateLimited.code:
        return errors.UpstreamRateLimited(message, provider="chain", retry_after=_WAITS, run=result.run_id)
    if cause in _LATE:
        return errors.UpstreamTimeout(message, phase="total", provider="chain", run=result.run_id)
    if cause in _MAY_PASS:
        return errors.UpstreamUnavailable(message, provider="chain", run=result.run_id)
    return ChainFailed(message, cause=cause, run=result.run_id)
