"""What one call received, in tokens: the bill of an answer that nobody lets come to its end.

A vendor says what it used when an answer is complete. Until then this counts what came: text, thoughts, arguments of tool
calls, pictures and sound, each by its size. A delta is a token at least, since that is what vendors send one for. Sans-io.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from intellirouter.chat.delta import (
    Delta,
    Finish,
    OpaqueDelta,
    RedactedThinkingDelta,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.response import Usage
from intellirouter.chat.tokens import AUDIO_BYTES_PER_TOKEN, CHARACTERS_PER_TOKEN, IMAGE_TOKENS

JSON_BYTES_PER_TOKEN = 3
"""Arguments are cut into smaller pieces than prose: quotes and braces are tokens of their own."""
CALL_TOKENS = 8
"""What a tool call costs beside its name and arguments."""
IMAGE_BYTES = 2_000
"""Base64 from so many characters on is a picture or sound, whatever its field is called."""
DEEPEST = 8


class Tally:
    """Follows one upstream's stream. `usage` is what the vendor said last; `finished` once a choice was complete."""

    __slots__ = ("_bytes", "_other", "_pieces", "_sealed", "_settled", "_thought", "finished", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finished = False
        self._settled = False  # what the vendor said was said at the end
        self._pieces = 0
        self._bytes = 0
        self._thought = 0
        self._sealed = 0
        self._other = 0

    def take(self, events: Iterable[StreamEvent]) -> None:
        """These events came."""
        for event in events:
            told = False
            for delta in event.deltas:
                kind = type(delta)
                if kind is TextDelta:
                    self._text(delta)  # type: ignore[arg-type]
                elif kind is UsageDelta:
                    self.usage = delta.usage  # type: ignore[union-attr]
                    told = True
                else:
                    self._more(delta)
            if told and self.finished:
                self._settled = True

    def _text(self, delta: TextDelta) -> None:
        self._pieces += 1
        self._bytes += size_of(delta.text)

    def _more(self, delta: Delta) -> None:
        match delta:
            case ThinkingDelta():
                self._pieces += bool(delta.text)
                self._thought += size_of(delta.text)
                self._sealed += len(delta.encrypted or "") + len(delta.signature or "")
            case ToolCallArguments():
                self._pieces += 1
                self._bytes += size_of(delta.fragment) * CHARACTERS_PER_TOKEN // JSON_BYTES_PER_TOKEN
            case ToolCallStart():
                self._other += CALL_TOKENS + size_of(delta.name) // CHARACTERS_PER_TOKEN
            case RefusalDelta():
                self._pieces += 1
                self._bytes += size_of(delta.text)
            case RedactedThinkingDelta():
                self._sealed += len(delta.data)
            case OpaqueDelta():
                self._other += value_tokens(delta.data)
            case Start():
                self.usage = delta.usage or self.usage
            case Finish():
                self.finished = True
            case UsageDelta() | TextDelta():  # told in `take`
                pass
            case _:
                self._other += value_tokens(msgspec.to_builtins(delta))

    @property
    def tokens(self) -> int:
        """An estimate of what was written, thoughts included."""
        sealed = self._sealed * 3 // 4  # base64 of at least as many bytes as the thought has
        size = self._bytes + max(self._thought, sealed)
        return max(self._pieces, -(-size // CHARACTERS_PER_TOKEN)) + self._other

    def used(self, read: Callable[[], int]) -> Usage:
        """What is to be paid for now. `read` estimates the input, where the vendor has not told it.

        What the vendor said at the end holds. What it said before is exact for the input and the least for the output.
        """
        said = self.usage
        if said is None:
            return Usage(input_tokens=read(), output_tokens=self.tokens, estimated=True)
        if self._settled:
            return said
        return msgspec.structs.replace(
            said,
            input_tokens=said.input_tokens or read(),
            output_tokens=max(said.output_tokens, self.tokens),
            total=None,
            estimated=True,
        )


def size_of(text: str) -> int:
    """Bytes in UTF-8: scripts beyond ASCII are cut into smaller pieces."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def value_tokens(value: Any, depth: int = 0) -> int:
    """Tokens of a block that only one vendor knows: its words by their length, its pictures and sound by what they are."""
    if isinstance(value, str):
        if len(value) < IMAGE_BYTES or " " in value:
            return -(-size_of(value) // CHARACTERS_PER_TOKEN)
        return IMAGE_TOKENS
    if depth >= DEEPEST:
        return 0
    if isinstance(value, dict):
        kind = f"{value.get('mimeType') or value.get('media_type') or value.get('mime_type') or ''}"
        if "audio" in value or kind.startswith("audio/"):
            return len(msgspec.json.encode(value)) // AUDIO_BYTES_PER_TOKEN + 1
        return sum(value_tokens(item, depth + 1) for item in value.values())
    if isinstance(value, (list, tuple)):
        return sum(value_tokens(item, depth + 1) for item in value)
    return 0 if value is None else 1
