"""Endpoints as operators write them: with a query, a slash at the end, or the address of one call."""

from __future__ import annotations

import pytest

from intellirouter.chat.embedding import EmbeddingRequest
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.providers.adapter import Target
from intellirouter.providers.table import ADAPTERS

ASK = ChatRequest(model="m", messages=(Message("user", (Text("x"),)),))
ADDRESSES = [
    ("openai_compatible", "http://h", "http://h/v1/chat/completions"),
    ("openai_compatible", "http://h/", "http://h/v1/chat/completions"),
    ("openai_compatible", "http://h/v1?api-version=1", "http://h/v1/chat/completions?api-version=1"),
    ("openai_compatible", "http://h/v1/?a=1&b=2", "http://h/v1/chat/completions?a=1&b=2"),
    ("openai_compatible", "http://h?a=1", "http://h/v1/chat/completions?a=1"),
    ("openai_compatible", "http://h/v1/chat/completions", "http://h/v1/chat/completions"),
    ("vllm", "http://h/v1/chat/completions/?a=1", "http://h/v1/chat/completions?a=1"),
    ("mistral", "http://h/v1?x=1", "http://h/v1/chat/completions?x=1"),
    ("openai_responses", "http://h/v1?x=1", "http://h/v1/responses?x=1"),
    ("openai_responses", "http://h/v1/responses", "http://h/v1/responses"),
    ("anthropic", "http://h/cla?x=1", "http://h/cla/v1/messages?x=1"),
    ("anthropic", "http://h/v1?x=1", "http://h/v1/messages?x=1"),
    ("anthropic", "http://h/v1/messages", "http://h/v1/messages"),
    ("anthropic", "http://h", "http://h/v1/messages"),
    ("google", "http://h/goo?x=1", "http://h/goo/models/m:generateContent?x=1"),
    ("ollama", "http://h/oll?x=1", "http://h/oll/api/chat?x=1"),
    ("ollama", "http://h/v1/?x=1", "http://h/api/chat?x=1"),
    ("ollama", "http://h", "http://h/api/chat"),
    ("azure", "http://h", "http://h/openai/v1/chat/completions"),
    ("azure", "http://h/openai/v1?api-version=preview", "http://h/openai/v1/chat/completions?api-version=preview"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "endpoint", "expected"), ADDRESSES)
def test_a_chat_goes_to_its_place(kind: str, endpoint: str, expected: str) -> None:
    assert ADAPTERS[kind].build_chat(ASK, Target("p", "m", endpoint)).url == expected


def test_queries_of_both_are_kept() -> None:
    stream = ASK.routed(stream=True)
    assert (
        ADAPTERS["google"]
        .build_chat(stream, Target("p", "m", "http://h/g?x=1"))
        .url.endswith(":streamGenerateContent?x=1&alt=sse")
    )
    old = Target("p", "m", "http://h?x=1", options={"api_version": "2024-02-01"})
    url = ADAPTERS["azure"].build_chat(ASK, old).url
    assert url == "http://h/openai/deployments/m/chat/completions?x=1&api-version=2024-02-01"


@pytest.mark.parametrize("kind", ["openai", "anthropic", "google", "ollama"])
def test_lists_and_vectors_go_there_too(kind: str) -> None:
    adapter = ADAPTERS[kind]
    target = Target("p", "m", "http://h/base?x=1")
    assert adapter.build_models is not None
    assert adapter.build_models(target).url.startswith("http://h/base/")
    assert "x=1" in adapter.build_models(target).url
    if adapter.build_embeddings is not None:
        url = adapter.build_embeddings(EmbeddingRequest(model="m", texts=("a",)), target).url
        assert url.startswith("http://h/base/")
        assert url.endswith("?x=1")
