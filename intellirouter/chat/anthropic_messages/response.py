"""Whole messages, both directions."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat import foreign
from intellirouter.chat.anthropic_messages.blocks import DIALECT, VENDOR, decode_content, encode_parts
from intellirouter.chat.anthropic_messages.usage import decode_usage, encode_usage
from intellirouter.chat.fields import Json
from intellirouter.chat.parts import Image, Part, Text, Thinking, ToolCall
from intellirouter.chat.response import ChatResponse, Choice, FinishReason, Usage
from intellirouter.chat.sealed_thoughts import signature_for
from intellirouter.chat.signed_calls import seal_call, with_signatures
from intellirouter.errors import InvalidRequest, UpstreamProtocolError

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}
_WORDS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "error": "end_turn",
}
_KNOWN = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})


def decode_finish(word: Any) -> tuple[FinishReason | None, str | None]:
    """The canonical reason, and the vendor's word where more than one means it."""
    if not isinstance(word, str):
        return None, None
    reason = _FINISH.get(word, "stop")
    return reason, None if _WORDS[reason] == word else word


def encode_finish(reason: FinishReason | None, detail: str | None, stop_sequence: str | None) -> str | None:
    """This dialect's word; another vendor's own word is not one."""
    if detail in _FINISH:
        return detail
    if reason == "stop" and stop_sequence is not None:
        return "stop_sequence"
    return None if reason is None else _WORDS[reason]


def decode_response(body: bytes) -> ChatResponse:
    """The vendor's bytes to canonical. Raises `UpstreamProtocolError`."""
    data = foreign.read(body, "answer")
    if not isinstance(data, dict) or not isinstance(data.get("content"), list):
        raise UpstreamProtocolError("the provider's answer is not a message")
    try:
        content = decode_content(data["content"], "content")
    except (InvalidRequest, RecursionError) as cause:
        raise UpstreamProtocolError("the provider's answer has a block that makes no sense") from cause
    reason, detail = decode_finish(data.get("stop_reason"))
    choice = Choice(with_signatures(content), reason, detail, data.get("stop_sequence"))
    return ChatResponse(
        id=str(data.get("id") or ""),
        model=str(data.get("model") or ""),
        choices=(choice,),
        usage=decode_usage(data.get("usage")),
        extra={key: value for key, value in data.items() if key not in _KNOWN},
        dialect=DIALECT,
        raw=body,
    )


def encode_response(response: ChatResponse) -> bytes:
    """The client's JSON. The vendor's own bytes go out as they are when they are of this dialect."""
    if response.raw is not None and response.dialect == DIALECT:
        return response.raw
    choice = response.choices[0] if response.choices else Choice()
    body: Json = {
        "id": response.id or "msg_unknown",
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": encode_content(choice.content),
        "stop_reason": encode_finish(choice.finish_reason, choice.finish_detail, choice.stop_sequence),
        "stop_sequence": choice.stop_sequence,
        "usage": encode_usage(response.usage or Usage()),
    }
    return msgspec.json.encode(body)


def encode_content(parts: tuple[Part, ...]) -> list[Json]:
    """Blocks of an answer. Thoughts of other vendors carry an empty signature; text its `citations`."""
    notes: list[str] = []
    blocks: list[Json] = []
    for part in parts:
        if isinstance(part, Thinking):
            signature = signature_for(VENDOR, part) or ""
            blocks.append({"type": "thinking", "thinking": part.text, "signature": signature})
        elif isinstance(part, ToolCall) and part.signature:
            called = encode_parts((part,), notes)
            blocks.append({"type": "redacted_thinking", "data": seal_call(called[0]["id"], part.signature)})
            blocks.extend(called)
        elif isinstance(part, Text):
            blocks.append({"type": "text", "text": part.text, "citations": list(part.citations) or None})
        elif not isinstance(part, Image):  # a picture that a model made has no place in these answers
            blocks.extend(encode_parts((part,), notes))
    return blocks
