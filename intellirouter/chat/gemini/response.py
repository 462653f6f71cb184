"""Whole answers and usage, both directions."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat import foreign
from intellirouter.chat.citations import annotations_in, shifted
from intellirouter.chat.fields import Json
from intellirouter.chat.gemini.grounding import FIELD, annotations_of, metadata_of
from intellirouter.chat.gemini.parts import (
    DIALECT,
    VENDOR,
    decode_part,
    encode_part,
    joined,
    make_call_id,
    pick,
    signed,
)
from intellirouter.chat.likelihoods import from_gemini, to_gemini
from intellirouter.chat.parts import Part, Text, Thinking, ToolCall
from intellirouter.chat.response import ChatResponse, Choice, FinishReason, Usage
from intellirouter.chat.sealed_thoughts import signature_for
from intellirouter.errors import UpstreamProtocolError

_FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}
# What the first of Google's numbers mean on both of its services; they part after five.
_NUMBERED = ("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER")
_KNOWN_CANDIDATE = frozenset({"content", "finishReason", "index"})


def read_object(body: bytes) -> Json:
    """The JSON object in `body`, or `UpstreamProtocolError`."""
    data = foreign.read(body, "answer")
    if not isinstance(data, dict):
        raise UpstreamProtocolError("the provider's answer is not a JSON object")
    return data


def decode_finish(word: Any, has_calls: bool) -> tuple[FinishReason | None, str | None]:
    """The canonical reason and Google's word: it says STOP beside function calls too.

    A gateway that asks for numbered enums hands on numbers.
    """
    if type(word) is int:
        word = _NUMBERED[word] if 0 <= word < len(_NUMBERED) else f"FINISH_REASON_{word}"
    if not isinstance(word, str) or word in ("", "FINISH_REASON_UNSPECIFIED"):
        return None, None
    if word == "STOP" and has_calls:
        return "tool_calls", word
    return _FINISH.get(word, "error"), word


def encode_finish(reason: FinishReason | None, detail: str | None) -> str | None:
    """Google's word."""
    match reason:
        case None:
            return None
        case "length":
            return "MAX_TOKENS"
        case "content_filter" | "refusal":
            return detail if detail in _FINISH else "SAFETY"
        case "error":
            return "OTHER"
        case _:
            return "STOP"


def decode_usage(data: Any) -> Usage | None:
    """`usageMetadata`: thoughts are counted apart from candidates and are output; a tool's prompt is input."""
    if not isinstance(data, dict) or not data:
        return None

    def count(name: str) -> int | None:
        value = data.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    thoughts = count("thoughtsTokenCount")
    read = (count("promptTokenCount") or 0) + (count("toolUsePromptTokenCount") or 0)
    written = (count("candidatesTokenCount") or 0) + (thoughts or 0)
    total = count("totalTokenCount")
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cached_tokens=count("cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        total=total if total != read + written else None,
        extra=data,
        extra_dialect=DIALECT,
    )


def encode_usage(usage: Usage) -> Json:
    """`usageMetadata`."""
    if usage.extra_dialect == DIALECT:
        return usage.extra
    thoughts = usage.reasoning_tokens or 0
    encoded: Json = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": max(0, usage.output_tokens - thoughts),
        "totalTokenCount": usage.total_tokens,
    }
    if thoughts:
        encoded["thoughtsTokenCount"] = thoughts
    if usage.cached_tokens is not None:
        encoded["cachedContentTokenCount"] = usage.cached_tokens
    return encoded | usage.told_shares


def content_parts(candidate: Json) -> list[Json]:
    """The parts of a candidate, of whatever is there."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def decode_response(body: bytes) -> ChatResponse:
    """Google's bytes to canonical. Raises `UpstreamProtocolError`."""
    data = read_object(body)
    candidates, feedback = data.get("candidates"), data.get("promptFeedback")
    blocked = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not isinstance(candidates, list) and not blocked and "usageMetadata" not in data:
        raise UpstreamProtocolError("the provider's answer has no candidates")
    response_id = str(data.get("responseId") or "")
    found = [c for c in candidates if isinstance(c, dict)] if isinstance(candidates, list) else []
    choices = tuple(_decode_candidate(c, i, response_id) for i, c in enumerate(found))
    if not choices and blocked:
        choices = (Choice(finish_reason="content_filter", finish_detail=str(blocked)),)
    return ChatResponse(
        id=response_id,
        model=str(data.get("modelVersion") or ""),
        choices=choices or (Choice(finish_reason=None),),
        usage=decode_usage(data.get("usageMetadata")),
        extra={"promptFeedback": feedback} if feedback else {},
        dialect=DIALECT,
        raw=body,
    )


def _decode_candidate(candidate: Json, position: int, response_id: str) -> Choice:
    pieces: list[Part] = []
    calls = 0
    for raw in content_parts(candidate):
        part = decode_part(raw, make_call_id(response_id, calls))
        calls += isinstance(part, ToolCall)
        if part is not None:
            pieces.append(part)
    parts = joined(pieces)
    _cite(parts, pick(candidate, FIELD))
    reason, detail = decode_finish(pick(candidate, "finishReason"), calls > 0)
    index = candidate.get("index")
    return Choice(
        content=tuple(parts),
        finish_reason=reason,
        finish_detail=detail,
        index=index if isinstance(index, int) else position,
        logprobs=from_gemini(candidate.get("logprobsResult")),
        extra={key: value for key, value in candidate.items() if key not in _KNOWN_CANDIDATE},
    )


def _cite(parts: list[Part], metadata: Any) -> None:
    """Give the last text what the words rest on: places count in all words of the answer."""
    places = [place for place, part in enumerate(parts) if isinstance(part, Text)]
    if metadata is None or not places:
        return
    *before, last = (part.text for part in parts if isinstance(part, Text))
    notes = annotations_of(metadata, "".join(before) + last)
    begin = -sum(map(len, before))
    text = parts[places[-1]]
    if isinstance(text, Text):
        parts[places[-1]] = msgspec.structs.replace(
            text, annotations=tuple(shifted(note, begin) for note in notes)
        )


def encode_response(response: ChatResponse) -> bytes:
    """The client's JSON. Google's own bytes go out as they are."""
    if response.raw is not None and response.dialect == DIALECT:
        return response.raw
    body: Json = {
        "candidates": [_encode_choice(choice) for choice in response.choices],
        "modelVersion": response.model,
        "responseId": response.id,
    }
    if response.usage is not None:
        body["usageMetadata"] = encode_usage(response.usage)
    return msgspec.json.encode(body)


def _encode_choice(choice: Choice) -> Json:
    parts = [encode_answer_part(part) for part in choice.content]
    encoded: Json = {
        "content": {"role": "model", "parts": [part for part in parts if part is not None]},
        "index": choice.index,
    }
    if (word := encode_finish(choice.finish_reason, choice.finish_detail)) is not None:
        encoded["finishReason"] = word
    if (likely := to_gemini(choice.logprobs)) is not None:
        encoded["logprobsResult"] = likely
    texts = [part for part in choice.content if isinstance(part, Text)]
    if (metadata := metadata_of(annotations_in(texts), "".join(part.text for part in texts))) is not None:
        encoded[FIELD] = metadata
    return encoded


def encode_answer_part(part: Part) -> Json | None:
    """One part of an answer: thoughts go out whoever thought them."""
    if isinstance(part, Thinking):
        signature = signature_for(VENDOR, part)
        return signed({"text": part.text, "thought": True}, signature)
    return encode_part(part, {}, [])
