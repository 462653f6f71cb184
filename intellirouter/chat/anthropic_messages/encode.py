"""Requests as Anthropic reads them, from canonical."""

from __future__ import annotations

import re

from intellirouter.chat.anthropic_messages.blocks import DIALECT, encode_cache, encode_parts
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Message, Tool, ToolChoice
from intellirouter.chat.parts import Part, ToolResult
from intellirouter.errors import UnsupportedByTarget

DEFAULT_MAX_TOKENS = 16_384
OLD_MAX_TOKENS = 4_096
_OLD = re.compile(r"claude-(3-(opus|sonnet|haiku)|2|instant)")
# Models that take a budget of thinking tokens; later ones think adaptively, steered by an effort.
_BUDGETED = re.compile(r"claude-(3|2|instant)|claude-(opus|sonnet|haiku)-4(-[0-5])?(-\d{8}|-latest)?$")
_BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_768, "max": 63_999}
_UNKNOWN = (
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "min_p",
    "logprobs",
    "logit_bias",
    "prediction",
)
_JSON_INSTRUCTION = "Answer with a single JSON object and nothing else."


def encode_request(request: ChatRequest, notes: list[str]) -> Json:
    """The JSON object of a request. See `WireFormat.encode_request`."""
    if request.source is not None and request.source.dialect == DIALECT:
        body = {**request.source.body, "model": request.model}
        body.pop("stream", None)
    else:
        body = _encode_fields(request, notes)
    if request.stream:
        body["stream"] = True
    return body


def _encode_fields(request: ChatRequest, notes: list[str]) -> Json:
    _refuse(request)
    system, turns = _split_system(request.messages, notes)
    if request.output is not None and request.output.kind == "json":
        notes.append("JSON mode was sent as an instruction: this API has it only with a schema.")
        system.append({"type": "text", "text": _JSON_INSTRUCTION})
    body: Json = {"model": request.model, "max_tokens": 0, "messages": _encode_turns(turns, notes)}
    optional: Json = {
        "system": _plain(system) or None,
        "tools": [_encode_tool(tool) for tool in request.tools] or None,
        "tool_choice": _encode_tool_choice(request),
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop_sequences": list(request.stop) or None,
        "metadata": {"user_id": request.user} if request.user else None,
        "service_tier": _service_tier(request.service_tier, notes),
        "temperature": _temperature(request.temperature, notes),
        **encode_cache(request.cache),
        **_encode_thinking(request, notes),
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
    return system, turns


def _plain(system: list[Json]) -> str | list[Json]:
    """A single unmarked text as a string: the commonest form."""
    if len(system) == 1 and system[0].keys() == {"type", "text"}:
        return str(system[0]["text"])
    return system


def _encode_turns(turns: list[Message], notes: list[str]) -> list[Json]:
    """Turns with those of one side in a row made one, tool results first, as the API demands."""
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


def _encode_tool(tool: Tool) -> Json:
    if tool.kind == "builtin":
        if tool.dialect != DIALECT or tool.data is None:
            raise UnsupportedByTarget(
                f"The tool '{tool.name}' is run by {tool.dialect} providers themselves; this target has no such tool.",
                param="tools",
            )
        return tool.data
    if tool.kind == "custom":
        schema: Json = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    else:
        schema = tool.parameters or {"type": "object", "properties": {}}
    encoded: Json = {"name": tool.name, "input_schema": schema, **encode_cache(tool.cache), **tool.extra}
    if tool.description is not None:
        encoded["description"] = tool.description
    if tool.strict is not None:
        encoded["strict"] = tool.strict
    return encoded


def _encode_tool_choice(request: ChatRequest) -> Json | None:
    if not request.tools:
        return None
    choice = request.tool_choice or (ToolChoice("auto") if request.parallel_tool_calls is False else None)
    if choice is None:
        return None
    match choice.kind:
        case "required":
            encoded: Json = {"type": "any"}
        case "named":
            encoded = {"type": "tool", "name": choice.name}
        case "allowed":
            raise UnsupportedByTarget(
                "Anthropic cannot restrict the choice to some tools.", param="tool_choice"
            )
        case plain:
            encoded = {"type": plain}
    if request.parallel_tool_calls is not None and choice.kind != "none":
        encoded["disable_parallel_tool_use"] = not request.parallel_tool_calls
    return encoded


def _temperature(temperature: float | None, notes: list[str]) -> float | None:
    if temperature is None or temperature <= 1:
        return temperature
    notes.append(f"Temperature {temperature:g} was sent as 1, this API's highest.")
    return 1


def _service_tier(tier: str | None, notes: list[str]) -> str | None:
    match tier:
        case None | "auto" | "standard_only":
            return tier
        case "default":
            return "standard_only"
        case _:
            notes.append(f"Service tier '{tier}' was sent as 'auto'.")
            return "auto"


def _encode_thinking(request: ChatRequest, notes: list[str]) -> Json:
    """`thinking` and `output_config`, in the way the model at hand takes them."""
    config: Json = {}
    if request.output is not None and request.output.kind == "json_schema":
        config["format"] = {"type": "json_schema", "schema": request.output.schema or {}}
    encoded: Json = {}
    reasoning = request.reasoning
    if reasoning is not None:
        off = reasoning.mode == "disabled" or reasoning.effort == "none"
        budget = reasoning.budget_tokens
        if off:
            encoded["thinking"] = {"type": "disabled"}
        elif budget is None and reasoning.mode != "adaptive" and _BUDGETED.match(request.model):
            budget = _BUDGETS[reasoning.effort or "medium"]
            notes.append(
                f"Reasoning effort '{reasoning.effort}' was sent as a budget of {budget} thinking tokens."
            )
        if budget is not None and not off:
            encoded["thinking"] = {"type": "enabled", "budget_tokens": max(1_024, budget)}
        elif not off and (reasoning.mode or reasoning.effort):
            display = {None: {}, True: {"display": "summarized"}, False: {"display": "omitted"}}[
                reasoning.include
            ]
            encoded["thinking"] = {"type": "adaptive", **display}
            if reasoning.effort:
                config["effort"] = "low" if reasoning.effort == "minimal" else reasoning.effort
    if config:
        encoded["output_config"] = config
    return encoded


def _max_tokens(request: ChatRequest, body: Json) -> int:
    """What was asked for, or a generous default; always above the thinking budget, as the API demands."""
    budget = int(body.get("thinking", {}).get("budget_tokens") or 0)
    default = OLD_MAX_TOKENS if _OLD.match(request.model) else DEFAULT_MAX_TOKENS
    wanted = request.max_tokens or default
    return wanted if wanted > budget else budget + wanted
