"""Every client's dialect × every target × every feature: what goes out is what the target takes, or it is said why not.

    python -m scripts.pairs        prints the table

A red cell is a body that a strict reading of the target's documentation refuses: a user's 400. A cell may be refused by us
beforehand, so that another target is asked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from intellirouter.chat.wire import WireFormat
from intellirouter.errors import UnsupportedByTarget
from intellirouter.providers.adapter import Target
from intellirouter.providers.table import ADAPTERS
from tests.conformance.dialects.said import FRONTS
from tests.conformance.pairs.asked import ASKED, Json
from tests.conformance.pairs.validators import anthropic, chat, gemini, ollama, responses
from tests.conformance.pairs.validators.common import Validator

FORMATS: dict[str, WireFormat] = {wire.name: wire for wire in FRONTS.values()}


class To(NamedTuple):
    """A kind of provider, a model of it, and who judges."""

    kind: str
    model: str
    judge: Validator


TARGETS = (
    To("openai", "gpt-4o", chat.openai),
    To("azure", "gpt-4o", chat.openai),
    To("openai_responses", "gpt-4o", responses.openai),
    To("anthropic", "claude-sonnet-4-5", anthropic.anthropic),
    To("anthropic", "claude-3-haiku-20240307", anthropic.anthropic),
    To("google", "gemini-2.5-flash", gemini.gemini),
    To("google", "gemini-3-pro", gemini.gemini),
    To("vertex", "gemini-3-pro", gemini.gemini),
    To("mistral", "mistral-large-latest", chat.mistral),
    To("ollama", "qwen3", ollama.ollama),
    To("ollama", "mistral", ollama.ollama),
    To("vllm", "Qwen/Qwen3-32B", chat.template),
    To("vllm", "google/gemma-3-27b-it", chat.template),
    To("vllm", "mistralai/Mistral-Small-3.2-24B-Instruct", chat.template),
    To("llamacpp", "qwen3", chat.template),
    To("lmstudio", "gemma-3", chat.template),
    To("openai_compatible", "m", chat.template),
    To("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", chat.template),
    To("fireworks", "qwen3", chat.template),
    To("huggingface", "Qwen/Qwen3-32B", chat.template),
    To("cerebras", "llama-3.3-70b", chat.template),
    To("groq", "llama-3.3-70b-versatile", chat.groq),
    To("deepseek", "deepseek-chat", chat.deepseek),
    To("openrouter", "anthropic/claude-sonnet-4.5", chat.openrouter),
)
_SAME = {
    "anthropic": "anthropic_messages",
    "google": "gemini",
    "vertex": "gemini",
    "ollama": "ollama",
    "openai_responses": "openai_responses",
}
"""Where a client wrote for this very vendor, its body goes out as it came."""


def cell(dialect: str, body: Json, to: To) -> list[str] | None:
    """What is wrong with what goes out; None where we refuse it ourselves."""
    request = FORMATS[dialect].decode_request(body, {}).routed(model=to.model)
    try:
        http = ADAPTERS[to.kind].build_chat(request, Target("p", to.model, "https://host/v1"))
    except UnsupportedByTarget:
        return None
    sent = json.loads(http.body)
    wrong = to.judge(sent, to.model)
    names = {tool.name for tool in request.tools}
    wrong += [
        f"'{old}' cannot be mapped back" for old in http.names.values() if old not in names and request.tools
    ]
    return wrong


def pairs() -> Iterator[tuple[str, To]]:
    """Every client's dialect and every target that is not of the same vendor."""
    for dialect in ASKED:
        for to in TARGETS:
            if _SAME.get(to.kind) != dialect:
                yield dialect, to


@pytest.mark.parametrize(
    ("dialect", "to"),
    list(pairs()),
    ids=lambda value: value if isinstance(value, str) else f"{value.kind}-{value.model}",
)
def test_no_cell_is_red(dialect: str, to: To) -> None:
    red = {feature: wrong for feature, body in ASKED[dialect]() if (wrong := cell(dialect, body, to))}
    assert not red, json.dumps(red, indent=1)


def test_the_validators_can_say_no() -> None:
    """Each judge refuses what was sent to it before anything was fitted: a chat body with all faults at once."""
    bad: Json = {
        "messages": [
            {"role": "assistant", "content": ""},
            {"role": "system", "content": "A"},
            {"role": "tool", "tool_call_id": "x", "content": "r"},
        ],
        "tools": [],
        "temperature": 9,
    }
    for judge in (
        chat.openai,
        chat.template,
        chat.mistral,
        chat.deepseek,
        chat.groq,
        chat.openrouter,
    ):
        assert len(judge(bad, "m")) >= 2
    assert anthropic.anthropic({"messages": []}, "m")
    assert gemini.gemini({"contents": []}, "m")
    assert responses.openai({"input": []}, "m")
    assert ollama.ollama({"messages": [{"role": "system", "content": 1}]}, "m")


def table() -> tuple[str, int]:
    """The cells of each pair, those we refuse ourselves, the red ones with what is wrong; and how many are red."""
    lines = [f"{'client':<20} {'target':<58} cells refused  red"]
    reds = 0
    for dialect, to in pairs():
        found = Counter[str]()
        for feature, body in ASKED[dialect]():
            wrong = cell(dialect, body, to)
            found["refused" if wrong is None else "red" if wrong else "fine"] += 1
            lines += [f"  {feature}: {'; '.join(dict.fromkeys(wrong))}"[:200]] if wrong else []
        reds += found["red"]
        counts = f"{found.total():>5} {found['refused']:>7} {found['red']:>4}"
        lines.append(f"{dialect:<20} {f'{to.kind} {to.model}':<58} {counts}")
    return "\n".join([*lines, f"red cells: {reds}"]), reds
