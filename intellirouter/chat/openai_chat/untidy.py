"""Chunks whose fields are of other types than in this dialect, as some gateways send them: what can be read of them is.

Numbers as words, null where a list stands, an index that is missing, a list of nothing where an object should be. What an answer
is made of must be right; what stands beside it is left out where it makes no sense.
"""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.fields import Json

_WORDS = ("id", "model", "service_tier", "system_fingerprint", "object")
_LISTS = ("thinking_blocks", "reasoning_details", "tool_calls", "annotations", "images")
_TABLES = ("function_call", "audio")


def tidied(data: bytes) -> Json:
    """The chunk in `data` with each field of its type. Raises `ValueError` or `TypeError` for what is no JSON object."""
    chunk = msgspec.json.decode(data)
    if not isinstance(chunk, dict):
        raise TypeError("not an object")
    for name in _WORDS:
        chunk[name] = _word(chunk.get(name))
    chunk["created"] = _number(chunk.get("created"))
    choices = chunk.get("choices")
    chunk["choices"] = None if choices is None else [_choice(c, i) for i, c in enumerate(_tables(choices))]
    return chunk


def _choice(choice: Json, place: int) -> Json:
    index, likely = _number(choice.get("index")), choice.get("logprobs")
    delta, message, text = choice.get("delta"), choice.get("message"), choice.get("text")
    return {
        **choice,
        "index": place if index is None else int(index),
        "delta": _delta(delta) if isinstance(delta, dict) else None,
        "message": _delta(message) if isinstance(message, dict) else None,
        "text": text if isinstance(text, str) else None,
        "logprobs": likely if isinstance(likely, dict) else None,
    }


def _delta(delta: Json) -> Json:
    said = dict(delta)
    thought = said.get("reasoning_content")
    if isinstance(thought, dict):
        thought = thought.get("text")
    said["reasoning_content"] = thought if isinstance(thought, str) else None
    if not isinstance(said.get("refusal"), str):
        said["refusal"] = None
    for name in _LISTS:
        said[name] = _tables(said.get(name)) or None
    for name in _TABLES:
        if not isinstance(said.get(name), dict):
            said[name] = None
    return said


def _tables(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _word(value: Any) -> str | None:
    """A word; a number is one too where it names something."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53
    return value if usable else None
