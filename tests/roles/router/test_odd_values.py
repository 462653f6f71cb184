"""Values no client writes by intent: each is understood or refused as the client's mistake, never a failure of the node."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults

MODELS = '[[model_registry.models]]\nname = "chat"\ntargets = ["primary/m"]\n'
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
HI = [{"role": "user", "content": "Hi"}]
DEEP: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}]}
for _ in range(300):
    DEEP = {"type": "tool_result", "tool_use_id": "t", "content": [DEEP]}


def asked(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], **more}


def thought(**of: Any) -> dict[str, Any]:
    block = {"type": "thinking", "thinking": "hm", **of}
    return {
        "messages": [*HI, {"role": "assistant", "content": faults.TEXT[:4], "thinking_blocks": [block]}, *HI]
    }


ODD: list[tuple[str, str, dict[str, Any], int]] = [
    ("a temperature beyond any number", CHAT, asked("Hi", temperature=10**400), 400),
    ("top_p beyond any number", MESSAGES, asked("Hi", max_tokens=9, top_p=10**400), 400),
    ("texts in place of parts", CHAT, asked(["a", "b"]), 400),
    ("a signature that is a number", CHAT, thought(signature=5), 200),
    ("a signature that is a list", CHAT, thought(signature=[[]]), 200),
    ("collections that are a number", CHAT, asked("Hi", rag={"collections": 5}), 400),
    ("tools in tools in tools", MESSAGES, asked([DEEP], max_tokens=9), 400),
    (
        "a tool whose function is a word",
        CHAT,
        asked("Hi", tools=[{"type": "function", "function": "a"}]),
        400,
    ),
]


@pytest.mark.parametrize("kind", ["openai", "openrouter"])
async def test_an_odd_value_is_understood_or_refused(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, kind: str
) -> None:
    vendor = await start_vendor(faults.healthy)
    url = (await start_node(provider(vendor, kind=kind) + MODELS)).listening[0].url
    for what, path, body, status in ODD:
        async with http.post(url + path, json={"model": "chat", **body}) as reply:
            said = await reply.text()
        assert reply.status in (200, status), (what, said)
