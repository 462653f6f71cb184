"""Whole answers, both directions; a stream's last line has the same shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from intellirouter.chat import foreign
from intellirouter.chat.failure import classify
from intellirouter.chat.fields import Json
from intellirouter.chat.likelihoods import content_of, from_list
from intellirouter.chat.ollama.encode import encode_call
from intellirouter.chat.ollama.generate import GENERATE
from intellirouter.chat.ollama.ids import call_id
from intellirouter.chat.ollama.request import DIALECT
from intellirouter.chat.parts import Image, Part, Refusal, Text, Thinking, ToolCall
from intellirouter.chat.response import ChatResponse, Choice, FinishReason, Usage
from intellirouter.errors import (
    UpstreamProtocolError,
)

_COUNTERS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


def decode_finish(word: Any, called: bool) -> tuple[FinishReason, str | None]:
    """The canonical reason: Ollama says `stop` after a tool call too."""
    if called:
        return "tool_calls", None if word is None else str(word)
    if word == "length":
        return "length", None
    return "stop", None if word in (None, "stop") else str(word)


def decode_usage(data: Json) -> Usage | None:
    """Counts of the last line; the durations (nanoseconds) are kept."""
    if "eval_count" not in data and "prompt_eval_count" not in data:
        return None
    return Usage(
        input_tokens=_count(data, "prompt_eval_count"),
        output_tokens=_count(data, "eval_count"),
        extra={name: data[name] for name in _COUNTERS if name in data},
        extra_dialect=DIALECT,
    )


def _count(data: Json, key: str) -> int:
    value = data.get(key)
    return value if isinstance(value, int) else 0


def encode_usage(usage: Usage) -> Json:
    """Counts, and durations where Ollama itself measured them."""
    durations = usage.extra if usage.extra_dialect == DIALECT else {"total_duration": 0, "load_duration": 0}
    counts = {"prompt_eval_count": usage.input_tokens, "eval_count": usage.output_tokens}
    return {**counts, **durations, **usage.told_shares}


def decode_call(call: Any, seed: str, index: int) -> ToolCall:
    """One tool call of an answer. Raises `UpstreamProtocolError`."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise UpstreamProtocolError("a tool call of the provider's answer has no function")
    given = function.get("arguments")
    arguments = given if isinstance(given, str) and given else msgspec.json.encode(given or {}).decode()
    return ToolCall(str(call.get("id") or call_id(seed, index)), str(function.get("name") or ""), arguments)


def read_message(data: Json) -> tuple[str, str, list[Any]]:
    """Thoughts, text and tool calls of an answer or a piece of one. Raises `UpstreamProtocolError`.

    The answer to a prompt stands in `response`, that to a conversation in `message`.
    """
    message = data.get("message")
    if message is None:
        return str(data.get("thinking") or ""), str(data.get("response") or ""), []
    calls = message.get("tool_calls") if isinstance(message, dict) else 0
    if not isinstance(message, dict) or not isinstance(calls, list | None):
        raise UpstreamProtocolError("the provider's answer has a message that makes no sense")
    return str(message.get("thinking") or ""), str(message.get("content") or ""), calls or []


def read_object(line: bytes) -> Json:
    """One JSON object. Raises `UpstreamProtocolError`, or the error it carries."""
    data = foreign.read(line, "answer")
    if not isinstance(data, dict):
        raise UpstreamProtocolError("the provider's answer is not a JSON object")
    if isinstance(data.get("error"), str):
        raise classify(500, data["error"], provider="")
    return data


def decode_response(body: bytes) -> ChatResponse:
    """The vendor's bytes to canonical. Raises `UpstreamProtocolError`."""
    data = read_object(body)
    if "message" not in data and "response" not in data:
        raise UpstreamProtocolError("the provider's answer has no message")
    thinking, text, raw_calls = read_message(data)
    seed = str(data.get("created_at") or "")
    parts: list[Part] = [Thinking(thinking)] if thinking else []
    if text:
        parts.append(Text(text))
    calls = [decode_call(call, seed, i) for i, call in enumerate(raw_calls)]
    reason, detail = decode_finish(data.get("done_reason"), bool(calls))
    return ChatResponse(
        id=f"ollama-{seed}",
        model=str(data.get("model") or ""),
        choices=(Choice((*parts, *calls), reason, detail, logprobs=from_list(data.get("logprobs"))),),
        usage=decode_usage(data),
        created=_seconds(seed),
        dialect=DIALECT if "message" in data else GENERATE,
        raw=body,
    )


def _seconds(stamp: str) -> int:
    try:
        return int(datetime.fromisoformat(stamp).timestamp())
    except ValueError:
        return 0


def now() -> str:
    """The time as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def encode_done(finish_reason: FinishReason | None) -> Json:
    """What closes an answer."""
    return {"done": True, "done_reason": "length" if finish_reason == "length" else "stop"}


def _spoken(choice: Choice) -> str:
    return "".join(part.text for part in choice.content if isinstance(part, (Text, Refusal)))


def encode_response(response: ChatResponse) -> bytes:
    """The client's JSON."""
    if response.raw is not None and response.dialect == DIALECT:
        return response.raw
    choice = response.choices[0] if response.choices else Choice()
    message: Json = {"role": "assistant", "content": _spoken(choice)}
    if pictures := [part.data for part in choice.content if isinstance(part, Image) and part.data]:
        message["images"] = pictures
    if choice.thinking:
        message["thinking"] = choice.thinking
    if choice.tool_calls:
        message["tool_calls"] = [encode_call(call) for call in choice.tool_calls]
    return msgspec.json.encode(_envelope(response, choice, {"message": message}))


def encode_generated(response: ChatResponse) -> bytes:
    """The answer to a generate request."""
    if response.raw is not None and response.dialect == GENERATE:
        return response.raw
    choice = response.choices[0] if response.choices else Choice()
    body: Json = {"response": _spoken(choice)}
    if choice.thinking:
        body["thinking"] = choice.thinking
    return msgspec.json.encode(_envelope(response, choice, body))


def _envelope(response: ChatResponse, choice: Choice, body: Json) -> Json:
    usage = encode_usage(response.usage or Usage())
    return {
        "model": response.model,
        "created_at": now(),
        **body,
        **({"logprobs": likely} if (likely := content_of(choice.logprobs)) else {}),
        **encode_done(choice.finish_reason),
        **usage,
    }
