"""Whole chat completions, both directions."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from intellirouter.chat import foreign
from intellirouter.chat.citations import annotations_in
from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.content import (
    DIALECT,
    decode_tool_call,
    encode_audio,
    encode_picture,
    encode_thinking,
    encode_tool_call,
    has_no_text,
    pictures_in,
)
from intellirouter.chat.openai_chat.endings import decode_finish
from intellirouter.chat.openai_chat.errors import decode_error, tells_error
from intellirouter.chat.openai_chat.request import legacy_call_id
from intellirouter.chat.openai_chat.thinking import decode_answer_content
from intellirouter.chat.openai_chat.usage import decode_usage, encode_usage
from intellirouter.chat.parts import Audio, Image, Opaque, Part, Refusal, Text, ToolCall
from intellirouter.chat.response import ChatResponse, Choice, FinishReason
from intellirouter.errors import InvalidRequest, UpstreamProtocolError

_KNOWN = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"}
)
_KNOWN_CHOICE = frozenset({"index", "message", "finish_reason", "logprobs"})
_json = msgspec.json.Decoder()


def encode_finish(reason: FinishReason | None, detail: str | None) -> str | None:
    """This dialect's word."""
    if reason == "tool_calls" and detail == "function_call":
        return detail
    match reason:
        case "refusal":
            return "content_filter"
        case "pause" | "error":
            return "stop"
        case _:
            return reason


def read_object(body: bytes, what: str) -> Json:
    """The JSON object in `body`, or `UpstreamProtocolError`."""
    data = foreign.read(body, what)
    if type(data) is not dict:
        raise UpstreamProtocolError(f"the provider's {what} is not a JSON object")
    return data


def decode_response(body: bytes) -> ChatResponse:
    """The vendor's bytes to canonical. Raises `UpstreamProtocolError`, and the error that they tell of where they answer nothing."""
    data = read_object(body, "answer")
    choices = data.get("choices")
    if not choices and tells_error(data):
        raise decode_error(body)
    if not isinstance(choices, list):
        raise UpstreamProtocolError("the provider's answer has no choices")
    try:
        decoded = tuple(_decode_choice(choice, position) for position, choice in enumerate(choices))
    except (InvalidRequest, AttributeError, TypeError) as cause:
        raise UpstreamProtocolError("the provider's answer is not a chat completion") from cause
    created = data.get("created")
    odd = any(_is_odd((choice.get("message") or {}).get("tool_calls")) for choice in choices)
    return ChatResponse(
        id=str(data.get("id") or ""),
        model=str(data.get("model") or ""),
        choices=decoded,
        usage=decode_usage(data.get("usage")),
        created=int(created) if isinstance(created, (int, float)) else 0,
        service_tier=data.get("service_tier"),
        system_fingerprint=data.get("system_fingerprint"),
        extra={key: value for key, value in data.items() if key not in _KNOWN},
        dialect=DIALECT,
        raw=None if odd else body,
    )


def _is_odd(calls: Any) -> bool:
    """Whether no client of this dialect could use these calls: no text for arguments, ids that are missing or shared."""
    if not isinstance(calls, list) or not calls:
        return False
    if len(calls) == 1:
        return not calls[0].get("id") or has_no_text(calls)
    ids = [call.get("id") for call in calls]
    return not all(ids) or len(set(ids)) < len(ids) or has_no_text(calls)


def _word(audio: Json, key: str) -> str | None:
    return word if isinstance(word := audio.get(key), str) else None


def _calls(message: Json) -> list[ToolCall]:
    """The calls, each with an id of its own: some vendors send none, or one for all."""
    calls = [decode_tool_call(call, "tool_calls") for call in message.get("tool_calls") or ()]
    if not calls or (len(calls) == 1 and calls[0].id):
        return calls
    taken: set[str] = set()
    for place, call in enumerate(calls):
        if not call.id or call.id in taken:
            stem = call.id or f"call_{call.name or place}"
            own = stem if stem not in taken and not call.id else f"{stem}_{place}"
            calls[place] = msgspec.structs.replace(call, id=own)
        taken.add(calls[place].id)
    return calls


def _decode_choice(choice: Json, position: int) -> Choice:
    message = choice.get("message") or {}
    parts: list[Part] = list(decode_answer_content(message))
    parts.extend(pictures_in(message.get("images")))
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        parts.append(Refusal(refusal))
    if isinstance(audio := message.get("audio"), dict):
        parts.append(
            Audio(
                data=_word(audio, "data") or "",
                id=_word(audio, "id"),
                transcript=_word(audio, "transcript"),
                expires_at=audio.get("expires_at"),
            )
        )
    parts.extend(_calls(message))
    if isinstance(legacy := message.get("function_call"), dict):
        name = str(legacy.get("name") or "")
        parts.append(ToolCall(legacy_call_id(name), name, str(legacy.get("arguments") or "")))
    reason, detail = decode_finish(
        choice.get("finish_reason"), any(isinstance(part, ToolCall) for part in parts)
    )
    index, likely = choice.get("index"), choice.get("logprobs")
    return Choice(
        content=tuple(parts),
        finish_reason=reason,
        finish_detail=detail,
        index=index if isinstance(index, int) else position,
        logprobs=likely if isinstance(likely, dict) else None,
        extra={key: value for key, value in choice.items() if key not in _KNOWN_CHOICE},
    )


def encode_response(response: ChatResponse) -> bytes:
    """The client's JSON. The vendor's own bytes go out as they are when they are of this dialect."""
    if response.raw is not None and response.dialect == DIALECT:
        return response.raw
    body: Json = {
        "id": response.id,
        "object": "chat.completion",
        "created": response.created or int(time.time()),
        "model": response.model,
        "choices": [_encode_choice(choice) for choice in response.choices],
    }
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage)
    if response.service_tier is not None:
        body["service_tier"] = response.service_tier
    if response.system_fingerprint is not None:
        body["system_fingerprint"] = response.system_fingerprint
    return msgspec.json.encode(body)


def _encode_choice(choice: Choice) -> Json:
    texts = [part for part in choice.content if isinstance(part, Text)]
    silent = not texts and (choice.tool_calls or choice.refusal)
    message: Json = {
        "role": "assistant",
        "content": None if silent else "".join(part.text for part in texts),
        "refusal": choice.refusal,
    }
    if annotations := annotations_in(texts):
        message["annotations"] = annotations
    message |= encode_thinking(choice.content)
    if choice.tool_calls:
        message["tool_calls"] = [encode_tool_call(call) for call in choice.tool_calls]
    if pictures := [part for part in choice.content if isinstance(part, Image)]:
        message["images"] = [encode_picture(p.url, p.data, p.media_type) for p in pictures]
    for part in choice.content:
        if isinstance(part, Audio):
            message["audio"] = encode_audio(part)
        elif isinstance(part, Opaque):
            message.setdefault("provider_blocks", []).append({"dialect": part.dialect, "block": part.data})
    return {
        "index": choice.index,
        "message": message,
        "finish_reason": encode_finish(choice.finish_reason, choice.finish_detail),
        "logprobs": choice.logprobs,
    }
