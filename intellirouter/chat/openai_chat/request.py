"""Chat completion requests as clients send them, to canonical."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from intellirouter.chat import fields
from intellirouter.chat.fields import Json, at
from intellirouter.chat.model import (
    ChatRequest,
    Message,
    OutputFormat,
    Reasoning,
    Role,
    Source,
    Tool,
    ToolChoice,
)
from intellirouter.chat.openai_chat.content import (
    DIALECT,
    cache_marker,
    decode_content,
    decode_thinking,
    decode_tool_call,
)
from intellirouter.chat.openai_chat.other_parts import (
    decode_other,
    decode_other_choice,
    decode_other_tool,
    holds_others,
)
from intellirouter.chat.openai_chat.wishes import read_wishes
from intellirouter.chat.options import take_options
from intellirouter.chat.parts import (
    Audio,
    CacheMarker,
    File,
    Image,
    Opaque,
    Part,
    Refusal,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
)
from intellirouter.errors import InvalidRequest

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_LIMITS = ("max_tokens", "max_completion_tokens")
KNOWN_MESSAGE_FIELDS = frozenset(
    """role content name tool_calls tool_call_id function_call refusal audio reasoning_content reasoning
    thinking_blocks reasoning_details annotations cache_control""".split()
)


def decode_request(body: Json, headers: Mapping[str, str]) -> ChatRequest:
    """The client's JSON to a canonical request. Reads only what is there: most requests say three things."""
    body, options = take_options(body)
    body = _without_no_limit(body)
    values: dict[str, Any] = {}
    extra: Json = {}
    for key in body:
        reader = _READERS.get(key)
        if reader is None:
            extra[key] = body[key]
        elif (value := reader[1](body, key)) is not None:
            values.setdefault(reader[0], value)
    if "model" not in values:
        fields.missing("model")
    if "messages" not in values:
        fields.missing("messages")
    if "max_completion_tokens" in body and "max_tokens" in body:
        values["max_tokens"] = body["max_completion_tokens"] or body["max_tokens"]
    if (effort := body.get("reasoning_effort")) and "reasoning" not in values:
        extra["reasoning_effort"] = effort
    if extra and "reasoning" not in values and (wish := read_wishes(extra)) is not None:
        values["reasoning"] = wish
    return ChatRequest(
        **values,
        extra=extra,
        extra_dialect=DIALECT,
        options=options,
        source=None if holds_others(body) else Source(DIALECT, body, dict(headers)),
    )


def _without_no_limit(body: Json) -> Json:
    """A body without -1 for a limit: LM Studio and llama.cpp, whose clients send it, mean none by that."""
    if body.get("max_tokens") != -1 and body.get("max_completion_tokens") != -1:
        return body
    return {key: value for key, value in body.items() if key not in _LIMITS or value != -1}


def _messages(body: Json, key: str) -> tuple[Message, ...] | None:
    messages = fields.array(body, key)
    if messages is None:
        return None
    if not messages:
        raise InvalidRequest("'messages' must hold at least one message.", param="messages")
    return tuple([_decode_message(message, f"messages[{i}]") for i, message in enumerate(messages)])


def _stream_options(body: Json, key: str) -> bool | None:
    return fields.boolean(fields.mapping(body, key) or {}, "include_usage", key)


def _positive(body: Json, key: str) -> int | None:
    return fields.integer(body, key, least=1)


def _choices(body: Json, key: str) -> int | None:
    return fields.integer(body, key, least=1, most=128)


def _not_negative(body: Json, key: str) -> int | None:
    return fields.integer(body, key, least=0)


def _decode_message(message: Any, path: str) -> Message:
    if type(message) is not dict:
        fields.wrong(path, "an object", message)
    role = message.get("role")
    said = message.get("content")
    if type(said) is str and len(message) == 2 and (role == "user" or role == "system"):  # most are just this
        return Message(role, (Text(said),))
    if role is None:
        fields.missing(at(path, "role"))
    if type(role) is not str or role not in ROLES:
        raise InvalidRequest(
            f"'{at(path, 'role')}' must be one of: {', '.join(sorted(ROLES))}.", param=at(path, "role")
        )
    content = decode_content(said, at(path, "content"))
    if type(said) is list:
        content = tuple(_decode_other(raw, part, path) for raw, part in zip(said, content, strict=True))
    if "cache_control" in message and (marker := cache_marker(message)) is not None:
        content = _marked(content, marker)
    if role in ("tool", "function"):
        return _tool_message(message, content, path)
    if role == "assistant":
        content = (*decode_thinking(message), *content, *_assistant_parts(message, path))
    elif not content and message.get("content") is None:
        fields.missing(at(path, "content"))
    if role == "user" and content and all(isinstance(part, ToolResult) for part in content):
        role = "tool"
    return Message(
        role=_canonical_role(role),
        content=content,
        name=fields.text(message, "name", path),
        extra=fields.rest(message, KNOWN_MESSAGE_FIELDS),
    )


