"""Requests as clients send them, to canonical."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intellirouter.chat import fields
from intellirouter.chat.anthropic_messages.blocks import DIALECT, decode_cache, decode_content
from intellirouter.chat.anthropic_messages.client_tools import as_function
from intellirouter.chat.fields import Json, at
from intellirouter.chat.model import (
    ChatRequest,
    Effort,
    Message,
    OutputFormat,
    Reasoning,
    Role,
    Source,
    Tool,
    ToolChoice,
)
from intellirouter.chat.options import take_options
from intellirouter.chat.signed_calls import with_signatures
from intellirouter.errors import InvalidRequest

KNOWN_FIELDS = frozenset(
    """model messages system max_tokens temperature top_p top_k stop_sequences tools tool_choice metadata
    service_tier stream cache_control thinking output_config output_format""".split()
)
_TOOL_FIELDS = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})
_ROLES: tuple[Role, ...] = ("user", "assistant", "system")  # Claude Code sends `system` in mid-conversation
_EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")


def decode_request(body: Json, headers: Mapping[str, str]) -> ChatRequest:
    """The client's JSON to a canonical request."""
    body, options = take_options(body)
    messages = fields.array(body, "messages")
    if messages is None:
        fields.missing("messages")
    if not messages:
        raise InvalidRequest("'messages' must hold at least one message.", param="messages")
    choice = fields.mapping(body, "tool_choice")
    metadata = fields.mapping(body, "metadata")
    reasoning, extra = _decode_reasoning(body)
    return ChatRequest(
        model=fields.required_name(body, "model"),
        messages=(
            *_decode_system(body),
            *(_decode_message(m, f"messages[{i}]") for i, m in enumerate(messages)),
        ),
        tools=tuple(decode_tool(tool, f"tools[{i}]") for i, tool in enumerate(fields.objects(body, "tools"))),
        tool_choice=_decode_tool_choice(choice),
        parallel_tool_calls=_decode_parallel(choice),
        max_tokens=fields.integer(body, "max_tokens", least=1),
        temperature=fields.number(body, "temperature"),
        top_p=fields.number(body, "top_p"),
        top_k=fields.integer(body, "top_k"),
        stop=fields.strings(body, "stop_sequences"),
        output=_decode_output(body),
        reasoning=reasoning,
        user=fields.text(metadata, "user_id", "metadata") if metadata else None,
        service_tier=fields.text(body, "service_tier"),
        cache=decode_cache(body),
        stream=fields.boolean(body, "stream") or False,
        include_usage=True,
        extra=fields.rest(body, KNOWN_FIELDS) | extra,
        extra_dialect=DIALECT,
        options=options,
        vendor_headers=dict(headers),
        source=None
        if any(map(_is_function, fields.objects(body, "tools")))
        else Source(DIALECT, body, dict(headers)),
    )


def _decode_system(body: Json) -> tuple[Message, ...]:
    system = body.get("system")
    if system is None or system == "" or system == []:
        return ()
    return (Message("system", decode_content(system, "system")),)


def _decode_message(message: Any, path: str) -> Message:
    if type(message) is not dict:
        fields.wrong(path, "an object", message)
    content = decode_content(message.get("content"), at(path, "content"))
    return Message(_role(message, path), with_signatures(content))


def _role(message: Json, path: str) -> Role:
    word = fields.required_text(message, "role", path)
    for role in _ROLES:
        if role == word:
            return role
    raise InvalidRequest(f"'{at(path, 'role')}' must be user or assistant.", param=at(path, "role"))


def _is_function(tool: Json) -> bool:
    """A tool in OpenAI's form, which some clients send to whatever answers."""
    return tool.get("type") == "function" and isinstance(tool.get("function"), dict)


def decode_tool(tool: Json, path: str) -> Tool:
    """One tool: a function, one the client runs for Anthropic's definition of it, or one that Anthropic runs."""
    kind = fields.text(tool, "type", path)
    if _is_function(tool):
        function, inside = tool["function"], at(path, "function")
        return Tool(
            name=fields.required_text(function, "name", inside),
            description=fields.text(function, "description", inside),
            parameters=fields.mapping(function, "parameters", inside),
            strict=fields.boolean(function, "strict", inside),
        )
    if kind not in (None, "custom"):
        name = fields.text(tool, "name", path) or str(kind)
        if (known := as_function(str(kind))) is not None:
            about, schema = known
            return Tool(
                name,
                description=about,
                parameters=schema,
                dialect=DIALECT,
                native=tool,
                cache=decode_cache(tool),
            )
        return Tool(name, kind="builtin", dialect=DIALECT, data=tool, cache=decode_cache(tool))
    return Tool(
        name=fields.required_text(tool, "name", path),
        description=fields.text(tool, "description", path),
        parameters=fields.mapping(tool, "input_schema", path),
        strict=fields.boolean(tool, "strict", path),
        cache=decode_cache(tool),
        extra=fields.rest(tool, _TOOL_FIELDS),
    )


def _decode_tool_choice(choice: Json | None) -> ToolChoice | None:
    if choice is None:
        return None
    match choice.get("type"):
        case "auto" | "none" as kind:
            return ToolChoice(kind)
        case "any":
            return ToolChoice("required")
        case "tool":
            return ToolChoice("named", fields.required_text(choice, "name", "tool_choice"))
        case _:
            raise InvalidRequest(
                "'tool_choice.type' must be auto, any, tool or none.", param="tool_choice.type"
            )


def _decode_parallel(choice: Json | None) -> bool | None:
    serial = fields.boolean(choice, "disable_parallel_tool_use", "tool_choice") if choice else None
    return None if serial is None else not serial


def _decode_output(body: Json) -> OutputFormat | None:
    config = fields.mapping(body, "output_config") or {}
    wanted = fields.mapping(config, "format", "output_config") or fields.mapping(body, "output_format")
    if wanted is None or wanted.get("type") != "json_schema":
        return None
    return OutputFormat("json_schema", schema=fields.mapping(wanted, "schema", "output_config.format") or {})


def _decode_reasoning(body: Json) -> tuple[Reasoning | None, Json]:
    """How much to think; a form newer than this code is kept as it came, for targets of this dialect."""
    config = fields.mapping(body, "output_config") or {}
    thinking = fields.mapping(body, "thinking")
    word = fields.text(config, "effort", "output_config")
    effort = next((known for known in _EFFORTS if known == word), None)
    match thinking.get("type") if thinking else None:
        case "enabled":
            budget = fields.integer(thinking or {}, "budget_tokens", "thinking", least=1)
            return Reasoning(effort, budget, "enabled"), {}
        case "disabled" | "adaptive" as mode:
            display = (thinking or {}).get("display")
            include = None if display is None else display == "summarized"
            return Reasoning(effort, mode=mode, include=include), {}
        case None:
            return (Reasoning(effort) if effort else None), {}
        case _:
            return (Reasoning(effort) if effort else None), {"thinking": thinking}
