"""One persona, every kind of provider: the same instructions, examples and settings, each where that vendor looks for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.dialects.model import SCHEMA, SHAPED, Asked, Said, cut, think
from tests.servers.dialects.table import STAND_INS
from tests.servers.vendor import Vendor

CLERK = """
prompt = "You serve {{ company }} only."
defaults = {temperature = 0.25, max_tokens = 50, stop = ["END"]}
[variables.company]
default = "Acme"
[[few_shot]]
user = "Ping?"
assistant = "Pong."
"""
SHAPED_CLERK = (
    CLERK
    + """
[guardrails.output_schema]
type = "object"
required = ["city", "days"]
additionalProperties = false
properties = {city = {type = "string"}, days = {type = "integer"}}
"""
)
NO_STOP = {"openai_responses"}
"""Vendors without a word for it."""


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _messages(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(m["role"].replace("developer", "system"), _text(m["content"])) for m in body["messages"]]


def _openai(body: dict[str, Any]) -> dict[str, Any]:
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    return {
        "turns": _messages(body),
        "stop": body.get("stop"),
        "temperature": body.get("temperature"),
        "limit": limit,
    }


def _responses(body: dict[str, Any]) -> dict[str, Any]:
    turns = [("system", body["instructions"])] if body.get("instructions") else []
    turns += [(item["role"].replace("developer", "system"), _text(item["content"])) for item in body["input"]]
    return {
        "turns": turns,
        "stop": None,
        "temperature": body.get("temperature"),
        "limit": body.get("max_output_tokens"),
    }


def _anthropic(body: dict[str, Any]) -> dict[str, Any]:
    turns = [("system", _text(body["system"])), *_messages(body)]
    return {
        "turns": turns,
        "stop": body.get("stop_sequences"),
        "temperature": body.get("temperature"),
        "limit": body.get("max_tokens"),
    }


def _google(body: dict[str, Any]) -> dict[str, Any]:
    config = body["generationConfig"]
    turns = [("system", _text(body["systemInstruction"]["parts"]))]
    turns += [(c["role"].replace("model", "assistant"), _text(c["parts"])) for c in body["contents"]]
    return {
        "turns": turns,
        "stop": config.get("stopSequences"),
        "temperature": config.get("temperature"),
        "limit": config.get("maxOutputTokens"),
    }


def _ollama(body: dict[str, Any]) -> dict[str, Any]:
    options = body["options"]
    return {
        "turns": _messages(body),
        "stop": options.get("stop"),
        "temperature": options.get("temperature"),
        "limit": options.get("num_predict"),
    }


READERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "openai_chat": _openai,
    "mistral": _openai,
    "openai_responses": _responses,
    "anthropic": _anthropic,
    "google": _google,
    "ollama": _ollama,
}


async def ask(
    kind: str,
    persona: str,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    tmp_path: Path,
) -> tuple[Vendor, list[Asked], str, str]:
    """What the vendor received, what it understood, what the caller was answered, and what it was told."""
    understood: list[Asked] = []

    def brain(asked: Asked) -> Said:
        understood.append(asked)
        return think(asked) if asked.schema is not None else Said(cut("Good day."))

    stand_in = STAND_INS[kind]
    vendor = await start_vendor(partial(stand_in.answer, brain=brain))
    personas = tmp_path / "personas"
    personas.mkdir()
    (personas / "clerk.toml").write_text(persona)
    table = provider(vendor, kind=kind).replace('models = ["m"]', f'models = ["{stand_in.model}"]')
    toml = f'{table}[persona_layer]\npersonas_path = "{personas}"\n[rag]\nenabled = false\n'
    node = await start_node(toml, role="All")
    url = next(each.url for each in node.listening if each.role == "Router")
    body = {
        "model": f"primary/{stand_in.model}",
        "persona": "clerk",
        "persona_variables": {"company": "Zürich AG"},
        "messages": [{"role": "user", "content": "And me?"}],
    }
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.status == 200, await reply.text()
        answer = (await reply.json())["choices"][0]["message"]["content"]
        notes = reply.headers.get("x-intellirouter-notes", "")
    return vendor, understood, answer, notes


@pytest.mark.parametrize("kind", STAND_INS)
async def test_the_same_persona_reaches_every_vendor(
    kind: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor, understood, answer, notes = await ask(kind, CLERK, start_node, start_vendor, http, tmp_path)
    assert answer == "Good day."
    assert ("stop" in notes) == (kind in NO_STOP)  # never left out in silence
    assert understood[-1].system == ["You serve Zürich AG only."]
    assert READERS[STAND_INS[kind].dialect](vendor.received[-1].json) == {
        "turns": [
            ("system", "You serve Zürich AG only."),
            ("user", "Ping?"),
            ("assistant", "Pong."),
            ("user", "And me?"),
        ],
        "stop": None if kind in NO_STOP else ["END"],
        "temperature": 0.25,
        "limit": 50,
    }


@pytest.mark.parametrize("kind", STAND_INS)
async def test_its_schema_binds_every_vendor(
    kind: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    _, understood, answer, _ = await ask(kind, SHAPED_CLERK, start_node, start_vendor, http, tmp_path)
    assert understood[-1].schema == SCHEMA
    assert json.loads(answer) == json.loads(SHAPED)
