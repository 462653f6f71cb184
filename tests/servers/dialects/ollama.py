"""Ollama's native chat."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.dialects.model import (
    INPUT_TOKENS,
    MODEL,
    OUTPUT_TOKENS,
    Asked,
    Brain,
    Refused,
    cut,
    cut_bytes,
    think,
    vector_of,
)
from tests.servers.vendor import Play, Received


def ollama(request: Received, brain: Brain = think) -> Play:
    try:
        asked = _read(request.json)
        said = brain(asked)
    except Refused as refused:
        return Play.json({"error": str(refused)}, status=400)
    calls = [{"function": {"name": name, "arguments": json.loads(args)}} for _, name, args in said.calls]
    head = {"model": MODEL, "created_at": "2026-01-01T00:00:00.123456789Z"}
    done = {
        "done": True,
        "done_reason": "length" if said.length else "stop",
        "total_duration": 12_345_678,
        "load_duration": 1_000,
        "prompt_eval_count": INPUT_TOKENS,
        "prompt_eval_duration": 1_000,
        "eval_count": OUTPUT_TOKENS,
        "eval_duration": 1_000,
    }

    def message(content: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
        told: dict[str, Any] = {"role": "assistant", "content": content}
        return {**told, "tool_calls": calls} if calls else told

    if not asked.stream:
        thought = {"thinking": said.thought} if said.thought else {}
        return Play.json({**head, "message": {**message(said.text, calls), **thought}, **done})
    lines: list[dict[str, Any]] = [
        {**head, "message": {**message("", []), "thinking": piece}, "done": False}
        for piece in cut(said.thought)
    ]
    lines += [{**head, "message": message(piece, []), "done": False} for piece in said.pieces]
    lines += [{**head, "message": message("", [call]), "done": False} for call in calls]
    lines.append({**head, "message": message("", []), **done})
    framed = [json.dumps(line).encode() + b"\n" for line in lines]
    return Play(cut_bytes(framed), headers={"content-type": "application/x-ndjson"})


def _read(body: dict[str, Any]) -> Asked:
    asked = Asked(stream=body.get("stream", True))
    asked.max_tokens = (body.get("options") or {}).get("num_predict")
    wanted = body.get("format")
    asked.schema = wanted if isinstance(wanted, dict) else None
    for tool in body.get("tools") or ():
        asked.tools.append(tool["function"])
    for message in body["messages"]:
        if not isinstance(message.get("content", ""), str):
            raise Refused("json: cannot unmarshal array into Go struct field ChatRequest.messages.content")
        match message["role"]:
            case "system":
                asked.system.append(message["content"])
            case "user":
                asked.user.append(message["content"])
                asked.images += [("image/png", image) for image in message.get("images") or ()]
            case "tool":
                asked.results.append((message.get("tool_name", ""), message["content"]))
            case _:
                asked.thoughts += [message["thinking"]] if message.get("thinking") else []
                for call in message.get("tool_calls") or ():
                    function = call["function"]
                    if not isinstance(function["arguments"], dict):
                        raise Refused("json: cannot unmarshal string into Go struct field arguments")
                    asked.calls.append(("", function["name"], function["arguments"]))
    return asked


def ollama_embeddings(request: Received) -> Play:
    body = request.json
    vectors = [vector_of(text, body.get("dimensions")) for text in body["input"]]
    return Play.json({"model": "vendor-embedder", "embeddings": vectors, "prompt_eval_count": len(vectors)})
