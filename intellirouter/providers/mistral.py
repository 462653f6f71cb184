"""Mistral: its own Chat Completions, near OpenAI's, and embeddings as OpenAI has them.

Source: Mistral API reference, "Chat Completion" and "Embeddings".
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from intellirouter.chat.embedding import EmbeddingRequest
from intellirouter.chat.fit.fitting import fit
from intellirouter.chat.mistral.embeddings import encode_request as encode_embeddings
from intellirouter.chat.mistral.format import FORMAT
from intellirouter.chat.mistral.request import DIALECT
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.providers import openai
from intellirouter.providers.adapter import Adapter, HttpRequest, HttpResponse, Target
from intellirouter.providers.headers import bearer
from intellirouter.providers.notes import told
from intellirouter.providers.takes import takes_of

FLAVOUR = openai.Flavour(
    "mistral",
    "https://api.mistral.ai/v1",
    unknown_fields=frozenset(
        """top_k min_p logit_bias logprobs top_logprobs user store service_tier prompt_cache_key verbosity
        modalities audio web_search_options safety_identifier prompt_cache_retention""".split()
    ),
)


def build_chat(request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one completion. Mistral refuses every field it does not know, so the words are its own."""
    notes: list[str] = []
    request, names = fit(request, takes_of("mistral", request.model), notes)
    body = FORMAT.encode_request(request, notes)
    if request.source is None or request.source.dialect != DIALECT:
        openai.adapt(FLAVOUR, body, notes)
    accept = "text/event-stream" if request.stream else "application/json"
    url = openai.url_of(target, "/chat/completions")
    return HttpRequest("POST", url, bearer(target, accept), msgspec.json.encode(body), told(notes), names)


def build_embeddings(request: EmbeddingRequest, target: Target) -> HttpRequest:
    """The HTTP request for vectors."""
    notes: list[str] = []
    body = encode_embeddings(request, notes)
    url = openai.url_of(target, "/embeddings")
    return HttpRequest("POST", url, bearer(target), msgspec.json.encode(body), tuple(notes))


def parse_chat(response: HttpResponse) -> ChatResponse:
    """A whole completion."""
    return msgspec.structs.replace(openai.parse_chat(response), dialect=DIALECT)


def peek_chat(response: HttpResponse) -> ChatResponse:
    """What must be known of a completion that goes on to the client unchanged."""
    return msgspec.structs.replace(openai.peek_chat(response), dialect=DIALECT)


ADAPTER: Adapter = replace(
    openai.adapter_of(FLAVOUR),
    wire=FORMAT,
    build_chat=build_chat,
    parse_chat=parse_chat,
    peek_chat=peek_chat,
    build_embeddings=build_embeddings,
    max_embedding_inputs=128,
)
