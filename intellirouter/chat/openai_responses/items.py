"""Input items to messages and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from intellirouter.chat import fields
from intellirouter.chat.fields import Json, at
from intellirouter.chat.model import Message, Role
from intellirouter.chat.openai_responses.client_tools import (
    BY_CALL,
    BY_OUTPUT,
    ClientTool,
    as_own_call,
)
from intellirouter.chat.openai_responses.content import DIALECT, decode_content, encode_input, output_text
from intellirouter.chat.openai_responses.namespaces import joined, parted
from intellirouter.chat.openai_responses.sealed import reasoning_item, unseal
from intellirouter.chat.parts import (
    NO_ARGUMENTS,
    Audio,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    ResultPart,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from intellirouter.chat.signed_calls import with_signatures
from intellirouter.errors import InvalidRequest

_ROLES: dict[str, Role] = {
    "user": "user",
    "system": "system",
    "developer": "developer",
    "assistant": "assistant",
}
_KNOWN_MESSAGE_FIELDS = frozenset({"type", "role", "content", "id", "status"})


def decode_items(items: list[Any], path: str) -> tuple[Message, ...]:
    """Messages; a run of the assistant's items is one of them."""
    messages: list[Message] = []
    parts: list[Part] = []  # of the assistant's turn now being read
    extra: Json | None = None  # of the message items in it

    def end_turn() -> None:
        nonlocal extra
        if parts or extra is not None:
            messages.append(Message("assistant", with_signatures(parts), extra=extra or {}))
        parts.clear()
        extra = None

    for position, item in enumerate(items):
        where = f"{path}[{position}]"
        if type(item) is not dict:
            fields.wrong(where, "an object", item)
        kind = item.get("type") or ("message" if "role" in item else fields.missing(at(where, "type")))
        if kind == "message":
            message = _decode_message(item, where)
            if message.role != "assistant":
                end_turn()
                messages.append(message)
                continue
            if extra is not None and extra != message.extra:
                end_turn()
            extra = message.extra
            parts.extend(message.content)
        elif type(kind) is str and kind in _OUTPUTS:
            end_turn()
            messages.append(_decode_output(item, where))
        elif kind == "additional_tools":  # it is among the request's tools
            continue
        elif type(kind) is str and (tool := BY_OUTPUT.get(kind)) is not None and _by_client(item):
            end_turn()
            call_id = fields.text(item, "call_id", where) or fields.required_text(item, "id", where)
            messages.append(Message("tool", (ToolResult(call_id, (Text(tool.heard(item)),)),)))
        elif type(kind) is str and kind.endswith(
            _OF_THE_CLIENT
        ):  # what the client says must not be lost as the vendor's may
            end_turn()
            messages.append(Message("user", (Opaque(DIALECT, item),)))
        else:
            reader = _TURN_ITEMS.get(kind) if isinstance(kind, str) else _bad_kind
            parts.append(reader(item, where) if reader else Opaque(DIALECT, item, told_by_server(item)))
    end_turn()
    return tuple(messages)


def told_by_server(item: Json) -> tuple[Text, ...]:
    """The words of what a tool on the vendor's side returned."""
    match item:
        case {"type": "mcp_call", "output": str() as output} if output:
            return (Text(output),)
        case {"type": "code_interpreter_call", "outputs": list() as outputs}:
            logs = (one.get("logs") for one in outputs if isinstance(one, dict))
            return tuple(Text(log) for log in logs if isinstance(log, str) and log)
        case {"type": "file_search_call", "results": list() as results}:
            found = (one.get("text") for one in results if isinstance(one, dict))
            return tuple(Text(text) for text in found if isinstance(text, str) and text)
        case _:
            return ()


def _bad_kind(_item: Json, path: str) -> Part:
    raise InvalidRequest(f"'{at(path, 'type')}' must name the kind of item.", param=at(path, "type"))


def _decode_message(item: Json, path: str) -> Message:
    role = fields.one_of(item, "role", _ROLES, path) or fields.missing(at(path, "role"))
    content = decode_content(item.get("content"), at(path, "content"))
    if not content and item.get("content") is None:
        fields.missing(at(path, "content"))
    return Message(_ROLES[role], content, extra=fields.rest(item, _KNOWN_MESSAGE_FIELDS))


def _decode_output(item: Json, path: str) -> Message:
    content = decode_content(item.get("output"), at(path, "output"))
    result = ToolResult(
        fields.required_text(item, "call_id", path),
        tuple(part for part in content if isinstance(part, ResultPart)),
        kind=_OUTPUTS[item["type"]],
    )
    return Message("tool", (result,))


def decode_call(item: Json, path: str) -> ToolCall:
    """A `function_call` or `custom_tool_call` item."""
    custom = item.get("type") == "custom_tool_call"
    google = (fields.mapping(item, "extra_content", path) or {}).get("google")
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return ToolCall(
        id=fields.text(item, "call_id", path) or fields.text(item, "id", path) or "",
        name=fields.text(item, "name", path) or "",
        arguments=fields.text(item, "input" if custom else "arguments", path)
        or ("" if custom else NO_ARGUMENTS),
        kind="custom" if custom else "function",
        signature=signature if isinstance(signature, str) else None,
    )


def _decode_own_call(item: Json, path: str) -> ToolCall:
    """A call of a function that the request offers, which may be under a namespace."""
    call, namespace = decode_call(item, path), fields.text(item, "namespace", path)
    return msgspec.structs.replace(call, name=joined(namespace, call.name)) if namespace else call


