"""Every error IntelliRouter raises on purpose.

A class states four things about its kind: `code` (a stable machine word), `status` (HTTP), `exit_code`
(of the command line) and `retryable` (whether the same call may succeed later). The message is safe to
show to a caller: it never holds a secret or a stranger's text, and however much of a request it repeats, it stays short. The
cause (`raise … from cause`) is only logged.

    IntelliRouterError
    ├── ConfigError                 the configuration does not hold (exit 78)
    ├── RoleUnavailable             a role that is not part of this build (exit 2)
    ├── RequestError                the caller's request is at fault (4xx)
    │   ├── InvalidRequest          400, names the field in `param`
    │   │   └── UnsupportedByTarget 400, the chosen model cannot do what was asked
    │   ├── AuthenticationFailed    401
    │   ├── GuardBlocked            400, a guard of the operator lets it not pass
    │   ├── BudgetExceeded          402
    │   ├── PermissionDenied        403
    │   │   └── KeyEnded            403, stored work of a key that is no longer good
    │   ├── NotFound                404
    │   │   └── ModelNotFound       404, with the nearest names
    │   ├── Conflict                409
    │   ├── PayloadTooLarge         413
    │   │   └── KeepsTooMuch        413, the tenant keeps as much as it may
    │   ├── UnsupportedMediaType    415
    │   └── RateLimited             429, with `retry_after`
    ├── Overloaded                  503, a queue of ours is full or its deadline passed
    ├── StateError                  a store of ours
    │   ├── StateUnavailable        503, the store does not answer
    │   └── LeaseLost               409, another holder has a newer fencing token
    ├── PeerUnavailable             503, another role does not answer
    ├── ChainFailed                 422, a chain that was asked as a model ended without an answer
    └── UpstreamError               a provider failed (502)
        ├── UpstreamUnavailable     refused, reset, 5xx, or no route
        │   └── UpstreamUnreachable    no connection could be made: nothing was sent
        ├── UpstreamTimeout         504, a deadline passed: `phase` says which
        │   └── CallerTimeout          the caller's own: it says nothing of the provider
        ├── UpstreamRateLimited     429 of the provider, with `retry_after`
        ├── UpstreamAuthFailed      the provider refused our key
        ├── UpstreamRejected        4xx: the provider refused this request; its reason is passed on
        │   ├── ContextLengthExceeded  a larger-context model may take it
        │   ├── UpstreamUnfit          this target cannot take it, another may
        │   └── ContentFiltered        the provider's policy refused it
        ├── UpstreamRedirected      the provider is somewhere else: its endpoint is to be set
        ├── UpstreamProtocolError   the provider broke its own protocol
        │   └── AnswerTooLong          or just answered more than we read
        └── StreamInterrupted       a stream ended before it was complete
"""

from __future__ import annotations

from typing import Any, ClassVar

LONGEST = 4_000
"""Characters of a message: what it repeats of a request may be a value of megabytes."""
LONGEST_PARAM = 256
LONGEST_DETAILS = 16_000
"""Characters of the details together."""


class IntelliRouterError(Exception):
    """The root. `details` are machine-readable facts that are safe to show. What is too long of either is left out."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    longest: ClassVar[int] = LONGEST

    def __init__(self, message: str, /, **details: Any) -> None:
        self.message = shortened(message, self.longest)
        super().__init__(self.message)
        self.details = details
        if details and _weight(details) > LONGEST_DETAILS:
            self.details = _cut(details, [LONGEST_DETAILS])


def shortened(text: str, most: int = LONGEST) -> str:
    """Its beginning and its end, with how much lies between them: the reason often stands first and the remedy last."""
    if len(text) <= most:
        return text
    first, last = most * 2 // 3, most // 5
    return f"{text[:first]} … [{len(text) - first - last:,} characters left out] … {text[-last:]}"


def _weight(value: Any) -> int:
    """Characters of a detail, about."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_weight(key) + _weight(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return sum(map(_weight, value))
    return 8


