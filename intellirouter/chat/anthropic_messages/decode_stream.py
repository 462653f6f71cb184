"""Streaming events to deltas. The vendor's block index is ours."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.anthropic_messages.blocks import DIALECT, VENDOR, encode_arguments
from intellirouter.chat.anthropic_messages.errors import decode_error
from intellirouter.chat.anthropic_messages.response import decode_finish
from intellirouter.chat.anthropic_messages.usage import decode_usage
from intellirouter.chat.delta import (
    AnnotationDelta,
    Delta,
    Finish,
    OpaqueDelta,
    RedactedThinkingDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.parts import NO_ARGUMENTS
from intellirouter.chat.response import Usage
from intellirouter.chat.sealed_thoughts import unsealed
from intellirouter.errors import UpstreamProtocolError


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: dict[str, Any] | None = None
    content_block: dict[str, Any] | None = None
    delta: Any = None
    usage: dict[str, Any] | None = None
    error: Any = None


_event = msgspec.json.Decoder(_Event)


class EventReader:
    """See `EventDecoder`."""

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._calls: dict[int, int] = {}  # block to the number of its tool call
        self._silent: set[int] = set()  # blocks of calls of whose arguments nothing came
        self._finished = False
        self._opaque: dict[int, tuple[dict[str, Any], list[str]]] = {}  # blocks gathered until they stop
        self._stopped = False

    @property
    def complete(self) -> bool:
        """`message_stop` came."""
        return self._stopped

    @property
    def done(self) -> bool:
        """Nothing follows `message_stop`."""
        return self._stopped

    def decode(self, event: str, data: bytes) -> tuple[Delta, ...] | None:
        """One event. See `EventDecoder.decode`."""
        try:
            read = _event.decode(data)
        except (msgspec.DecodeError, RecursionError) as cause:
            raise UpstreamProtocolError("an event of the stream is not a message event") from cause
        match read.type or event:
            case "content_block_delta":
                return self._delta(read.index, read.delta if isinstance(read.delta, dict) else {})
            case "content_block_start":
                return self._block_start(read.index, read.content_block or {})
            case "content_block_stop":
                return self._block_stop(read.index)
            case "message_start":
                return self._message_start(read.message or {})
            case "message_delta":
                return self._message_delta(read)
            case "message_stop":
                self._stopped = True
                return self._last_words()
            case "error":
                raise decode_error(data)
        return ()  # a ping, or an event newer than this code

    def _message_start(self, message: dict[str, Any]) -> tuple[Delta, ...]:
        self._usage = decode_usage(message.get("usage"))
        return (
            Start(id=str(message.get("id") or ""), model=str(message.get("model") or ""), usage=self._usage),
        )

    def _last_words(self) -> tuple[Delta, ...]:
        """What a compatible server did not say before the end: that a call has no arguments, and why it ends."""
        told: list[Delta] = [
            ToolCallArguments(self._calls[index], NO_ARGUMENTS, index) for index in sorted(self._silent)
        ]
        self._silent.clear()
        if not self._finished:
            told.append(Finish("tool_calls" if self._calls else "stop"))
        return tuple(told)

    def _message_delta(self, read: _Event) -> tuple[Delta, ...]:
        deltas: list[Delta] = []
        delta = read.delta if isinstance(read.delta, dict) else {}
        reason, detail = decode_finish(delta.get("stop_reason"))
        if reason is not None:
            self._finished = True
            deltas.append(Finish(reason, 0, detail, delta.get("stop_sequence")))
        if read.usage is not None:
            self._usage = decode_usage(read.usage, self._usage)
        if self._usage is not None:
            deltas.append(UsageDelta(self._usage))
        return tuple(deltas)

    def _block_start(self, index: int, block: dict[str, Any]) -> tuple[Delta, ...]:
        match block.get("type"):
            case "text":
                return (TextDelta(str(block["text"]), index),) if block.get("text") else ()
            case "thinking":
                text, signature = block.get("thinking") or "", block.get("signature") or None
                return (_thought(str(text), signature, index),) if text or signature else ()
            case "redacted_thinking":
                return (RedactedThinkingDelta(str(block.get("data") or ""), index),)
            case "tool_use":
                return self._call_start(index, block)
            case _:
                self._opaque[index] = (block, [])
                return ()

    def _call_start(self, index: int, block: dict[str, Any]) -> tuple[Delta, ...]:
        number = self._calls[index] = len(self._calls)
        self._silent.add(index)
        start = ToolCallStart(number, str(block.get("id") or ""), str(block.get("name") or ""), block=index)
        if block.get("input"):  # some compatible servers send the input at once
            self._silent.discard(index)
            return start, ToolCallArguments(number, encode_arguments(block["input"]), index)
        return (start,)

    def _delta(self, index: int, delta: dict[str, Any]) -> tuple[Delta, ...]:
        match delta.get("type"):
            case "text_delta":
                return (TextDelta(str(delta.get("text") or ""), index),)
            case "thinking_delta":
                return (ThinkingDelta(str(delta.get("thinking") or ""), index),)
            case "signature_delta":
                return (_thought("", str(delta.get("signature") or ""), index),)
            case "citations_delta":
                return (AnnotationDelta(citation=delta.get("citation"), block=index),)
            case "input_json_delta":
                fragment = str(delta.get("partial_json") or "")
                if index in self._opaque:
                    self._opaque[index][1].append(fragment)
                    return ()
                if index not in self._calls:
                    raise UpstreamProtocolError("arguments came for a block that is no tool call")
                if not fragment:
                    return ()
                self._silent.discard(index)
                return (ToolCallArguments(self._calls[index], fragment, index),)
            case _:
                return ()

    def _block_stop(self, index: int) -> tuple[Delta, ...]:
        """A block only this dialect knows goes on whole, its input put together; a call without arguments has none."""
        if index in self._silent:
            self._silent.discard(index)
            return (ToolCallArguments(self._calls[index], NO_ARGUMENTS, index),)
        if index not in self._opaque:
            return ()
        block, fragments = self._opaque.pop(index)
        if fragments:
            try:
                block = {**block, "input": msgspec.json.decode("".join(fragments) or "{}")}
            except (msgspec.DecodeError, RecursionError) as cause:
                raise UpstreamProtocolError("the input of a server tool is not JSON") from cause
        return (OpaqueDelta(DIALECT, block, index),)


def _thought(words: str, signature: str | None, index: int) -> ThinkingDelta:
    """More of a thought; another router may have sealed it for us."""
    known = unsealed(words, signature, VENDOR)
    return ThinkingDelta(words, index, 0, known.signature, known.encrypted, known.id, known.signer)
