"""Requests as Google's clients send them, to canonical."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.chat.gemini.parts import DIALECT, decode_part, joined, make_call_id, pick
from intellirouter.chat.model import (
    ChatRequest,
    Effort,
    Message,
    OutputFormat,
    Reasoning,
    Source,
    Tool,
    ToolChoice,
)
from intellirouter.chat.open_calls import OpenCalls
from intellirouter.chat.options import take_options
from intellirouter.chat.parts import Part, Thinking, ToolCall, ToolResult
from intellirouter.errors import InvalidRequest

_KNOWN = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"})
_SETTINGS = frozenset(
    """maxOutputTokens temperature topP topK presencePenalty frequencyPenalty seed stopSequences candidateCount
    responseLogprobs logprobs responseModalities thinkingConfig responseMimeType responseJsonSchema
    responseSchema""".split()
)
_MODES = {
    "AUTO": ToolChoice("auto"),
    "VALIDATED": ToolChoice("auto"),
    "NONE": ToolChoice("none"),
    "ANY": ToolChoice("required"),
}
_COUNTS = frozenset("minItems maxItems minLength maxLength minProperties maxProperties".split())
"""What is a number of 64 bits to Google, which its clients write as words."""
_LEVELS: dict[str, Effort] = {"minimal": "minimal", "low": "low", "medium": "medium", "high": "high"}


def camel(name: str) -> str:
    """`max_output_tokens` as `maxOutputTokens`; a camelCase name stays."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def _camel_keys(data: Json | None) -> Json:
    return {camel(key): value for key, value in (data or {}).items()}


def decode_request(body: Json, headers: Mapping[str, str]) -> ChatRequest:
    """A `generateContent` body, with the `model` and `stream` of the URL added to it."""
    body, options = take_options(body)
    model = fields.required_name(body, "model")
    stream = fields.boolean(body, "stream") or False
    source = {key: value for key, value in body.items() if key not in ("model", "stream")}
    data = _camel_keys(source)
    settings = _camel_keys(fields.mapping(data, "generationConfig"))
    messages = _decode_turns(data)
    extra = fields.rest(data, _KNOWN)
    if unknown := fields.rest(settings, _SETTINGS):
        extra["generationConfig"] = unknown
    return ChatRequest(
        model=model,
        messages=messages,
        tools=_decode_tools(data),
        tool_choice=_decode_choice(data),
        stream=stream,
        include_usage=True,
        extra=extra,
        extra_dialect=DIALECT,
        options=options,
        source=Source(DIALECT, source, dict(headers)),
        **_decode_settings(settings),
    )


def _decode_settings(settings: Json) -> dict[str, Any]:
    path = "generationConfig"
    return {
        "max_tokens": fields.integer(settings, "maxOutputTokens", path, least=1),
        "temperature": fields.number(settings, "temperature", path),
        "top_p": fields.number(settings, "topP", path),
        "top_k": fields.integer(settings, "topK", path),
        "presence_penalty": fields.number(settings, "presencePenalty", path),
        "frequency_penalty": fields.number(settings, "frequencyPenalty", path),
        "seed": fields.integer(settings, "seed", path),
        "stop": fields.strings(settings, "stopSequences", path),
        "n": fields.integer(settings, "candidateCount", path, least=1),
        "logprobs": fields.boolean(settings, "responseLogprobs", path),
        "top_logprobs": fields.integer(settings, "logprobs", path, least=0),
        "modalities": tuple(word.lower() for word in fields.strings(settings, "responseModalities", path)),
        "output": _decode_output(settings),
        "reasoning": _decode_thinking(_camel_keys(fields.mapping(settings, "thinkingConfig", path))),
    }


