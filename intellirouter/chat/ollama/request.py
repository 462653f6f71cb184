"""Chat requests as clients send them, to canonical."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from intellirouter.chat import fields
from intellirouter.chat.fields import Json, at
from intellirouter.chat.media import image_type
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, Role, Source, Tool
from intellirouter.chat.ollama.ids import call_id
from intellirouter.chat.open_calls import OpenCalls
from intellirouter.chat.options import take_options
from intellirouter.chat.parts import Image, Part, ResultPart, Text, Thinking, ToolCall, ToolResult
from intellirouter.errors import InvalidRequest

DIALECT = "ollama"
ROLES: tuple[Role, ...] = get_args(Role)
CHAT_FIELDS = frozenset(
    {"model", "messages", "tools", "format", "options", "stream", "think", "logprobs", "top_logprobs"}
)
OPTION_FIELDS = frozenset(
    """temperature top_p top_k min_p seed num_predict stop presence_penalty frequency_penalty""".split()
)


def decode_request(body: Json, headers: Mapping[str, str]) -> ChatRequest:
    """A chat request. Ollama streams unless told not to."""
    body, options = take_options(body)
    messages = fields.objects(body, "messages")
    if not messages:
        fields.missing("messages")
    known: dict[str, Any] = {
        "messages": _decode_messages(messages),
        "tools": tuple(
            _decode_tool(tool, f"tools[{i}]") for i, tool in enumerate(fields.objects(body, "tools"))
        ),
        "extra": decode_extra(body, CHAT_FIELDS),
        "extra_dialect": DIALECT,
        "options": options,
        "source": Source(DIALECT, body, dict(headers)),
    }
    return ChatRequest(**decode_settings(body), **known)


def decode_settings(body: Json) -> dict[str, Any]:
    """What a chat and a generate request share."""
    settings = fields.mapping(body, "options") or {}
    stream = fields.boolean(body, "stream")
    limit = fields.integer(settings, "num_predict", "options")
    return {
        "model": fields.required_name(body, "model"),
        "temperature": fields.number(settings, "temperature", "options"),
        "top_p": fields.number(settings, "top_p", "options"),
        "top_k": fields.integer(settings, "top_k", "options"),
        "min_p": fields.number(settings, "min_p", "options"),
        "seed": fields.integer(settings, "seed", "options"),
        "max_tokens": limit if limit is not None and limit > 0 else None,  # -1 and -2 mean: no limit
        "stop": fields.strings(settings, "stop", "options"),
        "presence_penalty": fields.number(settings, "presence_penalty", "options"),
        "frequency_penalty": fields.number(settings, "frequency_penalty", "options"),
        "logprobs": fields.boolean(body, "logprobs"),
        "top_logprobs": fields.integer(body, "top_logprobs", least=0),
        "output": _decode_format(body.get("format")),
        "reasoning": _decode_think(body.get("think")),
        "stream": True if stream is None else stream,
        "include_usage": True,
    }


def decode_extra(body: Json, known: frozenset[str]) -> Json:
    """What only Ollama knows: `keep_alive`, and options such as `num_ctx`."""
    extra = fields.rest(body, known)
    if settings := fields.rest(fields.mapping(body, "options") or {}, OPTION_FIELDS):
        extra["options"] = settings
    return extra


def _decode_messages(messages: list[Json]) -> tuple[Message, ...]:
    """Turns; a tool result without an id answers the latest call of its name that is still open."""
    decoded: list[Message] = []
    unanswered = OpenCalls()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        word = fields.required_text(message, "role", path)
        role = next((known for known in ROLES if known == word), None)
        if role is None:
            raise InvalidRequest(
                f"'{at(path, 'role')}' must be one of: {', '.join(ROLES)}.", param=at(path, "role")
            )
        if role == "tool":
            decoded.append(Message("tool", (_decode_result(message, path, unanswered),)))
            continue
        parts = _decode_parts(message, index, path)
        for part in parts:
            if isinstance(part, ToolCall):
                unanswered.add(part)
        decoded.append(Message(role, parts))
    return tuple(decoded)


def _decode_parts(message: Json, turn: int, path: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    if thinking := fields.text(message, "thinking", path):
        parts.append(Thinking(thinking))
    calls = fields.objects(message, "tool_calls", path)
    content, pictures = fields.text(message, "content", path), decode_images(message, path)
    if content or not (calls or pictures):
        parts.append(Text(content or ""))
    parts.extend(pictures)
    parts.extend(_decode_call(call, turn, i, at(path, f"tool_calls[{i}]")) for i, call in enumerate(calls))
    return tuple(parts)


def decode_images(holder: Json, path: str) -> list[Image]:
    """Pictures beside the words of a turn: Ollama's clients send no type, and other vendors want the right one."""
    images = fields.strings(holder, "images", path)
    return [Image(data=data, media_type=image_type(None, data)) for data in images]


def _decode_call(call: Json, turn: int, index: int, path: str) -> ToolCall:
    function = fields.mapping(call, "function", path) or fields.missing(at(path, "function"))
    name = fields.required_text(function, "name", at(path, "function"))
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments or {}).decode()
    return ToolCall(fields.text(call, "id", path) or call_id(str(turn), index), name, text)


def _decode_result(message: Json, path: str, unanswered: OpenCalls) -> ToolResult:
    name = fields.text(message, "tool_name", path) or fields.text(message, "name", path)
    given = fields.text(message, "tool_call_id", path)
    anything = given is None and name is None
    call = unanswered.first() if anything else unanswered.answered(given, name)
    words = Text(fields.text(message, "content", path) or "")
    content: tuple[ResultPart, ...] = (words, *decode_images(message, path))
    return ToolResult(given or (call.id if call else call_id("result", 0)), content, name=name)


def _decode_tool(tool: Json, path: str) -> Tool:
    function = fields.mapping(tool, "function", path) or fields.missing(at(path, "function"))
    inside = at(path, "function")
    return Tool(
        name=fields.required_text(function, "name", inside),
        description=fields.text(function, "description", inside),
        parameters=fields.mapping(function, "parameters", inside),
    )


def _decode_format(value: Any) -> OutputFormat | None:
    if value in (None, ""):
        return None
    if value == "json":
        return OutputFormat("json")
    if isinstance(value, dict):
        return OutputFormat("json_schema", schema=value)
    raise InvalidRequest("'format' must be \"json\" or a JSON schema.", param="format")


def _decode_think(value: Any) -> Reasoning | None:
    match value:
        case None:
            return None
        case bool():
            return Reasoning(mode="adaptive" if value else "disabled")
        case "low" | "medium" | "high" | "max":
            return Reasoning(effort=value)
        case _:
            raise InvalidRequest("'think' must be true, false, low, medium, high or max.", param="think")
