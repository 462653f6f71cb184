"""Every kind of provider and who stands in for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.servers.dialects.anthropic import anthropic, anthropic_count
from tests.servers.dialects.google import google, google_count, google_embeddings
from tests.servers.dialects.model import CACHED_TOKENS, THOUGHT_TOKENS, WRITTEN_TOKENS
from tests.servers.dialects.ollama import ollama, ollama_embeddings
from tests.servers.dialects.openai_chat import mistral, mistral_embeddings, openai, openai_embeddings
from tests.servers.dialects.openai_responses import openai_responses
from tests.servers.vendor import Play, Received


@dataclass(frozen=True, slots=True)
class StandIn:
    """How a vendor answers, and what of the usage it tells (None: nothing)."""

    answer: Callable[..., Play]  # of a request, and of a `Brain` where it is not to repeat what it understood
    dialect: str
    cached: int | None = CACHED_TOKENS
    written: int | None = None
    thought: int | None = THOUGHT_TOKENS
    model: str = "m"
    paths: Mapping[str, Callable[[Received], Play]] = field(default_factory=dict)  # beside chat


_OPENAI = StandIn(openai, "openai_chat", paths={"/embeddings": openai_embeddings})
_GOOGLE = StandIn(
    google,
    "google",
    model="gemini-3-pro",
    paths={":batchEmbedContents": google_embeddings, ":countTokens": google_count},
)
STAND_INS: dict[str, StandIn] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "huggingface": _OPENAI,
    "groq": _OPENAI,
    "openai_responses": StandIn(
        openai_responses, "openai_responses", written=0, paths={"/embeddings": openai_embeddings}
    ),
    "mistral": StandIn(
        mistral, "mistral", cached=None, thought=None, paths={"/embeddings": mistral_embeddings}
    ),
    "anthropic": StandIn(
        anthropic,
        "anthropic",
        written=WRITTEN_TOKENS,
        thought=None,
        paths={"/count_tokens": anthropic_count},
    ),
    "google": _GOOGLE,
    "vertex": _GOOGLE,
    "ollama": StandIn(ollama, "ollama", cached=None, thought=None, paths={"/api/embed": ollama_embeddings}),
}
