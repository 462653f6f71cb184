"""A client that asks for a longer answer than the model can write gets the longest it can, and is told."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.fuzz.campaign import vendor as every_vendor

TURN = [{"role": "user", "content": "x"}]
SHORT = '[[model_registry.models]]\nname = "short"\ntargets = ["primary/m"]\nmax_output_tokens = 100\n'


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body", "asked", "noted"),
    [
        ("/v1/messages", {"messages": TURN, "max_tokens": 64_000}, 100, True),
        ("/v1/messages", {"messages": TURN, "max_tokens": 99}, 99, False),
        ("/v1/chat/completions", {"messages": TURN, "max_tokens": 64_000}, 64_000, False),  # its own dialect
    ],
)
async def test_the_longest_answer(
    path: str,
    body: dict[str, Any],
    asked: int,
    noted: bool,
    stream: bool,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
) -> None:
    vendor = await start_vendor(every_vendor)
    node = await start_node(provider(vendor) + SHORT)
    sent = {"model": "short", "stream": stream, **body}
    async with http.post(f"{node.listening[0].url}{path}", json=sent) as reply:
        assert reply.status == 200
        assert ("the most this model writes" in reply.headers.get("x-intellirouter-notes", "")) is noted
    assert vendor.received[-1].json["max_tokens"] == asked
