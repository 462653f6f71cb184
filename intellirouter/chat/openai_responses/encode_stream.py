"""Deltas to streaming events.

Words and thoughts are closed when something else begins; a call stays open until the answer ends, because fragments
of parallel calls may interleave. Every event carries its place in the stream.
"""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.delta import (
    AnnotationDelta,
    Delta,
    Finish,
    ImageDelta,
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
from intellirouter.chat.openai_responses.client_tools import as_own_call, clients_of
from intellirouter.chat.openai_responses.content import DIALECT, encode_annotation
from intellirouter.chat.openai_responses.errors import error_event, response_error
from intellirouter.chat.openai_responses.namespaces import namespaces_of, parted
from intellirouter.chat.openai_responses.response import (
    call_seal,
    encode_finish,
    encode_item,
    finished,
    message_item,
    response_head,
    stem,
)
from intellirouter.chat.parts import Image, Part, RedactedThinking, Thinking, ToolCall
from intellirouter.chat.response import Usage
from intellirouter.chat.sse import format_event
from intellirouter.errors import IntelliRouterError

_STAGES = {
    "file_search_call": ("in_progress", "searching", "completed"),
    "web_search_call": ("in_progress", "searching", "completed"),
}
_encode = msgspec.json.Encoder(enc_hook=str).encode


class _Call:
    """A call that is being told."""

    __slots__ = ("arguments", "output", "start")

    def __init__(self, start: ToolCallStart, output: int) -> None:
        self.start = start
        self.output = output
        self.arguments: list[str] = []


class ResponseEventEncoder:
    """See `EventEncoder`. Only the first choice exists in this dialect."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._namespaces = namespaces_of(request.tools)
        self._clients = clients_of(request.tools)
        self._head: Json | None = None
        self._stem = ""
        self._sequence = 0
        self._output: list[Json] = []
        self._part: Json | None = None  # the content part that is open, in the message that is open
        self._words: list[str] = []
        self._open: tuple[str, int] | None = None  # kind and block of what is open beside calls
        self._message: int | None = None  # output index of the message that is open
        self._thought: tuple[int, str, Thinking] | None = None  # its output index, id, and what is not words
        self._calls: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self._tier: str | None = None
        self._finish: Finish | None = None

    def encode(self, deltas: tuple[Delta, ...]) -> bytes:
        """Events for these deltas."""
        return b"".join([self._encode_one(delta) for delta in deltas])

    def finish(self) -> bytes:
        """What is still open, and the last event with the whole response."""
        tail = self._start(Start()) + self._close() + self._close_calls()
        finish = self._finish or Finish("stop")
        status, incomplete = encode_finish(finish.reason, finish.detail)
        return tail + self._last(status, finished(self._begun, status, incomplete, *self._told))

    def error(self, error: IntelliRouterError) -> bytes:
        """The `error` event, and the response as failed where it is we who began it: a relayed one is another's."""
        body = error_event(error, self._sequence)
        self._sequence += 1
        told = format_event(_encode(body), "error")
        if self._head is None:
            return told
        response = {**finished(self._begun, "failed", None, *self._told), "error": response_error(error)}
        return told + self._last("failed", response)

    @property
    def _begun(self) -> Json:
        return self._head or {}

    @property
    def _told(self) -> tuple[list[Json], Usage | None, str | None]:
        return self._output, self._usage, self._tier

    def _last(self, status: str, response: Json) -> bytes:
        return self._event(f"response.{status}", {"response": response})

    def _encode_one(self, delta: Delta) -> bytes:
        match delta:
            case Start():
                return self._start(delta)
            case UsageDelta():
                self._usage = delta.usage
                return b""
            case _ if delta.choice != 0:
                return b""
            case Finish():
                self._finish = delta
                return b""
            case _:
                return self._start(Start()) + self._content(delta)

    def _start(self, start: Start) -> bytes:
        if self._head is not None:
            return b""
        self._head = response_head(start.id, start.model, start.created, self._request)
        self._stem = stem(self._head["id"])
        self._usage, self._tier = start.usage, start.service_tier
        return self._event("response.created", {"response": self._head}) + self._event(
            "response.in_progress", {"response": self._head}
        )

    def _content(self, delta: Delta) -> bytes:
        match delta:
            case TextDelta():
                return self._text(delta) if delta.text else b""
            case RefusalDelta():
                words = self._speak("refusal", delta.block, {"type": "refusal", "refusal": ""})
                self._words.append(delta.text)
                return words + self._event("response.refusal.delta", {**self._here(), "delta": delta.text})
            case AnnotationDelta():
                return self._annotate(delta.annotation, delta.block) if delta.annotation else b""
            case ThinkingDelta():
                return self._think(delta)
            case RedactedThinkingDelta():
                return self._close() + self._whole(RedactedThinking(delta.data))
            case ImageDelta():
                picture = Image(delta.url, delta.data, delta.media_type)
                return self._close() + self._whole(picture) if delta.data else b""
            case ToolCallStart():
                return self._call(delta)
            case ToolCallArguments():
                return self._arguments(delta)
            case OpaqueDelta() if delta.dialect == DIALECT:
                return self._close() + self._built_in(delta.data)
            case _:
                return b""

    # Words

    def _text(self, delta: TextDelta) -> bytes:
        empty: Json = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        opened = self._speak("text", delta.block, empty)
        logprobs = (delta.logprobs or {}).get("content") or []
        if self._part is not None:
            self._part["logprobs"] += logprobs
        self._words.append(delta.text)
        piece = {**self._here(), "delta": delta.text, "logprobs": logprobs}
        return opened + self._event("response.output_text.delta", piece)

    def _speak(self, kind: str, block: int, empty: Json) -> bytes:
        """Open a part of the message for `block`, and the message, where they are not."""
        if self._open == (kind, block):
            return b""
        opened = b""
        if self._message is None:
            opened = self._close() + self._add(message_item(self._stem, len(self._output), "in_progress", []))
            self._message = len(self._output) - 1
        else:
            opened = self._close_part()
        self._open, self._part, self._words = (kind, block), empty, []
        self._output[self._message]["content"].append(empty)
        return opened + self._event("response.content_part.added", {**self._here(), "part": empty})

    def _here(self) -> Json:
        """Where the open part is."""
        index = self._message or 0
        message = self._output[index]
        place = len(message["content"]) - 1
        return {"item_id": message["id"], "output_index": index, "content_index": place}

    def _annotate(self, annotation: dict[str, Any], block: int) -> bytes:
        empty: Json = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        opened = self._speak("text", block, empty)
        notes: list[Json] = self._part["annotations"] if self._part is not None else []
        notes.append(encode_annotation(annotation))
        told = {**self._here(), "annotation_index": len(notes) - 1, "annotation": notes[-1]}
        return opened + self._event("response.output_text.annotation.added", told)

    def _close_part(self) -> bytes:
        part, words, here = self._part, "".join(self._words), self._here()
        self._part = None
        if part is None:
            return b""
        if part["type"] == "refusal":
            part["refusal"] = words
            said = self._event("response.refusal.done", {**here, "refusal": words})
        else:
            part["text"] = words
            logprobs = part["logprobs"]
            said = self._event("response.output_text.done", {**here, "text": words, "logprobs": logprobs})
        return said + self._event("response.content_part.done", {**here, "part": part})

    # Thoughts

    def _think(self, delta: ThinkingDelta) -> bytes:
        opened = b""
        if self._open != ("thinking", delta.block):
            opened = self._close()
            index = len(self._output)
            item_id = delta.id or f"rs_{self._stem}_{index}"
            opened += self._add({"id": item_id, "type": "reasoning", "summary": []})
            self._open, self._words = ("thinking", delta.block), []
            self._thought = (index, item_id, Thinking())
        if self._thought is None:
            return opened
        index, item_id, known = self._thought
        known = Thinking(
            "",
            delta.signature or known.signature,
            delta.encrypted or known.encrypted,
            delta.id or known.id,
            delta.signer or known.signer,
        )
        self._thought = (index, item_id, known)
        if not delta.text:
            return opened
        place = {"item_id": item_id, "output_index": index, "summary_index": 0}
        if not self._words:
            part = {"type": "summary_text", "text": ""}
            opened += self._event("response.reasoning_summary_part.added", {**place, "part": part})
        self._words.append(delta.text)
        return opened + self._event("response.reasoning_summary_text.delta", {**place, "delta": delta.text})

    def _close_thought(self) -> bytes:
        if self._thought is None:
            return b""
        (index, item_id, known), words = self._thought, "".join(self._words)
        self._thought = None
        closed = b""
        if words:
            place = {"item_id": item_id, "output_index": index, "summary_index": 0}
            part = {"type": "summary_text", "text": words}
            closed = self._event("response.reasoning_summary_text.done", {**place, "text": words})
            closed += self._event("response.reasoning_summary_part.done", {**place, "part": part})
        thought = Thinking(words, known.signature, known.encrypted, item_id, known.signer)
        item = encode_item(thought, self._stem, index) or {}
        self._output[index] = {**item, "id": item_id}
        return closed + self._item_done(index)

    # Items

    def _call(self, start: ToolCallStart) -> bytes:
        closed = self._close()
        if start.signature:
            closed += self._add(call_seal(start.id, start.signature, self._stem, len(self._output)))
            closed += self._item_done(len(self._output) - 1)
        call = self._calls[start.index] = _Call(start, len(self._output))
        return closed + self._add(self._call_item(call, "in_progress"))

    def _call_item(self, call: _Call, status: str) -> Json:
        start = call.start
        part = ToolCall(start.id, start.name, "".join(call.arguments), start.kind, start.signature)
        item = parted(encode_item(part, self._stem, call.output, status) or {}, self._namespaces)
        return as_own_call(item, self._clients)

    def _arguments(self, delta: ToolCallArguments) -> bytes:
        call = self._calls.get(delta.index)
        if call is None:
            return b""
        call.arguments.append(delta.fragment)
        if call.start.name in self._clients:  # its item has no pieces: it comes whole
            return b""
        custom = call.start.kind == "custom"
        kind = "custom_tool_call_input" if custom else "function_call_arguments"
        place = {"item_id": self._output[call.output]["id"], "output_index": call.output}
        return self._event(f"response.{kind}.delta", {**place, "delta": delta.fragment})

    def _close_calls(self) -> bytes:
        closed: list[bytes] = []
        for call in self._calls.values():
            item = self._output[call.output] = self._call_item(call, "completed")
            place = {"item_id": item["id"], "output_index": call.output}
            if call.start.name in self._clients:
                pass
            elif call.start.kind == "custom":
                said = {"input": item["input"]}
                closed.append(self._event("response.custom_tool_call_input.done", {**place, **said}))
            else:
                said = {"name": item["name"], "arguments": item["arguments"]}
                closed.append(self._event("response.function_call_arguments.done", {**place, **said}))
            closed.append(self._item_done(call.output))
        self._calls = {}
        return b"".join(closed)

    def _whole(self, part: Part) -> bytes:
        item = encode_item(part, self._stem, len(self._output)) or {}
        return self._add(item) + self._item_done(len(self._output) - 1)

    def _built_in(self, item: Json) -> bytes:
        """A tool's call that the vendor, or we, have done already: its stages at once."""
        index, kind = len(self._output), str(item.get("type"))
        place = {"output_index": index, "item_id": item.get("id")}
        events = [self._add(item)]
        events += [self._event(f"response.{kind}.{stage}", place) for stage in _STAGES.get(kind, ())]
        return b"".join(events) + self._item_done(index)

    def _close(self) -> bytes:
        """Close the words or the thought that is open."""
        closed = b""
        if self._message is not None:
            closed = self._close_part()
            index, self._message = self._message, None
            length = self._finish is not None and self._finish.reason == "length"
            self._output[index]["status"] = "incomplete" if length else "completed"
            closed += self._item_done(index)
        closed += self._close_thought()
        self._open = None
        return closed

    def _add(self, item: Json) -> bytes:
        self._output.append(item)
        place = {"output_index": len(self._output) - 1, "item": item}
        return self._event("response.output_item.added", place)

    def _item_done(self, index: int) -> bytes:
        done = {"output_index": index, "item": self._output[index]}
        return self._event("response.output_item.done", done)

    def _event(self, kind: str, body: Json) -> bytes:
        number, self._sequence = self._sequence, self._sequence + 1
        return format_event(_encode({"type": kind, "sequence_number": number, **body}), kind)
