"""Token usage, both directions."""

from __future__ import annotations

from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.content import DIALECT
from intellirouter.chat.response import Usage

_KNOWN = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_DETAILS = frozenset({"prompt_tokens_details", "completion_tokens_details"})


_NOTHING: Json = {}
_ASKED, _ANSWERED = ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
_STORED = ("cache_write_tokens", "cache_creation_input_tokens")
"""The names that vendors of this dialect have for each count: OpenAI, DeepSeek, Moonshot, DashScope, gateways before Claude."""


def _first(data: Json, names: tuple[str, ...]) -> int | None:
    """The first of these counts that is told."""
    for name in names:
        value = data.get(name)
        if type(value) is int:
            return value
        if type(value) is float:
            return int(value)
    return None


def _count(data: Json, key: str) -> int | None:
    value = data.get(key)
    if type(value) is int:
        return value
    return int(value) if type(value) is float else None


def written(prompt: int, completion: int, thought: int | None, total: int | None) -> int:
    """The tokens an answer took: xAI counts thoughts beside `completion_tokens`, Google's compatible endpoint in the total alone."""
    beside = 0 if total is None else total - prompt - completion
    return completion + beside if beside > 0 and thought in (None, beside) else completion


def decode_usage(data: Any) -> Usage | None:
    """The vendor's `usage` object; None when it is absent or empty."""
    if not isinstance(data, dict) or not data:
        return None
    prompt, completion = _first(data, _ASKED) or 0, _first(data, _ANSWERED) or 0
    asked, answered = _details(data, "prompt_tokens_details"), _details(data, "completion_tokens_details")
    extra = {key: value for key, value in data.items() if key not in _KNOWN}
    cached = stored = None
    if extra:  # most tell the two counts and their sum
        cached, stored = _first(asked, _CACHED), _first(asked, _STORED)
        if cached is None:
            cached = _first(extra, _CACHED)
        if stored is None:
            stored = _first(extra, _STORED)
    if (
        cached is not None and cached > prompt
    ):  # a gateway before Claude, which counts beside what it reads from its cache
        prompt += cached + (stored or 0)
    total, thought = _count(data, "total_tokens"), _count(answered, "reasoning_tokens")
    if thought is not None or cached is None:  # else what is beside the two may be what was cached
        completion = written(prompt, completion, thought, total)
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=stored,
        reasoning_tokens=thought,
        audio_input_tokens=_count(asked, "audio_tokens"),
        audio_output_tokens=_count(answered, "audio_tokens"),
        total=total if total != prompt + completion else None,
        extra=extra,
        extra_dialect=DIALECT,
    )


def _details(data: Json, key: str) -> Json:
    value = data.get(key)
    return value if type(value) is dict else _NOTHING


def encode_usage(usage: Usage) -> Json:
    """Our `usage` object, with details where a count is known."""
    encoded: Json = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.shares:
        encoded |= usage.told_shares
    if usage.extra_dialect == DIALECT:
        encoded |= usage.extra
        if not _DETAILS.isdisjoint(usage.extra):
            return encoded
    asked = {
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "audio_tokens": usage.audio_input_tokens,
    }
    answered = {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.audio_output_tokens}
    for key, details in (("prompt_tokens_details", asked), ("completion_tokens_details", answered)):
        if known := {name: count for name, count in details.items() if count is not None}:
            encoded[key] = known
    return encoded
