"""What a vendor said, read from its raw JSON with nothing of the package: what the adapters are held against.

Every reader takes the JSON objects of one answer (one, or the events of a stream in order) and returns a `Told`.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.providers.recorded.rows import Dialect

Objects = list[dict[str, Any]]


@dataclass
class Counts:
    """Tokens. None where the vendor did not say, `total` as it said it."""

    read: int = 0
    written: int = 0
    cached: int | None = None
    stored: int | None = None
    thought: int | None = None
    total: int | None = None


@dataclass
class Told:
    """One answer: text, thoughts and calls (name, arguments) by choice, the vendor's words for why each ended."""

    text: dict[int, str] = field(default_factory=dict)
    thoughts: dict[int, str] = field(default_factory=dict)
    refusals: dict[int, str] = field(default_factory=dict)
    calls: dict[int, list[tuple[str, Any]]] = field(default_factory=dict)
    finishes: dict[int, str | None] = field(default_factory=dict)
    usage: Counts | None = None
    model: str = ""
    id: str = ""
    error: str | None = None

    def say(self, kind: dict[int, str], choice: int, words: str | None) -> None:
        """Add words."""
        if words:
            kind[choice] = kind.get(choice, "") + words


def events_of(body: bytes) -> Objects:
    """The JSON objects of a body, whichever of the four ways they are written in."""
    stream = body.decode()
    text = start = stream.lstrip()
    if start.startswith("["):
        return list(json.loads(text))
    if start.startswith("{"):
        decoder = json.JSONDecoder()
        found: Objects = []
        at = 0
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            found.append(value)
            at += len(text[at:]) - len(text[at:].lstrip())
        return found
    blocks = stream.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    data = [
        "\n".join(line[5:].strip() for line in block.split("\n") if line.startswith("data:"))
        for block in blocks
    ]
    return [json.loads(one) for one in data if one and one != "[DONE]"]


