"""Whether an answer has the form that its request asked for: JSON, or JSON of a schema. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.bounds import schemas
from intellirouter.chat.model import ChatRequest, OutputFormat
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import IntelliRouterError

LONGEST = 256 * 1024
"""Characters of an answer that is looked at."""


def asks_for_json(request: ChatRequest) -> bool:
    """Whether its answer must be JSON."""
    return request.output is not None and request.output.kind != "text" and request.n in (None, 1)


def judged_text(response: ChatResponse) -> str | None:
    """The text that must have the form, None where there is none to judge: tools are called, it was cut, refused, or is long."""
    if len(response.choices) != 1:
        return None
    choice = response.choices[0]
    if choice.tool_calls or choice.refusal or choice.finish_reason not in ("stop", None):
        return None
    text = _peeked(response.raw) if response.unread else choice.text
    return text if text is not None and len(text) <= LONGEST else None


class _Said(msgspec.Struct):
    content: str | None = None
    tool_calls: list[Any] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Said


class _Body(msgspec.Struct):
    choices: list[_Choice]


_body = msgspec.json.Decoder(_Body)


def _peeked(raw: bytes | None) -> str | None:
    """The text of an answer that goes on unread, in OpenAI's form."""
    try:
        message = _body.decode(raw or b"").choices[0].message
    except (msgspec.MsgspecError, IndexError):
        return None
    return None if message.tool_calls or message.refusal else message.content


def complaint(text: str, output: OutputFormat) -> str | None:
    """What does not hold of the form, for the model to read; None where all does, or where the schema cannot be judged."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return "it is not JSON"
    if output.kind == "json":
        return None if isinstance(value, dict) else "it is no JSON object"
    if output.schema is None:
        return None
    try:
        found = schemas.schema(output.schema).complaint(value)
    except IntelliRouterError:
        return None  # the provider took it; what we cannot judge is not held against the answer
    return None if found is None else f"its JSON does not fit the schema ({found})"


def within_fence(text: str) -> str | None:
    """What stands within the one fence of three backticks that the whole text is, None where it is none."""
    text = text.strip()
    if len(text) < 6 or not (text.startswith("```") and text.endswith("```")):
        return None
    word, newline, inside = text[3:-3].partition("\n")
    return inside.strip() if newline and len(word) < 40 and len(word.split()) < 2 else None


def unfenced(text: str, output: OutputFormat) -> str | None:
    """The JSON within a fence, where that is all that stood in the way."""
    inside = within_fence(text)
    return inside if inside is not None and complaint(inside, output) is None else None


def said_instead(response: ChatResponse, text: str) -> ChatResponse:
    """The answer with this text in place of its own."""
    choice = msgspec.structs.replace(response.choices[0], content=(Text(text),), finish_reason="stop")
    return msgspec.structs.replace(response, choices=(choice,), raw=None, dialect=None, unread=False)
