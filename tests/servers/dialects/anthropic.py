"""Anthropic Messages."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.dialects.model import (
    CACHED_TOKENS,
    INPUT_TOKENS,
    MODEL,
    OUTPUT_TOKENS,
    WRITTEN_TOKENS,
    Asked,
    Brain,
    Refused,
    Said,
    cut,
    cut_bytes,
    only,
    think,
)
from tests.servers.vendor import Play, Received

SIGNATURE = "EqoB+mVk/GJ5IEFudGhyb3BpYyBmb3IgdGhpcyB0ZXN0Lg=="
_FIELDS = """model messages max_tokens system stream temperature top_p top_k stop_sequences tools tool_choice metadata
thinking output_config service_tier cache_control container mcp_servers context_management inference_geo"""


def anthropic(request: Received, brain: Brain = think) -> Play:
    try:
        if "x-api-key" not in request.headers or "anthropic-version" not in request.headers:
            raise Refused("x-api-key and anthropic-version are required")
        asked = _read(request.json)
        said = brain(asked)
    except Refused as refused:
        error = {"type": "invalid_request_error", "message": str(refused)}
        return Play.json({"type": "error", "error": error, "request_id": "req_1"}, status=400)
    return _stream(said) if asked.stream else Play.json(_whole(said))


def _read(body: dict[str, Any]) -> Asked:
    only(body, _FIELDS)
    if "max_tokens" not in body:
        raise Refused("max_tokens: Field required")
    asked = Asked(stream=bool(body.get("stream")), max_tokens=body["max_tokens"])
    system = body.get("system") or []
    asked.system = [system] if isinstance(system, str) else [block["text"] for block in system]
    wanted = (body.get("output_config") or {}).get("format") or {}
    if wanted:
        only(wanted, "type schema", " in output_config.format")
        asked.schema = wanted["schema"]
    for tool in body.get("tools") or ():
        if str(tool.get("type", "")).startswith("web_search_"):  # it searches by itself
            only(tool, "type name max_uses allowed_domains blocked_domains user_location", " in a web search")
            continue
        only(
            tool,
            "name description input_schema cache_control type strict eager_input_streaming",
            " in a tool",
        )
        asked.tools.append({"name": tool["name"], "parameters": tool["input_schema"]})
    before = None
    for message in body["messages"]:
        only(message, "role content", " in a message")
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not blocks:
            raise Refused("messages: content must not be empty")
        if before == message["role"] == "assistant":
            raise Refused("messages: roles must alternate")
        before = message["role"]
        for block in blocks:
            _read_block(block, message["role"], asked)
    return asked


def _read_block(block: dict[str, Any], role: str, asked: Asked) -> None:
    match block["type"]:
        case "text" if not block["text"]:
            raise Refused("messages: text content blocks must be non-empty")
        case "text" if role == "user":
            asked.user.append(block["text"])
        case "thinking" | "redacted_thinking":
            if block.get("signature") != SIGNATURE:
                raise Refused("Invalid `signature` in `thinking` block")
            asked.thoughts.append(f"{block['thinking']} {SIGNATURE}")
        case "image":
            source = block["source"]
            asked.images.append((source["media_type"], source["data"]))
        case "tool_use":
            only(block, "type id name input cache_control caller", " in a tool_use")
            asked.calls.append((block["id"], block["name"], block["input"]))
        case "tool_result":
            content = block["content"]
            words = content if isinstance(content, str) else "".join(part["text"] for part in content)
            asked.results.append((block["tool_use_id"], words))
        case _:
            pass


def _usage(output: int) -> dict[str, Any]:
    return {
        "input_tokens": INPUT_TOKENS - CACHED_TOKENS - WRITTEN_TOKENS,
        "cache_creation_input_tokens": WRITTEN_TOKENS,
        "cache_read_input_tokens": CACHED_TOKENS,
        "cache_creation": {"ephemeral_5m_input_tokens": WRITTEN_TOKENS, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def _reason(said: Said) -> str:
    return "tool_use" if said.calls else "max_tokens" if said.length else "end_turn"


def _whole(said: Said) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.pieces else []
    if said.thought:
        content.insert(0, {"type": "thinking", "thinking": said.thought, "signature": SIGNATURE})
    content += [
        {"type": "tool_use", "id": id_, "name": name, "input": json.loads(arguments)}
        for id_, name, arguments in said.calls
    ]
    head = {"id": "msg_9", "type": "message", "role": "assistant", "model": MODEL, "content": content}
    return {**head, "stop_reason": _reason(said), "stop_sequence": None, "usage": _usage(OUTPUT_TOKENS)}


def _stream(said: Said) -> Play:
    begun = {**_whole(Said()), "content": [], "stop_reason": None, "usage": _usage(1)}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    index = 0
    if said.thought:
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        events.append({"type": "content_block_start", "index": 0, "content_block": empty})
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in cut(said.thought)]
        for one in (*deltas, {"type": "signature_delta", "signature": SIGNATURE}):
            events.append({"type": "content_block_delta", "index": 0, "delta": one})
        events.append({"type": "content_block_stop", "index": 0})
        index = 1
    if said.pieces:
        events.append(
            {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
        )
        events.append({"type": "ping"})
        for piece in said.pieces:
            delta = {"type": "text_delta", "text": piece}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
        index += 1
    for place, (id_, name, arguments) in enumerate(said.calls, index):
        block = {"type": "tool_use", "id": id_, "name": name, "input": {}}
        events.append({"type": "content_block_start", "index": place, "content_block": block})
        for i in range(0, len(arguments), 4):
            delta = {"type": "input_json_delta", "partial_json": arguments[i : i + 4]}
            events.append({"type": "content_block_delta", "index": place, "delta": delta})
        events.append({"type": "content_block_stop", "index": place})
    ended = {"stop_reason": _reason(said), "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": OUTPUT_TOKENS}})
    events.append({"type": "message_stop"})
    framed = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
    return Play(cut_bytes(framed), headers={"content-type": "text/event-stream; charset=utf-8"})


def anthropic_count(request: Received) -> Play:
    return Play.json({"input_tokens": INPUT_TOKENS})
