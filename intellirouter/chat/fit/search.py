"""Search of the web that a vendor does itself, asked of another vendor in its own words where it has one too.

What the caller bound the search to goes along. A target that has no word for a list of sites is not asked to search at all: it
would read what the caller shut out. A bound on cost or a hint (how often, from where, how much) is left out with a note.

Sources: OpenAI "Web search" (Responses), Anthropic "Web search tool", Gemini "Grounding with Google Search" and "Tool
combination", Vertex AI "GoogleSearch", OpenRouter "Web search server tool".
"""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.model import ChatRequest, Tool
from intellirouter.errors import UnsupportedByTarget

OPTIONS = "web_search_options"
MOST_SITES = 500
"""Of each list, where both are given and the target takes one: each site of one is held against each of the other."""
_PLACE = ("city", "region", "country", "timezone")
_KNOWN = frozenset(
    "type name filters googleSearch parameters user_location allowed_domains blocked_domains excluded_domains excludeDomains "
    "max_uses search_context_size external_web_access cache_control defer_loading strict".split()
)


class Wanted(msgspec.Struct, frozen=True):
    """What is asked of a search, by whichever vendor's words. `more`: names of settings that only its own vendor has."""

    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    place: Json = {}
    most: int | None = None
    context: str | None = None
    live: bool = True
    more: tuple[str, ...] = ()


class _Says(msgspec.Struct, frozen=True):
    """What a target's search has words for."""

    allowed: bool = False
    blocked: bool = False
    both: bool = False  # both lists in one request
    paths: bool = False  # a list may name a part of a site
    longest: int | None = None  # entries of a list
    place: bool = False
    most: bool = False
    context: bool = False
    cached: bool = False  # a search that fetches nothing anew


_SAYS = {
    "anthropic_messages": _Says(allowed=True, blocked=True, paths=True, place=True, most=True),
    "openai_responses": _Says(
        allowed=True, blocked=True, both=True, longest=100, place=True, context=True, cached=True
    ),
    "openrouter": _Says(allowed=True, blocked=True, paths=True, place=True, context=True),
    "vertex": _Says(blocked=True, longest=2000),
    "gemini": _Says(),
}


def is_search(tool: Tool) -> bool:
    """A vendor's search of the web."""
    kind = str((tool.data or {}).get("type") or tool.name)
    return tool.kind == "builtin" and (
        kind.startswith(("web_search", "openrouter:web_search", "google_search"))
        or tool.name in ("googleSearch", "googleSearchRetrieval")
    )


def as_search(request: ChatRequest, takes: Takes, notes: list[str]) -> tuple[Tool, ...]:
    """The request's tools with another vendor's search as the target's own.

    Raises `UnsupportedByTarget` where the target cannot keep to the caller's sites and there is nothing else to use.
    """
    tools = request.tools
    foreign = [tool for tool in tools if _is_foreign(tool, takes)]
    if not foreign or takes.search is None:
        return tools
    if not takes.search_beside_tools and len(tools) > len(foreign):
        return tools  # it is left out with a note, as any tool that the target does not run
    wanted, says = _read(foreign[0].data or {}), _SAYS[takes.search]
    held, why = _held(wanted, says)
    if held is None:
        choice = request.tool_choice
        names = {tool.name for tool in foreign}
        chosen = choice is not None and (choice.name in names or not names.isdisjoint(choice.names))
        if chosen or len(tools) == len(foreign):
            raise UnsupportedByTarget(f"The search of {takes.who} {why}.", param="tools")
        notes.append(f"The web was not searched: the search of {takes.who} {why}.")
        return tuple(tool for tool in tools if not _is_foreign(tool, takes))
    own = _spoken(held, takes)
    notes.append(f"The search of the web was asked for as {takes.who} has it.")
    notes += [
        f"'{name}' of the search was left out: {takes.who} has no word for it."
        for name in _unsaid(held, says)
    ]
    return (*(tool for tool in tools if not _is_foreign(tool, takes)), own)


def _is_foreign(tool: Tool, takes: Takes) -> bool:
    """Another vendor's search."""
    return is_search(tool) and tool.dialect != takes.dialect


def options_as_tool(options: Any) -> Tool:
    """Chat Completions' `web_search_options` as the tool that Responses has for it."""
    given = options if isinstance(options, dict) else {}
    data: Json = {
        **{name: value for name, value in given.items() if name != "user_location"},
        "type": "web_search",
    }
    place = given.get("user_location")
    if isinstance(place, dict):
        data["user_location"] = {"type": "approximate", **place, **_table(place, "approximate")}
    return Tool("web_search", "builtin", dialect="openai_responses", data=data)


