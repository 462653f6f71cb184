"""What a stream said so far, to be kept as a turn of its conversation."""

from __future__ import annotations

from collections.abc import Iterable

from intellirouter.chat.delta import Delta, TextDelta, ToolCallArguments, ToolCallStart
from intellirouter.chat.model import Message
from intellirouter.chat.parts import Part, Text, ToolCall


class Heard:
    """The words and calls of the first choice."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[int, tuple[ToolCallStart, list[str]]] = {}

    def take(self, deltas: Iterable[Delta]) -> None:
        """Add what came."""
        for delta in deltas:
            match delta:
                case TextDelta(choice=0):
                    self._text.append(delta.text)
                case ToolCallStart(choice=0):
                    self._calls[delta.index] = (delta, [])
                case ToolCallArguments(choice=0) if delta.index in self._calls:
                    self._calls[delta.index][1].append(delta.fragment)

    def whole(self) -> Message:
        """The answer, once it has come to its end."""
        calls = [
            ToolCall(start.id, start.name, "".join(pieces), start.kind, start.signature)
            for start, pieces in self._calls.values()
        ]
        text = "".join(self._text)
        parts: list[Part] = [Text(text)] if text or not calls else []
        return Message("assistant", (*parts, *calls))

    def cut(self) -> Message | None:
        """The words of one that was cut: a call without its result would make the conversation useless. None where there are none."""
        text = "".join(self._text)
        return Message("assistant", (Text(text),)) if text.strip() else None
