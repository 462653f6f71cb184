"""The one door: a request in, the request that a target takes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from intellirouter.chat.fit.glance import calls_something, nothing_to_do
from intellirouter.chat.fit.markers import fit_markers
from intellirouter.chat.fit.names import fit_names
from intellirouter.chat.fit.output import fit_output
from intellirouter.chat.fit.search import OPTIONS, options_as_tool
from intellirouter.chat.fit.settings import fit_settings
from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.fit.tools import fit_tools
from intellirouter.chat.fit.turns import fit_turns
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.content import DIALECT as CHAT
from intellirouter.chat.openai_chat.wishes import WISHES
from intellirouter.errors import UnsupportedByTarget

_REFERENCES = {"gemini": ("cachedContent",), "openai_responses": ("prompt",)}
_ONLY_WORDS = frozenset({"model", "messages", "stream", "stream_options"})
"""Fields of a body that asks for nothing but an answer: neither tools nor a form nor settings, in whichever dialect."""


class Fitted(NamedTuple):
    """The request, the same object where nothing had to be done; and what each changed name of a tool was.

    A tool of free text that goes out as a function is among the names: its calls are not what the client waits for.
    """

    request: ChatRequest
    names: Mapping[str, str] = {}


def fit(request: ChatRequest, takes: Takes, notes: list[str]) -> Fitted:
    """The request as the target takes it. Adds to `notes` what was changed; raises `UnsupportedByTarget`."""
    source = request.source
    if source is not None:
        if source.dialect == takes.dialect and not takes.shared:
            return Fitted(request)  # written for this very vendor
        if (
            source.body.keys() <= _ONLY_WORDS
            and nothing_to_do(request.messages, takes)
            and not (takes.calls_offered and calls_something(request.messages))
        ):
            return Fitted(fit_markers(request, takes, notes))
    _refuse_references(request, takes)
    if takes.search is not None and OPTIONS in request.extra:
        extra = {name: value for name, value in request.extra.items() if name != OPTIONS}
        request = request.changed(
            extra=extra, tools=(*request.tools, options_as_tool(request.extra[OPTIONS]))
        )
    customs = (
        {}
        if takes.custom_tools
        else {tool.name: tool.name for tool in request.tools if tool.kind == "custom"}
    )
    meant = source is not None and source.dialect == takes.dialect and named(request)
    if request.reasoning is not None and request.extra_dialect == CHAT != takes.dialect:
        left = {name: value for name, value in request.extra.items() if name not in WISHES}
        if len(left) < len(request.extra):  # they are said in `reasoning`
            request = request.changed(extra=left)
    request = fit_tools(request, takes, notes)
    request, names = fit_names(request, takes, notes)
    if not meant:
        request = fit_output(request, takes, notes)
    messages = fit_turns(request.messages, takes, notes)
    if messages is not request.messages:
        request = request.changed(messages=messages)
    request = fit_markers(request, takes, notes)
    return Fitted(
        request if meant else fit_settings(request, takes, notes), {**customs, **names} if customs else names
    )


def _refuse_references(request: ChatRequest, takes: Takes) -> None:
    """Raise `UnsupportedByTarget` for what stands for words that only the vendor has who keeps them."""
    if request.extra_dialect is None or request.extra_dialect == takes.dialect:
        return
    for name in _REFERENCES.get(request.extra_dialect, ()):
        if request.extra.get(name):
            raise UnsupportedByTarget(
                f"'{name}' names what its own vendor keeps: {takes.who} cannot read it.", param=name
            )


def named(request: ChatRequest) -> bool:
    """Whether a client of the target's dialect asked for this very model, and so meant its settings for it.

    Who names an alias, or another model that failed, wrote them for none in particular.
    """
    asked = request.source.body.get("model") if request.source is not None else None
    return isinstance(asked, str) and asked.rpartition("/")[2] == request.model.rpartition("/")[2]
