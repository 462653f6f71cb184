"""Every text of a request and of an answer, whatever dialect it came in: one walk that reads them, and rewrites what changed.

Messages' texts, refusals, thoughts, documents (also where what is base64 is text, by whatever type it goes, and where it stands for a
picture: a target may be sent it as text), tool calls' arguments (inside their JSON), tool results, blocks of one vendor, tools' descriptions and schemas, the schema of the answer, predictions, names, stop words, metadata.
Left alone: pictures, sound, PDFs, addresses of files, ids, signatures. Nothing changed means the same object.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from intellirouter.chat.media import words_in
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Tool
from intellirouter.chat.parts import (
    Audio,
    File,
    Image,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from intellirouter.chat.response import ChatResponse, Choice

SYSTEM, USER, ASSISTANT, TOOL_CALL, TOOL_RESULT, SIGNED, TOOLS, OTHER = (
    "system", "user", "assistant", "tool_call", "tool_result", "signed", "tools", "other",
)  # fmt: skip
"""Where a text stands. `signed`: a thought that its vendor wants back as it was."""
Change = Callable[[str, str], str]
"""From a text and where it stands to what it becomes."""
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_LEFT = frozenset(
    """type id role signature encrypted_content encrypted_index call_id tool_use_id item_id container_id file_id url image_url media_type
    mime_type mimeType thoughtSignature $ref $schema $id pattern format status created_at expires_at""".split()
)
"""Fields whose values are no words."""
_CODED = 1_024
"""Characters of one word from which it is taken to be coded bytes."""
_DEEPEST = 64
_LEAST_NUMBER = 10**6
"""A number as long as one that says who somebody is."""
_HALF = re.compile("[\ud800-\udfff]")


def texts(chat: ChatRequest) -> list[tuple[str, str]]:
    """Every text of a request, and where it stands."""
    found: list[tuple[str, str]] = []
    request(chat, partial(_noted, found))
    return found


def answer_texts(answer: ChatResponse) -> list[tuple[str, str]]:
    """Every text of an answer, and where it stands."""
    found: list[tuple[str, str]] = []
    response(answer, partial(_noted, found))
    return found


def _noted(found: list[tuple[str, str]], text: str, where: str) -> str:
    found.append((text, where))
    return text


def request(chat: ChatRequest, change: Change) -> ChatRequest:
    """The request with every text changed."""
    fields: dict[str, Any] = {
        "messages": _each(chat.messages, lambda message: _message(message, change)),
        "tools": _each(chat.tools, lambda tool: _tool(tool, change)),
        "output": _output(chat.output, change),
        "prediction": _tree(chat.prediction, change, OTHER),
        "metadata": _tree(chat.metadata, change, OTHER),
        "user": _maybe(chat.user, change, OTHER),
        "stop": _each(chat.stop, lambda word: change(word, OTHER)),
        "extra": _tree(chat.extra, change, OTHER),
    }
    changed = {name: value for name, value in fields.items() if value is not getattr(chat, name)}
    return chat.changed(**changed) if changed else chat


def response(answer: ChatResponse, change: Change) -> ChatResponse:
    """The answer with every text changed."""
    choices = _each(answer.choices, lambda choice: _choice(choice, change))
    if choices is answer.choices:
        return answer
    return msgspec.structs.replace(answer, choices=choices, raw=None, dialect=None)


def _choice(choice: Choice, change: Change) -> Choice:
    return _with(choice, content=_each(choice.content, lambda part: part_of(part, change, ASSISTANT)))


def _message(message: Message, change: Change) -> Message:
    where = (
        SYSTEM
        if message.role in ("system", "developer")
        else ASSISTANT
        if message.role == "assistant"
        else USER
    )
    return _with(
        message,
        content=_each(message.content, lambda part: part_of(part, change, where)),
        name=_maybe(message.name, change, OTHER),
        extra=_tree(message.extra, change, OTHER),
    )


def part_of(part: Part, change: Change, where: str) -> Part:
    """One part of a message."""
    match part:
        case Text():
            return _with(
                part,
                text=change(part.text, where),
                annotations=_tree(part.annotations, change, where),
                citations=_tree(part.citations, change, where),
            )
        case Refusal():
            return _with(part, text=change(part.text, where))
        case Thinking():
            return _with(part, text=change(part.text, SIGNED if part.signature or part.encrypted else where))
        case ToolCall():
            return _with(part, arguments=arguments(part.arguments, change, part.kind))
        case ToolResult():
            return _with(part, content=_each(part.content, lambda one: part_of(one, change, TOOL_RESULT)))
        case File():
            return _file(part, change, where)
        case Audio():
            return _with(part, transcript=_maybe(part.transcript, change, where))
        case Opaque():
            return _with(
                part,
                data=_tree(part.data, change, where),
                said=_each(part.said, lambda one: part_of(one, change, where)),
            )
        case Image():
            return _with(part, data=_coded(part.data, change, where))
        case _:
            return part


def arguments(written: str, change: Change, kind: str) -> str:
    """A tool call's arguments: the strings inside their JSON, or the text where they are none."""
    if kind != "function":
        return change(written, TOOL_CALL)
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        return change(written, TOOL_CALL)
    made = _tree(value, change, TOOL_CALL, left=frozenset())
    if made is value:
        return written
    text = json.dumps(made, ensure_ascii=False)
    # half of a surrogate pair may stand in JSON as an escape, and nowhere else
    return json.dumps(made) if _HALF.search(text) else text