def _decode_output(settings: Json) -> OutputFormat | None:
    path = "generationConfig"
    schema = fields.mapping(settings, "responseJsonSchema", path)
    if schema is None and (limited := fields.mapping(settings, "responseSchema", path)) is not None:
        schema = plain_schema(limited)
    if schema is not None:
        return OutputFormat("json_schema", schema=schema)
    return OutputFormat("json") if settings.get("responseMimeType") == "application/json" else None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def plain_schema(schema: Any) -> Any:
    """Google's schema subset as JSON Schema: types in lower case, `nullable` as a type of its own.

    The names under `properties` are the caller's and stay as they are.
    """
    if isinstance(schema, list):
        return [plain_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain: Json = {}
    for name, value in schema.items():
        key = camel(name)
        if key == "type" and isinstance(value, str):
            plain[key] = value.lower()
        elif key == "properties" and isinstance(value, dict):
            plain[key] = {field: plain_schema(inner) for field, inner in value.items()}
        elif key in ("items", "anyOf", "prefixItems", "additionalProperties"):
            plain[key] = plain_schema(value)
        elif key in _COUNTS and isinstance(value, str) and _is_count(value):
            plain[key] = int(value)
        elif key not in ("nullable", "propertyOrdering"):
            plain[key] = value
    if plain.get("format") == "enum":  # Google's own word for what `enum` says
        del plain["format"]
    if schema.get("nullable") is True:
        _allow_null(plain)
    return plain


def _allow_null(schema: Json) -> None:
    if isinstance(kind := schema.get("type"), str):
        schema["type"] = [kind, "null"]
        if isinstance(words := schema.get("enum"), list) and None not in words:
            schema["enum"] = [*words, None]
    elif isinstance(branches := schema.get("anyOf"), list):
        schema["anyOf"] = [*branches, {"type": "null"}]


def _decode_thinking(config: Json) -> Reasoning | None:
    if not config:
        return None
    path = "generationConfig.thinkingConfig"
    level = (fields.text(config, "thinkingLevel", path) or "").lower()
    if level and level not in _LEVELS:
        raise InvalidRequest(
            f"'{path}.thinkingLevel' must be one of: high, low, medium, minimal.", param=path
        )
    budget = fields.integer(config, "thinkingBudget", path, least=-1)
    return Reasoning(
        effort=_LEVELS[level] if level else None,
        budget_tokens=budget if budget is not None and budget > 0 else None,
        mode="disabled" if budget == 0 else "adaptive" if budget == -1 else None,
        include=fields.boolean(config, "includeThoughts", path),
    )


def _decode_turns(data: Json) -> tuple[Message, ...]:
    turns: list[Message] = []
    system = data.get("systemInstruction")
    if system is not None:
        parts = _parts_of(system, "systemInstruction", "s", OpenCalls())
        turns.append(Message("system", parts))
    contents = data.get("contents")
    if isinstance(contents, (dict, str)):
        contents = [contents]
    if not isinstance(contents, list) or not contents:
        fields.missing("contents")
    unanswered = OpenCalls()
    for index, content in enumerate(contents):
        path = f"contents[{index}]"
        parts = _parts_of(content, path, str(index), unanswered)
        role = fields.text(content, "role", path) if isinstance(content, dict) else None
        if role not in (None, "", "user", "model", "function", "tool", "system"):
            raise InvalidRequest(f"'{path}.role' must be 'user' or 'model'.", param=f"{path}.role")
        if role == "model":
            turns.append(Message("assistant", parts))
        elif parts and all(isinstance(part, ToolResult) for part in parts):
            turns.append(Message("tool", parts))
        else:
            turns.append(Message("system" if role == "system" else "user", parts))
    return tuple(turns)


def _parts_of(content: Any, path: str, turn: str, unanswered: OpenCalls) -> tuple[Part, ...]:
    """A turn's parts. A result without an id answers the oldest open call of its name."""
    if isinstance(content, str):
        content = {"parts": [{"text": content}]}
    if not isinstance(content, dict):
        fields.wrong(path, "an object", content)
    raw_parts = content.get("parts")
    if isinstance(raw_parts, dict):
        content = {**content, "parts": [raw_parts]}
    parts: list[Part] = []
    pieces: list[Part] = []  # of thoughts
    for index, raw in enumerate(fields.objects(content, "parts", path)):
        part = decode_part(raw, make_call_id(turn, index))
        if isinstance(part, ToolCall):
            unanswered.add(part)
        elif isinstance(part, ToolResult):
            given = (pick(raw, "functionResponse") or {}).get("id")
            part = _answered(part, given, unanswered)
        if isinstance(part, Thinking):  # a client sends back a thought in the pieces it was streamed in
            pieces.append(part)
        elif part is not None:
            parts += (*joined(pieces), part)
            pieces.clear()
    return (*parts, *joined(pieces))


def _answered(result: ToolResult, given: Any, unanswered: OpenCalls) -> ToolResult:
    call = unanswered.answered(given if isinstance(given, str) and given else None, result.name)
    return result if call is None else ToolResult(call.id, result.content, result.name, result.is_error)


def _decode_tools(data: Json) -> tuple[Tool, ...]:
    """The tools; Google also takes one that stands outside an array."""
    tools: list[Tool] = []
    if isinstance(data.get("tools"), dict):
        data = {"tools": [data["tools"]]}
    for index, tool in enumerate(fields.objects(data, "tools")):
        path = f"tools[{index}]"
        found = _camel_keys(tool)
        inside = f"{path}.functionDeclarations"
        declared = fields.objects(found, "functionDeclarations", path)
        tools.extend(_decode_function(_camel_keys(function), inside) for function in declared)
        for name, value in found.items():
            if name != "functionDeclarations" and value is not None:
                tools.append(Tool(name, "builtin", dialect=DIALECT, data={name: value}))
    return tuple(tools)


def _decode_function(function: Json, path: str) -> Tool:
    parameters = fields.mapping(function, "parametersJsonSchema", path)
    if parameters is None and (limited := fields.mapping(function, "parameters", path)) is not None:
        parameters = plain_schema(limited)
    return Tool(
        fields.required_text(function, "name", path),
        description=fields.text(function, "description", path),
        parameters=parameters,
    )


def _decode_choice(data: Json) -> ToolChoice | None:
    config = _camel_keys(fields.mapping(data, "toolConfig"))
    calling = _camel_keys(fields.mapping(config, "functionCallingConfig", "toolConfig"))
    path = "toolConfig.functionCallingConfig"
    word = (fields.text(calling, "mode", path) or "").upper()
    names = fields.strings(calling, "allowedFunctionNames", path)
    if not word or word == "MODE_UNSPECIFIED":
        return None
    if word not in _MODES:
        raise InvalidRequest(f"'{path}.mode' must be AUTO, ANY, NONE or VALIDATED.", param=f"{path}.mode")
    if word == "ANY" and len(names) == 1:
        return ToolChoice("named", names[0])
    if names and word != "NONE":
        return ToolChoice("allowed", names=names, mode="required" if word == "ANY" else "auto")
    return _MODES[word]
