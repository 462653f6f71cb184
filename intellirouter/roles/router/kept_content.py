"""The content of requests, where it is kept: how much of it, made fit for it, and in which form."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.delta import Delta, StreamEvent, TextDelta, ToolCallArguments, ToolCallStart
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.chat.wire import WireFormat
from intellirouter.config.schema.records import Content
from intellirouter.records.redaction import Redaction
from intellirouter.records.row import Row
from intellirouter.security.caller import Caller

MAX_DELTAS = 100_000
CONTENT_LEVELS: dict[str, int] = {"off": 0, "errors": 1, "all": 2}


class ContentPolicy(msgspec.Struct):
    """What of the content is kept, and how it is made fit for it. Shared by all requests; a reload changes it."""

    level: Content
    redaction: Redaction

    def configure(self, level: Content, redaction: Redaction) -> None:
        """Take these in place of the last ones."""
        self.level, self.redaction = level, redaction

    def of(self, caller: Caller) -> Content:
        """What may be kept of this caller's requests: what configuration and key both allow."""
        own = caller.record
        return self.level if own is None or CONTENT_LEVELS[own] >= CONTENT_LEVELS[self.level] else own


class Kept(msgspec.Struct):
    """The content of one request, as it came. `deltas` are a stream's, `response` a whole answer."""

    level: Content
    redaction: Redaction
    chat: ChatRequest
    wire: WireFormat | None = None
    response: ChatResponse | None = None
    deltas: list[Delta] = []

    def take(self, events: list[StreamEvent]) -> None:
        """More of a stream."""
        if len(self.deltas) < MAX_DELTAS:
            self.deltas += [delta for event in events for delta in event.deltas]

    def fill(self, row: Row) -> None:
        """Write what was asked and answered into the row, where it is to be kept."""
        if self.level == "errors" and row.status < 400 and not row.error:
            return
        source = self.chat.source
        row.asked = self.redaction.body(source.body if source is not None else msgspec.to_builtins(self.chat))
        answer = self._answer()
        if answer is not None:
            row.answered = self.redaction.body(answer)

    def _answer(self) -> dict[str, Any] | None:
        response = self.response
        if response is None:
            return _said(self.deltas) if self.deltas else None
        if response.raw is not None and self.wire is not None and response.dialect == self.wire.name:
            response = self.wire.decode_response(response.raw)
        return {"choices": [_choice(choice) for choice in response.choices]}


def _choice(choice: Choice) -> dict[str, Any]:
    told: dict[str, Any] = {
        "role": "assistant",
        "content": choice.text,
        "finish_reason": choice.finish_reason,
    }
    if choice.thinking:
        told["thinking"] = choice.thinking
    if choice.refusal:
        told["refusal"] = choice.refusal
    if choice.tool_calls:
        told["tool_calls"] = [msgspec.to_builtins(call) for call in choice.tool_calls]
    return told


def _said(deltas: list[Delta]) -> dict[str, Any]:
    texts: dict[int, list[str]] = {}
    calls: dict[tuple[int, int], dict[str, str]] = {}
    for delta in deltas:
        if isinstance(delta, TextDelta):
            texts.setdefault(delta.choice, []).append(delta.text)
        elif isinstance(delta, ToolCallStart):
            calls[delta.choice, delta.index] = {"name": delta.name, "arguments": ""}
        elif isinstance(delta, ToolCallArguments) and (delta.choice, delta.index) in calls:
            calls[delta.choice, delta.index]["arguments"] += delta.fragment
    told: dict[str, Any] = {
        "choices": [{"role": "assistant", "content": "".join(text)} for _, text in sorted(texts.items())]
    }
    if calls:
        told["tool_calls"] = list(calls.values())
    return told