def _read(data: Json) -> Wanted:
    inner = {**_table(data, "parameters"), **_table(data, "googleSearch"), **_table(data, "filters")}
    said = {**data, **inner}
    place, most, context = (
        _table(said, "user_location"),
        said.get("max_uses"),
        said.get("search_context_size"),
    )
    return Wanted(
        allowed=_sites(said.get("allowed_domains")),
        blocked=_sites(
            said.get("blocked_domains") or said.get("excluded_domains") or said.get("excludeDomains")
        ),
        place={name: place[name] for name in _PLACE if isinstance(place.get(name), str)},
        most=most if isinstance(most, int) else None,
        context=context if isinstance(context, str) else None,
        live=said.get("external_web_access") is not False,
        more=tuple(name for name in said if name not in _KNOWN),
    )


def _table(data: Json, name: str) -> Json:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _sites(value: Any) -> tuple[str, ...]:
    """The sites of a list, without the scheme that some vendors take and some refuse."""
    given = [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
    return tuple(dict.fromkeys(word.partition("://")[2] or word for word in given))


def _held(wanted: Wanted, says: _Says) -> tuple[Wanted | None, str]:
    """What is asked with lists that the target keeps to exactly, or more strictly; else None, and what it cannot."""
    allowed, blocked = wanted.allowed, wanted.blocked
    if not wanted.live and not says.cached:
        return None, "always reads the live web ('external_web_access' is false)"
    if not says.paths:
        allowed = tuple(site.rstrip("/") for site in allowed)
        blocked = tuple(
            dict.fromkeys(site.partition("/")[0] for site in blocked)
        )  # more is left out, never less
        if any("/" in site or "*" in site for site in allowed) or any("*" in site for site in blocked):
            return None, "takes whole sites only, no parts of one"
    if allowed and not says.allowed:
        return None, "cannot be kept to a list of sites ('allowed_domains')"
    if allowed and blocked and not says.both:
        if max(len(allowed), len(blocked)) > MOST_SITES:
            return None, f"takes no more than {MOST_SITES} sites to leave out beside those to keep to"
        if any(_within(site, other) and site != other for site in blocked for other in allowed):
            return None, "takes no sites to leave out beside those to keep to"
        allowed, blocked = tuple(site for site in allowed if not _beneath(site, blocked)), ()
        if not allowed:
            return None, "was left no site at all: each of 'allowed_domains' is among 'blocked_domains'"
    if blocked and not says.blocked:
        return None, "cannot leave out a list of sites ('blocked_domains')"
    if says.longest is not None and max(len(allowed), len(blocked)) > says.longest:
        return None, f"takes at most {says.longest} sites"
    return msgspec.structs.replace(wanted, allowed=allowed, blocked=blocked), ""


def _within(site: str, other: str) -> bool:
    """Whether a site is another, or a part of it."""
    host, _, path = site.partition("/")
    whole, _, part = other.partition("/")
    return (host == whole and path.startswith(part)) or (not part and host.endswith(f".{whole}"))


def _beneath(site: str, blocked: tuple[str, ...]) -> bool:
    return any(_within(site, other) for other in blocked)


def _unsaid(wanted: Wanted, says: _Says) -> list[str]:
    """What the target's search has no word for, by the callers' names."""
    left = (
        ("user_location", bool(wanted.place) and not says.place),
        ("max_uses", wanted.most is not None and not says.most),
        ("search_context_size", wanted.context is not None and not says.context),
    )
    return [*(name for name, lost in left if lost), *wanted.more]


def _spoken(wanted: Wanted, takes: Takes) -> Tool:
    place = {"user_location": {"type": "approximate", **wanted.place}} if wanted.place else {}
    size = {"search_context_size": wanted.context} if wanted.context else {}
    allowed = {"allowed_domains": list(wanted.allowed)} if wanted.allowed else {}
    match takes.search:
        case "anthropic_messages":
            most = {"max_uses": wanted.most} if wanted.most is not None else {}
            blocked = {"blocked_domains": list(wanted.blocked)} if wanted.blocked else {}
            data: Json = {
                "type": "web_search_20250305",
                "name": "web_search",
                **(place | most | allowed | blocked),
            }
        case "gemini" | "vertex":
            inner = {"excludeDomains": list(wanted.blocked)} if wanted.blocked else {}
            return Tool("googleSearch", "builtin", dialect=takes.dialect, data={"googleSearch": inner})
        case "openrouter":
            excluded = {"excluded_domains": list(wanted.blocked)} if wanted.blocked else {}
            parameters = place | size | allowed | excluded
            data = {"type": "openrouter:web_search"} | ({"parameters": parameters} if parameters else {})
        case _:
            filters = allowed | ({"blocked_domains": list(wanted.blocked)} if wanted.blocked else {})
            cached = {} if wanted.live else {"external_web_access": False}
            data = {"type": "web_search", **place, **size, **cached} | (
                {"filters": filters} if filters else {}
            )
    return Tool("web_search", "builtin", dialect=takes.dialect, data=data)
