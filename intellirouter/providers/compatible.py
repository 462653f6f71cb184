"""What only some vendors of OpenAI's dialect know, said so that all of them understand it."""

from __future__ import annotations

from typing import Any

from intellirouter.chat.fields import Json


def offer_only_allowed(body: Json, notes: list[str]) -> None:
    """A choice among some of the tools as those tools alone."""
    match body.get("tool_choice"):
        case {"type": "allowed_tools", "allowed_tools": {"mode": str() as mode, "tools": list() as allowed}}:
            names = {_name_of(tool) for tool in allowed}
            body["tools"] = [tool for tool in body.get("tools") or () if _name_of(tool) in names]
            body["tool_choice"] = mode
            notes.append("Only the tools that may be called were offered.")


def _name_of(tool: Json) -> Any:
    body = tool.get("function") or tool.get("custom")
    name = body.get("name") if isinstance(body, dict) else None
    return name if isinstance(name, str) else None


def drop_cache_markers(messages: list[Json], notes: list[str]) -> None:
    """Leave out `cache_control`, which a vendor that caches by itself need not know."""
    marked = False
    for message in messages:
        content = message.get("content")
        if not isinstance(content, list):
            continue
        for part in content:
            marked = part.pop("cache_control", None) is not None or marked
        message["content"] = _as_text(content)
    if marked:
        notes.append("Prompt-cache markers were left out: this provider caches by itself.")


def _as_text(content: list[Any]) -> Any:
    """A lone text as a string, as every vendor reads it."""
    alone = len(content) == 1 and content[0].keys() == {"type", "text"}
    return content[0]["text"] if alone else content
