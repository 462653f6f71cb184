"""Requests as clients send them, to canonical."""

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
    Source,
    Tool,
    ToolChoice,
)
from intellirouter.chat.openai_responses.client_tools import client_tool
from intellirouter.chat.openai_responses.content import DIALECT
from intellirouter.chat.openai_responses.items import decode_items
from intellirouter.chat.openai_responses.namespaces import joined
from intellirouter.chat.options import take_options
from intellirouter.chat.parts import Text
from intellirouter.errors import InvalidRequest

_BRING_TOOLS = ("additional_tools", "tool_search_output")
LOGPROBS = "message.output_text.logprobs"
_TOOL_FIELDS = frozenset({"type", "name", "description", "parameters", "strict", "format"})


def decode_request(body: Json, headers: Mapping[str, str]) -> ChatRequest:
    """The client's JSON to a canonical request."""
    body, options = take_options(body)
    values: dict[str, Any] = {}
    extra: Json = {}
    for key, value in body.items():
        reader = _READERS.get(key)
        if reader is not None:
            if (read := reader[1](body, key)) is not None:
                values[reader[0]] = read
        elif key not in _READ_TOGETHER:
            extra[key] = value
    if "model" not in values:
        fields.missing("model")
    _read_text(body, values, extra)
    _read_reasoning(body, values, extra)
    include = fields.array(body, "include") or []
    if LOGPROBS in include or values.get("top_logprobs"):
        values["logprobs"] = True
    if loaded := _loaded(body.get("input"), {tool.name for tool in values.get("tools", ())}):
        values["tools"] = (*values.get("tools", ()), *loaded)
    return ChatRequest(
        **values,
        messages=_messages(body),
        include_usage=True,  # this dialect always says it
        extra=extra,
        extra_dialect=DIALECT,
        options=options,
        source=Source(DIALECT, body, dict(headers)),
    )


def _messages(body: Json) -> tuple[Message, ...]:
    given = body.get("input")
    if given is None:
        fields.missing("input")
    if type(given) is str:
        messages: tuple[Message, ...] = (Message("user", (Text(given),)),)
    elif type(given) is list:
        messages = decode_items(given, "input")
    else:
        fields.wrong("input", "a string or an array of items", given)
    if not messages:
        raise InvalidRequest("'input' must hold at least one item.", param="input")
    instructions = fields.text(body, "instructions")
    return (Message("system", (Text(instructions),)), *messages) if instructions else messages


def _tools(body: Json, key: str) -> tuple[Tool, ...]:
    return tuple(
        decoded
        for i, tool in enumerate(fields.objects(body, key))
        for decoded in _decode_entry(tool, f"{key}[{i}]")
    )


def _loaded(given: Any, known: set[str]) -> tuple[Tool, ...]:
    """Tools that came later in the conversation: those of `additional_tools` items, and those that a search brought."""
    found: list[Tool] = []
    for place, item in enumerate(given if isinstance(given, list) else ()):
        if isinstance(item, dict) and item.get("type") in _BRING_TOOLS:
            for tool in _tools(item, "tools"):
                if tool.name not in known:
                    known.add(tool.name)
                    found.append(tool)
        elif isinstance(item, dict) and item.get("type") == "item_reference":
            raise InvalidRequest(
                "An 'item_reference' names an item of a response that is kept here, and there is none of that id. "
                "Send the item itself, or go on from 'previous_response_id'.",
                param=f"input[{place}].id",
            )
    return tuple(found)


def _decode_entry(tool: Json, path: str) -> tuple[Tool, ...]:
    """One tool, or the functions of a namespace."""
    if tool.get("type") != "namespace":
        return (_decode_tool(tool, path),)
    namespace = fields.required_text(tool, "name", path)
    description = fields.text(tool, "description", path) or ""
    inside = [
        _decode_tool(one, f"{path}.tools[{i}]") for i, one in enumerate(fields.objects(tool, "tools", path))
    ]
    return tuple(
        msgspec.structs.replace(one, name=joined(namespace, one.name), namespace=(namespace, description))
        for one in inside
    )


