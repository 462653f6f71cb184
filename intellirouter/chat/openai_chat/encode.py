"""Chat completion requests as providers of this dialect read them, from canonical."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, Tool, ToolChoice
from intellirouter.chat.openai_chat.content import (
    DIALECT,
    encode_cache_marker,
    encode_thinking,
    encode_tool_call,
)
from intellirouter.chat.openai_chat.wishes import WISHES, read_wishes
from intellirouter.chat.parts import (
    Audio,
    File,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from intellirouter.chat.vendor_tools import without_foreign_tools
from intellirouter.errors import UnsupportedByTarget

_EFFORT_FLOORS = (("high", 16_384), ("medium", 4_096), ("low", 1))


def encode_request(request: ChatRequest, notes: list[str]) -> Json:
    """The JSON object of a request. See `WireFormat.encode_request`."""
    if request.source is not None and request.source.dialect == DIALECT:
        body = {**request.source.body, "model": request.model}
        body.pop("stream", None)
        body.pop("stream_options", None)
    else:
        body = _encode_fields(without_foreign_tools(request, DIALECT, notes), notes)
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def _encode_fields(request: ChatRequest, notes: list[str]) -> Json:
    messages: list[Json] = []
    for message in request.messages:
        messages.extend(_encode_message(message, notes))
    optional: Json = {
        "tools": [_encode_tool(tool) for tool in request.tools] or None,
        "tool_choice": _encode_tool_choice(request.tool_choice, request.tools),
        "parallel_tool_calls": request.parallel_tool_calls if request.tools else None,
        "max_completion_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "min_p": request.min_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        "n": request.n,
        "logprobs": request.logprobs,
        "top_logprobs": request.top_logprobs,
        "logit_bias": request.logit_bias,
        "response_format": _encode_output(request.output),
        "reasoning_effort": None if _wished(request) else effort_of(request.reasoning, notes),
        "verbosity": request.verbosity,
        "modalities": list(request.modalities) or None,
        "audio": request.audio,
        "prediction": request.prediction,
        "user": request.user,
        "metadata": request.metadata,
        "service_tier": request.service_tier,
        "store": request.store,
        "prompt_cache_key": request.prompt_cache_key,
    }
    body: Json = {"model": request.model, "messages": messages}
    body.update((key, value) for key, value in optional.items() if value is not None)
    if request.extra_dialect == DIALECT:
        body |= request.extra
    else:
        notes.extend(f"'{name}' was left out: this target has no such setting." for name in request.extra)
    return body


def _wished(request: ChatRequest) -> bool:
    """Whether the request says how much to think in a vendor's own words alone, which go along."""
    return (
        request.extra_dialect == DIALECT
        and not WISHES.isdisjoint(request.extra)
        and read_wishes(request.extra) == request.reasoning
    )


def _encode_message(message: Message, notes: list[str]) -> list[Json]:
    """One canonical message is one or more of this dialect: tool results are messages of their own here."""
    encoded: list[Json] = []
    rest: list[Part] = []
    pictures: list[Part] = []
    for part in message.content:
        if isinstance(part, ToolResult):
            encoded.append(_encode_tool_result(part, pictures, notes))
        else:
            rest.append(part)
    if pictures:
        notes.append("Images in a tool result were sent in a user message after it.")
        encoded.append({"role": "user", "content": _encode_parts(pictures, notes)})
    if rest or not encoded:
        encoded.append(_encode_turn(message, tuple(rest), notes))
    return encoded


def _encode_turn(message: Message, parts: tuple[Part, ...], notes: list[str]) -> Json:
    turn: Json = {"role": message.role, **message.extra}
    if message.name:
        turn["name"] = message.name
    if message.role != "assistant":
        return turn | {"content": _encode_parts(parts, notes)}
    calls = [part for part in parts if isinstance(part, ToolCall)]
    spoken = [
        part for part in parts if not isinstance(part, (ToolCall, Thinking, RedactedThinking, Refusal, Audio))
    ]
    turn["content"] = _encode_parts(spoken, notes) if spoken else None
    turn |= encode_thinking(parts)
    if calls:
        turn["tool_calls"] = [encode_tool_call(call) for call in calls]
    if refusal := "".join(part.text for part in parts if isinstance(part, Refusal)):
        turn["refusal"] = refusal
    for part in parts:
        if isinstance(part, Audio) and part.id:
            turn["audio"] = {"id": part.id}
    return turn


