"""Which of our errors a vendor's refusal is: what a router can do about it decides, whatever the dialect."""

from __future__ import annotations

from typing import Any

from intellirouter.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)

_CONTEXT_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
_CONTEXT_WORDS = (
    "context length",
    "context window",
    "maximum context",
    "too many tokens",
    "prompt is too long",
)
_POLICY_CODES = frozenset(
    {"content_filter", "content_policy_violation", "moderation_blocked", "policy_violation"}
)
_CONTEXT_STATUSES = (400, 413, 422)


def classify(status: int, message: str, *, provider: str, kind: str = "", code: str = "") -> UpstreamError:
    """The error for a vendor's status and words; `kind` and `code` are its own machine words, empty where it has none.

    The vendor's message is passed on, but for a refused credential, which concerns the operator and not the caller.
    """
    facts: dict[str, Any] = {"provider": provider, "upstream_status": status}
    words = message.lower()
    if code in _CONTEXT_CODES or (
        status in _CONTEXT_STATUSES
        and (any(phrase in words for phrase in _CONTEXT_WORDS) or ("context" in words and "exceed" in words))
    ):
        return ContextLengthExceeded(message, **facts)
    if code in _POLICY_CODES or kind in _POLICY_CODES:
        return ContentFiltered(message, **facts)
    if status == 429:
        return UpstreamRateLimited(message, **facts)
    if status in (401, 403):
        return UpstreamAuthFailed("the provider refused the credentials configured for it", **facts)
    if status == 408 or status >= 500:
        return UpstreamUnavailable(message, **facts)
    if 400 <= status < 500:
        return UpstreamRejected(message, **facts)
    return UpstreamProtocolError(f"the provider answered {status}", **facts)
