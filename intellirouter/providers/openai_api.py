"""OpenAI itself, which speaks two dialects: Chat Completions, and Responses for what the first refuses.

A request goes through Responses when the client speaks it anyway, or when Chat Completions would refuse it: newer models
take tools there only without reasoning. Elsewhere, behind another address, nobody knows whether there are Responses.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.content import DIALECT as CHAT
from intellirouter.chat.openai_chat.models import traits_of
from intellirouter.chat.openai_responses.content import DIALECT as RESPONSES
from intellirouter.providers import openai, responses
from intellirouter.providers.adapter import Adapter, Target

_HOME = urlsplit(openai.OPENAI.base_url).hostname


def instead(request: ChatRequest, target: Target) -> Adapter | None:
    """The adapter of Responses where a request must go that way."""
    if urlsplit(target.base_url).hostname != _HOME:
        return None
    dialect = request.source.dialect if request.source is not None else None
    if dialect == RESPONSES:
        return responses.ADAPTER
    if dialect == CHAT or not request.tools or not _sayable(request):
        return None
    return responses.ADAPTER if refuses_tools(request, target.model) else None


def refuses_tools(request: ChatRequest, model: str) -> bool:
    """True where Chat Completions refuses the request's tools beside the reasoning it asks for."""
    traits = traits_of(model)
    if traits is None or traits.tools_beside_reasoning or not request.tools:
        return False
    wanted = request.reasoning
    if wanted is None or (wanted.effort is None and wanted.budget_tokens is None and wanted.mode is None):
        return traits.reasons_unasked
    return wanted.effort != "none" and wanted.mode != "disabled"


def _sayable(request: ChatRequest) -> bool:
    """True where Responses can say it all."""
    return (request.n or 1) == 1 and "audio" not in request.modalities


ADAPTER = replace(openai.ADAPTER, instead=instead)