def _encode_tool_result(result: ToolResult, pictures: list[Part], notes: list[str]) -> Json:
    words: list[str] = []
    for part in result.content:
        if isinstance(part, Text):
            words.append(part.text)
        elif isinstance(part, (Image, File, Audio)):
            pictures.append(part)
        else:
            notes.append(f"A {part.dialect} block in a tool result was left out.")
    content = "\n".join(words)
    if result.is_error:
        notes.append("A tool result's error flag was sent as the prefix 'Error:'.")
        content = f"Error: {content}"
    return {"role": "tool", "tool_call_id": result.call_id, "content": content}


def _encode_parts(parts: Sequence[Part], notes: list[str]) -> str | list[Json]:
    """A plain string where there is only text: every provider of this dialect reads that."""
    if len(parts) == 1 and isinstance(parts[0], Text) and parts[0].cache is None:
        return parts[0].text
    encoded = [piece for part in parts if (piece := _encode_part(part, notes)) is not None]
    if len(encoded) == 1 and encoded[0].keys() == {"type", "text"}:
        return str(encoded[0]["text"])
    return encoded or ""


def _encode_part(part: Part, notes: list[str]) -> Json | None:
    match part:
        case Text():
            return {"type": "text", "text": part.text, **encode_cache_marker(part.cache)}
        case Image():
            return _encode_image(part) | encode_cache_marker(part.cache)
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
        case File():
            return _encode_file(part) | encode_cache_marker(part.cache)
        case Refusal():
            return {"type": "refusal", "refusal": part.text}
        case Opaque() if part.dialect == DIALECT:
            return part.data
        case Opaque():
            notes.append(f"A block only {part.dialect} knows was left out.")
            return None
        case _:
            notes.append(f"A {type(part).__name__} block outside an assistant turn was left out.")
            return None


def _encode_image(part: Image) -> Json:
    if part.file_id and not part.url and part.data is None:
        raise UnsupportedByTarget(
            "An image by file id cannot be sent in this wire format; send a URL or base64."
        )
    url = part.url or f"data:{part.media_type or 'image/png'};base64,{part.data}"
    image: Json = {"url": url}
    if part.detail:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _encode_file(part: File) -> Json:
    if part.text is not None:
        title = f"{part.title or part.filename}:\n" if part.title or part.filename else ""
        return {"type": "text", "text": title + part.text}
    if part.media_type is not None and part.media_type.startswith("video/"):
        link = part.url or f"data:{part.media_type};base64,{part.data}"
        return {"type": "video_url", "video_url": {"url": link}}
    if part.url:
        raise UnsupportedByTarget("A document by URL cannot be sent in this wire format; send it as base64.")
    file: Json = {"file_id": part.file_id, "filename": part.filename or part.title}
    if part.data is not None:
        file["file_data"] = f"data:{part.media_type or 'application/pdf'};base64,{part.data}"
        file["filename"] = file["filename"] or "document.pdf"
    return {"type": "file", "file": {key: value for key, value in file.items() if value}}


def _encode_tool(tool: Tool) -> Json:
    if tool.kind == "builtin":
        return tool.data or {}
    if tool.kind == "custom":
        custom: Json = {"name": tool.name, "description": tool.description, "format": tool.format}
        return {"type": "custom", "custom": {k: v for k, v in custom.items() if v is not None}}
    function: Json = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    return {"type": "function", "function": {k: v for k, v in function.items() if v is not None}}


def _encode_tool_choice(choice: ToolChoice | None, tools: tuple[Tool, ...]) -> str | Json | None:
    if choice is None:
        return None
    kinds = {tool.name: "custom" if tool.kind == "custom" else "function" for tool in tools}

    def named(name: str | None) -> Json:
        kind = kinds.get(name or "", "function")
        return {"type": kind, kind: {"name": name}}

    match choice.kind:
        case "named":
            return named(choice.name)
        case "allowed":
            allowed = {"mode": choice.mode, "tools": [named(name) for name in choice.names]}
            return {"type": "allowed_tools", "allowed_tools": allowed}
        case plain:
            return plain


def _encode_output(output: OutputFormat | None) -> Json | None:
    if output is None:
        return None
    if output.kind != "json_schema":
        return {"type": "json_object" if output.kind == "json" else "text"}
    schema: dict[str, Any] = {"name": output.name or "answer", "schema": output.schema or {}}
    if output.description is not None:
        schema["description"] = output.description
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}


def effort_of(reasoning: Reasoning | None, notes: list[str]) -> str | None:
    """The effort asked for, or the nearest to a budget of thinking tokens."""
    if reasoning is None:
        return None
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.mode == "disabled":
        return "none"
    if reasoning.budget_tokens is None:
        return None
    effort = next(word for word, floor in _EFFORT_FLOORS if reasoning.budget_tokens >= floor)
    notes.append(
        f"A thinking budget of {reasoning.budget_tokens} tokens was sent as reasoning effort '{effort}'."
    )
    return effort
