"""Requests as Anthropic reads them, from canonical."""

from __future__ import annotations

from typing import Any

from intellirouter.chat.anthropic_messages.blocks import DIALECT, encode_cache, encode_parts
from intellirouter.chat.anthropic_messages.models import traits_of
from intellirouter.chat.anthropic_messages.thinking import encode_thinking
from intellirouter.chat.citations import is_ours
from intellirouter.chat.fields import Json
from intellirouter.chat.fit.turns import GO_ON
from intellirouter.chat.model import ChatRequest, Message, Tool, ToolChoice
from intellirouter.chat.parts import Part, Text, ToolResult
from intellirouter.chat.sealed_thoughts import is_thought_seal
from intellirouter.chat.signed_calls import is_call_seal
from intellirouter.chat.vendor_tools import without_foreign_tools
from intellirouter.errors import UnsupportedByTarget

DEFAULT_MAX_TOKENS = 16_384
OLD_MAX_TOKENS = 4_096
_UNKNOWN = (
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "min_p",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "prediction",
    "verbosity",
    "metadata",
    "store",
    "prompt_cache_key",
)
_JSON_INSTRUCTION = "Answer with a single JSON object and nothing else."


def encode_request(request: ChatRequest, notes: list[str]) -> Json:
    """The JSON object of a request. See `WireFormat.encode_request`."""
    if request.source is not None and request.source.dialect == DIALECT:
        body = {**request.source.body, "model": request.model}
        body.pop("stream", None)
        _drop_unsigned(body, notes)
    else:
        body = _encode_fields(without_foreign_tools(request, DIALECT, notes), notes)
    if request.stream:
        body["stream"] = True
    return body


def _drop_unsigned(body: Json, notes: list[str]) -> None:
    """Thoughts and citations another vendor gave this client: the API takes back only what it signed itself."""
    messages = body["messages"]
    if not any(_unsigned(block) or _cites(block) for message in messages for block in _blocks(message)):
        return
    if any(_unsigned(block) for message in messages for block in _blocks(message)):
        notes.append("Reasoning without a signature was left out: the API takes back only what it signed.")
    kept = [
        {**message, "content": [_uncited(block) for block in blocks if not _unsigned(block)]}
        if (blocks := _blocks(message))
        else message
        for message in messages
    ]
    body["messages"] = [message for message in kept if message["content"] != []]


def _blocks(message: Json) -> list[Any]:
    content = message["content"]
    return content if isinstance(content, list) else []


