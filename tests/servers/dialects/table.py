"""Every kind of provider and who stands in for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.servers.dialects.anthropic import anthropic
from tests.servers.dialects.google import google
from tests.servers.dialects.model import CACHED_TOKENS, THOUGHT_TOKENS, WRITTEN_TOKENS
from tests.servers.dialects.ollama import ollama
from tests.servers.dialects.openai_chat import mistral, openai
from tests.servers.dialects.openai_responses import openai_responses
from tests.servers.vendor import Play, Received


@dataclass(frozen=True, slots=True)
class StandIn:
    """How a vendor answers, and what of the usage it tells (None: nothing)."""

    answer: Callable[[Received], Play]
    dialect: str
    cached: int | None = CACHED_TOKENS
    written: int | None = None
    thought: int | None = THOUGHT_TOKENS
    model: str = "m"


_OPENAI = StandIn(openai, "openai_chat")
STAND_INS: dict[str, StandIn] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "huggingface": _OPENAI,
    "groq": _OPENAI,
    "openai_responses": StandIn(openai_responses, "openai_responses", written=0),
    "mistral": StandIn(mistral, "openai_chat", cached=None, thought=None),
    "anthropic": StandIn(anthropic, "anthropic", written=WRITTEN_TOKENS, thought=None),
    "google": StandIn(google, "google", model="gemini-3-pro"),
    "vertex": StandIn(google, "google", model="gemini-3-pro"),
    "ollama": StandIn(ollama, "ollama", cached=None, thought=None),
}
