"""Tools of free text through vendors that know only functions: the client gets the call it expects."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from intellirouter.chat.custom_tools import free_text
from tests.conftest import StartNode, StartVendor, provider
from tests.providers.recorded.readers import READERS, events_of
from tests.providers.recorded.rows import Dialect
from tests.servers.vendor import Play

PATCH = '*** Begin Patch\n+ "é" \\ 🎈\n*** End Patch'
ASKED: dict[Dialect, tuple[str, dict[str, Any]]] = {
    "chat": (
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": "Patch it."}],
            "tools": [{"type": "custom", "custom": {"name": "apply_patch"}}],
        },
    ),
    "responses": (
        "/v1/responses",
        {"input": "Patch it.", "tools": [{"type": "custom", "name": "apply_patch"}]},
    ),
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": {"input": PATCH}}],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


def events() -> list[bytes]:
    """The same answer as a stream, its arguments in pieces of three characters."""
    arguments = json.dumps({"input": PATCH})
    pieces = [arguments[at : at + 3] for at in range(0, len(arguments), 3)]
    block = {**MESSAGE["content"][0], "input": {}}
    sent: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }
            for piece in pieces
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    return [json.dumps(event).encode() for event in sent]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ASKED)
async def test_a_call_of_a_free_text_tool_comes_back_as_one(
    dialect: Dialect,
    stream: bool,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
) -> None:
    vendor = await start_vendor(Play.sse(*events()) if stream else Play.json(MESSAGE))
    node = await start_node(provider(vendor, kind="anthropic"))
    path, body = ASKED[dialect]
    async with http.post(
        f"{node.listening[0].url}{path}", json={"model": "primary/m", **body, "stream": stream}
    ) as reply:
        assert reply.status == 200, await reply.text()
        answer = await reply.read()
    assert READERS[dialect](events_of(answer)).calls == {0: [("apply_patch", PATCH)]}
    assert b'"custom' in answer
    assert b'"function' not in answer.replace(b'"function_call"', b"")


@pytest.mark.parametrize("arguments", ["not JSON", '{"input": 7}', '{"input": "a", "b": 1}', '["input"]', ""])
def test_what_a_model_wrote_otherwise_stays_as_it_is(arguments: str) -> None:
    assert free_text(arguments) == arguments


def test_wrapping_is_undone() -> None:
    assert free_text(json.dumps({"input": PATCH})) == PATCH