def _file(part: File, change: Change, where: str) -> File:
    return _with(
        part,
        data=_coded(part.data, change, where),
        text=_maybe(part.text, change, where),
        title=_maybe(part.title, change, where),
        context=_maybe(part.context, change, where),
        filename=_maybe(part.filename, change, where),
    )


def _coded(data: str | None, change: Change, where: str) -> str | None:
    """A text in base64 with its words changed; what is no text stays."""
    text = words_in(data) if data else None
    if not text or (made := change(text, where)) == text:
        return data
    return base64.b64encode(made.encode()).decode()


def _tool(tool: Tool, change: Change) -> Tool:
    return _with(
        tool,
        description=_maybe(tool.description, change, TOOLS),
        parameters=_tree(tool.parameters, change, TOOLS),
        data=_tree(tool.data, change, TOOLS),
        native=_tree(tool.native, change, TOOLS),
    )


def _output(output: OutputFormat | None, change: Change) -> OutputFormat | None:
    if output is None:
        return None
    return _with(
        output,
        schema=_tree(output.schema, change, TOOLS),
        description=_maybe(output.description, change, TOOLS),
    )


def _maybe(text: str | None, change: Change, where: str) -> str | None:
    return change(text, where) if text else text


def _tree(value: Any, change: Change, where: str, depth: int = 0, *, left: frozenset[str] = _LEFT) -> Any:
    """The strings of a JSON value, but for fields that hold no words."""
    made: Any = value
    if not value or depth > _DEEPEST:
        return value
    if isinstance(value, str):
        coded = len(value) >= _CODED and not any(map(str.isspace, value[:_CODED]))
        return value if coded else change(value, where)
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and abs(value) >= _LEAST_NUMBER
        and where == TOOL_CALL
    ):
        told = str(value)
        return value if change(told, where) == told else change(told, where)
    if isinstance(value, dict) and where == TOOL_CALL:
        named = {
            change(name, where): _tree(inner, change, where, depth + 1, left=left)
            for name, inner in value.items()
        }
        same = all(name in value and named[name] is value[name] for name in named)
        return value if same else named
    if isinstance(value, dict):
        made = {
            name: inner if name in left else _tree(inner, change, where, depth + 1, left=left)
            for name, inner in value.items()
        }
        return value if all(made[name] is value[name] for name in value) else made
    if isinstance(value, (list, tuple)):
        items = [_tree(inner, change, where, depth + 1, left=left) for inner in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        made = items if isinstance(value, list) else tuple(items)
    return made


def _each(values: tuple[T, ...], change: Callable[[T], T]) -> tuple[T, ...]:
    made = tuple(map(change, values))
    return values if all(new is old for new, old in zip(made, values, strict=True)) else made


def _with(struct: S, **fields: Any) -> S:
    changed = {
        name: value
        for name, value in fields.items()
        if value is not (old := getattr(struct, name)) and value != old
    }
    return msgspec.structs.replace(struct, **changed) if changed else struct
