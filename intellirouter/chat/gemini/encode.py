"""Requests as Gemini reads them, from canonical."""

from __future__ import annotations

from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.gemini.parts import ANY_SIGNATURE, DIALECT, encode_part, pick
from intellirouter.chat.gemini.thinking import encode_thinking, signs_calls
from intellirouter.chat.model import ChatRequest, Message, Tool, ToolChoice
from intellirouter.chat.parts import ToolCall, ToolResult
from intellirouter.chat.sealed_thoughts import is_thought_seal
from intellirouter.chat.vendor_tools import without_foreign_tools

_UNKNOWN = (
    "min_p",
    "logit_bias",
    "parallel_tool_calls",
    "verbosity",
    "prediction",
    "audio",
    "user",
    "metadata",
    "store",
    "prompt_cache_key",
    "cache",
    "service_tier",
)


def encode_request(request: ChatRequest, notes: list[str]) -> Json:
    """The JSON object of a request, without the model: that stands in the URL."""
    if request.source is not None and request.source.dialect == DIALECT:
        return _relayed(request.source.body, request.model)
    request = without_foreign_tools(request, DIALECT, notes)
    system, contents = _encode_turns(request, notes)
    body: Json = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if request.tools:
        body["tools"] = _encode_tools(request.tools, notes)
    if request.tool_choice is not None:
        body["toolConfig"] = {"functionCallingConfig": _encode_choice(request.tool_choice)}
    if len(body.get("tools") or ()) > 1 and any(tool.kind != "builtin" for tool in request.tools):
        body.setdefault("toolConfig", {})["includeServerSideToolInvocations"] = True
    if settings := _encode_settings(request, notes):
        body["generationConfig"] = settings
    notes.extend(
        f"'{name}' was left out: Gemini has no such setting."
        for name in _UNKNOWN
        if getattr(request, name) is not None
    )
    if request.extra_dialect != DIALECT:
        notes.extend(f"'{name}' was left out: Gemini has no such setting." for name in request.extra)
    else:
        for name, value in request.extra.items():
            nested = body.get(name)
            body[name] = (
                {**nested, **value} if isinstance(nested, dict) and isinstance(value, dict) else value
            )
    return body


def _encode_turns(request: ChatRequest, notes: list[str]) -> tuple[list[Json], list[Json]]:
    """The system parts, and the turns with neighbours of one role joined, as Gemini wants them to alternate."""
    system: list[Json] = []
    contents: list[Json] = []
    names: dict[str, str] = {}
    signs = signs_calls(request.model)
    for message in request.messages:
        names |= {part.id: part.name for part in message.content if isinstance(part, ToolCall)}
        parts = _encode_parts(message, names, notes)
        if message.role in ("system", "developer"):
            if contents:
                notes.append("A system message inside the conversation was moved to its start.")
            system.extend(parts)
            continue
        if not parts:
            continue
        role = "model" if message.role == "assistant" else "user"
        if signs and role == "model":
            _sign_first_call(parts)
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        else:
            contents.append({"role": role, "parts": parts})
    return system, contents


def _relayed(body: Json, model: str) -> Json:
    """A client's own body, but for what other vendors left in its conversation."""
    contents = body.get("contents")
    if not isinstance(contents, list) or not any(_is_model_turn(content) for content in contents):
        return body
    signs = signs_calls(model)
    kept = [_of_google(content, signs) if _is_model_turn(content) else content for content in contents]
    return {**body, "contents": kept}


def _is_model_turn(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and content.get("role") == "model"
        and isinstance(content.get("parts"), list)
    )


def _of_google(content: Json, signs: bool) -> Json:
    """A turn without thoughts that only we can read, its first call signed where it must be."""
    parts = [
        part
        for part in content["parts"]
        if not (isinstance(part, dict) and is_thought_seal(pick(part, "thoughtSignature")))
    ]
    place = next(
        (i for i, part in enumerate(parts) if isinstance(part, dict) and pick(part, "functionCall")), None
    )
    if signs and place is not None and pick(parts[place], "thoughtSignature") is None:
        parts[place] = {**parts[place], "thoughtSignature": ANY_SIGNATURE}
    return {**content, "parts": parts}


def _sign_first_call(parts: list[Json]) -> None:
    """Gemini 3 refuses a first call without a signature; a call another vendor made has none."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None and "thoughtSignature" not in first:
        first["thoughtSignature"] = ANY_SIGNATURE


def _encode_parts(message: Message, names: dict[str, str], notes: list[str]) -> list[Json]:
    if any(getattr(part, "cache", None) is not None for part in message.content):
        notes.append("Prompt-cache markers were left out: Gemini caches by itself.")
    results = [part for part in message.content if isinstance(part, ToolResult)]
    rest = [part for part in message.content if not isinstance(part, ToolResult)]
    encoded = (encode_part(part, names, notes) for part in (*results, *rest))
    return [part for part in encoded if part is not None]


def _encode_tools(tools: tuple[Tool, ...], notes: list[str]) -> list[Json]:
    declarations: list[Json] = []
    others: list[Json] = []
    for tool in tools:
        if tool.kind == "builtin":
            others.append(tool.data or {})
            continue
        if tool.strict:
            notes.append(f"Gemini does not hold the arguments of '{tool.name}' strictly to their schema.")
        function: Json = {"name": tool.name, "description": tool.description}
        if tool.parameters:
            function["parametersJsonSchema"] = tool.parameters
        declarations.append({k: v for k, v in function.items() if v is not None})
    return ([{"functionDeclarations": declarations}] if declarations else []) + others


def _encode_choice(choice: ToolChoice) -> Json:
    match choice.kind:
        case "named":
            return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
        case "allowed":
            mode = "ANY" if choice.mode == "required" else "VALIDATED"
            return {"mode": mode, "allowedFunctionNames": list(choice.names)}
        case plain:
            return {"mode": {"auto": "AUTO", "none": "NONE", "required": "ANY"}[plain]}


def _encode_settings(request: ChatRequest, notes: list[str]) -> Json:
    settings: Json = {
        "maxOutputTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
        "seed": request.seed,
        "stopSequences": list(request.stop) or None,
        "candidateCount": request.n,
        "responseLogprobs": request.logprobs,
        "logprobs": request.top_logprobs,
        "responseModalities": [word.upper() for word in request.modalities] or None,
        "thinkingConfig": encode_thinking(request.reasoning, request.model, notes),
    }
    if request.output is not None and request.output.kind != "text":
        settings["responseMimeType"] = "application/json"
        settings["responseJsonSchema"] = request.output.schema
    return {key: value for key, value in settings.items() if value is not None}
