"""OpenAI itself through the Router: the dialect it is asked in is the one that takes the request."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from intellirouter.providers import openai_api
from tests.conftest import StartNode, StartVendor
from tests.providers.recorded.readers import READERS, events_of
from tests.providers.recorded.rows import Dialect
from tests.roles.router.fuzz.campaign import vendor as every_vendor

TOOL = {"type": "object", "properties": {}}
ASKED: dict[Dialect, tuple[str, dict[str, Any], str]] = {
    "messages": (
        "/v1/messages",
        {
            "max_tokens": 99,
            "messages": [{"role": "user", "content": "x"}],
            "tools": [{"name": "f", "input_schema": TOOL}],
        },
        "/v1/responses",
    ),
    "chat": (
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": "x"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": TOOL}}],
        },
        "/v1/chat/completions",
    ),
    "responses": ("/v1/responses", {"input": "x", "store": False}, "/v1/responses"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ASKED)
async def test_a_request_reaches_openai_in_the_dialect_that_takes_it(
    dialect: Dialect,
    stream: bool,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openai_api, "_HOME", "127.0.0.1")
    vendor = await start_vendor(every_vendor)
    toml = (
        f'[[model_registry.providers]]\nname = "openai"\nendpoint = "{vendor.url}/v1"\nmodels = ["gpt-5.6"]\n'
    )
    node = await start_node(toml)
    path, body, expected = ASKED[dialect]
    body = {**body, "model": "openai/gpt-5.6", "stream": stream}
    async with http.post(f"{node.listening[0].url}{path}", json=body) as reply:
        answer = await reply.read()
        assert reply.status == 200, answer
    (received,) = vendor.received
    assert received.path == expected
    assert READERS[dialect](events_of(answer)).text == {0: "Hi."}
    if dialect == "responses" and stream:
        assert b'"type": "response.completed"' in answer  # the vendor's own bytes, spaces and all
