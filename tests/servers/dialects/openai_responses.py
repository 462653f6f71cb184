"""OpenAI's Responses."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.dialects.model import (
    CACHED_TOKENS,
    INPUT_TOKENS,
    MODEL,
    OUTPUT_TOKENS,
    SHORT,
    THOUGHT_TOKENS,
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

SEALED = "gAAAAABsealed"
LEAST_TOKENS = 16
"""The vendor takes no shorter answer: what we ask of it where a client of another dialect asks for less."""
_FIELDS = """model input instructions stream tools tool_choice parallel_tool_calls max_output_tokens temperature top_p
top_logprobs text reasoning include store metadata user service_tier truncation prompt_cache_key previous_response_id
background client_metadata max_tool_calls safety_identifier stream_options prompt conversation"""


def openai_responses(request: Received, brain: Brain = think) -> Play:
    try:
        asked = _read(request.json)
        said = brain(asked)
    except Refused as refused:
        error = {"message": str(refused), "type": "invalid_request_error", "param": None, "code": None}
        return Play.json({"error": error}, status=400)
    head = _head(request.json)
    return _stream(said, head) if asked.stream else Play.json(_ended(said, head))


def _read(body: dict[str, Any]) -> Asked:
    only(body, _FIELDS)
    limit = body.get("max_output_tokens")
    asked = Asked(stream=bool(body.get("stream")), max_tokens=SHORT if limit == LEAST_TOKENS else limit)
    if body.get("instructions"):
        asked.system.append(body["instructions"])
    wanted = (body.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_schema":
        asked.schema = wanted["schema"]
    asked.tools = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        match item.get("type", "message"):
            case "message":
                _read_message(item, asked)
            case "function_call":
                only(item, "type id call_id name arguments status namespace", " in a function_call")
                if (given_id := item.get("id")) is not None and not given_id.startswith("fc"):
                    raise Refused(
                        f"Invalid 'input[].id': '{given_id}'. Expected an ID that begins with 'fc'."
                    )
                asked.calls.append((item["call_id"], item["name"], json.loads(item["arguments"])))
            case "reasoning":
                if item.get("encrypted_content") != SEALED:
                    raise Refused("The encrypted content could not be verified.")
                words = "".join(piece["text"] for piece in item["summary"])
                asked.thoughts.append(f"{words} {item['encrypted_content']}")
            case "function_call_output":
                asked.results.append((item["call_id"], item["output"]))
            case _:
                pass
    return asked


def _read_message(item: dict[str, Any], asked: Asked) -> None:
    content = item["content"]
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    words = "".join(part["text"] for part in parts if part["type"].endswith("_text"))
    if item["role"] in ("system", "developer"):
        asked.system.append(words)
    elif item["role"] == "user":
        asked.user.append(words)
        for part in parts:
            if part["type"] == "input_image":
                kind, _, data = part["image_url"].removeprefix("data:").partition(";base64,")
                asked.images.append((kind, data))


def _head(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "resp_9",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": MODEL,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


def _items(said: Said, status: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if said.thought:
        summary = [{"type": "summary_text", "text": said.thought}]
        items.append({"id": "rs_9", "type": "reasoning", "summary": summary, "encrypted_content": SEALED})
    if said.pieces:
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        items.append(
            {"id": "msg_9", "type": "message", "status": status, "role": "assistant", "content": [part]}
        )
    for number, (id_, name, arguments) in enumerate(said.calls):
        item = {"id": f"fc_{number}", "type": "function_call", "status": status, "call_id": id_}
        items.append({**item, "name": name, "arguments": arguments})
    return items


def _ended(said: Said, head: dict[str, Any]) -> dict[str, Any]:
    usage = {
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": CACHED_TOKENS, "cache_write_tokens": 0},
        "output_tokens": OUTPUT_TOKENS,
        "output_tokens_details": {"reasoning_tokens": THOUGHT_TOKENS},
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
    status = "incomplete" if said.length else "completed"
    details = {"reason": "max_output_tokens"} if said.length else None
    ended = {"status": status, "incomplete_details": details, "output": _items(said, status), "usage": usage}
    return head | ended


def _thinking(item: dict[str, Any], index: int) -> list[dict[str, Any]]:
    (part,) = item["summary"]
    place = {"item_id": item["id"], "output_index": index, "summary_index": 0}
    kind, empty = "response.reasoning_summary", {**part, "text": ""}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**item, "summary": []}},
        {"type": f"{kind}_part.added", **place, "part": empty},
        *({"type": f"{kind}_text.delta", **place, "delta": piece} for piece in cut(part["text"])),
        {"type": f"{kind}_text.done", **place, "text": part["text"]},
        {"type": f"{kind}_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _stream(said: Said, head: dict[str, Any]) -> Play:
    events: list[dict[str, Any]] = [
        {"type": f"response.{kind}", "response": head} for kind in ("created", "in_progress")
    ]
    for index, item in enumerate(_items(said, "completed")):
        place: dict[str, Any] = {"item_id": item["id"], "output_index": index}
        if item["type"] == "reasoning":
            events += _thinking(item, index)
            continue
        call = item["type"] == "function_call"
        begun = {**item, "status": "in_progress", **({"arguments": ""} if call else {"content": []})}
        events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        if call:
            kind, words = "response.function_call_arguments", item["arguments"]
            events += [
                {"type": f"{kind}.delta", **place, "delta": words[i : i + 4]} for i in range(0, len(words), 4)
            ]
            events.append({"type": f"{kind}.done", **place, "name": item["name"], "arguments": words})
        else:
            place["content_index"] = 0
            whole, kind = item["content"][0], "response.output_text"
            empty = {**whole, "text": ""}
            events.append({"type": "response.content_part.added", **place, "part": empty})
            events += [{"type": f"{kind}.delta", **place, "delta": p, "logprobs": []} for p in said.pieces]
            events.append({"type": f"{kind}.done", **place, "text": whole["text"], "logprobs": []})
            events.append({"type": "response.content_part.done", **place, "part": whole})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    ended = _ended(said, head)
    events.append({"type": f"response.{ended['status']}", "response": ended})
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    framed = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in numbered]
    return Play(cut_bytes(framed), headers={"content-type": "text/event-stream; charset=utf-8"})
