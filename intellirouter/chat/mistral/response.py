"""Whole answers, both directions."""

from __future__ import annotations

import time

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.mistral.request import DIALECT
from intellirouter.chat.openai_chat.response import decode_response as decode_openai
from intellirouter.chat.openai_chat.response import encode_finish
from intellirouter.chat.parts import Audio, Image, Part, Refusal, Text, Thinking, ToolCall
from intellirouter.chat.response import ChatResponse, Choice, Usage
from intellirouter.chat.sealed_thoughts import signature_for


def decode_response(body: bytes) -> ChatResponse:
    """The vendor's bytes to canonical. Raises `UpstreamProtocolError`."""
    return msgspec.structs.replace(decode_openai(body), dialect=DIALECT)


def encode_response(response: ChatResponse) -> bytes:
    """The client's JSON. Mistral's own bytes go out as they are."""
    if response.raw is not None and response.dialect == DIALECT:
        return response.raw
    body: Json = {
        "id": response.id,
        "object": "chat.completion",
        "created": response.created or int(time.time()),
        "model": response.model,
        "choices": [_encode_choice(choice) for choice in response.choices],
        "usage": encode_usage(response.usage or Usage()),
    }
    return msgspec.json.encode(body)


def _encode_choice(choice: Choice) -> Json:
    calls = [encode_call(call, index) for index, call in enumerate(choice.tool_calls)]
    message: Json = {"role": "assistant", "content": _encode_content(choice.content)}
    if calls:
        message["tool_calls"] = calls
    reason = encode_finish(choice.finish_reason, choice.finish_detail) or "stop"
    encoded: Json = {"index": choice.index, "message": message, "finish_reason": reason}
    return encoded if choice.logprobs is None else {**encoded, "logprobs": choice.logprobs}


def _encode_content(parts: tuple[Part, ...]) -> str | list[Json]:
    """A string; an array of chunks when there are thoughts beside the words."""
    if not any(isinstance(part, (Thinking, Image)) for part in parts):
        return "".join(_words(part) for part in parts)
    chunks = [_chunk(part) for part in parts]
    return [chunk for chunk in chunks if chunk["type"] != "text" or chunk["text"]]


def _chunk(part: Part) -> Json:
    match part:
        case Thinking():
            return thinking_chunk(part)
        case Image():
            return picture_chunk(part)
        case _:
            return text_chunk(_words(part))


def picture_chunk(part: Image) -> Json:
    """A picture."""
    link = part.url or f"data:{part.media_type or 'image/png'};base64,{part.data or ''}"
    return {"type": "image_url", "image_url": link}


def _words(part: Part) -> str:
    match part:
        case Text() | Refusal():
            return part.text
        case Audio():
            return part.transcript or ""
        case _:
            return ""


def text_chunk(words: str) -> Json:
    """Words as one of several chunks."""
    return {"type": "text", "text": words}


def thinking_chunk(part: Thinking) -> Json:
    """A thought, with what its vendor needs back."""
    chunk: Json = {"type": "thinking", "thinking": [text_chunk(part.text)]}
    signature = signature_for("mistral", part)
    return chunk if signature is None else {**chunk, "signature": signature}


def encode_call(call: ToolCall, index: int) -> Json:
    """One whole call."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function, "index": index}


def encode_usage(usage: Usage) -> Json:
    """The three counts; the details have no place in this dialect."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        **usage.told_shares,
    }
