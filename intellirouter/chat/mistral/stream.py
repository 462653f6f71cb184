"""Deltas to chunks: a call goes out whole, when its arguments are, and the last chunk holds finish and usage."""

from __future__ import annotations

import time

import msgspec

from intellirouter.chat.delta import (
    Delta,
    Finish,
    ImageDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.fields import Json
from intellirouter.chat.mistral.response import encode_call, encode_usage, picture_chunk, thinking_chunk
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.errors import error_envelope
from intellirouter.chat.openai_chat.response import encode_finish
from intellirouter.chat.parts import Image, Thinking, ToolCall
from intellirouter.chat.response import Usage
from intellirouter.chat.sse import format_event
from intellirouter.errors import IntelliRouterError

_encode = msgspec.json.Encoder(enc_hook=str).encode


class ChunkEncoder:
    """See `EventEncoder`."""

    def __init__(self, request: ChatRequest) -> None:
        self._head: Json = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": request.model,
        }
        self._spoken: set[int] = set()
        self._calls: dict[tuple[int, int], tuple[ToolCallStart, list[str]]] = {}
        self._finishes: list[Finish] = []
        self._usage: Usage | None = None

    def encode(self, deltas: tuple[Delta, ...]) -> bytes:
        """One chunk per delta that says something."""
        return b"".join([self._encode_one(delta) for delta in deltas])

    def finish(self) -> bytes:
        """The finish of each choice, the last with the usage, and `[DONE]`."""
        finishes = self._finishes or [Finish("stop")]
        chunks = [self._ended(finish, last=finish is finishes[-1]) for finish in finishes]
        return b"".join(chunks) + b"data: [DONE]\n\n"

    def error(self, error: IntelliRouterError) -> bytes:
        """An error object where a chunk was expected, and no `[DONE]`."""
        return format_event(_encode(error_envelope(error)))

    def _encode_one(self, delta: Delta) -> bytes:
        match delta:
            case Start():
                self._head["id"] = delta.id or self._head["id"]
                self._head["created"] = delta.created or self._head["created"]
                self._head["model"] = delta.model or self._head["model"]
                self._usage = delta.usage or self._usage
            case TextDelta() | RefusalDelta() if delta.text:
                return self._chunk(delta.choice, {"content": delta.text})
            case ThinkingDelta() if delta.text or delta.signature or delta.encrypted:
                thought = thinking_chunk(
                    Thinking(delta.text, delta.signature, delta.encrypted, delta.id, delta.signer)
                )
                return self._chunk(delta.choice, {"content": [thought]})
            case ImageDelta():
                picture = picture_chunk(Image(delta.url, delta.data, delta.media_type))
                return self._chunk(delta.choice, {"content": [picture]})
            case ToolCallStart():
                self._calls[delta.choice, delta.index] = (delta, [])
            case ToolCallArguments():
                if (call := self._calls.get((delta.choice, delta.index))) is not None:
                    call[1].append(delta.fragment)
            case Finish():
                self._finishes.append(delta)
            case UsageDelta():
                self._usage = delta.usage
            case _:
                pass
        return b""

    def _ended(self, finish: Finish, *, last: bool) -> bytes:
        delta: Json = {"content": ""}
        keys = sorted(key for key in self._calls if key[0] == finish.choice)
        calls = [(key[1], *self._calls.pop(key)) for key in keys]
        if calls:
            delta["tool_calls"] = [
                encode_call(ToolCall(start.id, start.name, "".join(fragments)), index)
                for index, start, fragments in calls
            ]
        more = {"usage": encode_usage(self._usage)} if last and self._usage is not None else {}
        word = encode_finish(finish.reason, finish.detail)
        return self._chunk(finish.choice, delta, finish=word, more=more)

    def _chunk(
        self, choice: int, delta: Json, *, finish: str | None = None, more: Json | None = None
    ) -> bytes:
        if choice not in self._spoken:
            self._spoken.add(choice)
            delta = {"role": "assistant", **delta}
        body = {"index": choice, "delta": delta, "finish_reason": finish}
        return format_event(_encode({**self._head, "choices": [body], **(more or {})}))
