"""What each vendor refuses, written from its documentation and from what its servers say: sans-io, one function a dialect.

A validator takes the JSON body as it would arrive and returns what is wrong with it, empty where nothing is. They are strict
on purpose: a rule that only some models of a vendor have holds for all here.

Sources: OpenAI API reference (chat, Responses; function calling, structured outputs), Anthropic API reference (Messages, tool
use, structured outputs), Gemini API reference (generateContent, Schema, function calling), Mistral API reference and the
validator of mistral-common, Ollama's api.md and its Go types, the chat templates of Qwen, Gemma and Mistral models as vLLM,
llama.cpp and LM Studio run them, DeepSeek, Groq, xAI, Cerebras and OpenRouter API references.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]
Wrong = list[str]
Validator = Callable[[Json, str], Wrong]

_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}


def picture(kind: str, data: str, taken: set[str]) -> Wrong:
    if kind not in taken:
        return [f"media type {kind} is not taken"]
    head = base64.b64decode(data[:16] + "==", validate=False)
    found = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    return [f"declared {kind}, but the bytes are {found}"] if found and found != kind else []


def names(names: list[str], pattern: str) -> Wrong:
    wrong = [f"name {name!r} does not match {pattern}" for name in names if not re.fullmatch(pattern, name)]
    return wrong + (["two tools of one name"] if len(set(names)) < len(names) else [])


def walk(schema: Any) -> Iterator[Json]:
    if isinstance(schema, dict):
        yield schema
        for key, value in schema.items():
            if key in ("properties", "$defs", "definitions", "patternProperties") and isinstance(value, dict):
                for inner in value.values():
                    yield from walk(inner)
            elif key in (
                "items",
                "additionalProperties",
                "not",
                "if",
                "then",
                "else",
                "contains",
                "propertyNames",
            ):
                yield from walk(value)
            elif key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
                for inner in value:
                    yield from walk(inner)


def arrays(schema: Any) -> Wrong:
    lacking = [
        node
        for node in walk(schema)
        if (node.get("type") == "array" or (isinstance(node.get("type"), list) and "array" in node["type"]))
        and not {"items", "prefixItems"} & node.keys()
    ]
    return ["array schema missing items"] if lacking else []


def object_at_top(schema: Json) -> Wrong:
    wrong = [] if schema.get("type") == "object" else ["schema must be of type object"]
    wrong += [] if isinstance(schema.get("properties"), dict) else ["object schema missing properties"]
    return wrong + [f"{k} at the top" for k in ("anyOf", "oneOf", "allOf", "enum", "not") if k in schema]


def between(body: Json, bounds: dict[str, tuple[float, float]]) -> Wrong:
    return [
        f"{name} {body[name]} is not within {low} to {high}"
        for name, (low, high) in bounds.items()
        if name in body and not low <= body[name] <= high
    ]


def said(content: Any) -> str:
    """The words of a message."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content or ""
