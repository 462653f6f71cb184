"""A named conversation as the provider is sent it: cut before the user's words, told once, with a persona's model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Play, Received

WORDS = "word " * 30


def agent(request: Received) -> Play:
    """Calls a tool after the user's words, answers after its result."""
    last = request.json["messages"][-1]
    answer: Any = faults.whole("Said.")
    if last["role"] == "user":
        call = {
            "id": f"c{len(request.json['messages'])}",
            "type": "function",
            "function": {"name": "f", "arguments": "{}"},
        }
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        answer["choices"][0] |= {"message": message, "finish_reason": "tool_calls"}
    return Play.json(answer)


async def test_a_cut_conversation_begins_with_the_user(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(agent)
    toml = provider(vendor, kind="openai") + "[router]\nconversation_tokens = 120\n"
    url = (await start_node(toml)).listening[0].url

    async def say(message: dict[str, Any]) -> dict[str, Any]:
        body = {"model": "primary/m", "messages": [message], "conversation": "c1"}
        async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200, await reply.text()
            said: dict[str, Any] = (await reply.json())["choices"][0]["message"]
            return said

    for number in range(4):
        call = (await say({"role": "user", "content": f"question {number} {WORDS}"}))["tool_calls"][0]
        await say({"role": "tool", "tool_call_id": call["id"], "content": f"result {WORDS}"})
        turns = vendor.received[-1].json["messages"]
        assert turns[0]["role"] == "user"
        assert turns[-1]["role"] == "tool"
        known: set[str] = set()
        for turn in turns:
            known |= {call["id"] for call in turn.get("tool_calls") or ()}
            assert turn["role"] != "tool" or turn["tool_call_id"] in known


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_sends_its_history_is_not_told_it_twice(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, stream: bool
) -> None:
    vendor = await start_vendor(faults.healthy)
    url = (await start_node(provider(vendor))).listening[0].url

    async def say(*messages: dict[str, Any]) -> list[str]:
        body = {"model": "primary/m", "messages": list(messages), "conversation": "c1", "stream": stream}
        async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200
            await reply.read()
        return [turn["content"] for turn in vendor.received[-1].json["messages"]]

    one, two, three = ({"role": "user", "content": f"A{number}"} for number in (1, 2, 3))
    answered = {"role": "assistant", "content": faults.TEXT}
    assert await say(one) == ["A1"]
    assert await say(one, answered, two) == ["A1", faults.TEXT, "A2"]
    assert await say(one, answered, two, answered, three) == ["A1", faults.TEXT, "A2", faults.TEXT, "A3"]
    changed = {"role": "user", "content": "A2, better"}
    assert await say(one, answered, changed) == ["A1", faults.TEXT, "A2, better"]
    async with http.get(f"{url}/v1/conversations/c1") as reply:
        kept = [message for turn in (await reply.json())["turns"] for message in turn["messages"]]
    assert [message["content"][0]["text"] for message in kept if message["role"] == "user"] == [
        "A1",
        "A2",
        "A3",
        "A2, better",
    ]


async def test_a_personas_model_answers_where_the_model_is_left_open(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    one, two = await start_vendor(Play.json(faults.whole())), await start_vendor(Play.json(faults.whole()))
    personas = tmp_path / "personas"
    personas.mkdir()
    (personas / "clerk.toml").write_text(
        'prompt = "Be brief."\nmodel = "two/m"\n[[few_shot]]\nuser = "Ping?"\nassistant = "Pong."\n'
    )
    toml = (
        provider(one)
        + provider(two, name="two")
        + f'[persona_layer]\npersonas_path = "{personas}"\n[rag]\nenabled = false\n'
    )
    node = await start_node(toml, role="All")
    url = next(each.url for each in node.listening if each.role == "Router")
    own = [{"role": "system", "content": "From the client."}, {"role": "user", "content": "Hi"}]
    for model, persona, expected in [
        ("auto", "clerk", "two"),
        ("persona/clerk", None, "two"),
        ("primary/m", "clerk", "primary"),
    ]:
        body = {"model": model, "messages": own} | ({"persona": persona} if persona else {})
        async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200, await reply.text()
            assert reply.headers["x-intellirouter-provider"] == expected
        vendor = two if expected == "two" else one
        turns = [(turn["role"], turn["content"]) for turn in vendor.received[-1].json["messages"]]
        assert turns == [
            ("system", "Be brief.\n\nFrom the client."),
            ("user", "Ping?"),
            ("assistant", "Pong."),
            ("user", "Hi"),
        ]


async def _turns(http: aiohttp.ClientSession, url: str, name: str) -> list[Any]:
    """The kept turns, once there are any: what a client left is written down a moment later."""
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{url}/v1/conversations/{name}") as reply:
                if reply.status == 200:
                    return list((await reply.json())["turns"])
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("end", ["hang", "reset"])
async def test_what_a_cut_stream_said_stays_in_its_conversation_and_says_that_it_was_cut(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, end: Any
) -> None:
    cut = Play.sse(faults.chunk({"content": "Half of "}), faults.chunk({"content": "it"}), end=end)
    vendor = await start_vendor(cut, Play.json(faults.whole("Done.")))
    toml = provider(vendor, kind="openai") + '[router]\nmid_stream = "error"\nmax_attempts = 1\n'
    url = (await start_node(toml)).listening[0].url
    body = {"model": "primary/m", "messages": [{"role": "user", "content": "Tell."}], "conversation": "cut"}
    async with http.post(f"{url}/v1/chat/completions", json={**body, "stream": True}) as reply:
        told = b""
        async for piece in reply.content.iter_any():
            told += piece
            if b'"it"' in told and end == "hang":
                break  # the client goes away
    (turn,) = await _turns(http, url, "cut")
    assert turn["incomplete"] is True
    assert turn["messages"][-1]["content"][0]["text"] == "Half of it"
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.status == 200
    said = [message["content"] for message in vendor.received[-1].json["messages"]]
    assert said == ["Tell.", "Half of it", "Tell."]
    assert [turn["incomplete"] for turn in await _turns(http, url, "cut")] == [True, False]


async def test_a_call_that_was_streamed_is_part_of_its_conversation(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
    calling = Play.sse(
        faults.chunk({"role": "assistant", "tool_calls": [call]}),
        faults.chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
        faults.chunk({}, finish="tool_calls"),
        b"[DONE]",
    )
    done = Play.sse(faults.chunk({"content": "42"}), faults.chunk({}, finish="stop"), b"[DONE]")
    vendor = await start_vendor(calling, done)
    url = (await start_node(provider(vendor, kind="openai"))).listening[0].url
    for message in (
        {"role": "user", "content": "Call it."},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ):
        body = {"model": "primary/m", "messages": [message], "conversation": "called", "stream": True}
        async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200
            await reply.read()
    asked = vendor.received[-1].json["messages"]
    assert [turn["role"] for turn in asked] == ["user", "assistant", "tool"]
    assert asked[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}


async def test_what_a_client_needs_of_its_vendor_goes_along_where_its_turn_is_written_anew(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """Anthropic refuses a field of a beta without its header: 'Extra inputs are not permitted'."""
    said = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    vendor = await start_vendor(Play.json(said))
    url = (await start_node(provider(vendor, kind="anthropic"))).listening[0].url
    for words in ("one", "two"):
        body = {"model": "primary/m", "max_tokens": 9, "conversation": "c", "messages": [{"role": "user", "content": words}], "context_management": {"edits": []}}  # fmt: skip
        headers = {"anthropic-beta": "context-management-2025-06-27", "x-mine": "1"}
        async with http.post(f"{url}/v1/messages", json=body, headers=headers) as reply:
            assert reply.status == 200, await reply.text()
    asked = vendor.received[-1]
    assert len(asked.json["messages"]) == 3, "with the turns before it"
    assert asked.json["context_management"] == {"edits": []}
    assert asked.headers["anthropic-beta"] == "context-management-2025-06-27"
    assert "x-mine" not in asked.headers
