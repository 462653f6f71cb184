"""Tools as a target takes them: no more than it may have, none twice, free text as a function, a search as its own."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.custom_tools import INPUT_SCHEMA, note_for
from intellirouter.chat.fit.schemas import fit_schema
from intellirouter.chat.fit.search import as_search
from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.model import ChatRequest, Message, Tool, ToolChoice
from intellirouter.chat.parts import Part, ToolCall, ToolResult
from intellirouter.errors import UnsupportedByTarget

_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def fit_tools(request: ChatRequest, takes: Takes, notes: list[str]) -> ChatRequest:
    """The request with tools, choice and calls that the target takes. Raises `UnsupportedByTarget` for too many tools."""
    changes: dict[str, Any] = {}
    tools = request.tools
    if tools:
        tools = _told(_unique(as_search(request, takes, notes)), takes, notes)
    if takes.most_tools is not None and len(tools) > takes.most_tools:
        raise UnsupportedByTarget(
            f"{takes.who} takes at most {takes.most_tools} tools, not {len(tools)}.", param="tools"
        )
    if not tools and takes.calls_offered and (called := _called(request)):
        changes |= {"tools": tuple(Tool(name) for name in called), "tool_choice": ToolChoice("none")}
        return request.changed(**changes)
    if tools:
        tools = _with_schemas(tools, takes, notes)
    if not takes.custom_tools and any(_free(message) for message in request.messages):
        changes["messages"] = tuple(_as_functions(message) for message in request.messages)
    if tools is not request.tools:
        changes["tools"] = tools
    unused = request.tool_choice is not None or request.parallel_tool_calls is not None
    if not tools and not takes.choice_alone and unused:
        changes |= {"tool_choice": None, "parallel_tool_calls": None}
    if not takes.empty_list and _sent_empty(request):
        return request.changed(tool_choice=None, parallel_tool_calls=None)  # written anew, without the list
    if _named_away(changes.get("tool_choice", request.tool_choice), request.tools, tools):
        changes["tool_choice"] = None
        notes.append("Which tool to call was left to the model: it has that tool under another name.")
    return request.changed(**changes) if changes else request


def _called(request: ChatRequest) -> list[str]:
    """The names that earlier turns call, each once."""
    parts = (part for message in request.messages for part in message.content)
    return list(dict.fromkeys(part.name for part in parts if isinstance(part, ToolCall)))


def _named_away(choice: ToolChoice | None, before: tuple[Tool, ...], tools: tuple[Tool, ...]) -> bool:
    """A choice of a tool that is there no more, though something is in its place."""
    if not tools or choice is None or choice.kind != "named":
        return False
    return choice.name in {tool.name for tool in before} - {tool.name for tool in tools}


def _sent_empty(request: ChatRequest) -> bool:
    """An empty list of tools, which vendors refuse where they take none at all."""
    return request.source is not None and request.source.body.get("tools") == []


def _unique(tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    names = {tool.name for tool in tools}
    if len(names) == len(tools):
        return tools
    kept: dict[str, Tool] = {}
    for tool in tools:
        kept.setdefault(tool.name, tool)
    return tuple(kept.values())


def _told(tools: tuple[Tool, ...], takes: Takes, notes: list[str]) -> tuple[Tool, ...]:
    """Tools whose dialect says more of them than the target has a place for: it is said in their descriptions."""
    told: list[Tool] = []
    spaces: set[str] = set()
    for tool in tools:
        if tool.kind == "custom" and not takes.custom_tools:
            notes.append(note_for(tool.name))
            words = "\n\n".join(filter(None, (tool.description, _grammar(tool.format))))
            tool = msgspec.structs.replace(
                tool,
                kind="function",
                parameters=INPUT_SCHEMA,
                format=None,
                strict=None,
                description=words or None,
            )
        if (
            tool.namespace is not None
            and takes.dialect != "openai_responses"
            and tool.namespace[0] not in spaces
        ):
            spaces.add(tool.namespace[0])
            if about := tool.namespace[1]:
                words = f"{tool.description or ''}\n\nOf the tools '{tool.namespace[0]}__…': {about}".strip()
                tool = msgspec.structs.replace(tool, description=words)
        told.append(tool)
    return tools if all(a is b for a, b in zip(told, tools, strict=True)) else tuple(told)


def _grammar(form: dict[str, Any] | None) -> str | None:
    """What free text must be like, for a model that is held to nothing."""
    form = form or {}
    grammar = form.get("grammar") if isinstance(form.get("grammar"), dict) else form
    definition = grammar.get("definition") if isinstance(grammar, dict) else None
    if not isinstance(definition, str) or not definition:
        return None
    syntax = grammar.get("syntax") if isinstance(grammar, dict) else None
    return f"The input must be plain text that follows this {syntax or 'grammar'} grammar:\n{definition}"


def _with_schemas(tools: tuple[Tool, ...], takes: Takes, notes: list[str]) -> tuple[Tool, ...]:
    fitted = [_with_schema(tool, takes, notes) for tool in tools]
    return tools if all(a is b for a, b in zip(fitted, tools, strict=True)) else tuple(fitted)


def _with_schema(tool: Tool, takes: Takes, notes: list[str]) -> Tool:
    native = tool.native is not None and tool.dialect == takes.dialect
    given = tool.parameters
    if tool.kind != "function" or given is None or native:
        return tool
    if tool.strict and not takes.strict_tools:
        notes.append(f"'{tool.name}' is not held strictly to its schema: this model does not do that.")
        tool = msgspec.structs.replace(tool, strict=None)
    if tool.strict and takes.strict_schema is not None:
        schema = fit_schema(given, takes.strict_schema)
        if schema is not None:
            return tool if schema is given else msgspec.structs.replace(tool, parameters=schema)
        notes.append(f"'{tool.name}' is not held strictly to its schema: {takes.who} cannot say all of it.")
        tool = msgspec.structs.replace(tool, strict=None)
    schema = fit_schema(given or _NO_PARAMETERS, takes.tool_schema) or _NO_PARAMETERS
    return tool if schema is given else msgspec.structs.replace(tool, parameters=schema)


def _free(message: Message) -> bool:
    return any(isinstance(part, (ToolCall, ToolResult)) and part.kind == "custom" for part in message.content)


def _as_functions(message: Message) -> Message:
    if not _free(message):
        return message
    return msgspec.structs.replace(message, content=tuple(map(_as_function, message.content)))


def _as_function(part: Part) -> Part:
    if isinstance(part, ToolCall) and part.kind == "custom":
        arguments = msgspec.json.encode({"input": part.arguments}).decode()
        return msgspec.structs.replace(part, kind="function", arguments=arguments)
    if isinstance(part, ToolResult) and part.kind == "custom":
        return msgspec.structs.replace(part, kind="function")
    return part
