"""Requests as providers of this dialect read them, from canonical."""

from __future__ import annotations

from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, Tool, ToolChoice
from intellirouter.chat.openai_chat.encode import effort_of
from intellirouter.chat.openai_responses.client_tools import clients_of
from intellirouter.chat.openai_responses.content import DIALECT
from intellirouter.chat.openai_responses.items import encode_items
from intellirouter.chat.openai_responses.namespaces import grouped, namespaces_of
from intellirouter.chat.openai_responses.request import LOGPROBS
from intellirouter.chat.openai_responses.sealed import is_sealed
from intellirouter.chat.parts import File, Image, Text, ToolResult
from intellirouter.chat.vendor_tools import without_foreign_tools
from intellirouter.errors import UnsupportedByTarget

_NO_SUCH = (
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "logit_bias",
    "prediction",
)
"""Canonical settings this dialect lacks: left out, and said so."""
_MARKED = (Text, Image, File, ToolResult)


def encode_request(request: ChatRequest, notes: list[str]) -> Json:
    """The JSON object of a request. See `WireFormat.encode_request`."""
    if request.source is not None and request.source.dialect == DIALECT:
        body = {**request.source.body, "model": request.model}
        body.pop("stream", None)
        if isinstance(given := body.get("input"), list) and any(map(is_sealed, given)):
            body["input"] = [item for item in given if not is_sealed(item)]
            notes.append("Another vendor's reasoning was left out: OpenAI takes back only its own.")
    else:
        body = _encode_fields(without_foreign_tools(request, DIALECT, notes), notes)
    if request.stream:
        body["stream"] = True
    return body


def _encode_fields(request: ChatRequest, notes: list[str]) -> Json:
    _refuse(request)
    notes += [
        f"'{name}' was left out: the Responses API has no such setting."
        for name in _NO_SUCH
        if getattr(request, name) not in (None, ())
    ]
    ours = request.extra_dialect == DIALECT
    instructions, messages = _split_instructions(request.messages)
    optional: Json = {
        "instructions": instructions,
        "tools": grouped((tool, encode_tool(tool, ours)) for tool in request.tools) or None,
        "tool_choice": encode_tool_choice(request.tool_choice, request.tools),
        "parallel_tool_calls": request.parallel_tool_calls if ours or request.tools else None,
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_logprobs": request.top_logprobs,
        "text": encode_text(request),
        "reasoning": _encode_reasoning(request.reasoning, notes),
        "user": request.user,
        "metadata": request.metadata,
        "service_tier": request.service_tier,
        "store": request.store,
        "prompt_cache_key": request.prompt_cache_key,
    }
    body: Json = {
        "model": request.model,
        "input": encode_items(messages, notes, namespaces_of(request.tools), clients_of(request.tools)),
    }
    body.update((key, value) for key, value in optional.items() if value is not None)
    if any(part.cache for message in messages for part in message.content if isinstance(part, _MARKED)):
        notes.append("Prompt-cache markers were left out: this provider caches by itself.")
    if not ours:
        notes += [f"'{name}' was left out: the Responses API has no such setting." for name in request.extra]
        body |= _stateless(request)
        return body
    for key, value in request.extra.items():
        both = isinstance(value, dict) and isinstance(body.get(key), dict)
        body[key] = {**body[key], **value} if both else value
    return body


def _refuse(request: ChatRequest) -> None:
    if request.n is not None and request.n > 1:
        raise UnsupportedByTarget("The Responses API gives one answer a request: n must be 1.", param="n")
    if "audio" in request.modalities:
        raise UnsupportedByTarget(
            "The Responses API does not speak: leave 'audio' out of modalities.", param="modalities"
        )


def _stateless(request: ChatRequest) -> Json:
    """What other dialects take for granted: nothing is stored, and thoughts come along to be sent back."""
    include = [LOGPROBS] if request.logprobs else []
    thinks = request.reasoning
    if thinks is not None and thinks.effort != "none" and thinks.mode != "disabled" and not request.store:
        include.append("reasoning.encrypted_content")
    body: Json = {"include": include} if include else {}
    if request.store is None:
        body["store"] = False
    return body


def _split_instructions(messages: tuple[Message, ...]) -> tuple[str | None, tuple[Message, ...]]:
    """A leading system message of plain text is the instructions, when anything follows it."""
    first = messages[0] if len(messages) > 1 else None
    if first is None or first.role != "system" or first.extra or len(first.content) != 1:
        return None, messages
    words = first.content[0]
    if not isinstance(words, Text) or not words.text:
        return None, messages
    return words.text, messages[1:]


def encode_tool(tool: Tool, ours: bool = True) -> Json:
    """One tool. Functions are strict by default here and nowhere else, so for a request of another dialect we say no."""
    if tool.kind == "builtin":
        return tool.data or {}
    if tool.native is not None and tool.dialect == DIALECT:
        return tool.native
    encoded: Json = {"type": tool.kind, "name": tool.name, "description": tool.description}
    if tool.kind == "custom":
        encoded["format"] = tool.format
    else:
        encoded["parameters"] = tool.parameters
        encoded["strict"] = tool.strict if ours or tool.strict is not None else False
    if not ours and tool.kind == "function" and tool.parameters is None:
        encoded["parameters"] = {"type": "object", "properties": {}}
    encoded = {key: value for key, value in encoded.items() if value is not None}
    return encoded | tool.data if tool.dialect == DIALECT and tool.data else encoded


def encode_tool_choice(choice: ToolChoice | None, tools: tuple[Tool, ...]) -> str | Json | None:
    """This dialect's choice of tools."""
    if choice is None:
        return None
    kinds = {tool.name: tool.kind for tool in tools}

    def named(name: str) -> Json:
        kind = kinds.get(name, "function")
        return {"type": name} if kind == "builtin" else {"type": kind, "name": name}

    match choice.kind:
        case "named":
            return named(choice.name or "")
        case "allowed":
            return {"type": "allowed_tools", "mode": choice.mode, "tools": [named(n) for n in choice.names]}
        case plain:
            return plain


def encode_text(request: ChatRequest) -> Json | None:
    """`text`: the format and the verbosity."""
    text: Json = {}
    if request.output is not None:
        text["format"] = _encode_format(request.output)
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    return text or None


def _encode_format(output: OutputFormat) -> Json:
    if output.kind != "json_schema":
        return {"type": "json_object" if output.kind == "json" else "text"}
    wanted: dict[str, Any] = {
        "type": "json_schema",
        "name": output.name or "answer",
        "schema": output.schema or {},
        "description": output.description,
        "strict": output.strict,
    }
    return {key: value for key, value in wanted.items() if value is not None}


def _encode_reasoning(reasoning: Reasoning | None, notes: list[str]) -> Json | None:
    if reasoning is None:
        return None
    encoded: Json = {}
    if effort := effort_of(reasoning, notes):
        encoded["effort"] = effort
    if summary := reasoning.summary or ("auto" if reasoning.include else None):
        encoded["summary"] = summary
    return encoded or None
