"""Custom tools, whose input is free text, with vendors that only know functions.

Such a vendor is offered a function with the one string `input`, and what it calls with JSON comes back to the client as
the free text it is waiting for.
"""

from __future__ import annotations

import msgspec

from intellirouter.chat.delta import Delta, Finish, ToolCallArguments, ToolCallStart
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Part, ToolCall
from intellirouter.chat.response import ChatResponse

INPUT_SCHEMA: Json = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def custom_names(request: ChatRequest) -> frozenset[str]:
    """The names of the request's custom tools."""
    return frozenset(tool.name for tool in request.tools if tool.kind == "custom")


def note_for(name: str) -> str:
    """What the caller is told of such a tool."""
    return f"The free-form input of the tool '{name}' was asked for as an object with the field 'input'."


def free_text(arguments: str) -> str:
    """The text in a function's arguments; the arguments themselves where a model did not keep to the schema."""
    try:
        given = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    text = given.get("input") if isinstance(given, dict) and len(given) == 1 else None
    return text if isinstance(text, str) else arguments


def arguments_object(call: ToolCall, *, under: str = "input") -> Json:
    """What a call was made with, for a dialect that takes objects alone; other words stand `under` one name."""
    if call.kind == "custom":
        return {"input": call.arguments}
    try:
        given = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        given = None
    return given if isinstance(given, dict) else {under: call.arguments}


def restored(response: ChatResponse, customs: frozenset[str]) -> ChatResponse:
    """The answer with its calls of custom tools as such."""
    if not customs:
        return response
    choices = tuple(
        msgspec.structs.replace(choice, content=tuple(_restored(part, customs) for part in choice.content))
        for choice in response.choices
    )
    return msgspec.structs.replace(response, choices=choices)


def _restored(part: Part, customs: frozenset[str]) -> Part:
    if isinstance(part, ToolCall) and part.kind == "function" and part.name in customs:
        return msgspec.structs.replace(part, kind="custom", arguments=free_text(part.arguments))
    return part


class CustomCalls:
    """The same of a stream: the arguments of such a call are held until they are whole."""

    def __init__(self, customs: frozenset[str]) -> None:
        self._customs = customs
        self._held: dict[tuple[int, int], tuple[int, list[str]]] = {}

    def restore(self, deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
        """What these deltas are to the client."""
        if not self._customs:
            return deltas
        return tuple(told for delta in deltas for told in self._restore(delta))

    def _restore(self, delta: Delta) -> tuple[Delta, ...]:
        match delta:
            case ToolCallStart(kind="function") if delta.name in self._customs:
                self._held[delta.choice, delta.index] = (delta.block, [])
                return (msgspec.structs.replace(delta, kind="custom"),)
            case ToolCallArguments() if (delta.choice, delta.index) in self._held:
                self._held[delta.choice, delta.index][1].append(delta.fragment)
                return ()
            case Finish():
                return (*self._whole(delta.choice), delta)
            case _:
                return (delta,)

    def _whole(self, choice: int) -> tuple[Delta, ...]:
        keys = sorted(key for key in self._held if key[0] == choice)
        held = [(key[1], *self._held.pop(key)) for key in keys]
        return tuple(
            ToolCallArguments(index, free_text("".join(fragments)), block, choice)
            for index, block, fragments in held
        )
