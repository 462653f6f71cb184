"""Requests, both directions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Source
from intellirouter.chat.openai_chat.request import decode_request as decode_openai
from intellirouter.chat.options import take_options

DIALECT = "mistral"
_MESSAGE_FIELDS = frozenset({"role", "content", "tool_calls", "tool_call_id", "name", "prefix"})


def decode_request(body: Json, headers: Mapping[str, str]) -> ChatRequest:
    """The client's JSON to a canonical request. A stream always ends with its usage here."""
    plain = dict(body)
    if "random_seed" in plain:
        plain["seed"] = plain.pop("random_seed")
    if isinstance(messages := plain.get("messages"), list):
        plain["messages"] = [_without_plain_prefix(message) for message in messages]
    chat = decode_openai(plain, headers)
    source = Source(DIALECT, take_options(body)[0], dict(headers))
    return chat.routed(include_usage=True, extra_dialect=DIALECT, source=source)


def _without_plain_prefix(message: Any) -> Any:
    """Its clients say `prefix: false` with every answer; only a true one means something."""
    if isinstance(message, dict) and message.get("prefix") is False:
        return {key: value for key, value in message.items() if key != "prefix"}
    return message


def call_id(given: str) -> str:
    """Mistral takes only nine letters and digits; another vendor's id becomes such a one, always the same."""
    if len(given) == 9 and given.isascii() and given.isalnum():
        return given
    return hashlib.sha256(given.encode()).hexdigest()[:9]


def relayed_body(request: ChatRequest, body: Json) -> Json:
    """A Mistral client's own body on its way to Mistral: only the model, the stream, and foreign call ids change."""
    sent = {**body, "model": request.model, "stream": request.stream}
    sent["messages"] = [_with_own_ids(message) for message in body.get("messages") or ()]
    return sent


def spoken_body(body: Json) -> Json:
    """A body of OpenAI's dialect in Mistral's words."""
    if "seed" in body:
        body["random_seed"] = body.pop("seed")
    if body.get("tool_choice") == "required":
        body["tool_choice"] = "any"
    messages = [_with_own_ids(message) for message in body["messages"]]
    body["messages"] = [
        {key: value for key, value in _with_own_chunks(message).items() if key in _MESSAGE_FIELDS}
        for message in messages
    ]
    return body


def _with_own_ids(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    message = dict(message)
    if isinstance(given := message.get("tool_call_id"), str):
        message["tool_call_id"] = call_id(given)
    if isinstance(calls := message.get("tool_calls"), list):
        message["tool_calls"] = [
            {**call, "id": call_id(call["id"])}
            if isinstance(call, dict) and isinstance(call.get("id"), str)
            else call
            for call in calls
        ]
    return message


def _with_own_chunks(message: Any) -> Any:
    """Parts in Mistral's words, and thoughts as the first of them."""
    content = message.get("content")
    if thought := message.get("reasoning_content"):
        said = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
        content = [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}, *said]
    return (
        {**message, "content": [_chunk(part) for part in content]} if isinstance(content, list) else message
    )


def _chunk(part: Any) -> Any:
    match part:
        case {"type": "file", "file": {"file_data": str() as data, **file}}:
            named = {"document_name": name} if (name := file.get("filename")) else {}
            return {"type": "document_url", "document_url": data, **named}
        case {"type": "file", "file": {"file_id": str() as file_id}}:
            return {"type": "file", "file_id": file_id}
        case {"type": "input_audio", "input_audio": {"data": str() as data}}:
            return {"type": "input_audio", "input_audio": data}
        case _:
            return part
