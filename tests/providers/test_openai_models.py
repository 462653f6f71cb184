"""OpenAI's reasoning models: asked only for what they take, and through Responses where Chat Completions refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from intellirouter.chat.anthropic_messages.format import FORMAT as MESSAGES
from intellirouter.chat.model import ChatRequest, Message, Reasoning, Tool
from intellirouter.chat.openai_chat.format import FORMAT as CHAT
from intellirouter.chat.openai_responses.format import FORMAT as RESPONSES
from intellirouter.chat.parts import Text
from intellirouter.providers.adapter import HttpRequest, Target
from intellirouter.providers.table import ADAPTERS

HOME = "https://api.openai.com/v1"
TOOLS = (Tool("f", parameters={"type": "object"}),)
SAMPLED: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "stop": ("END",), "presence_penalty": 0.5}


def sent(kind: str, model: str, base: str = HOME, **fields: Any) -> HttpRequest:
    """What goes out, by way of whichever adapter the request must take."""
    request = ChatRequest(model=model, messages=(Message("user", (Text("x"),)),), **fields)
    adapter, target = ADAPTERS[kind], Target("p", model, base)
    if adapter.instead is not None:
        adapter = adapter.instead(request, target) or adapter
    return adapter.build_chat(request, target)


@pytest.mark.parametrize(
    ("model", "fields", "kept"),
    [
        ("gpt-4o", SAMPLED, {"temperature", "top_p", "stop", "presence_penalty"}),
        ("gpt-5-chat-latest", SAMPLED, {"temperature", "top_p", "stop", "presence_penalty"}),
        ("qwen3-32b", SAMPLED, {"temperature", "top_p", "stop", "presence_penalty"}),
        ("o3-mini", SAMPLED, set()),
        ("gpt-5-mini", SAMPLED, set()),
        ("gpt-5.2", SAMPLED, {"temperature", "top_p"}),
        ("gpt-5.2", {**SAMPLED, "reasoning": Reasoning("none")}, {"temperature", "top_p"}),
        ("gpt-5.2", {**SAMPLED, "reasoning": Reasoning("low")}, set()),
        ("gpt-5.6-sol", SAMPLED, set()),
        ("gpt-6-luna", {**SAMPLED, "reasoning": Reasoning("none")}, set()),
        ("gpt-5.1-codex", SAMPLED, set()),
    ],
)
def test_sampling_goes_only_to_models_that_take_it(
    model: str, fields: dict[str, Any], kept: set[str]
) -> None:
    http = sent("openai", model, **fields)
    names = {"temperature", "top_p", "stop", "presence_penalty"}
    assert names & json.loads(http.body).keys() == kept
    assert {name for name in names if any(f"'{name}'" in note for note in http.notes)} == names - kept


def test_a_setting_at_its_default_is_left_out_without_a_word() -> None:
    http = sent("openai", "gpt-5-mini", temperature=1.0, top_p=1, presence_penalty=0)
    assert not {"temperature", "top_p", "presence_penalty"} & json.loads(http.body).keys()
    assert not http.notes


@pytest.mark.parametrize(
    ("model", "asked", "effort"),
    [
        ("o3", "minimal", "low"),
        ("o3", "max", "high"),
        ("gpt-5", "none", "minimal"),
        ("gpt-5", "minimal", "minimal"),
        ("gpt-5.1", "xhigh", "high"),
        ("gpt-5.4", "minimal", "low"),
        ("gpt-5.6", "max", "xhigh"),
        ("gpt-6-sol", "max", "max"),
        ("gpt-5.3-codex", "none", "low"),
        ("somebodys-model", "low", "low"),
    ],
)
@pytest.mark.parametrize("kind", ["openai", "openai_responses"])
def test_an_effort_is_said_in_a_word_the_model_knows(kind: str, model: str, asked: str, effort: str) -> None:
    http = sent(kind, model, reasoning=Reasoning(asked))  # type: ignore[arg-type]
    body = json.loads(http.body)
    assert (body.get("reasoning_effort") or body["reasoning"]["effort"]) == effort
    assert bool(http.notes) is (asked != effort)


@pytest.mark.parametrize(
    ("model", "fields", "path"),
    [
        ("gpt-5.6", {"tools": TOOLS}, "/responses"),
        ("gpt-5.4", {"tools": TOOLS, "reasoning": Reasoning("low")}, "/responses"),
        ("gpt-5.6", {"tools": TOOLS, "reasoning": Reasoning(budget_tokens=5_000)}, "/responses"),
        ("gpt-5.4", {"tools": TOOLS}, "/chat/completions"),
        ("gpt-5.6", {"tools": TOOLS, "reasoning": Reasoning(mode="disabled")}, "/chat/completions"),
        ("gpt-5.6", {}, "/chat/completions"),
        ("gpt-5-mini", {"tools": TOOLS, "reasoning": Reasoning("low")}, "/chat/completions"),
        ("gpt-4o", {"tools": TOOLS}, "/chat/completions"),
    ],
)
def test_tools_beside_reasoning_go_through_responses(model: str, fields: dict[str, Any], path: str) -> None:
    assert sent("openai", model, **fields).url == f"{HOME}{path}"


def test_where_there_may_be_no_responses_the_reasoning_is_left_out_instead() -> None:
    http = sent("openai", "gpt-5.6", base="http://10.0.0.5/v1", tools=TOOLS, reasoning=Reasoning("high"))
    assert http.url == "http://10.0.0.5/v1/chat/completions"
    assert json.loads(http.body)["reasoning_effort"] == "none"
    assert any("no tools beside it" in note for note in http.notes)


@pytest.mark.parametrize(
    ("wire", "body", "path"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "x"}]}, "/chat/completions"),
        (RESPONSES, {"input": "x"}, "/responses"),
        (MESSAGES, {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9}, "/responses"),
    ],
)
def test_a_client_is_sent_on_in_its_own_dialect_where_openai_speaks_it(
    wire: Any, body: dict[str, Any], path: str
) -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    chat_tool = {"type": "function", "function": {"name": "f"}}
    tools = {CHAT: chat_tool, RESPONSES: {"type": "function", "name": "f"}, MESSAGES: tool}[wire]
    request = wire.decode_request({"model": "gpt-5.6", **body, "tools": [tools]}, {})
    adapter, target = ADAPTERS["openai"], Target("p", "gpt-5.6", HOME)
    assert adapter.instead is not None
    http = (adapter.instead(request, target) or adapter).build_chat(request, target)
    assert http.url == f"{HOME}{path}"