def _marked(content: tuple[Part, ...], marker: CacheMarker) -> tuple[Part, ...]:
    """The marker of a message on the last of its parts, where it has none of its own."""
    if not content or not isinstance(last := content[-1], (Text, Image, File)) or last.cache is not None:
        return content
    return (*content[:-1], msgspec.structs.replace(last, cache=marker))


def _decode_other(raw: Any, part: Part, path: str) -> Part:
    """Another dialect's part as what it is there."""
    other = decode_other(raw, at(path, "content")) if isinstance(part, Opaque) else None
    return part if other is None else other


def _canonical_role(role: str) -> Role:
    match role:
        case "system" | "developer" | "user" | "assistant":
            return role
        case _:
            return "tool"


def _tool_message(message: Json, content: tuple[Part, ...], path: str) -> Message:
    legacy = message.get("role") == "function"
    name = fields.text(message, "name", path)
    call_id = fields.text(message, "tool_call_id", path)
    if call_id is None:
        call_id = legacy_call_id(name or "") if legacy else fields.missing(at(path, "tool_call_id"))
    result = ToolResult(call_id, tuple(part for part in content if isinstance(part, ResultPart)), name=name)
    return Message("tool", (result,), extra=fields.rest(message, KNOWN_MESSAGE_FIELDS))


def legacy_call_id(name: str) -> str:
    """The call id for the retired `function_call`, which had none: one call a turn, so the name identifies it."""
    return f"call_{name}"


def _assistant_parts(message: Json, path: str) -> list[Part]:
    parts: list[Part] = []
    if refusal := fields.text(message, "refusal", path):
        parts.append(Refusal(refusal))
    if audio := fields.mapping(message, "audio", path):
        parts.append(Audio(id=fields.text(audio, "id", at(path, "audio"))))
    calls = fields.objects(message, "tool_calls", path)
    parts.extend(decode_tool_call(call, f"{at(path, 'tool_calls')}[{i}]") for i, call in enumerate(calls))
    if legacy := fields.mapping(message, "function_call", path):
        name = fields.text(legacy, "name", at(path, "function_call")) or ""
        parts.append(ToolCall(legacy_call_id(name), name, fields.text(legacy, "arguments", path) or ""))
    return parts


def _decode_tools(body: Json, _key: str) -> tuple[Tool, ...]:
    tools = [_decode_tool(tool, f"tools[{i}]") for i, tool in enumerate(fields.objects(body, "tools"))]
    for i, function in enumerate(fields.objects(body, "functions")):
        tools.append(_decode_function(function, f"functions[{i}]"))
    return tuple(tools)


def _decode_tool(tool: Json, path: str) -> Tool:
    if (other := decode_other_tool(tool, path)) is not None:
        return other
    kind = fields.text(tool, "type", path) or (
        "function" if "function" in tool else fields.missing(at(path, "type"))
    )
    if kind == "function":
        function = fields.mapping(tool, "function", path) or fields.missing(at(path, "function"))
        return _decode_function(function, at(path, "function"), tool)
    if kind == "custom":
        custom = fields.mapping(tool, "custom", path) or fields.missing(at(path, "custom"))
        return Tool(
            name=fields.required_text(custom, "name", at(path, "custom")),
            kind="custom",
            description=fields.text(custom, "description", at(path, "custom")),
            format=fields.mapping(custom, "format", at(path, "custom")),
        )
    return Tool(name=kind, kind="builtin", dialect=DIALECT, data=tool)


def _decode_function(function: Json, path: str, tool: Json | None = None) -> Tool:
    return Tool(
        name=fields.required_text(function, "name", path),
        description=fields.text(function, "description", path),
        parameters=fields.mapping(function, "parameters", path),
        strict=fields.boolean(function, "strict", path),
        cache=(cache_marker(tool) if tool and "cache_control" in tool else None)
        or (cache_marker(function) if "cache_control" in function else None),
    )


