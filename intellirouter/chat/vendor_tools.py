"""Tools that a vendor runs itself, on their way to another vendor.

An agent offers its own functions and, beside them, whatever its vendor could run (Codex: web search). For a target that
cannot, such a tool is left out with a note, as the model may do without; where there is nothing else to use, or it is
the one the model is made to use, the target is refused.
"""

from __future__ import annotations

import msgspec

from intellirouter.chat.model import ChatRequest
from intellirouter.errors import UnsupportedByTarget


def without_foreign_tools(request: ChatRequest, dialect: str, notes: list[str]) -> ChatRequest:
    """The request as a target of `dialect` can be asked. Raises `UnsupportedByTarget`."""
    foreign = {
        tool.name: tool for tool in request.tools if tool.kind == "builtin" and tool.dialect != dialect
    }
    if not foreign:
        return request
    kept = tuple(tool for tool in request.tools if tool.name not in foreign)
    choice = request.tool_choice
    wanted = choice is not None and (choice.name in foreign or not foreign.keys().isdisjoint(choice.names))
    if not kept or wanted:
        name, tool = next(iter(foreign.items()))
        unserved = ", and the vector stores it names are not all here" if name == "file_search" else ""
        raise UnsupportedByTarget(
            f"The tool '{name}' is run by {tool.dialect} providers themselves; this target has no such tool{unserved}.",
            param="tools",
        )
    notes += [
        f"The tool '{name}' was left out: {tool.dialect} providers run it themselves."
        for name, tool in foreign.items()
    ]
    return msgspec.structs.replace(request, tools=kept)