def _cut(value: Any, room: list[int]) -> Any:
    """As much of a detail as there is room for: strings are shortened, lists and objects end early."""
    if isinstance(value, str):
        short = shortened(value, max(100, room[0] // 4))
        room[0] -= len(short)
        return short
    if isinstance(value, dict):
        kept = {}
        for key, one in value.items():
            room[0] -= _weight(key)
            if room[0] < 0:
                break
            kept[key] = _cut(one, room)
        return kept
    if isinstance(value, list | tuple):
        return [_cut(one, room) for one in value if room[0] > 0]
    room[0] -= 8
    return value


class ConfigError(IntelliRouterError):
    """The configuration cannot be used; the message lists every problem, one a line."""

    code = "invalid_config"
    longest = 100_000
    exit_code = 78  # EX_CONFIG of sysexits.h


class RoleUnavailable(IntelliRouterError):
    """The role is known but not part of this build."""

    code = "role_unavailable"
    exit_code = 2


class RequestError(IntelliRouterError):
    """The caller's request is at fault; sending it again unchanged will fail again."""

    code = "invalid_request_error"
    status = 400
    exit_code = 2

    def __init__(self, message: str, /, *, param: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.param = param if param is None else param[:LONGEST_PARAM]


class InvalidRequest(RequestError):
    """A field is missing, of the wrong type or out of range; `param` is its dotted path."""


class UnsupportedByTarget(InvalidRequest):
    """The request asks for something the chosen model or its wire format cannot express."""

    code = "unsupported_by_target"


class AuthenticationFailed(RequestError):
    """No key, or one that is unknown, revoked or expired."""

    code = "invalid_api_key"
    status = 401


class GuardBlocked(RequestError):
    """A guard found what must not go to a model; `details` say which guard and what kinds of things."""

    code = "guard_blocked"


class BudgetExceeded(RequestError):
    """The key's or team's budget does not cover this request."""

    code = "budget_exceeded"
    status = 402


class PermissionDenied(RequestError):
    """The key is known but may not do this."""

    code = "permission_denied"
    status = 403


class KeyEnded(PermissionDenied):
    """Stored work would act for a key that was revoked, has expired or is not known any more."""

    code = "key_ended"


class NotFound(RequestError):
    """The thing named does not exist, or is not the caller's to see."""

    code = "not_found"
    status = 404


class ModelNotFound(NotFound):
    """No model, alias, group or provider of that name."""

    code = "model_not_found"


class Conflict(RequestError):
    """The thing exists already, or changed since it was read."""

    code = "conflict"
    status = 409


class PayloadTooLarge(RequestError):
    """The body exceeds the configured limit."""

    code = "request_too_large"
    status = 413


class KeepsTooMuch(PayloadTooLarge):
    """The tenant keeps as much as it may: it deletes something, or the operator allows more."""

    code = "storage_limit_exceeded"


class UnsupportedMediaType(RequestError):
    """The content type or encoding of the body is not one this endpoint reads."""

    code = "unsupported_media_type"
    status = 415


class RateLimited(RequestError):
    """A limit of ours was reached; `retry_after` is in seconds."""

    code = "rate_limit_exceeded"
    status = 429
    retryable = True

    def __init__(self, message: str, /, *, retry_after: float = 1.0, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class Overloaded(IntelliRouterError):
    """A bounded queue of ours is full, its deadline passed, or the node is draining."""

    code = "overloaded"
    status = 503
    retryable = True

    def __init__(self, message: str, /, *, retry_after: float = 1.0, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class StateError(IntelliRouterError):
    """A store of ours failed."""

    code = "state_error"


class StateUnavailable(StateError):
    """The store does not answer; nothing was acknowledged."""

    code = "state_unavailable"
    status = 503
    retryable = True


class NewerFormat(StateUnavailable):
    """What is kept there was written by a newer version: this one would read it wrongly, so that it reads nothing."""

    code = "newer_format"
    retryable = False

    def __init__(self, what: str, found: int, known: int) -> None:
        super().__init__(
            f"{what} was written by a newer version of IntelliRouter (format {found}; this one knows {known}): run that version, "
            "or restore a backup that this one made."
        )


class LeaseLost(StateError):
    """Another holder took the lease; its fencing token is newer."""

    code = "lease_lost"
    status = 409


class PeerUnavailable(IntelliRouterError):
    """Another role of this installation does not answer."""

    code = "peer_unavailable"
    status = 503
    retryable = True


class ChainFailed(IntelliRouterError):
    """A chain that was asked as a model failed by what it is: run again unchanged, it would fail again."""

    code = "chain_failed"
    status = 422


class UpstreamError(IntelliRouterError):
    """A provider failed. `provider` and `upstream_status` say who and how."""

    code = "upstream_error"
    status = 502
    exit_code = 69  # EX_UNAVAILABLE of sysexits.h
    retryable = True

    def __init__(
        self,
        message: str,
        /,
        *,
        provider: str = "",
        upstream_status: int | None = None,
        retry_after: float | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.provider = provider
        self.upstream_status = upstream_status
        self.retry_after = retry_after


class UpstreamUnavailable(UpstreamError):
    """The provider refused, reset or answered 5xx."""

    code = "upstream_unavailable"
    status = 503


class UpstreamUnreachable(UpstreamUnavailable):
    """No connection to the provider could be made, so that it has seen nothing of the request."""


class UpstreamTimeout(UpstreamError):
    """A deadline passed; `phase` is `connect`, `first_byte`, `idle` or `total`."""

    code = "upstream_timeout"
    status = 504

    def __init__(self, message: str, /, *, phase: str, provider: str = "", **details: Any) -> None:
        super().__init__(message, provider=provider, phase=phase, **details)
        self.phase = phase


class CallerTimeout(UpstreamTimeout):
    """The deadline that the caller set passed, before any of the provider's: a fact of the caller's alone."""

    code = "deadline_exceeded"


class UpstreamRateLimited(UpstreamError):
    """The provider's own limit was reached."""

    code = "upstream_rate_limited"
    status = 429


class UpstreamAuthFailed(UpstreamError):
    """The provider refused our key: an operator must act, another target may serve."""

    code = "upstream_auth_failed"
    status = 502


class UpstreamRejected(UpstreamError):
    """The provider refused this request as it stands; the caller sees the provider's status and reason."""

    code = "upstream_rejected"
    status = 400
    retryable = False


class ContextLengthExceeded(UpstreamRejected):
    """The prompt does not fit this model."""

    code = "context_length_exceeded"


class UpstreamUnfit(UpstreamRejected):
    """This target cannot take the request, and another may: its model is gone, or lacks what is asked of it."""


class ContentFiltered(UpstreamRejected):
    """The provider's content policy refused the request."""

    code = "content_policy_violation"


class UpstreamRedirected(UpstreamError):
    """The provider answered that it is somewhere else. It is not followed there with a key in hand."""

    code = "upstream_redirected"


class UpstreamProtocolError(UpstreamError):
    """The provider's bytes are not what its protocol says."""

    code = "upstream_protocol_error"


class AnswerTooLong(UpstreamProtocolError):
    """The answer is longer than the configured limit: asked again, it would be no shorter."""

    code = "answer_too_long"
    retryable = False


class StreamInterrupted(UpstreamError):
    """A stream ended before the provider said it was complete."""

    code = "stream_interrupted"