def _nested(data: dict[str, Any], *keys: str) -> Any:
    value: Any = data
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _int(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _openai_usage(usage: Any) -> Counts | None:
    if not usage:
        return None
    cached = _int(_nested(usage, "prompt_tokens_details", "cached_tokens"))
    if cached is None:
        cached = _int(usage.get("cached_tokens"))
    return Counts(
        read=_int(usage.get("prompt_tokens")) or 0,
        written=_int(usage.get("completion_tokens")) or 0,
        cached=_int(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        stored=_int(_nested(usage, "prompt_tokens_details", "cache_write_tokens")),
        thought=_int(_nested(usage, "completion_tokens_details", "reasoning_tokens")),
        total=_int(usage.get("total_tokens")),
    )


def read_chat(objects: Objects) -> Told:
    """Chat Completions: chunks carry `delta`, an answer `message`."""
    told = Told()
    calls: dict[tuple[int, int], list[str]] = {}
    for data in objects:
        if data.get("error"):
            told.error = str(_nested(data, "error", "message") or data["error"])
        told.model = told.model or data.get("model") or ""
        told.id = told.id or data.get("id") or ""
        told.usage = _openai_usage(data.get("usage")) or told.usage
        for choice in data.get("choices") or ():
            _read_choice(told, calls, choice)
    for (choice, _), (name, arguments) in sorted(calls.items()):
        told.calls.setdefault(choice, []).append((name, arguments))
    for choice in {*told.text, *told.calls} - told.finishes.keys():
        told.finishes[choice] = "stop"  # one vendor ends a stream without a word why
    return told


def _read_choice(told: Told, calls: dict[tuple[int, int], list[str]], choice: dict[str, Any]) -> None:
    index = choice.get("index") or 0
    said = choice.get("delta") or choice.get("message") or {}
    content = said.get("content")
    if isinstance(content, list):  # Mistral's chunks
        for chunk in content:
            if chunk.get("type") == "thinking":
                told.say(told.thoughts, index, "".join(piece["text"] for piece in chunk["thinking"]))
            elif chunk.get("type") == "text":
                told.say(told.text, index, chunk["text"])
    else:
        told.say(told.text, index, content)
    reasoning = said.get("reasoning")
    told.say(
        told.thoughts,
        index,
        said.get("reasoning_content") or (reasoning if isinstance(reasoning, str) else ""),
    )
    told.say(told.refusals, index, said.get("refusal"))
    for position, call in enumerate(said.get("tool_calls") or ()):
        function = call.get("function") or call.get("custom") or {}
        number = call.get("index")
        whole = calls.setdefault((index, position if number is None else number), ["", ""])
        whole[0] = whole[0] or function.get("name") or ""
        whole[1] += function.get("arguments") or function.get("input") or ""
    if legacy := said.get("function_call"):
        whole = calls.setdefault((index, 0), ["", ""])
        whole[0] = whole[0] or legacy.get("name") or ""
        whole[1] += legacy.get("arguments") or ""
    if choice.get("finish_reason") or "message" in choice:
        told.finishes[index] = choice.get("finish_reason")


def read_completions(objects: Objects) -> Told:
    """Legacy Completions."""
    told = Told()
    for data in objects:
        told.model = told.model or data.get("model") or ""
        told.id = told.id or data.get("id") or ""
        told.usage = _openai_usage(data.get("usage")) or told.usage
        for choice in data.get("choices") or ():
            told.say(told.text, choice["index"], choice.get("text"))
            if choice.get("finish_reason"):
                told.finishes[choice["index"]] = choice["finish_reason"]
    return told


def read_responses(objects: Objects) -> Told:
    """Responses: a stream ends with the whole object, and its own deltas must have said the same."""
    told = Told()
    last = objects[-1]
    if last.get("status") in ("queued", "in_progress"):
        told.error = "before the response was finished"
    if "type" in last and "output" not in last:
        for event in objects:
            match event["type"]:
                case "response.output_text.delta":
                    told.say(told.text, 0, event["delta"])
                case "response.refusal.delta":
                    told.say(told.refusals, 0, event["delta"])
                case "error":
                    told.error = str(event.get("message") or _nested(event, "error", "message"))
                case "response.failed":
                    told.error = str(_nested(event, "response", "error", "message"))
        items: dict[int, dict[str, Any]] = {
            event["output_index"]: event["item"]
            for event in objects
            if event["type"] == "response.output_item.done"
        }
        last = next((event["response"] for event in reversed(objects) if "response" in event), {})
        output = [items[index] for index in sorted(items)]
    else:
        output = last["output"]
        for item in output:
            for part in (item.get("content") or ()) if item["type"] == "message" else ():
                told.say(told.text, 0, part.get("text"))
                told.say(told.refusals, 0, part.get("refusal"))
    pieces = [
        "\n\n".join(
            p["text"] for p in (*(item.get("summary") or ()), *(item.get("content") or ())) if p.get("text")
        )
        for item in output
        if item["type"] == "reasoning"
    ]
    told.say(told.thoughts, 0, "".join(pieces))
    told.calls[0] = [
        (item["name"], item["arguments"] if item["type"] == "function_call" else item["input"])
        for item in output
        if item["type"] in ("function_call", "custom_tool_call")
    ]
    told.finishes[0] = _nested(last, "incomplete_details", "reason") or (
        "called" if told.calls[0] else "completed"
    )
    told.model, told.id = last.get("model") or "", last.get("id") or ""
    if usage := last.get("usage"):
        told.usage = Counts(
            usage["input_tokens"],
            usage["output_tokens"],
            _nested(usage, "input_tokens_details", "cached_tokens"),
            _nested(usage, "input_tokens_details", "cache_write_tokens"),
            _nested(usage, "output_tokens_details", "reasoning_tokens"),
            usage["total_tokens"],
        )
    return told


def read_messages(objects: Objects) -> Told:
    """Anthropic Messages."""
    told = Told()
    counts: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in objects:
        match event.get("type"):
            case "message" | "message_start":
                message = event.get("message") or event
                told.model, told.id = message["model"], message["id"]
                counts |= message.get("usage") or {}
                blocks |= {i: dict(block) for i, block in enumerate(message["content"])}
                if message.get("stop_reason"):
                    told.finishes[0] = message["stop_reason"]
            case "content_block_start":
                blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                _grow(blocks[event["index"]], event["delta"])
            case "message_delta":
                told.finishes[0] = event["delta"]["stop_reason"]
                counts |= {key: count for key, count in event["usage"].items() if count is not None}
            case "error":
                told.error = event["error"]["message"]
    _read_blocks(told, blocks)
    read, stored = counts.get("cache_read_input_tokens"), counts.get("cache_creation_input_tokens")
    if counts:
        told.usage = Counts(
            counts["input_tokens"] + (read or 0) + (stored or 0),
            counts["output_tokens"],
            read,
            stored,
            _nested(counts, "output_tokens_details", "thinking_tokens"),
        )
    return told


def _read_blocks(told: Told, blocks: dict[int, dict[str, Any]]) -> None:
    for block in blocks.values():
        if block["type"] == "text":
            told.say(told.text, 0, block["text"])
        elif block["type"] == "thinking":
            told.say(told.thoughts, 0, block["thinking"])
        elif block["type"] == "tool_use":
            arguments = block.get("written", block["input"])
            told.calls.setdefault(0, []).append((block["name"], arguments))


def _grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "input_json_delta":
            block["written"] = block.get("written", "") + delta["partial_json"]


def read_gemini(objects: Objects) -> Told:
    """generateContent and its streams."""
    told = Told()
    for data in objects:
        told.model = told.model or data.get("modelVersion") or ""
        told.id = told.id or data.get("responseId") or ""
        if data.get("error"):
            told.error = data["error"]["message"]
        for candidate in data.get("candidates") or ():
            index = candidate.get("index") or 0
            for part in _nested(candidate, "content", "parts") or ():
                told.say(told.thoughts if part.get("thought") else told.text, index, part.get("text"))
                if call := part.get("functionCall"):
                    told.calls.setdefault(index, []).append((call["name"], call.get("args") or {}))
            if candidate.get("finishReason"):
                word = candidate["finishReason"]
                told.finishes[index] = "STOP" if word == 1 else word  # some ask for numbered enums
        if blocked := _nested(data, "promptFeedback", "blockReason"):
            told.finishes.setdefault(0, blocked)
        if usage := data.get("usageMetadata"):
            thought = usage.get("thoughtsTokenCount")
            told.usage = Counts(
                usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0),
                usage.get("candidatesTokenCount", 0) + (thought or 0),
                usage.get("cachedContentTokenCount"),
                None,
                thought,
                usage.get("totalTokenCount"),
            )
    return told


def read_ollama(objects: Objects) -> Told:
    """Ollama's own chat and generate."""
    told = Told()
    for data in objects:
        told.model = data["model"]
        said = data.get("message") or {"content": data.get("response")}
        told.say(told.text, 0, said.get("content"))
        told.say(told.thoughts, 0, said.get("thinking") or data.get("thinking"))
        for call in said.get("tool_calls") or ():
            told.calls.setdefault(0, []).append((call["function"]["name"], call["function"]["arguments"]))
        if data["done"]:
            told.finishes[0] = data.get("done_reason")
            if "eval_count" in data:
                told.usage = Counts(data.get("prompt_eval_count", 0), data["eval_count"])
    return told


def read_vectors(data: dict[str, Any]) -> list[list[float]]:
    """Vectors of any of the vendors, in input order."""
    if "embedding" in data:
        return [data["embedding"]]
    if "embeddings" in data:
        return [one["values"] if isinstance(one, dict) else one for one in data["embeddings"]]
    found = [one["embedding"] for one in sorted(data["data"], key=lambda one: one["index"])]
    return [_floats(one) if isinstance(one, str) else one for one in found]


def _floats(packed: str) -> list[float]:
    raw = base64.b64decode(packed)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


READERS: dict[Dialect, Callable[[Objects], Told]] = {
    "chat": read_chat,
    "completions": read_completions,
    "responses": read_responses,
    "messages": read_messages,
    "gemini": read_gemini,
    "ollama": read_ollama,
}
