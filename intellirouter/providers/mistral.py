"""Mistral: Chat Completions with words of its own for the seed and for a forced tool.

Source: Mistral API reference, "Chat Completion" (`random_seed`, `tool_choice: any`, tool call ids of nine characters).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest
from intellirouter.providers import openai
from intellirouter.providers.adapter import Adapter, HttpRequest, Target

FLAVOUR = openai.Flavour(
    "mistral",
    "https://api.mistral.ai/v1",
    unknown_fields=frozenset(
        """top_k min_p logit_bias logprobs top_logprobs user store service_tier prompt_cache_key verbosity
        modalities audio""".split()
    ),
    unknown_message_fields=frozenset({"reasoning_content", "thinking_blocks", "refusal"}),
    stream_usage=False,
)


def call_id(given: str) -> str:
    """Mistral takes only nine letters and digits; another vendor's id becomes such a one, always the same."""
    if len(given) == 9 and given.isascii() and given.isalnum():
        return given
    return hashlib.sha256(given.encode()).hexdigest()[:9]


def build_chat(request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one completion."""
    built = openai.build_chat(FLAVOUR, request, target)
    body = msgspec.json.decode(built.body)
    _speak_mistral(body)
    return msgspec.structs.replace(built, body=msgspec.json.encode(body))


def _speak_mistral(body: Json) -> None:
    if "seed" in body:
        body["random_seed"] = body.pop("seed")
    if body.get("tool_choice") == "required":
        body["tool_choice"] = "any"
    for message in body.get("messages") or ():
        if not isinstance(message, dict):
            continue
        if isinstance(given := message.get("tool_call_id"), str):
            message["tool_call_id"] = call_id(given)
        for call in message.get("tool_calls") or ():
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                call["id"] = call_id(call["id"])


ADAPTER: Adapter = replace(openai.adapter_of(FLAVOUR), build_chat=build_chat, max_embedding_inputs=128)