def _decode_client_call(item: Json, path: str) -> Part:
    """A call of a tool that the client runs, as one of a function; the vendor's own stays what it is."""
    tool = BY_CALL[item["type"]]
    if not _by_client(item):
        return Opaque(DIALECT, item)
    call_id = fields.text(item, "call_id", path) or fields.required_text(item, "id", path)
    return ToolCall(call_id, tool.type, msgspec.json.encode(tool.asked(item)).decode())


def _by_client(item: Json) -> bool:
    kind = str(item.get("type"))
    return not kind.startswith("tool_search") or item.get("execution") == "client"


def decode_reasoning(item: Json, path: str) -> Thinking | RedactedThinking:
    """A `reasoning` item: its summaries, then its own words where the vendor shows them."""
    pieces = [*fields.objects(item, "summary", path), *fields.objects(item, "content", path)]
    words = "\n\n".join(text for piece in pieces if (text := fields.text(piece, "text", path)))
    return unseal(words, fields.text(item, "encrypted_content", path), fields.text(item, "id", path))


_OUTPUTS: dict[Any, Any] = {"function_call_output": "function", "custom_tool_call_output": "custom"}
_OF_THE_CLIENT = ("_output", "_response")
_TURN_ITEMS: dict[str, Callable[[Json, str], Part]] = {
    "function_call": _decode_own_call,
    "custom_tool_call": decode_call,
    **dict.fromkeys(BY_CALL, _decode_client_call),
    "reasoning": decode_reasoning,
}


def encode_items(
    messages: tuple[Message, ...],
    notes: list[str],
    namespaces: Mapping[str, str],
    clients: Mapping[str, ClientTool],
) -> list[Json]:
    """The `input` of a request; `namespaces` and `clients` are those of its tools."""
    items: list[Json] = []
    customs = {
        part.id
        for message in messages
        for part in message.content
        if isinstance(part, ToolCall) and part.kind == "custom"
    }
    own = {
        part.id: clients[part.name]
        for message in messages
        for part in message.content
        if clients and isinstance(part, ToolCall) and part.name in clients
    }
    for message in messages:
        rest: list[Part] = []
        for part in message.content:
            if isinstance(part, ToolResult) and part.call_id in own:
                items.append(_encode_own_result(part, own[part.call_id]))
            elif isinstance(part, ToolResult):
                items.append(_encode_result(part, part.call_id in customs, notes))
            elif isinstance(part, Opaque) and message.role == "user" and _is_own_item(part):
                items.append(part.data)
            else:
                rest.append(part)
        if message.role == "assistant":
            turn = _encode_turn(message, rest, notes)
            items.extend(as_own_call(parted(item, namespaces), clients) for item in turn)
        elif rest or not message.content:
            role = "user" if message.role == "tool" else message.role
            items.append({"role": role, "content": encode_input(rest, notes), **message.extra})
    return items


def _encode_result(result: ToolResult, custom: bool, notes: list[str]) -> Json:
    content = encode_input(result.content, notes)
    if result.is_error:
        notes.append("A tool result's error flag was sent as the prefix 'Error:'.")
        prefix = {"type": "input_text", "text": "Error:"}
        content = f"Error: {content}" if isinstance(content, str) else [prefix, *content]
    kind = "custom_tool_call_output" if custom or result.kind == "custom" else "function_call_output"
    return {"type": kind, "call_id": result.call_id, "output": content}


def _encode_own_result(result: ToolResult, tool: ClientTool) -> Json:
    words = "\n".join(part.text for part in result.content if isinstance(part, Text))
    return {"type": tool.output, "call_id": result.call_id, **tool.answered(words)}


def _is_own_item(part: Opaque) -> bool:
    return part.dialect == DIALECT and str(part.data.get("type")).endswith(_OF_THE_CLIENT)


def _encode_turn(message: Message, parts: list[Part], notes: list[str]) -> list[Json]:
    """The assistant's turn: consecutive words are one message item, everything else an item of its own."""
    items: list[Json] = []
    spoken: list[Json] | None = None
    for part in parts:
        if (words := _spoken(part)) is not None:
            if spoken is None:
                spoken = []
                items.append({"role": "assistant", "content": spoken, **message.extra})
            spoken.append(words)
        elif (item := _encode_item(part, notes)) is not None:
            spoken = None
            items.append(item)
    return items


def _spoken(part: Part) -> Json | None:
    match part:
        case Text():
            return output_text(part)
        case Refusal():
            return {"type": "refusal", "refusal": part.text}
        case Opaque() if part.dialect == DIALECT and is_content(part.data):
            return part.data
        case Audio() if part.transcript:
            return {"type": "output_text", "text": part.transcript, "annotations": []}
        case _:
            return None


def is_content(data: Json) -> bool:
    """True for a content part of a message, false for an item."""
    return str(data.get("type")).startswith(("input_", "output_"))


def _encode_item(part: Part, notes: list[str]) -> Json | None:
    match part:
        case ToolCall():
            return encode_call(part)
        case Thinking() if part.encrypted is not None or (part.id and not part.signature):
            item = reasoning_item(part, part.id or "", part.encrypted)
            return item if part.id else fields.rest(item, {"id"})
        case Thinking() | RedactedThinking():
            notes.append("Another vendor's reasoning was left out: OpenAI takes back only its own.")
        case Opaque() if part.dialect == DIALECT:
            return part.data
        case Opaque():
            notes.append(f"A block only {part.dialect} knows was left out.")
        case _:
            notes.append(f"A {type(part).__name__} block in an assistant turn was left out.")
    return None


def encode_call(call: ToolCall) -> Json:
    """A `function_call` or `custom_tool_call` item, without an id of its own."""
    if call.kind == "custom":
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
