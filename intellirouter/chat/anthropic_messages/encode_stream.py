"""Deltas to streaming events.

This dialect opens and closes one block after another; deltas of other vendors may interleave. A delta for a block that
is not the open one closes that and opens its own; arguments of a tool call that is not open are held until it is, and so is
what comes between two pieces of a call's arguments: a block cannot be opened again.
"""

from __future__ import annotations

import msgspec

from intellirouter.chat.anthropic_messages.blocks import DIALECT, VENDOR
from intellirouter.chat.anthropic_messages.errors import error_envelope
from intellirouter.chat.anthropic_messages.response import encode_finish
from intellirouter.chat.anthropic_messages.usage import encode_usage
from intellirouter.chat.delta import (
    AnnotationDelta,
    Delta,
    Finish,
    OpaqueDelta,
    RedactedThinkingDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import Usage
from intellirouter.chat.sealed_thoughts import signature_for
from intellirouter.chat.signed_calls import seal_call
from intellirouter.chat.sse import format_event
from intellirouter.errors import IntelliRouterError

_encode = msgspec.json.Encoder(enc_hook=str).encode

_Block = tuple[str, int]  # kind, and the canonical block it shows


class MessageEventEncoder:
    """See `EventEncoder`. Only the first choice exists in this dialect."""

    def __init__(self, request: ChatRequest) -> None:
        self._model = request.model
        self._started = False
        self._open: _Block | None = None
        self._index = -1
        self._usage = Usage()
        self._finish: Finish | None = None
        self._held: dict[int, list[str]] = {}  # arguments of calls that are not open now
        self._waiting: list[ToolCallStart] = []
        self._written: list[str] = []  # the arguments of the call that is open
        self._later: list[Delta] = []  # what came before they were whole

    def encode(self, deltas: tuple[Delta, ...]) -> bytes:
        """Events for these deltas."""
        return b"".join([self._encode_one(delta) for delta in deltas])

    def finish(self) -> bytes:
        """The last blocks, `message_delta` with the reason and the usage, `message_stop`."""
        tail = self._start(Start()) + self._close() + self._flush_calls() + self._flush_later()
        tail += self._close() + self._flush_calls()
        finish = self._finish or Finish("stop")
        reason = encode_finish(finish.reason, finish.detail, finish.stop_sequence)
        delta = {"stop_reason": reason, "stop_sequence": finish.stop_sequence}
        body = {"type": "message_delta", "delta": delta, "usage": encode_usage(self._usage)}
        return tail + _event(body) + _event({"type": "message_stop"})

    def error(self, error: IntelliRouterError) -> bytes:
        """The `error` event."""
        return format_event(_encode(error_envelope(error)), "error")

    def _encode_one(self, delta: Delta) -> bytes:
        match delta:
            case Start():
                return self._start(delta)
            case UsageDelta():
                self._usage = delta.usage
            case Finish():
                if delta.choice == 0:
                    self._finish = delta
            case _:
                if delta.choice == 0:
                    return self._start(Start()) + self._content(delta)
        return b""

    def _start(self, start: Start) -> bytes:
        if self._started:
            return b""
        self._started = True
        if start.usage is not None:
            self._usage = start.usage
        message: Json = {
            "id": start.id or "msg_stream",
            "type": "message",
            "role": "assistant",
            "model": start.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": encode_usage(self._usage),
        }
        return _event({"type": "message_start", "message": message})

    def _content(self, delta: Delta) -> bytes:
        if (
            self._open is not None
            and self._open[0] == "tool"
            and not isinstance(delta, (ToolCallStart, ToolCallArguments))
            and (self._later or not self._is_whole())
        ):
            self._later.append(delta)
            return b""
        return self._content_now(delta)

    def _is_whole(self) -> bool:
        """Whether all arguments of the open call came."""
        try:
            msgspec.json.decode("".join(self._written))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def _flush_later(self) -> bytes:
        later, self._later = self._later, []
        return b"".join([self._content_now(delta) for delta in later])

    def _content_now(self, delta: Delta) -> bytes:
        match delta:
            case TextDelta():
                if not delta.text:
                    return b""
                return self._piece("text", delta.block, {"type": "text_delta", "text": delta.text})
            case RefusalDelta():
                return self._piece("text", delta.block, {"type": "text_delta", "text": delta.text})
            case ThinkingDelta():
                return self._thinking(delta)
            case ToolCallStart():
                return self._call_start(delta)
            case ToolCallArguments():
                return self._call_arguments(delta)
            case RedactedThinkingDelta():
                return self._whole({"type": "redacted_thinking", "data": delta.data})
            case AnnotationDelta() if delta.citation is not None:
                return self._piece(
                    "text", delta.block, {"type": "citations_delta", "citation": delta.citation}
                )
            case OpaqueDelta() if delta.dialect == DIALECT:
                return self._whole(delta.data)
            case _:
                return b""

    def _thinking(self, delta: ThinkingDelta) -> bytes:
        words = b""
        if delta.text:
            words = self._piece("thinking", delta.block, {"type": "thinking_delta", "thinking": delta.text})
        if signature := signature_for(VENDOR, delta):
            piece = {"type": "signature_delta", "signature": signature}
            words += self._piece("thinking", delta.block, piece)
        return words

    def _piece(self, kind: str, block: int, delta: Json) -> bytes:
        """A delta of a text or thinking block, opened first where it is not open."""
        opening = b""
        if self._open != (kind, block):
            empty: Json = {"type": "text", "text": ""}
            if kind == "thinking":
                empty = {"type": "thinking", "thinking": "", "signature": ""}
            opening = self._close() + self._open_block((kind, block), empty)
        return opening + self._delta(delta)

    def _call_start(self, delta: ToolCallStart) -> bytes:
        if (
            self._open is not None and self._open[0] == "tool"
        ):  # one call at a time: the next waits for its turn
            self._waiting.append(delta)
            return b""
        return self._close() + self._open_call(delta)

    def _open_call(self, start: ToolCallStart) -> bytes:
        block: Json = {"type": "tool_use", "id": start.id, "name": start.name, "input": {}}
        sealed = b""
        if start.signature:
            seal = {"type": "redacted_thinking", "data": seal_call(start.id, start.signature)}
            sealed = self._open_block(("whole", self._index + 1), seal) + self._stop()
        self._written = []
        return sealed + self._open_block(("tool", start.index), block)

    def _call_arguments(self, delta: ToolCallArguments) -> bytes:
        if self._open == ("tool", delta.index):
            self._written.append(delta.fragment)
            return self._delta({"type": "input_json_delta", "partial_json": delta.fragment})
        self._held.setdefault(delta.index, []).append(delta.fragment)
        return b""

    def _flush_calls(self) -> bytes:
        """Calls that waited, each whole."""
        out: list[bytes] = []
        waiting, self._waiting = self._waiting, []
        for start in waiting:
            out.append(self._open_call(start))
            held = self._held.pop(start.index, ())
            out.extend(self._delta({"type": "input_json_delta", "partial_json": piece}) for piece in held)
            out.append(self._stop())
        return b"".join(out)

    def _whole(self, block: Json) -> bytes:
        return self._close() + self._open_block(("whole", self._index + 1), block) + self._stop()

    def _open_block(self, block: _Block, content: Json) -> bytes:
        self._open = block
        self._index += 1
        return _event({"type": "content_block_start", "index": self._index, "content_block": content})

    def _delta(self, delta: Json) -> bytes:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _close(self) -> bytes:
        """Close what is open, and let calls that waited for it go first."""
        if self._open is None:
            return b""
        was_call = self._open[0] == "tool"
        return self._stop() + (self._flush_calls() if was_call else b"")

    def _stop(self) -> bytes:
        self._open = None
        return _event({"type": "content_block_stop", "index": self._index})


def _event(body: Json) -> bytes:
    return format_event(_encode(body), body["type"])
