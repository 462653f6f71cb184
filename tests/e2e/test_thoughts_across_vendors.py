"""A conversation goes on at another vendor and comes back: each vendor gets its own signed thoughts, and nobody else's."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play, Received

CHAT = '[[model_registry.models]]\nname = "chat"\ntargets = ["one/m", "two/m"]\n'
THOUGHT = {"type": "thinking", "thinking": "By Anthropic.", "signature": "YW50aHJvcGlj"}
SIGNED_BY_GOOGLE = "Z29vZ2xl"


def by_anthropic() -> Play:
    return Play.json(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [THOUGHT, {"type": "text", "text": "One."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 5, "output_tokens": 7},
        }
    )


def by_google(_request: Received) -> Play:
    parts = [
        {"text": "By Google.", "thought": True, "thoughtSignature": SIGNED_BY_GOOGLE},
        {"text": "Two."},
    ]
    return Play.json(
        {
            "candidates": [
                {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12},
            "modelVersion": "m",
        }
    )


async def by_chat(http: aiohttp.ClientSession, url: str, messages: list[Any]) -> Any:
    async with http.post(f"{url}/v1/chat/completions", json={"model": "chat", "messages": messages}) as reply:
        return (await reply.json())["choices"][0]["message"]


async def by_messages(http: aiohttp.ClientSession, url: str, messages: list[Any]) -> Any:
    body = {"model": "chat", "max_tokens": 99, "messages": messages}
    async with http.post(f"{url}/v1/messages", json=body) as reply:
        return {"role": "assistant", "content": (await reply.json())["content"]}


@pytest.mark.parametrize("ask", [by_chat, by_messages])
async def test_each_vendor_gets_its_own_thoughts_back_and_nobody_elses(
    ask: Any, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    away = False

    def one_answers(_request: Received) -> Play:
        return Play.json({}, 503) if away else by_anthropic()

    one, two = await start_vendor(one_answers), await start_vendor(by_google)
    toml = provider(one, name="one", kind="anthropic") + provider(two, name="two", kind="google") + CHAT
    url = (await start_node(toml)).listening[0].url
    said: list[Any] = []
    for turn, away in enumerate((False, True, False)):  # noqa: B007  `one_answers` reads it
        said.append({"role": "user", "content": f"Turn {turn}"})
        said.append(await ask(http, url, said))
    to_google = json.loads(two.received[-1].body)
    assert "thoughtSignature" not in json.dumps(to_google)
    assert {"text": "One."} in to_google["contents"][1]["parts"]
    to_anthropic = json.loads(one.received[-1].body)
    assert to_anthropic["messages"][1]["content"] == [THOUGHT, {"type": "text", "text": "One."}]
    assert SIGNED_BY_GOOGLE not in json.dumps(to_anthropic)
    assert "By Google." not in json.dumps(to_anthropic)
    assert "Two." in json.dumps(to_anthropic)
