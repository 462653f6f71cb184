"""Running summaries: written beside the answers, used in place of turns that no longer go along, lost by nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.model import Message
from intellirouter.chat.parts import Text
from intellirouter.memory.conversations import Summary, Turn, turn_tokens
from intellirouter.roles.router.pipeline.summaries import KEEP, START, due, uncovered
from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Play, Received

LONG = "word " * 120
CONFIG = """
[router]
conversation_tokens = 600
[router.conversation_summary]
model = "primary/cheap"
"""


def is_summary(request: Received) -> bool:
    return bool(request.json["model"] == "cheap")


@pytest.mark.parametrize("works", [True, False])
async def test_what_no_longer_goes_along_is_summed_up_beside_the_answers(
    works: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    def answer(request: Received) -> Play:
        if not is_summary(request):
            return Play.json(faults.whole())
        if not works:
            return Play.json({"error": {"message": "no"}}, 400)
        body: Any = faults.whole()
        body["choices"][0]["message"]["content"] = "They count sheep; the last was 0."
        return Play.json(body)

    vendor = await start_vendor(answer)
    toml = provider(vendor).replace('["m"]', '["m", "cheap"]') + CONFIG
    url = (await start_node(toml)).listening[0].url

    async def say(number: int) -> None:
        messages = [{"role": "user", "content": f"Sheep {number}. {LONG}"}]
        body = {"model": "primary/m", "messages": messages, "conversation": "sheep"}
        async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200, await reply.text()

    async def until(text: str) -> None:
        async with asyncio.timeout(20):
            while True:
                async with http.get(f"{url}/metrics") as reply:
                    if text in await reply.text():
                        return
                await asyncio.sleep(0.02)

    outcome = "written" if works else "failed"
    for number in range(4):
        await say(number)
    await until(f'intellirouter_conversation_summaries_total{{outcome="{outcome}"}}')
    asked = next(request for request in vendor.received if is_summary(request)).json["messages"]
    assert "Sheep 0." in asked[-1]["content"]
    await say(4)
    sent = [request for request in vendor.received if not is_summary(request)][-1].json["messages"]
    texts = [message["content"] for message in sent]
    assert (texts[0] == "Summary of the conversation so far:\nThey count sheep; the last was 0.") is works
    assert texts[-1].startswith("Sheep 4.")
    assert not any(text.startswith("Sheep 0.") for text in texts)
    async with http.delete(f"{url}/v1/conversations/sheep") as reply:
        assert reply.status == 200
    await say(5)
    sent = [request for request in vendor.received if not is_summary(request)][-1].json["messages"]
    assert [message["content"][:8] for message in sent] == ["Sheep 5."]


@given(st.lists(st.integers(1, 400), max_size=12), st.integers(50, 1_000))
def test_only_whole_older_turns_are_summed_up_and_the_rest_fits(words: list[int], budget: int) -> None:
    turns = [
        Turn((Message("user", (Text("w " * count),)),), at=float(at)) for at, count in enumerate(words, 1)
    ]
    older = due(turns, budget)
    assert older == turns[: len(older)]
    kept = uncovered(turns, Summary("…", older[-1].at) if older else None)
    assert [*older, *kept] == turns
    size = sum(map(turn_tokens, kept))
    if older:
        assert len(kept) == 1 or size <= budget * KEEP
    else:
        assert len(turns) <= 1 or size <= budget * START
