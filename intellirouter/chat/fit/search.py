"""Search of the web that a vendor does itself, asked of another vendor in its own words where it has one too.

Sources: OpenAI "Web search", Anthropic "Web search tool", Gemini "Grounding with Google Search" and "Tool combination",
OpenRouter "Web search".
"""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.model import ChatRequest, Tool

OPTIONS = "web_search_options"
_PLACE = ("city", "region", "country", "timezone")


class Wanted(msgspec.Struct, frozen=True):
    """What is asked of a search, by whichever vendor's words."""

    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    place: Json = {}
    most: int | None = None


def is_search(tool: Tool) -> bool:
    """A vendor's search of the web."""
    kind = str((tool.data or {}).get("type") or tool.name)
    return tool.kind == "builtin" and (
        kind.startswith(("web_search", "openrouter:web_search"))
        or tool.name in ("googleSearch", "googleSearchRetrieval")
    )


def as_search(request: ChatRequest, takes: Takes, notes: list[str]) -> tuple[Tool, ...]:
    """The request's tools with another vendor's search as the target's own."""
    tools = request.tools
    foreign = [tool for tool in tools if is_search(tool) and tool.dialect != takes.dialect]
    if not foreign or takes.search is None:
        return tools
    if not takes.search_beside_tools and len(tools) > len(foreign):
        return tools  # it is left out with a note, as any tool that the target does not run
    own = _spoken(_read(foreign[0].data or {}), takes)
    notes.append(f"The search of the web was asked for as {takes.who} has it.")
    return (*(tool for tool in tools if tool not in foreign), own)


def options_as_tool(options: Any) -> Tool:
    """Chat Completions' `web_search_options` as the tool that Responses has for it."""
    data: Json = {"type": "web_search"}
    place = options.get("user_location") if isinstance(options, dict) else None
    if isinstance(place, dict):
        data["user_location"] = {"type": "approximate", **(place.get("approximate") or {})}
    return Tool("web_search", "builtin", dialect="openai_responses", data=data)


def _read(data: Json) -> Wanted:
    filters = data.get("filters") if isinstance(data.get("filters"), dict) else data
    inner = data.get("googleSearch") if isinstance(data.get("googleSearch"), dict) else {}
    place = data.get("user_location") if isinstance(data.get("user_location"), dict) else {}
    most = data.get("max_uses")
    return Wanted(
        allowed=_strings((filters or {}).get("allowed_domains")),
        blocked=_strings((filters or {}).get("blocked_domains") or (inner or {}).get("excludeDomains")),
        place={name: place[name] for name in _PLACE if isinstance((place or {}).get(name), str)}
        if place
        else {},
        most=most if isinstance(most, int) else None,
    )


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def _spoken(wanted: Wanted, takes: Takes) -> Tool:
    place = {"user_location": {"type": "approximate", **wanted.place}} if wanted.place else {}
    match takes.search:
        case "anthropic_messages":
            data: Json = {"type": "web_search_20250305", "name": "web_search", **place}
            if wanted.most is not None:
                data["max_uses"] = wanted.most
            if wanted.allowed:
                data["allowed_domains"] = list(wanted.allowed)
            elif wanted.blocked:
                data["blocked_domains"] = list(wanted.blocked)
        case "gemini":
            return Tool("googleSearch", "builtin", dialect=takes.dialect, data={"googleSearch": {}})
        case "openrouter":
            data = {"type": "openrouter:web_search"}
        case _:
            data = {"type": "web_search", **place}
            if wanted.allowed:
                data["filters"] = {"allowed_domains": list(wanted.allowed)}
    return Tool("web_search", "builtin", dialect=takes.dialect, data=data)