def _decode_tool_choice(body: Json, _key: str) -> ToolChoice | None:
    choice = body.get("tool_choice")
    if choice is None:
        legacy = body.get("function_call")
        if isinstance(legacy, str):
            choice = legacy
        elif isinstance(legacy, dict):
            choice = {"type": "function", "function": legacy}
        else:
            return None
    if isinstance(choice, str):
        match choice:
            case "auto" | "none" | "required":
                return ToolChoice(choice)
            case "any":  # Mistral's word
                return ToolChoice("required")
            case _:
                raise InvalidRequest(
                    "'tool_choice' must be auto, none, required or name a tool.", param="tool_choice"
                )
    if type(choice) is not dict:
        fields.wrong("tool_choice", "a string or an object", choice)
    kind = choice.get("type")
    if (other := decode_other_choice(choice)) is not None:
        return other
    if kind == "allowed_tools":
        return _decode_allowed_tools(choice)
    word = str(kind or "function")  # Hugging Face takes a named function without its type
    named = fields.mapping(choice, word, "tool_choice") if word in ("function", "custom") else None
    if named is None:
        raise InvalidRequest(
            "'tool_choice' must be auto, none, required or name a tool.", param="tool_choice"
        )
    return ToolChoice("named", fields.required_text(named, "name", f"tool_choice.{word}"))


def _decode_allowed_tools(choice: Json) -> ToolChoice:
    path = "tool_choice.allowed_tools"
    allowed = fields.mapping(choice, "allowed_tools", "tool_choice") or fields.missing(path)
    names = tuple(
        fields.required_text(fields.mapping(tool, str(tool.get("type"))) or {}, "name", f"{path}.tools[{i}]")
        for i, tool in enumerate(fields.objects(allowed, "tools", path))
    )
    mode = fields.one_of(allowed, "mode", {"auto", "required"}, path)
    return ToolChoice("allowed", names=names, mode="required" if mode == "required" else "auto")


def _decode_output(body: Json, _key: str) -> OutputFormat | None:
    wanted = fields.mapping(body, "response_format")
    if wanted is None:
        return None
    match wanted.get("type"):
        case "text":
            return OutputFormat("text")
        case "json_object":
            return OutputFormat("json")
        case "json_schema":
            path = "response_format.json_schema"
            schema = fields.mapping(wanted, "json_schema", "response_format") or fields.missing(path)
            return OutputFormat(
                "json_schema",
                schema=fields.mapping(schema, "schema", path) or {},
                name=fields.text(schema, "name", path),
                description=fields.text(schema, "description", path),
                strict=fields.boolean(schema, "strict", path),
            )
        case _:
            raise InvalidRequest(
                "'response_format.type' must be text, json_object or json_schema.",
                param="response_format.type",
            )


def _decode_reasoning(body: Json, _key: str) -> Reasoning | None:
    """The effort, where it is one of the common words; a vendor's own word (Groq's `default`) stays in `extra`."""
    match fields.text(body, "reasoning_effort"):
        case "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max" as effort:
            return Reasoning(effort=effort)
        case _:
            return None


_Reader = Callable[[Json, str], Any]
_READERS: dict[str, tuple[str, _Reader]] = {
    "model": ("model", fields.required_name),
    "messages": ("messages", _messages),
    "tools": ("tools", _decode_tools),
    "functions": ("tools", _decode_tools),
    "tool_choice": ("tool_choice", _decode_tool_choice),
    "function_call": ("tool_choice", _decode_tool_choice),
    "parallel_tool_calls": ("parallel_tool_calls", fields.boolean),
    "max_completion_tokens": ("max_tokens", _positive),
    "max_tokens": ("max_tokens", _positive),
    "temperature": ("temperature", fields.number),
    "top_p": ("top_p", fields.number),
    "top_k": ("top_k", fields.integer),
    "min_p": ("min_p", fields.number),
    "presence_penalty": ("presence_penalty", fields.number),
    "frequency_penalty": ("frequency_penalty", fields.number),
    "seed": ("seed", fields.integer),
    "stop": ("stop", fields.strings),
    "n": ("n", _choices),
    "logprobs": ("logprobs", fields.boolean),
    "top_logprobs": ("top_logprobs", _not_negative),
    "logit_bias": ("logit_bias", fields.mapping),
    "response_format": ("output", _decode_output),
    "reasoning_effort": ("reasoning", _decode_reasoning),
    "verbosity": ("verbosity", fields.text),
    "modalities": ("modalities", fields.strings),
    "audio": ("audio", fields.mapping),
    "prediction": ("prediction", fields.mapping),
    "user": ("user", fields.name),
    "metadata": ("metadata", fields.labels),
    "service_tier": ("service_tier", fields.text),
    "store": ("store", fields.boolean),
    "prompt_cache_key": ("prompt_cache_key", fields.name),
    "stream": ("stream", fields.boolean),
    "stream_options": ("include_usage", _stream_options),
}
"""Each field of the dialect: the canonical field it becomes, and how it is read."""
