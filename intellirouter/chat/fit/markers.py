"""Prompt-cache breakpoints: no more than a target takes, those that save most.

Every breakpoint caches all before it. The first holds what never changes (the tools, the system prompt); the last ones hold a
conversation that grows. What lies between is cached with them anyway.
"""

from __future__ import annotations

import msgspec

from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Part, Text, ToolResult


def fit_markers(request: ChatRequest, takes: Takes, notes: list[str]) -> ChatRequest:
    """The request with as many breakpoints as the target takes."""
    most = takes.most_markers
    if most is None or not _any_marked(request):
        return request
    room = most - (request.cache is not None)
    marked = [place for place, tool in enumerate(request.tools) if tool.cache is not None]
    count = len(marked) + sum(_marks(part) for message in _ordered(request) for part in message.content)
    if count <= room:
        return request
    kept = {0, *range(count - room + 1, count)} if room > 0 else set[int]()
    notes.append(
        f"Prompt-cache markers between the first and the last were left out: {takes.who} takes {most}."
    )
    number = 0
    tools = list(request.tools)
    for place in marked:
        if number not in kept:
            tools[place] = msgspec.structs.replace(tools[place], cache=None)
        number += 1
    changed: dict[int, Message] = {}
    for message in _ordered(request):
        parts: list[Part] = []
        for part in message.content:
            part, number = _kept(part, number, kept)
            parts.append(part)
        changed[id(message)] = msgspec.structs.replace(message, content=tuple(parts))
    return request.changed(
        tools=tuple(tools), messages=tuple(changed[id(message)] for message in request.messages)
    )


def _any_marked(request: ChatRequest) -> bool:
    """Whether there is a breakpoint at all, at a glance: in most requests there is none."""
    for message in request.messages:
        for part in message.content:
            if part.cache is not None if type(part) is Text else _marks(part):
                return True
    return any(tool.cache is not None for tool in request.tools)


def _ordered(request: ChatRequest) -> list[Message]:
    """System messages first, as they go out."""
    systems = [m for m in request.messages if m.role in ("system", "developer")]
    return [*systems, *(m for m in request.messages if m.role not in ("system", "developer"))]


def _marks(part: Part) -> int:
    inside = sum(map(_marks, part.content)) if isinstance(part, ToolResult) else 0
    return inside + (getattr(part, "cache", None) is not None)


def _kept(part: Part, number: int, kept: set[int]) -> tuple[Part, int]:
    """The part with those of its markers that are kept, and the number of the next one."""
    if isinstance(part, ToolResult) and any(map(_marks, part.content)):
        inner: list[Part] = []
        for piece in part.content:
            piece_kept, number = _kept(piece, number, kept)
            inner.append(piece_kept)
        part = msgspec.structs.replace(part, content=tuple(inner))
    if getattr(part, "cache", None) is not None:
        if number not in kept:
            part = msgspec.structs.replace(part, cache=None)
        number += 1
    return part, number
