"""What clients write in other dialects' words within this one: read as what it is.

Cursor and others put Anthropic's blocks (`tool_use`, `tool_result`, `image`, `document`) or the parts of Responses
(`input_text`, `input_image`) into the messages of this dialect, and offer tools in the form of either. No vendor of it takes
them, so such a body never goes out as it came.
"""

from __future__ import annotations

import re
from typing import Any

from intellirouter.chat import fields
from intellirouter.chat.anthropic_messages import blocks
from intellirouter.chat.anthropic_messages.request import decode_tool as decode_claudes
from intellirouter.chat.fields import Json
from intellirouter.chat.gemini.parts import DIALECT as GEMINI
from intellirouter.chat.gemini.request import camel
from intellirouter.chat.model import Tool, ToolChoice
from intellirouter.chat.openai_chat.content import has_no_text
from intellirouter.chat.openai_responses import content as responses
from intellirouter.chat.parts import Part

_OF_ANTHROPIC = frozenset(
    {"tool_use", "tool_result", "image", "document", "redacted_thinking", "search_result"}
)
_OF_RESPONSES = frozenset({"input_text", "output_text", "input_image", "input_file"})
_OF_GOOGLE = frozenset(
    {
        "googleSearch",
        "googleSearchRetrieval",
        "codeExecution",
        "urlContext",
        "googleMaps",
        "enterpriseWebSearch",
    }
)
_DATED = re.compile(r"(?!web_search_preview)[a-z_]{1,40}_20\d{6}")
"""The type of a tool that Anthropic defines."""
_OF_OTHERS = _OF_ANTHROPIC | _OF_RESPONSES


def decode_other(part: Json, path: str) -> Part | None:
    """The part, where it is another dialect's; None where it is none of those."""
    kind = part.get("type")
    if kind in _OF_ANTHROPIC and not (
        kind in ("image", "document") and not isinstance(part.get("source"), dict)
    ):
        return blocks.decode_content([part], path)[0]
    if kind in _OF_RESPONSES:
        return responses.decode_content([part], path)[0]
    return None


def decode_other_tool(tool: Json, path: str) -> Tool | None:
    """A function as Anthropic or Responses has it, or a tool of Anthropic's or Google's own; None for one in this dialect's form."""
    if "function" in tool or "custom" in tool:
        return None
    kind = tool.get("type")
    if kind is None and len(tool) == 1 and camel(next(iter(tool))) in _OF_GOOGLE:
        name, value = next(iter(tool.items()))
        return Tool(camel(name), "builtin", dialect=GEMINI, data={camel(name): value})
    if isinstance(kind, str) and _DATED.fullmatch(kind) is not None:
        return decode_claudes(tool, path)
    if not isinstance(tool.get("name"), str):
        return None
    if tool.get("type") in (None, "custom") and "input_schema" in tool:
        return Tool(
            name=fields.required_text(tool, "name", path),
            description=fields.text(tool, "description", path),
            parameters=fields.mapping(tool, "input_schema", path),
            cache=blocks.decode_cache(tool),
        )
    if tool.get("type") == "function":
        return Tool(
            name=fields.required_text(tool, "name", path),
            description=fields.text(tool, "description", path),
            parameters=fields.mapping(tool, "parameters", path),
            strict=fields.boolean(tool, "strict", path),
        )
    return None


def decode_other_choice(choice: Json) -> ToolChoice | None:
    """A choice as Anthropic or Responses has it."""
    name = choice.get("name")
    match choice.get("type"):
        case "auto" | "none" as plain:
            return ToolChoice(plain)
        case "any" | "required":
            return ToolChoice("required")
        case "tool" | "function" | "custom" if isinstance(name, str) and name:
            return ToolChoice("named", name)
        case _:
            return None


def holds_others(body: Json) -> bool:
    """Whether any message has such a part, or tools in another form, or a call whose arguments are no text: what must be written anew."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    if type(tools) is list and any(
        type(t) is dict and "function" not in t and decode_other_tool(t, "tools") is not None for t in tools
    ):
        return True
    if type(choice) is dict and decode_other_choice(choice) is not None:
        return True
    messages: Any = body.get("messages")
    if type(messages) is not list:
        return False
    for message in messages:
        if type(message) is not dict:
            continue
        if "tool_calls" in message and has_no_text(message["tool_calls"]):
            return True
        if type(parts := message.get("content")) is not list:
            continue
        if any(type(part) is dict and part.get("type") in _OF_OTHERS for part in parts):
            return True
    return False