def _unsigned(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    signature = block.get("signature")
    unsigned = block.get("type") == "thinking" and (not signature or is_thought_seal(signature))
    return unsigned or is_call_seal(block.get("data"))


def _cites(block: Any) -> bool:
    found = block.get("citations") if isinstance(block, dict) else None
    return isinstance(found, list) and any(map(is_ours, found))


def _uncited(block: Any) -> Any:
    if not _cites(block):
        return block
    return {**block, "citations": [one for one in block["citations"] if not is_ours(one)] or None}


def _encode_fields(request: ChatRequest, notes: list[str]) -> Json:
    _refuse(request)
    system, turns = _split_system(request.messages, notes)
    if request.output is not None and request.output.kind == "json":
        notes.append("JSON mode was sent as an instruction: this API has it only with a schema.")
        system.append({"type": "text", "text": _JSON_INSTRUCTION})
    body: Json = {
        "model": request.model,
        "max_tokens": 0,
        "messages": _encode_turns(turns, request.model, notes),
    }
    optional: Json = {
        "system": _plain(system) or None,
        "tools": [_encode_tool(tool) for tool in _offered(request, notes)] or None,
        "tool_choice": _encode_tool_choice(request, notes),
        "stop_sequences": list(request.stop) or None,
        "metadata": {"user_id": request.user} if request.user else None,
        "service_tier": _service_tier(request.service_tier, notes),
        **encode_cache(request.cache),
        **encode_thinking(request, notes),
    }
    body.update((key, value) for key, value in optional.items() if value is not None)
    body["max_tokens"] = _max_tokens(request, body)
    if request.extra and request.extra_dialect == DIALECT:
        body |= request.extra
    _note_losses(request, notes)
    return body


def _refuse(request: ChatRequest) -> None:
    if (request.n or 1) > 1:
        raise UnsupportedByTarget("Anthropic models give one answer a request: n must be 1.", param="n")
    if "audio" in request.modalities:
        raise UnsupportedByTarget(
            "Anthropic models do not speak: leave 'audio' out of modalities.", param="modalities"
        )


def _note_losses(request: ChatRequest, notes: list[str]) -> None:
    lost = [name for name in _UNKNOWN if getattr(request, name) is not None]
    if request.extra_dialect != DIALECT:
        lost += request.extra
    notes.extend(f"'{name}' was left out: Anthropic has no such setting." for name in lost)


def _split_system(messages: tuple[Message, ...], notes: list[str]) -> tuple[list[Json], list[Message]]:
    """The system prompt from wherever it stands, and the other turns."""
    system: list[Json] = []
    turns: list[Message] = []
    for message in messages:
        if message.role not in ("system", "developer"):
            turns.append(message)
            continue
        if turns:
            notes.append("A system message in mid-conversation was moved to the system prompt.")
        system.extend(encode_parts(message.content, notes))
    if not turns and system:
        notes.append("The system prompt was sent as the user's turn: this API wants at least one.")
        return [], [Message("user", message.content) for message in messages]
    return system, turns


def _plain(system: list[Json]) -> str | list[Json]:
    """A single unmarked text as a string: the commonest form."""
    if len(system) == 1 and system[0].keys() == {"type", "text"}:
        return str(system[0]["text"])
    return system


def _encode_turns(turns: list[Message], model: str, notes: list[str]) -> list[Json]:
    """Turns with those of one side in a row made one, tool results first, as the API demands."""
    if turns and turns[-1].role == "assistant" and not traits_of(model).prefill:
        notes.append("This model goes on with no turn of its own: it was asked to.")
        turns = [*turns, Message("user", (Text(GO_ON),))]
    merged: list[tuple[str, list[Part]]] = []
    for message in turns:
        role = "assistant" if message.role == "assistant" else "user"
        if merged and merged[-1][0] == role:
            merged[-1][1].extend(message.content)
        else:
            merged.append((role, list(message.content)))
    encoded: list[Json] = []
    for role, parts in merged:
        ordered = (
            sorted(parts, key=lambda part: not isinstance(part, ToolResult)) if role == "user" else parts
        )
        blocks = encode_parts(ordered, notes)
        if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
            encoded.append({"role": role, "content": blocks[0]["text"]})
        elif blocks:
            encoded.append({"role": role, "content": blocks})
    return encoded


def _offered(request: ChatRequest, notes: list[str]) -> tuple[Tool, ...]:
    """The tools, or those of them the choice allows."""
    choice = request.tool_choice
    if choice is None or choice.kind != "allowed":
        return request.tools
    notes.append("Only the allowed tools were offered: this API cannot restrict the choice among them.")
    return tuple(tool for tool in request.tools if tool.name in choice.names)


def _encode_tool(tool: Tool) -> Json:
    if tool.kind == "builtin":
        return tool.data or {}
    if tool.native is not None and tool.dialect == DIALECT:
        return tool.native
    schema = tool.parameters or {"type": "object", "properties": {}}
    encoded: Json = {"name": tool.name, "input_schema": schema, **encode_cache(tool.cache), **tool.extra}
    if tool.description is not None:
        encoded["description"] = tool.description
    if tool.strict is not None:
        encoded["strict"] = tool.strict
    return encoded


def _encode_tool_choice(request: ChatRequest, notes: list[str]) -> Json | None:
    if not request.tools:
        return None
    choice = request.tool_choice or (ToolChoice("auto") if request.parallel_tool_calls is False else None)
    if choice is None:
        return None
    if _forces(choice) and not traits_of(request.model).forced_tools:
        notes.append("This model cannot be made to call a tool; the choice was left to it.")
        choice = ToolChoice("auto")
    match choice.kind:
        case "required":
            encoded: Json = {"type": "any"}
        case "named":
            encoded = {"type": "tool", "name": choice.name}
        case "allowed":
            encoded = {"type": "any" if choice.mode == "required" else "auto"}
        case plain:
            encoded = {"type": plain}
    if request.parallel_tool_calls is not None and choice.kind != "none":
        encoded["disable_parallel_tool_use"] = not request.parallel_tool_calls
    return encoded


def _forces(choice: ToolChoice) -> bool:
    """True where a tool must be called."""
    return choice.kind in ("required", "named") or (choice.kind == "allowed" and choice.mode == "required")


def _service_tier(tier: str | None, notes: list[str]) -> str | None:
    match tier:
        case None | "auto" | "standard_only":
            return tier
        case "default":
            return "standard_only"
        case _:
            notes.append(f"Service tier '{tier}' was sent as 'auto'.")
            return "auto"


def _max_tokens(request: ChatRequest, body: Json) -> int:
    """What was asked for, or a generous default; always above the thinking budget, as the API demands."""
    budget = int(body.get("thinking", {}).get("budget_tokens") or 0)
    default = OLD_MAX_TOKENS if traits_of(request.model).old else DEFAULT_MAX_TOKENS
    wanted = request.max_tokens or default
    return wanted if wanted > budget else budget + wanted
