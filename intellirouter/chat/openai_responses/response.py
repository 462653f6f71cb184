"""Whole answers, both directions."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.chat.media import image_type
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.response import read_object
from intellirouter.chat.openai_responses.client_tools import as_own_call, clients_of
from intellirouter.chat.openai_responses.content import DIALECT, decode_content, output_text
from intellirouter.chat.openai_responses.encode import encode_text, encode_tool, encode_tool_choice
from intellirouter.chat.openai_responses.errors import decode_failure
from intellirouter.chat.openai_responses.items import decode_call, decode_reasoning, encode_call
from intellirouter.chat.openai_responses.namespaces import grouped, namespaces_of, parted
from intellirouter.chat.openai_responses.sealed import reasoning_item, seal
from intellirouter.chat.openai_responses.usage import decode_usage, encode_usage
from intellirouter.chat.parts import (
    Audio,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from intellirouter.chat.response import ChatResponse, Choice, FinishReason, Usage
from intellirouter.chat.signed_calls import seal_call, with_signatures
from intellirouter.errors import InvalidRequest, UpstreamProtocolError

_KNOWN = frozenset({"id", "object", "created_at", "model", "output", "usage", "service_tier", "status"})
_INCOMPLETE: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_ENDED_ELSEWHERE = ("queued", "in_progress")


def decode_finish(data: Json, called: bool) -> tuple[FinishReason | None, str | None]:
    """Why a response object ended; None while it has not."""
    status = data.get("status")
    if status in _ENDED_ELSEWHERE:
        return None, None
    if status == "cancelled":
        return "error", status
    details = data.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    if isinstance(reason, str):
        return _INCOMPLETE.get(reason, "stop"), reason
    if status == "incomplete":  # cut, and nobody says by what
        return "length", None
    return ("tool_calls" if called else "stop"), None


def encode_finish(reason: FinishReason | None, detail: str | None) -> tuple[str, Json | None]:
    """`status` and `incomplete_details`."""
    match reason:
        case "length":
            return "incomplete", {"reason": "max_output_tokens"}
        case "content_filter" | "refusal":
            return "incomplete", {"reason": "content_filter"}
        case "error":
            return "failed", None
        case "stop" if detail in ("max_messages", "steered"):
            return "incomplete", {"reason": detail}
        case _:
            return "completed", None


def decode_response(body: bytes) -> ChatResponse:
    """The vendor's bytes to canonical. Raises `UpstreamProtocolError`, or the error a failed response carries."""
    data = read_object(body, "answer")
    if data.get("status") == "failed" or (data.get("error") and not data.get("output")):
        raise decode_failure(data.get("error"))
    output = data.get("output")
    if not isinstance(output, list):
        raise UpstreamProtocolError("the provider's answer has no output")
    parts: list[Part] = []
    logprobs: list[Any] = []
    try:
        for item in output:
            parts.extend(_decode_item(item, logprobs))
    except (InvalidRequest, AttributeError, TypeError) as cause:
        raise UpstreamProtocolError("the provider's answer is not a response") from cause
    reason, detail = decode_finish(data, any(isinstance(part, ToolCall) for part in parts))
    tier, created = data.get("service_tier"), data.get("created_at")
    choice = Choice(
        with_signatures(parts), reason, detail, logprobs={"content": logprobs} if logprobs else None
    )
    return ChatResponse(
        id=str(data.get("id") or ""),
        model=str(data.get("model") or ""),
        choices=(choice,),
        usage=decode_usage(data.get("usage")),
        created=seconds(created),
        service_tier=tier if isinstance(tier, str) else None,
        extra=fields.rest(data, _KNOWN),
        dialect=DIALECT,
        raw=body,
    )


def seconds(value: Any) -> int:
    """Unix seconds, 0 for anything that is not a time."""
    return int(value) if isinstance(value, (int, float)) and 0 <= value < 2**53 else 0


def _decode_item(item: Json, logprobs: list[Any]) -> tuple[Part, ...]:
    match item.get("type"):
        case "message":
            for part in item.get("content") or ():
                if isinstance(part, dict) and isinstance(part.get("logprobs"), list):
                    logprobs.extend(part["logprobs"])
            return decode_content(item.get("content"), "output")
        case "function_call" | "custom_tool_call":
            return (decode_call(item, "output"),)
        case "reasoning":
            return (decode_reasoning(item, "output"),)
        case "image_generation_call" if isinstance(item.get("result"), str) and item["result"]:
            return (made_picture(item),)
        case _:
            return (Opaque(DIALECT, item),)


def encode_response(response: ChatResponse, request: ChatRequest | None = None) -> bytes:
    """The client's JSON, saying again what `request` asked. The vendor's own bytes go out as they are."""
    if response.raw is not None and response.dialect == DIALECT:
        return response.raw
    choice = response.choices[0] if response.choices else Choice()
    head = response_head(response.id, response.model, response.created, request)
    status, incomplete = encode_finish(choice.finish_reason, choice.finish_detail)
    namespaces = namespaces_of(request.tools) if request is not None else {}
    clients = clients_of(request.tools) if request is not None else {}
    output = [
        as_own_call(parted(item, namespaces), clients) for item in encode_output(choice, stem(head["id"]))
    ]
    return msgspec.json.encode(
        finished(head, status, incomplete, output, response.usage, response.service_tier), enc_hook=str
    )


