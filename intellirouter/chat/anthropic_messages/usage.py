"""Token usage, both directions.

Anthropic counts what was read from and written to the prompt cache beside `input_tokens`; ours is the sum of all three.
"""

from __future__ import annotations

from typing import Any

from intellirouter.chat.anthropic_messages.blocks import DIALECT
from intellirouter.chat.fields import Json
from intellirouter.chat.response import Usage

_KNOWN = frozenset(
    {"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"}
)


def _count(data: Json, key: str) -> int | None:
    value = data.get(key)
    return value if isinstance(value, int) else None


def decode_usage(data: Any, before: Usage | None = None) -> Usage | None:
    """The vendor's counts; in a stream, later counts replace those of `before` where they are given."""
    if not isinstance(data, dict):
        return before
    if before is not None:
        data = {**encode_usage(before), **{key: value for key, value in data.items() if value is not None}}
    cached, written = _count(data, "cache_read_input_tokens"), _count(data, "cache_creation_input_tokens")
    details, writes = data.get("output_tokens_details"), data.get("cache_creation")
    thinking = details.get("thinking_tokens") if isinstance(details, dict) else None
    return Usage(
        input_tokens=(_count(data, "input_tokens") or 0) + (cached or 0) + (written or 0),
        output_tokens=_count(data, "output_tokens") or 0,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=_count(writes, "ephemeral_1h_input_tokens")
        if isinstance(writes, dict)
        else None,
        reasoning_tokens=thinking if isinstance(thinking, int) else None,
        extra={key: value for key, value in data.items() if key not in _KNOWN and value is not None},
        extra_dialect=DIALECT,
    )


def encode_usage(usage: Usage) -> Json:
    """The `usage` object of this dialect."""
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens
    if (
        written is not None
    ):  # a vendor that counts one token as read and as written must not count it twice here
        written = min(written, max(0, usage.input_tokens - cached))
    encoded: Json = {
        "input_tokens": max(0, usage.input_tokens - cached - (written or 0)),
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": written,
    }
    if usage.reasoning_tokens is not None:
        encoded["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.extra_dialect == DIALECT:
        encoded |= usage.extra
    return encoded | usage.told_shares if usage.shares else encoded
