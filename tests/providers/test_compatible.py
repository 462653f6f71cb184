"""Vendors near OpenAI's dialect: where their requests go, how they are signed, and what is said differently."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from pydantic import SecretStr

from intellirouter.chat.mistral.request import call_id
from intellirouter.chat.model import ChatRequest, Message, ToolChoice
from intellirouter.chat.openai_chat.format import FORMAT as CHAT
from intellirouter.chat.openai_embeddings import decode_response as decode_embeddings
from intellirouter.chat.parts import Text, ToolCall, ToolResult
from intellirouter.providers.adapter import HttpRequest, HttpResponse, Target
from intellirouter.providers.presets import FLAVOURS
from intellirouter.providers.table import ADAPTERS

ASK = (Message("user", (Text("x"),)),)


def build(kind: str, url: str = "", options: dict[str, Any] | None = None, **more: Any) -> HttpRequest:
    adapter = ADAPTERS[kind]
    target = Target("p", "m", url or adapter.default_base_url, SecretStr("sk-secret"), options=options or {})
    return adapter.build_chat(ChatRequest(**{"model": "m", "messages": ASK, **more}), target)


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        ("https://r.openai.azure.com", {}, "/openai/v1/chat/completions"),
        ("https://r.openai.azure.com/openai/v1", {}, "/openai/v1/chat/completions"),
        (
            "https://r.openai.azure.com",
            {"api_version": "2024-10-21"},
            "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_azure_is_asked_at_its_own_addresses_with_its_own_key_header(
    url: str, options: dict[str, Any], expected: str
) -> None:
    request = build("azure", url, options)
    assert request.url == f"https://r.openai.azure.com{expected}"
    headers = dict(request.headers)
    assert headers["api-key"] == "sk-secret"
    assert "authorization" not in headers


def test_mistral_is_told_in_its_own_words() -> None:
    messages = (
        *ASK,
        Message("assistant", (ToolCall("call_of_another_vendor", "f", "{}"),)),
        Message("tool", (ToolResult("call_of_another_vendor", (Text("y"),)),)),
    )
    request = build(
        "mistral", messages=messages, seed=7, tool_choice=ToolChoice("required"), top_k=3, stream=True
    )
    body = json.loads(request.body)
    assert (body["random_seed"], body["tool_choice"]) == (7, "any")
    assert not {"seed", "top_k", "stream_options"} & body.keys()
    sent = body["messages"][1]["tool_calls"][0]["id"]
    assert sent == body["messages"][2]["tool_call_id"] == call_id("call_of_another_vendor")
    assert len(sent) == 9
    assert call_id("abc123XYZ") == "abc123XYZ"
    assert any("top_k" in note for note in request.notes)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=lambda flavour: flavour.kind)
def test_a_preset_leaves_out_with_a_note_what_its_vendor_refuses(flavour: Any) -> None:
    request = build(flavour.kind, top_k=3, store=True, max_tokens=5)
    body = json.loads(request.body)
    assert request.url == f"{flavour.base_url}/chat/completions"
    assert not flavour.unknown_fields & body.keys()
    assert body[flavour.max_tokens_field] == 5
    assert len(request.notes) == len({"top_k", "store"} & flavour.unknown_fields)


CLIENT: dict[str, Any] = {
    "model": "fast",
    "messages": [
        {
            "role": "developer",
            "content": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        },
        {"role": "user", "content": "hi"},
    ],
    "max_tokens": 50,
    "temperature": 0.2,
    "logit_bias": {"1": 5},
    "guided_json": {"type": "object"},
}


@pytest.mark.parametrize(
    ("kind", "model", "changed"),
    [
        # another model than the one that was asked for: what this one refuses is left out, and said
        ("openai", "o3-mini", {"max_tokens": None, "max_completion_tokens": 50, "temperature": None, "logit_bias": None}),
        ("openai", "gpt-4o", {}),
        ("groq", "llama", {"logit_bias": None, "role": "system"}),
        ("deepseek", "deepseek-chat", {"role": "system"}),
        # the one that was asked for: as the client said it, whatever comes of it
        ("openai", "vendor/fast", {"unchanged": True}),
        ("groq", "fast", {"unchanged": True}),
        # a server we know nothing of
        ("openai_compatible", "anything", {"unchanged": True}),
    ],
)  # fmt: skip
def test_a_clients_own_body_is_made_to_fit_only_a_model_it_did_not_name(
    kind: str, model: str, changed: dict[str, Any]
) -> None:
    body = copy.deepcopy(CLIENT)
    request = CHAT.decode_request(body, {}).routed(model=model)
    given = json.dumps(request.source.body if request.source else None)
    http = ADAPTERS[kind].build_chat(request, Target("p", model, "https://v.example/v1"))
    sent = json.loads(http.body)
    assert (
        json.dumps(request.source.body if request.source else None) == given
    )  # the next attempt reads it again
    expected = {**CLIENT, "model": model}
    if not changed.pop("unchanged", False):
        system = {"role": changed.pop("role", "developer"), "content": "be brief"}
        expected["messages"] = [system, CLIENT["messages"][1]]
    refused = {name for name, value in changed.items() if value is None and name != "max_tokens"}
    assert all(any(f"'{name}'" in note for note in http.notes) for name in refused)
    expected |= changed
    assert sent == {name: value for name, value in expected.items() if value is not None}


@pytest.mark.parametrize("kind", ["openai", "anthropic", "google", "mistral", "ollama"])
def test_a_model_list_is_read_past_entries_that_are_none(kind: str) -> None:
    names = {"google": "models", "ollama": "models"}
    entries: list[Any] = ["odd", None, {}, {"id": 7, "name": 7}]
    sizes = ("context_window", "context_length", "max_model_len", "max_input_tokens", "max_tokens", "inputTokenLimit", "outputTokenLimit")  # fmt: skip
    wanted: list[Any] = [
        {
            **dict.fromkeys(sizes, "many"),
            "id": "m",
            "name": "models/m",
            "supportedGenerationMethods": ["generateContent"],
            "model": "m",
        }
    ]
    body = json.dumps({names.get(kind, "data"): [*entries, *wanted]}).encode()
    parse = ADAPTERS[kind].parse_models
    assert parse is not None
    found = parse(HttpResponse(200, {}, body))
    assert [(one.context_window, one.max_output_tokens) for one in found] == [(None, None)]


def test_embeddings_come_in_the_order_of_what_was_asked() -> None:
    body = b'{"model":"m","data":[{"index":1,"embedding":[2.0]},{"index":0,"embedding":[1.0]}]}'
    assert decode_embeddings(body).vectors == ((1.0,), (2.0,))
