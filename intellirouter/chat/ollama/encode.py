"""Chat requests as Ollama reads them, from canonical."""

from __future__ import annotations

from intellirouter.chat.custom_tools import arguments_object
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, Tool
from intellirouter.chat.ollama.request import DIALECT
from intellirouter.chat.parts import Audio, File, Image, Opaque, Refusal, Text, Thinking, ToolCall, ToolResult
from intellirouter.chat.vendor_tools import without_foreign_tools
from intellirouter.errors import UnsupportedByTarget

_LOST = (
    "user",
    "logit_bias",
    "prediction",
    "service_tier",
    "verbosity",
    "metadata",
    "store",
    "prompt_cache_key",
    "parallel_tool_calls",
)


def encode_request(request: ChatRequest, notes: list[str]) -> Json:
    """The JSON object of a request. See `WireFormat.encode_request`."""
    if request.source is not None and request.source.dialect == DIALECT:
        return {**request.source.body, "model": request.model, "stream": request.stream}
    refuse(request)
    request = without_foreign_tools(request, DIALECT, notes)
    names = {
        part.id: part.name
        for message in request.messages
        for part in message.content
        if isinstance(part, ToolCall)
    }
    messages = [turn for message in request.messages for turn in _encode_message(message, names, notes)]
    if any(getattr(part, "cache", None) for message in request.messages for part in message.content):
        notes.append("Prompt-cache markers were left out: this provider caches by itself.")
    optional: Json = {
        "tools": _encode_tools(request, notes),
        "format": encode_format(request.output),
        "think": encode_think(request.reasoning, request.model, notes),
        "logprobs": request.logprobs,
        "top_logprobs": request.top_logprobs,
        "options": encode_options(request),
    }
    body: Json = {"model": request.model, "messages": messages, "stream": request.stream}
    body.update((key, value) for key, value in optional.items() if value not in (None, {}, []))
    if request.extra and request.extra_dialect == DIALECT:
        settings = request.extra.get("options", {})
        body |= request.extra | ({"options": {**settings, **body.get("options", {})}} if settings else {})
    notes.extend(lost(request))
    return body


def lost(request: ChatRequest) -> list[str]:
    """A note for each setting that has no place here."""
    names = [name for name in _LOST if getattr(request, name) is not None]
    if request.extra_dialect != DIALECT:
        names += request.extra
    return [f"'{name}' was left out: Ollama has no such setting." for name in names]


def refuse(request: ChatRequest) -> None:
    """Raise `UnsupportedByTarget` for what Ollama cannot do at all."""
    if (request.n or 1) > 1:
        raise UnsupportedByTarget("Ollama gives one answer a request: n must be 1.", param="n")
    if "audio" in request.modalities:
        raise UnsupportedByTarget(
            "Ollama does not speak: leave 'audio' out of modalities.", param="modalities"
        )


def _encode_message(message: Message, names: dict[str, str], notes: list[str]) -> list[Json]:
    results = [part for part in message.content if isinstance(part, ToolResult)]
    turns = [_encode_result(result, names, notes) for result in results]
    rest = [part for part in message.content if not isinstance(part, ToolResult)]
    if not rest and turns:
        return turns
    turn: Json = {"role": "system" if message.role == "developer" else message.role, "content": ""}
    words: list[str] = []
    thoughts: list[str] = []
    for part in rest:
        match part:
            case Text() | Refusal():
                if words or part.text:
                    words.append(f"\n{part.text}" if words else part.text)
            case Image():
                turn.setdefault("images", []).append(encode_image(part))
            case Thinking():
                thoughts.append(part.text)
            case ToolCall():
                turn.setdefault("tool_calls", []).append(encode_call(part))
            case File() if part.text is not None:
                title = f"{part.title or part.filename}:\n" if part.title or part.filename else ""
                words.append(f"\n{title}{part.text}\n")
                notes.append("A text document was sent as part of the turn's text.")
            case File() | Audio():
                raise UnsupportedByTarget(
                    "Ollama takes text and pictures, not documents or audio.", param="messages"
                )
            case Opaque():
                notes.append(f"A block only {part.dialect} knows was left out.")
            case _:
                notes.append("Encrypted reasoning of another vendor was left out.")
    turn["content"] = "".join(words)
    if thoughts:
        turn["thinking"] = "".join(thoughts)
    return [*turns, turn]


def encode_image(part: Image) -> str:
    """A picture as base64."""
    if part.data is None:
        raise UnsupportedByTarget("Ollama takes pictures as base64, not by URL or file id.", param="messages")
    return part.data


def encode_call(call: ToolCall) -> Json:
    """A tool call, its arguments an object."""
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments_object(call)}}


def _encode_result(result: ToolResult, names: dict[str, str], notes: list[str]) -> Json:
    if result.is_error:
        notes.append("A tool result's error flag was sent as the prefix 'Error:'.")
    if not all(isinstance(part, Text) for part in result.content):
        notes.append("Ollama takes only text as a tool's result: its pictures and documents were left out.")
    content = "\n".join(part.text for part in result.content if isinstance(part, Text))
    if result.is_error:
        content = f"Error: {content}"
    turn: Json = {"role": "tool", "content": content, "tool_call_id": result.call_id}
    if name := result.name or names.get(result.call_id):
        turn["tool_name"] = name
    return turn


def _encode_tools(request: ChatRequest, notes: list[str]) -> list[Json]:
    """The tools; a choice among them is approximated by what is offered."""
    choice = request.tool_choice
    if choice is None or choice.kind == "auto":
        return [_encode_tool(tool, notes) for tool in request.tools]
    if choice.kind == "none":
        notes.append("The tools were not offered: Ollama cannot be kept from calling one.")
        return []
    if "required" in (choice.kind, choice.mode) or choice.kind == "named":
        notes.append("Ollama cannot be made to call a tool; the choice was left to the model.")
    if choice.kind == "required":
        return [_encode_tool(tool, notes) for tool in request.tools]
    notes.append("Only the tools that may be called were offered.")
    allowed = choice.names if choice.kind == "allowed" else (choice.name,)
    return [_encode_tool(tool, notes) for tool in request.tools if tool.name in allowed]


def _encode_tool(tool: Tool, notes: list[str]) -> Json:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict:
        notes.append(f"Ollama does not hold the arguments of '{tool.name}' strictly to their schema.")
    function: Json = {"name": tool.name, "parameters": parameters}
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def encode_format(output: OutputFormat | None) -> str | Json | None:
    """The word `json`, or a schema."""
    if output is None or output.kind == "text":
        return None
    return "json" if output.kind == "json" else output.schema or {"type": "object"}


def encode_think(reasoning: Reasoning | None, model: str, notes: list[str]) -> bool | str | None:
    """Only gpt-oss takes a level; other models that think take yes or no."""
    if reasoning is None:
        return None
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if reasoning.mode == "disabled" or effort == "none" or budget == 0:
        return False
    if effort and "gpt-oss" in model:
        return {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)
    if effort or budget:
        notes.append("How much to think cannot be told to this model, only that it should.")
    return True if effort or budget or reasoning.mode else None


def encode_options(request: ChatRequest) -> Json:
    """Sampling and limits, by Ollama's names."""
    settings: Json = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "min_p": request.min_p,
        "seed": request.seed,
        "num_predict": request.max_tokens,
        "stop": list(request.stop) or None,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    return {key: value for key, value in settings.items() if value is not None}
