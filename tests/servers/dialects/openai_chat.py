"""Chat Completions as OpenAI, Azure, Mistral and the vendors compatible with them speak it."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.dialects.model import (
    CACHED_TOKENS,
    INPUT_TOKENS,
    MODEL,
    OUTPUT_TOKENS,
    THOUGHT_TOKENS,
    Asked,
    Brain,
    Refused,
    Said,
    cut,
    cut_bytes,
    only,
    think,
    vector_of,
)
from tests.servers.vendor import Play, Received

_BOTH = """model messages stream temperature top_p stop tools tool_choice response_format n presence_penalty
frequency_penalty parallel_tool_calls prediction metadata prompt_cache_key"""
OPENAI_FIELDS = f"""{_BOTH} max_completion_tokens max_tokens stream_options seed user logprobs top_logprobs logit_bias
reasoning_effort service_tier store modalities audio verbosity web_search_options"""
MISTRAL_FIELDS = f"{_BOTH} max_tokens random_seed safe_prompt prompt_mode reasoning_effort guardrails"
_MESSAGE_FIELDS = "role content name tool_calls tool_call_id"
_OPENAI_MESSAGE_FIELDS = f"{_MESSAGE_FIELDS} refusal audio annotations parsed reasoning_content"
_MISTRAL_MESSAGE_FIELDS = f"{_MESSAGE_FIELDS} prefix"


def openai(request: Received, brain: Brain = think) -> Play:
    return _answer(request, OPENAI_FIELDS, brain, detailed=True)


def mistral(request: Received, brain: Brain = think) -> Play:
    for message in request.json["messages"]:
        ids = [call["id"] for call in message.get("tool_calls") or ()]
        for given in [*ids, *([message["tool_call_id"]] if "tool_call_id" in message else ())]:
            if len(given) != 9 or not given.isalnum():
                return _refuse(f"Tool call id was {given} but must be a-z, A-Z, 0-9, with a length of 9.")
    return _answer(request, MISTRAL_FIELDS, brain, detailed=False)


def _answer(request: Received, known: str, brain: Brain, *, detailed: bool) -> Play:
    try:
        asked = _read(request.json, known, detailed)
        said = brain(asked)
    except Refused as refused:
        return _refuse(str(refused))
    if not asked.stream:
        return Play.json(_whole(said, detailed))
    with_usage = not detailed or (request.json.get("stream_options") or {}).get("include_usage")
    return _stream(said, detailed=detailed, with_usage=bool(with_usage))


def _refuse(message: str) -> Play:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return Play.json({"error": error}, status=400)


def _read(body: dict[str, Any], known: str, detailed: bool) -> Asked:
    only(body, known)
    asked = Asked(stream=bool(body.get("stream")))
    asked.max_tokens = body.get("max_completion_tokens") or body.get("max_tokens")
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        asked.schema = wanted["json_schema"]["schema"]
    for tool in body.get("tools") or ():
        asked.tools.append(tool["function"])
    for message in body["messages"]:
        only(message, _OPENAI_MESSAGE_FIELDS if detailed else _MISTRAL_MESSAGE_FIELDS, " in a message")
        _read_message(message, asked, detailed)
    return asked


def _read_message(message: dict[str, Any], asked: Asked, detailed: bool) -> None:
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    words = "".join(part["text"] for part in parts if part["type"] == "text")
    match message["role"]:
        case "system" | "developer":
            asked.system.append(words)
        case "user":
            asked.user.append(words)
            for part in parts:
                if part["type"] == "image_url":
                    link = part["image_url"]
                    if isinstance(link, str) and detailed:
                        raise Refused("Invalid type for 'image_url': expected an object, but got a string")
                    link = link if isinstance(link, str) else link["url"]
                    kind, _, data = link.removeprefix("data:").partition(";base64,")
                    asked.images.append((kind, data))
        case "tool":
            asked.results.append((message["tool_call_id"], words))
        case _:
            asked.thoughts += _thoughts(message, parts)
            for call in message.get("tool_calls") or ():
                function = call["function"]
                asked.calls.append((call["id"], function["name"], json.loads(function["arguments"])))


def _thoughts(message: dict[str, Any], parts: list[dict[str, Any]]) -> list[str]:
    beside = message.get("reasoning_content")
    chunks = [part["thinking"] for part in parts if part["type"] == "thinking"]
    return [beside] if beside else ["".join(piece["text"] for piece in chunk) for chunk in chunks]


def _thinking(said: Said, detailed: bool) -> list[dict[str, Any]]:
    """Mistral's chunk of a thought."""
    if detailed or not said.thought:
        return []
    return [{"type": "thinking", "thinking": [{"type": "text", "text": said.thought}]}]


