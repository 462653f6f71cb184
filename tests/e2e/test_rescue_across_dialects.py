"""A stream of one dialect breaks and a target of another goes on: the client's own SDK must not notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Answer, Play, Received


def named(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def anthropic_stream(pieces: list[str], *, complete: bool) -> Play:
    """Anthropic's events; without its end when not `complete`."""
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    events = [
        named("message_start", message={**head, "usage": {"input_tokens": 9, "output_tokens": 1}}),
        named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ]
    for piece in pieces:
        events.append(named("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}))
    if complete:
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        events += [
            named("content_block_stop", index=0),
            named("message_delta", delta=delta, usage={"output_tokens": 60}),
            named("message_stop"),
        ]
    headers = {"content-type": "text/event-stream"}
    return Play(events, headers=headers, end="clean" if complete else "close")


def broken_anthropic(_request: Received) -> Play:
    return anthropic_stream(faults.PIECES[:40], complete=False)


def continuing_anthropic(request: Received) -> Play:
    return anthropic_stream(faults.rest_of(request), complete=True)


BROKEN: dict[str, Callable[[], Answer]] = {
    "openai_compatible": lambda: faults.broken_after(40, "close"),
    "anthropic": lambda: broken_anthropic,
}
CONTINUING: dict[str, Answer] = {
    "openai_compatible": lambda request: faults.healthy(request, "other"),
    "anthropic": continuing_anthropic,
}
CHAT = '[[model_registry.models]]\nname = "chat"\ntargets = ["one/m", "two/m"]\n'


@pytest.mark.parametrize("second", CONTINUING)
@pytest.mark.parametrize("first", BROKEN)
async def test_the_clients_sdk_reads_one_whole_answer(
    first: str, second: str, start_node: StartNode, start_vendor: StartVendor
) -> None:
    one, two = await start_vendor(BROKEN[first]()), await start_vendor(CONTINUING[second])
    toml = provider(one, name="one", kind=first) + provider(two, name="two", kind=second) + CHAT
    url = (await start_node(toml)).listening[0].url
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "Say the words"}], stream=True
        )
        chunks = [chunk async for chunk in stream]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == faults.TEXT
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert reasons[-1] == "stop"
    assert set(reasons[:-1]) == {None}
    assert len(two.received) == 1


@pytest.mark.parametrize("second", CONTINUING)
@pytest.mark.parametrize("first", BROKEN)
async def test_anthropics_sdk_too(
    first: str, second: str, start_node: StartNode, start_vendor: StartVendor
) -> None:
    one, two = await start_vendor(BROKEN[first]()), await start_vendor(CONTINUING[second])
    toml = provider(one, name="one", kind=first) + provider(two, name="two", kind=second) + CHAT
    url = (await start_node(toml)).listening[0].url
    async with anthropic.AsyncAnthropic(base_url=url, api_key="x", max_retries=0) as client:
        kinds = []
        async with client.messages.stream(
            model="chat", max_tokens=500, messages=[{"role": "user", "content": "Say the words"}]
        ) as stream:
            async for event in stream:
                kinds.append(event.type)
            message = await stream.get_final_message()
    assert "".join(block.text for block in message.content if block.type == "text") == faults.TEXT
    assert message.stop_reason == "end_turn"
    assert kinds.count("message_start") == kinds.count("message_stop") == 1
    assert kinds.count("content_block_start") == kinds.count("content_block_stop")
    assert len(two.received) == 1


async def test_a_tool_call_that_was_cut_is_an_error_and_never_continued(
    start_node: StartNode, start_vendor: StartVendor
) -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
    cut = Play.sse(faults.chunk({"role": "assistant", "tool_calls": [call]}), end="close")
    one, two = await start_vendor(cut), await start_vendor(faults.healthy)
    url = (await start_node(provider(one, name="one") + provider(two, name="two") + CHAT)).listening[0].url
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "go"}], stream=True
        )
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass
    assert not two.received
