"""A tool's name that the target does not take: sent in another form, and in the answer as the client has it."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Play, Received

LONG = "mcp__plugin_chrome-devtools-mcp_chrome-devtools__get_console_message_of_the_page"
ODD = "default_api:files.read"


def calling(request: Received) -> Play:
    """A vendor whose model calls every tool it is offered."""
    body = request.json
    calls = [
        {
            "index": i,
            "id": f"c{i}",
            "type": "function",
            "function": {"name": tool["function"]["name"], "arguments": "{}"},
        }
        for i, tool in enumerate(body["tools"])
    ]
    if body.get("stream"):
        return Play.sse(
            *(faults.chunk({"tool_calls": [call]}) for call in calls),
            faults.chunk({}, "tool_calls"),
            b"[DONE]",
        )
    answer = faults.whole()
    answer["choices"][0] = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": None, "tool_calls": calls},
    }
    return Play.json(answer)


SCHEMA = {"type": "object", "properties": {}}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [
                {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in (LONG, ODD)
            ],
        },
    ),
    "messages": (
        "/v1/messages",
        {
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": "Hi"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": LONG, "input": {}}],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]},
            ],
            "tools": [{"name": name, "input_schema": SCHEMA} for name in (LONG, ODD)],
        },
    ),
    "responses": (
        "/v1/responses",
        {
            "input": "Hi",
            "tools": [{"type": "function", "name": name, "parameters": SCHEMA} for name in (LONG, ODD)],
        },
    ),
    "gemini": (
        "/v1beta/models/primary/m:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "tools": [{"functionDeclarations": [{"name": name} for name in (LONG, ODD)]}],
        },
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("front", ASKED)
async def test_the_client_reads_its_own_names(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, front: str, stream: bool
) -> None:
    vendor = await start_vendor(calling)
    url = (await start_node(provider(vendor, kind="openai"))).listening[0].url
    path, body = ASKED[front]
    if front == "gemini" and stream:
        path = path.replace("generateContent", "streamGenerateContent?alt=sse")
    async with http.post(f"{url}{path}", json={"model": "primary/m", "stream": stream, **body}) as reply:
        text = await reply.text()
        assert reply.status == 200, text
        assert "2 tools were sent" in reply.headers["x-intellirouter-notes"]
    sent = vendor.received[-1].json
    names = [tool["function"]["name"] for tool in sent["tools"]]
    assert all(len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in names)
    assert len(set(names)) == 2
    assert f'"{LONG}"' in text
    assert f'"{ODD}"' in text
    assert not any(name in text for name in names), "the sent form is nobody's business"
    for turn in sent["messages"]:
        assert all(call["function"]["name"] == names[0] for call in turn.get("tool_calls") or ()), json.dumps(
            turn
        )


async def test_names_that_are_fine_leave_the_answer_as_it_came(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(calling)
    url = (await start_node(provider(vendor, kind="openai"))).listening[0].url
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    body = {"model": "primary/m", "messages": [{"role": "user", "content": "Hi"}], "tools": [tool]}
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert "x-intellirouter-notes" not in reply.headers
        assert b'"system_fingerprint"' not in await reply.read()
    assert vendor.received[-1].json == body | {"model": "m"}