def _usage(detailed: bool) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
    if detailed:
        usage["prompt_tokens_details"] = {"cached_tokens": CACHED_TOKENS, "audio_tokens": 0}
        usage["completion_tokens_details"] = {
            "reasoning_tokens": THOUGHT_TOKENS,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        }
    return usage


def _head(detailed: bool, kind: str) -> dict[str, Any]:
    head: dict[str, Any] = {"id": "chatcmpl-9", "object": kind, "created": 1_700_000_000, "model": MODEL}
    return {**head, "service_tier": "default", "system_fingerprint": "fp_1"} if detailed else head


def _finish(said: Said) -> str:
    return "tool_calls" if said.calls else "length" if said.length else "stop"


def _whole(said: Said, detailed: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text if said.pieces else None}
    if detailed:
        message |= {"refusal": None, "annotations": []}
    if said.thought and detailed:
        message["reasoning_content"] = said.thought
    if chunks := _thinking(said, detailed):
        message["content"] = [*chunks, {"type": "text", "text": said.text}]
    if said.calls:
        message["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in said.calls
        ]
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": _finish(said)}
    if detailed:
        choice["logprobs"] = None
    return {**_head(detailed, "chat.completion"), "choices": [choice], "usage": _usage(detailed)}


def _stream(said: Said, *, detailed: bool, with_usage: bool) -> Play:
    head = _head(detailed, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        if detailed:
            choice["logprobs"] = None
        if detailed and with_usage:
            more = {"usage": None, **more}
        return json.dumps({**head, "choices": [choice], **more}).encode()

    first: dict[str, Any] = {"role": "assistant", "content": "" if said.pieces else None}
    events = [chunk({**first, "refusal": None} if detailed else first)]
    if said.thought and detailed:
        events += [chunk({"reasoning_content": piece}) for piece in cut(said.thought)]
    if chunks := _thinking(said, detailed):
        events.append(chunk({"content": chunks}))
    events += [chunk({"content": piece}) for piece in said.pieces]
    for index, (id_, name, arguments) in enumerate(said.calls):
        call = {"index": index, "id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
        if not detailed:  # Mistral sends each call whole
            call["function"] = {"name": name, "arguments": arguments}
        events.append(chunk({"tool_calls": [call]}))
        if detailed:
            for i in range(0, len(arguments), 4):
                piece = {"index": index, "function": {"arguments": arguments[i : i + 4]}}
                events.append(chunk({"tool_calls": [piece]}))
    if detailed:
        events.append(chunk({}, _finish(said)))
        if with_usage:
            events.append(json.dumps({**head, "choices": [], "usage": _usage(detailed)}).encode())
    else:
        events.append(chunk({"content": ""}, _finish(said), usage=_usage(detailed)))
    framed = [b"data: " + event + b"\n\n" for event in (*events, b"[DONE]")]
    return Play(cut_bytes(framed), headers={"content-type": "text/event-stream; charset=utf-8"})


def openai_embeddings(request: Received) -> Play:
    return _embed(request, "model input encoding_format dimensions user")


def mistral_embeddings(request: Received) -> Play:
    return _embed(request, "model input encoding_format output_dimension output_dtype metadata")


def _embed(request: Received, known: str) -> Play:
    body = request.json
    try:
        only(body, known)
    except Refused as refused:
        return _refuse(str(refused))
    size = body.get("dimensions") or body.get("output_dimension")
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    data = [
        {"object": "embedding", "index": index, "embedding": vector_of(text, size)}
        for index, text in reversed(list(enumerate(texts)))
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return Play.json({"object": "list", "data": data, "model": "vendor-embedder", "usage": usage})
