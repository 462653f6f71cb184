"""Answers as the SDKs' own models define them: every required field there, every type right, and nothing beside.

The SDKs themselves are lenient (OpenAI's and Anthropic's build objects without validation, all but Google's take any
further field), so their models are asked here to validate, and what they have no field for is found by walking the JSON
beside the model it became.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import anthropic.types as anthropic_types
import ollama
import openai.types.chat as openai_types
import openai.types.responses as responses_types
import pydantic
from google.genai import types as google_types
from mistralai.client import models as mistral_models

from tests.servers.recorder import Answered


def _by_type(union: Any) -> dict[str, Any]:
    """The members of a union of events by the word in their `type`."""
    while not all(isinstance(member, type) for member in get_args(union)):
        union = get_args(union)[0]
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in get_args(union)}


_RESPONSE_EVENTS = _by_type(responses_types.ResponseStreamEvent)
_MESSAGE_EVENTS = _by_type(anthropic_types.RawMessageStreamEvent)
NO_FIELD = ": no such field"
_SENT_BY_VENDORS = {  # what the vendor of the dialect sends itself, though its SDK has no field for it
    "openai": {
        "tool_calls[].extra_content",  # Google's compatible endpoint: the signature of a call
        "reasoning_content",  # DeepSeek and others: thoughts
        "thinking_blocks",  # thoughts that their vendor must have back as they were
    },
    "openai_responses": {"Response.store", "response.store", "ArgumentsDoneEvent.name", "output[].status"},
    "ollama": {"tool_calls[].id", "tool_calls[].function.index"},
}
WHOLE: dict[str, Any] = {
    "openai": openai_types.ChatCompletion,
    "openai_responses": responses_types.Response,
    "anthropic": anthropic_types.Message,
    "google": google_types.GenerateContentResponse,
    "mistral": mistral_models.ChatCompletionResponse,
    "ollama": ollama.ChatResponse,
}
_CHUNKS: dict[str, Any] = {
    "openai": openai_types.ChatCompletionChunk,
    "google": google_types.GenerateContentResponse,
    "mistral": mistral_models.CompletionChunk,
    "ollama": ollama.ChatResponse,
}


def faults(by: str, answer: Answered) -> list[str]:
    """What is wrong with an answer as the client `by` defines it."""
    known = tuple(_SENT_BY_VENDORS.get(by, ()))
    told = ((fault, re.sub(r"\[\d+\]", "[]", fault).removesuffix(NO_FIELD)) for fault in _faults(by, answer))
    return [fault for fault, place in told if not (fault.endswith(NO_FIELD) and place.endswith(known))]


def _faults(by: str, answer: Answered) -> list[str]:
    if answer.content_type.startswith("text/event-stream"):
        return [fault for event, data in _events(answer.body) for fault in _event_faults(by, event, data)]
    if answer.content_type.startswith("application/x-ndjson"):
        lines = answer.body.splitlines()
        return [fault for line in lines for fault in object_faults(json.loads(line), _CHUNKS[by])]
    return object_faults(json.loads(answer.body), WHOLE[by])


def _events(body: bytes | bytearray) -> Iterator[tuple[str, str]]:
    for block in bytes(body).replace(b"\r\n", b"\n").decode().split("\n\n"):
        lines = [line.partition(": ") for line in block.split("\n") if line and not line.startswith(":")]
        fields = {name: value for name, _, value in lines}
        if fields:
            yield fields.get("event", ""), fields["data"]


def _event_faults(by: str, event: str, data: str) -> list[str]:
    if data == "[DONE]":
        return [] if by in ("openai", "mistral") else ["[DONE] in a dialect without it"]
    raw = json.loads(data)
    if by in _CHUNKS:
        return object_faults(raw, _CHUNKS[by])
    if event != raw["type"]:
        return [f"event {event!r} of the type {raw['type']!r}"]
    if event == "ping":
        return []
    known = _RESPONSE_EVENTS if by == "openai_responses" else _MESSAGE_EVENTS
    return object_faults(raw, known[event]) if event in known else [f"unknown event {event!r}"]


def object_faults(raw: Any, model: type[pydantic.BaseModel]) -> list[str]:
    """What is wrong with one JSON object as an instance of `model`."""
    try:
        value = model.model_validate(raw)
    except pydantic.ValidationError as error:
        return [f"{model.__name__}.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    return list(_unknown(raw, value, model.__name__))


def _unknown(raw: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, pydantic.BaseModel) and isinstance(raw, dict):
        known = {
            alias: name for name, field in type(value).model_fields.items() for alias in (field.alias, name)
        }
        open_ended = "__pydantic_extra__" in type(value).__annotations__  # says itself that more may come
        for key, inner in raw.items():
            if key in known:
                yield from _unknown(inner, getattr(value, known[key]), f"{path}.{key}")
            elif not open_ended:
                yield f"{path}.{key}{NO_FIELD}"
    elif isinstance(value, (list, tuple)) and isinstance(raw, list):
        for position, (inner, item) in enumerate(zip(raw, value, strict=True)):
            yield from _unknown(inner, item, f"{path}[{position}]")