def _decode_tool(tool: Json, path: str) -> Tool:
    kind = fields.required_text(tool, "type", path)
    if (clients := client_tool(tool)) is not None:
        return clients
    if kind not in ("function", "custom"):
        return Tool(name=kind, kind="builtin", dialect=DIALECT, data=tool)
    unknown = fields.rest(tool, _TOOL_FIELDS)
    return Tool(
        name=fields.required_text(tool, "name", path),
        kind="custom" if kind == "custom" else "function",
        description=fields.text(tool, "description", path),
        parameters=fields.mapping(tool, "parameters", path),
        strict=fields.boolean(tool, "strict", path),
        format=fields.mapping(tool, "format", path),
        dialect=DIALECT if unknown else None,
        data=unknown or None,
    )


def _tool_choice(body: Json, key: str) -> ToolChoice | None:
    choice = body[key]
    match choice:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(choice)
        case str():
            raise InvalidRequest(f"'{key}' must be auto, none, required or name a tool.", param=key)
        case dict():
            pass
        case _:
            fields.wrong(key, "a string or an object", choice)
    if choice.get("type") == "allowed_tools":
        names = tuple(
            fields.text(tool, "name", f"{key}.tools[{i}]")
            or fields.required_text(tool, "type", f"{key}.tools[{i}]")
            for i, tool in enumerate(fields.objects(choice, "tools", key))
        )
        mode = fields.one_of(choice, "mode", {"auto", "required"}, key)
        return ToolChoice("allowed", names=names, mode="required" if mode == "required" else "auto")
    if choice.get("type") in ("function", "custom"):
        return ToolChoice("named", fields.required_text(choice, "name", key))
    return ToolChoice("named", fields.required_text(choice, "type", key))


def _read_text(body: Json, values: dict[str, Any], extra: Json) -> None:
    """`text`: the format of the answer, how wordy it is, and what we do not know."""
    text = fields.mapping(body, "text") or {}
    if (verbosity := fields.text(text, "verbosity", "text")) is not None:
        values["verbosity"] = verbosity
    if unknown := fields.rest(text, {"verbosity", "format"}):
        extra["text"] = unknown
    wanted = fields.mapping(text, "format", "text")
    if wanted is None:
        return
    path = "text.format"
    match wanted.get("type"):
        case "text":
            values["output"] = OutputFormat("text")
        case "json_object":
            values["output"] = OutputFormat("json")
        case "json_schema":
            values["output"] = OutputFormat(
                "json_schema",
                schema=fields.mapping(wanted, "schema", path) or {},
                name=fields.text(wanted, "name", path),
                description=fields.text(wanted, "description", path),
                strict=fields.boolean(wanted, "strict", path),
            )
        case _:
            raise InvalidRequest(
                f"'{at(path, 'type')}' must be text, json_object or json_schema.", param=at(path, "type")
            )


def _read_reasoning(body: Json, values: dict[str, Any], extra: Json) -> None:
    """`reasoning`: effort and summary; anything else of it is kept for this dialect."""
    wanted = fields.mapping(body, "reasoning")
    if not wanted:
        return
    unknown = fields.rest(wanted, {"effort", "summary"})
    summary = fields.text(wanted, "summary", "reasoning")
    match fields.text(wanted, "effort", "reasoning"):
        case None | "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max" as effort:
            pass
        case vendors_own:
            effort, unknown["effort"] = None, vendors_own
    if unknown:
        extra["reasoning"] = unknown
    if effort or summary:
        values["reasoning"] = Reasoning(effort=effort, summary=summary, include=True if summary else None)


def _positive(body: Json, key: str) -> int | None:
    return fields.integer(body, key, least=1)


def _not_negative(body: Json, key: str) -> int | None:
    return fields.integer(body, key, least=0)


_Reader = Callable[[Json, str], Any]
_READ_TOGETHER = frozenset({"input", "instructions", "text", "reasoning"})
_READERS: dict[str, tuple[str, _Reader]] = {
    "model": ("model", fields.required_name),
    "tools": ("tools", _tools),
    "tool_choice": ("tool_choice", _tool_choice),
    "parallel_tool_calls": ("parallel_tool_calls", fields.boolean),
    "max_output_tokens": ("max_tokens", _positive),
    "temperature": ("temperature", fields.number),
    "top_p": ("top_p", fields.number),
    "top_logprobs": ("top_logprobs", _not_negative),
    "user": ("user", fields.name),
    "metadata": ("metadata", fields.labels),
    "service_tier": ("service_tier", fields.text),
    "store": ("store", fields.boolean),
    "prompt_cache_key": ("prompt_cache_key", fields.name),
    "stream": ("stream", fields.boolean),
}
"""Each field of the dialect: the canonical field it becomes, and how it is read."""
