"""Counting tokens: by the provider that would answer, or estimated and said so."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play

TURN = [{"role": "user", "content": "How many tokens are these?"}]
ASKED: dict[str, tuple[str, dict[str, Any], str]] = {
    "anthropic": (
        "/v1/messages/count_tokens",
        {
            "model": "primary/m",
            "messages": TURN,
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        },
        "input_tokens",
    ),
    "google": (
        "/v1beta/models/primary/m:countTokens",
        {"contents": [{"role": "user", "parts": [{"text": "How many tokens are these?"}]}]},
        "totalTokens",
    ),
    "openai_responses": (
        "/v1/responses/input_tokens",
        {"model": "primary/m", "input": "How many?"},
        "input_tokens",
    ),
}
VENDORS = {
    "anthropic": ("/v1/messages/count_tokens", {"input_tokens": 77}),
    "google": ("/v1/models/m:countTokens", {"totalTokens": 77}),
    "vertex": ("/v1/models/m:countTokens", {"totalTokens": 77}),
    "openai_responses": (
        "/v1/responses/input_tokens",
        {"object": "response.input_tokens", "input_tokens": 77},
    ),
}


@pytest.mark.parametrize("kind", VENDORS)
async def test_a_provider_that_can_be_asked_is_asked_by_clients_of_every_dialect(
    kind: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    path, answer = VENDORS[kind]
    vendor = await start_vendor(Play.json(answer))
    node = await start_node(provider(vendor, kind=kind))
    for asked, body, name in ASKED.values():
        async with http.post(f"{node.listening[0].url}{asked}", json=body) as reply:
            told = await reply.json()
            assert (reply.status, told[name]) == (200, 77)
            assert "x-intellirouter-notes" not in reply.headers
        sent = vendor.received[-1]
        assert (sent.method, sent.path) == ("POST", path)
        assert not {"max_tokens", "stream", "generationConfig"} & sent.json.keys()


@pytest.mark.parametrize("kind", ["anthropic", "openai_compatible"])
async def test_where_nobody_counts_the_number_is_an_estimate_and_says_so(
    kind: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json({"error": {"message": "no such path"}}, 404))
    node = await start_node(provider(vendor, kind=kind))
    for asked, body, name in ASKED.values():
        async with http.post(f"{node.listening[0].url}{asked}", json=body) as reply:
            told = await reply.json()
            assert reply.status == 200
            assert 2 < told[name] < 77
            assert reply.headers["x-intellirouter-notes"] == "The count is an estimate."
    assert bool(vendor.received) is (kind == "anthropic")
