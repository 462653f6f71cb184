"""Whole answers, both directions."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.endings import decode_finish
from intellirouter.chat.openai_chat.response import encode_finish, read_object
from intellirouter.chat.openai_chat.usage import decode_usage, encode_usage
from intellirouter.chat.openai_completions.logprobs import decode_logprobs, encode_logprobs
from intellirouter.chat.openai_completions.request import DIALECT
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.errors import UpstreamProtocolError

_encode = msgspec.json.Encoder(enc_hook=str).encode


def decode_response(body: bytes) -> ChatResponse:
    """The vendor's bytes to canonical. Raises `UpstreamProtocolError`."""
    data = read_object(body, "answer")
    choices = data.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise UpstreamProtocolError("the provider's answer has no choices")
    created = data.get("created")
    return ChatResponse(
        id=str(data.get("id") or ""),
        model=str(data.get("model") or ""),
        choices=tuple(_decode_choice(choice, position) for position, choice in enumerate(choices)),
        usage=decode_usage(data.get("usage")),
        created=int(created) if isinstance(created, (int, float)) else 0,
        system_fingerprint=data.get("system_fingerprint"),
        dialect=DIALECT,
        raw=body,
    )


def _decode_choice(choice: Json, position: int) -> Choice:
    text, index = choice.get("text"), choice.get("index")
    reason, detail = decode_finish(choice.get("finish_reason"))
    return Choice(
        content=(Text(text),) if isinstance(text, str) and text else (),
        finish_reason=reason,
        finish_detail=detail,
        index=index if isinstance(index, int) else position,
        logprobs=decode_logprobs(choice.get("logprobs")),
    )


def encode_response(response: ChatResponse) -> bytes:
    """The client's JSON. The vendor's own bytes go out as they are when they are of this dialect."""
    if response.raw is not None and response.dialect == DIALECT:
        return response.raw
    body: Json = {
        "id": response.id,
        "object": "text_completion",
        "created": response.created or int(time.time()),
        "model": response.model,
        "choices": [_encode_choice(choice) for choice in response.choices],
    }
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage)
    return _encode(body)


def _encode_choice(choice: Choice) -> Json:
    finish = encode_finish(choice.finish_reason, None) or "stop"
    return choice_object(choice.index, choice.text or choice.refusal or "", finish, choice.logprobs)


def choice_object(index: int, text: str, finish: str | None, logprobs: Any = None, offset: int = 0) -> Json:
    """One choice, whole or of a chunk."""
    likely = encode_logprobs(logprobs, offset)
    return {"index": index, "text": text, "logprobs": likely, "finish_reason": finish}
