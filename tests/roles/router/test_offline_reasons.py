"""Who is answered by the built-in model, or by none, is told the true reason."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from intellirouter.inference.offline import ADVICE, advice
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play

LAST = '[[model_registry.models]]\nname = "safe"\ntargets = ["wrong/m", "offline/offline"]\nstrategy = "fallback"\n'
REFUSED = Play.json(
    {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}}, status=401
)


def body(model: str, **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": "Coal is black.\n\nWhat is black?"}],
        **more,
    }


async def test_a_provider_with_a_wrong_key_is_named_with_what_to_do(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(REFUSED)
    listed = provider(vendor, name="wrong").replace('models = ["m"]', "")
    node = await start_node(listed + LAST)
    url = f"{node.listening[0].url}/v1/chat/completions"
    async with http.post(url, json=body("safe")) as reply:
        assert reply.status == 200
        text = (await reply.json())["choices"][0]["message"]["content"]
    assert "Coal is black." in text
    assert "wrong: the provider wrong refused the credentials" in text
    assert "`intellirouter diagnose`" in text
    assert "No model provider is configured" not in text
    bare = await start_node(listed)
    async with http.post(f"{bare.listening[0].url}/v1/chat/completions", json=body("auto")) as reply:
        told = (await reply.json())["error"]["message"]
    assert "No provider has listed any model yet (wrong: the provider wrong refused the credentials" in told


async def test_where_nobody_is_configured_it_says_what_to_set(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node("")
    async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=body("auto")) as reply:
        text = (await reply.json())["choices"][0]["message"]["content"]
    assert text.endswith(ADVICE)
    assert "GEMINI_API_KEY" in text, "the name that README and init use"


@pytest.mark.parametrize(
    ("silent", "alone", "words"),
    [
        ({}, True, "No model provider is configured"),
        ({}, False, "those before it did not answer"),
        ({"a": "refused", "b": "x" * 900}, False, "these do not answer: a: refused; b: xxx"),
    ],
)
def test_the_reason_is_the_one_that_holds(silent: dict[str, str], alone: bool, words: str) -> None:
    told = advice(silent, alone=alone)
    assert words in told
    assert len(told) < 600
