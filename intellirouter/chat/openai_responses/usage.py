"""Token usage, both directions."""

from __future__ import annotations

from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.openai_responses.content import DIALECT
from intellirouter.chat.response import Usage

_INPUT, _OUTPUT = "input_tokens_details", "output_tokens_details"
_KNOWN = frozenset({"input_tokens", "output_tokens", "total_tokens"})


def _count(data: Any, key: str) -> int | None:
    value = data.get(key) if isinstance(data, dict) else None
    return value if type(value) is int else None


def decode_usage(data: Any) -> Usage | None:
    """The vendor's `usage` object; None when it is absent or empty."""
    if not isinstance(data, dict) or not data:
        return None
    asked, answered = data.get(_INPUT), data.get(_OUTPUT)
    read, wrote = _count(data, "input_tokens") or 0, _count(data, "output_tokens") or 0
    total = _count(data, "total_tokens")
    return Usage(
        input_tokens=read,
        output_tokens=wrote,
        cached_tokens=_count(asked, "cached_tokens"),
        cache_write_tokens=_count(asked, "cache_write_tokens"),
        reasoning_tokens=_count(answered, "reasoning_tokens"),
        total=total if total != read + wrote else None,
        extra={key: value for key, value in data.items() if key not in _KNOWN},
        extra_dialect=DIALECT,
    )


def encode_usage(usage: Usage) -> Json:
    """Our `usage` object; the details are never absent in this dialect."""
    encoded: Json = {
        "input_tokens": usage.input_tokens,
        _INPUT: {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        _OUTPUT: {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens,
    }
    if usage.extra_dialect != DIALECT:
        return encoded | usage.told_shares
    for key, value in usage.extra.items():  # the vendor's own details, beside those it left out
        both = isinstance(value, dict) and isinstance(encoded.get(key), dict)
        encoded[key] = {**encoded[key], **value} if both else value
    return encoded