def response_head(id_: str, model: str, created: int, request: ChatRequest | None) -> Json:
    """A response object in progress: what is known before a word is said."""
    ask = request or ChatRequest(model=model, messages=())
    spoken = (tool for tool in ask.tools if tool.kind != "builtin" or tool.dialect == DIALECT)
    tools = grouped((tool, encode_tool(tool)) for tool in spoken)
    parallel = ask.parallel_tool_calls
    asked = ask.extra if ask.extra_dialect == DIALECT else {}
    reasoning = ask.reasoning
    source = ask.source.body if ask.source is not None and ask.source.dialect == DIALECT else {}
    return {
        "id": id_ if id_.startswith("resp_") else f"resp_{id_ or 'stream'}",
        "object": "response",
        "created_at": created or int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": source.get("instructions"),
        "max_output_tokens": ask.max_tokens,
        "model": model or ask.model,
        "output": [],
        "parallel_tool_calls": True if parallel is None else parallel,
        "previous_response_id": None,
        "reasoning": {
            "effort": reasoning.effort if reasoning else None,
            "summary": reasoning.summary if reasoning else None,
        },
        "store": False,
        "temperature": ask.temperature,
        "text": {"format": {"type": "text"}, **(encode_text(ask) or {})},
        "tool_choice": encode_tool_choice(ask.tool_choice, ask.tools) or "auto",
        "tools": [_echoed(tool) for tool in tools],
        "top_logprobs": ask.top_logprobs or 0,
        "top_p": ask.top_p,
        "truncation": asked.get("truncation") or "disabled",
        "usage": None,
        "user": ask.user,
        "metadata": ask.metadata or {},
    }


def _echoed(tool: Json) -> Json:
    """A function as the vendor repeats it: every field there."""
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": None, **tool}


def finished(
    head: Json,
    status: str,
    incomplete: Json | None,
    output: list[Json],
    usage: Usage | None,
    tier: str | None,
) -> Json:
    """The response object at its end."""
    end: Json = {"status": status, "incomplete_details": incomplete, "output": output}
    end["usage"] = encode_usage(usage) if usage is not None else None
    if tier is not None:
        end["service_tier"] = tier
    if status == "failed":
        words = "the provider ended the answer with an error"
        end["error"] = {"code": "server_error", "message": words}
    if status == "completed":
        end["completed_at"] = int(time.time())
    return head | end


def stem(response_id: str) -> str:
    """What the ids of a response's items are made of."""
    return response_id.removeprefix("resp_")


def encode_output(choice: Choice, stem: str) -> list[Json]:
    """Output items; consecutive words are one message."""
    items: list[Json] = []
    spoken: list[Json] | None = None
    logprobs = (choice.logprobs or {}).get("content") or []
    for part in choice.content:
        words = _encode_words(part)
        if words is None:
            spoken = None
            if isinstance(part, ToolCall) and part.signature:
                items.append(call_seal(part.id, part.signature, stem, len(items)))
            if (item := encode_item(part, stem, len(items))) is not None:
                items.append(item)
            continue
        if spoken is None:
            spoken = []
            items.append(message_item(stem, len(items), "completed", spoken))
        if words["type"] == "output_text":
            words["logprobs"], logprobs = logprobs, []
        spoken.append(words)
    return items


def _encode_words(part: Part) -> Json | None:
    match part:
        case Text():
            return output_text(part)
        case Refusal():
            return {"type": "refusal", "refusal": part.text}
        case Audio() if part.transcript:
            return output_text(Text(part.transcript))
        case _:
            return None


def message_item(stem: str, index: int, status: str, content: list[Json]) -> Json:
    """A `message` item."""
    item_id = f"msg_{stem}_{index}"
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def call_seal(call_id: str, signature: str, stem: str, index: int) -> Json:
    """The item before a signed call: what its vendor needs back."""
    return reasoning_item(RedactedThinking(""), f"rs_{stem}_{index}", seal_call(call_id, signature))


def encode_item(part: Part, stem: str, index: int, status: str = "completed") -> Json | None:
    """An output item that is not a message; None for what this dialect has no item for."""
    match part:
        case ToolCall():
            prefix = "ctc" if part.kind == "custom" else "fc"
            return {"id": f"{prefix}_{stem}_{index}", "status": status, **encode_call(part)}
        case Thinking() | RedactedThinking():
            own = part.id if isinstance(part, Thinking) and part.encrypted is not None else None
            return reasoning_item(part, own or f"rs_{stem}_{index}", seal(part))
        case Image() if part.data:
            kind = (part.media_type or "image/png").removeprefix("image/")
            made: Json = {"id": f"ig_{stem}_{index}", "type": "image_generation_call", "status": status}
            return {**made, "output_format": kind, "result": part.data}
        case Opaque() if part.dialect == DIALECT:
            return part.data
        case _:
            return None


def made_picture(item: Json) -> Image:
    """A picture that the model made."""
    kind = item.get("output_format")
    declared = f"image/{kind}" if isinstance(kind, str) else None
    return Image(data=item["result"], media_type=image_type(declared, item["result"]) or "image/png")
