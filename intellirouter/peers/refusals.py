"""What another role refused, as the error it raised: the same whether it lives here, or is reached over HTTP or gRPC."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from intellirouter import errors
from intellirouter.errors import IntelliRouterError, RateLimited, RequestError

_WAITS = 60.0
"""Seconds, where a refusal for a while does not say how long."""
_OURS: Mapping[str, type[RequestError]] = {
    kind.code: kind
    for kind in (
        errors.InvalidRequest,
        errors.UnsupportedByTarget,
        errors.GuardBlocked,
        errors.BudgetExceeded,
        errors.PermissionDenied,
        errors.KeyEnded,
        errors.NotFound,
        errors.ModelNotFound,
        errors.Conflict,
        errors.PayloadTooLarge,
        errors.KeepsTooMuch,
        errors.UnsupportedMediaType,
        errors.RateLimited,
    )
}


class _Error(msgspec.Struct):
    message: str = ""
    code: str | None = None
    param: str | None = None


class _Envelope(msgspec.Struct):
    error: _Error


def refusal(status: int, envelope: bytes, retry_after: str | None = None) -> IntelliRouterError | None:
    """The role's own refusal of the request; None for a failure, and for what a provider refused.

    Roles speak to one another with codes of `errors.py`; the message is ours, and so is safe to pass on.
    """
    try:
        told = msgspec.json.decode(envelope, type=_Envelope).error
    except msgspec.MsgspecError:
        return None
    kind = _OURS.get(told.code or "")
    if kind is None or kind.status != status:
        return None
    if issubclass(kind, RateLimited):
        wait = float(retry_after) if retry_after and retry_after.isdigit() else _WAITS
        return kind(told.message, param=told.param, retry_after=wait)
    return kind(told.message, param=told.param)
