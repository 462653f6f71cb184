"""Streams of `GenerateContentResponse`, both directions."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat import foreign
from intellirouter.chat.citations import Offsets, shifted
from intellirouter.chat.delta import (
    AnnotationDelta,
    Delta,
    Finish,
    ImageDelta,
    OpaqueDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.fields import Json
from intellirouter.chat.gemini.errors import decode_error, error_envelope
from intellirouter.chat.gemini.grounding import FIELD, MAX_NOTES, annotations_of, metadata_of
from intellirouter.chat.gemini.parts import (
    DIALECT,
    VENDOR,
    decode_part,
    encode_call,
    encode_media,
    make_call_id,
    signed,
)
from intellirouter.chat.gemini.response import (
    content_parts,
    decode_finish,
    decode_usage,
    encode_finish,
    encode_usage,
    read_object,
)
from intellirouter.chat.likelihoods import from_gemini, to_gemini
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Image, Part, Text, Thinking, ToolCall
from intellirouter.chat.response import Usage
from intellirouter.chat.sealed_thoughts import signature_for
from intellirouter.chat.sse import format_event
from intellirouter.errors import IntelliRouterError, UpstreamProtocolError

_encode = msgspec.json.Encoder(enc_hook=str).encode
MAX_LOOKS = 1_000
"""Times that a stream may tell what its words rest on: each time it is looked for in all that was said."""


class ResponseDecoder:
    """See `EventDecoder`. There is no end marker: the answer is whole when every candidate has its finish reason."""

    def __init__(self) -> None:
        self._started = False
        self._id = ""
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._calls: dict[int, int] = {}
        self._looks = 0
        self._texts: dict[tuple[int, int], list[str]] = {}  # by choice and block, for places of citations
        self._cited: list[Json] = []
        self._blocks: dict[int, tuple[int, str]] = {}  # choice to its open block and that block's kind

    @property
    def complete(self) -> bool:
        """Every candidate that began has finished."""
        return bool(self._finished) and not self._open

    @property
    def done(self) -> bool:
        """Never known: Google closes the connection itself, and usage may follow a finish."""
        return False

    def decode(self, event: str, data: bytes) -> tuple[Delta, ...] | None:  # noqa: ARG002  events have no names here
        """One event. See `EventDecoder.decode`."""
        chunk = read_object(data)
        if "error" in chunk:
            raise decode_error(data)
        deltas: list[Delta] = []
        if not self._started:
            self._started = True
            self._id = str(chunk.get("responseId") or "")
            deltas.append(Start(self._id, str(chunk.get("modelVersion") or "")))
        candidates = chunk.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            if isinstance(candidate, dict):
                self._decode_candidate(candidate, deltas)
        feedback = chunk.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason") and not candidates:
            self._finished.add(0)
            deltas.append(Finish("content_filter", 0, str(feedback["blockReason"])))
        if (usage := decode_usage(chunk.get("usageMetadata"))) is not None:
            deltas.append(UsageDelta(usage))
        return tuple(deltas)

    def _decode_candidate(self, candidate: Json, deltas: list[Delta]) -> None:
        index = candidate.get("index")
        choice = index if isinstance(index, int) else 0
        if not 0 <= choice < foreign.MAX_CHOICES:
            raise UpstreamProtocolError(f"the provider sent an answer of the number {choice}")
        if choice not in self._finished:
            self._open.add(choice)
        for raw in content_parts(candidate):
            calls = self._calls.get(choice, 0)
            part = decode_part(raw, make_call_id(self._id, calls))
            if part is not None:
                self._decode_part(part, raw, choice, deltas)
        if (likely := from_gemini(candidate.get("logprobsResult"))) is not None:
            _attach(likely, choice, deltas)
        self._cite(choice, candidate.get(FIELD), deltas)
        reason, detail = decode_finish(candidate.get("finishReason"), self._calls.get(choice, 0) > 0)
        if reason is not None and choice not in self._finished:
            self._open.discard(choice)
            self._finished.add(choice)
            deltas.append(Finish(reason, choice, detail))

    def _cite(self, choice: int, metadata: Any, deltas: list[Delta]) -> None:
        """What the words rest on. It comes when they are said, and may come again with more."""
        if metadata is None or self._looks >= MAX_LOOKS:
            return
        self._looks += 1
        blocks = [key for key in self._texts if key[0] == choice]
        if not blocks:
            return
        *before, last = ("".join(self._texts[key]) for key in blocks)
        begin = -sum(map(len, before))
        for note in annotations_of(metadata, "".join(before) + last):
            if note not in self._cited and len(self._cited) < MAX_NOTES:
                self._cited.append(note)
                deltas.append(AnnotationDelta(shifted(note, begin), None, blocks[-1][1], choice))

    def _decode_part(self, part: Part, raw: Json, choice: int, deltas: list[Delta]) -> None:
        match part:
            case Text():
                block = self._block(choice, "text")
                self._texts.setdefault((choice, block), []).append(part.text)
                deltas.append(TextDelta(part.text, block, choice, signature=part.signature))
            case Thinking():
                block = self._block(choice, "thinking")
                deltas.append(
                    ThinkingDelta(
                        part.text, block, choice, part.signature, part.encrypted, part.id, part.signer
                    )
                )
            case ToolCall():
                index = self._calls.get(choice, 0)
                self._calls[choice] = index + 1
                block = self._block(choice, f"call {index}")
                deltas.append(
                    ToolCallStart(
                        index, part.id, part.name, block=block, choice=choice, signature=part.signature
                    )
                )
                deltas.append(ToolCallArguments(index, part.arguments, block, choice))
            case Image():
                block = self._block(choice, "image")
                deltas.append(ImageDelta(part.data, part.media_type, part.url, block, choice))
                self._blocks[choice] = (block, "closed")
            case _:
                block = self._block(choice, f"opaque {len(self._blocks)}")
                deltas.append(OpaqueDelta(DIALECT, raw, block, choice))
                self._blocks[choice] = (block, "closed")

    def _block(self, choice: int, kind: str) -> int:
        """The number of the open block of this kind, or of a new one."""
        number, open_kind = self._blocks.get(choice, (-1, ""))
        if open_kind != kind:
            number += 1
            self._blocks[choice] = (number, kind)
        return number


def _attach(likely: Json, choice: int, deltas: list[Delta]) -> None:
    """Give the event's last text how likely its tokens were."""
    for place in range(len(deltas) - 1, -1, -1):
        told = deltas[place]
        if isinstance(told, TextDelta) and told.choice == choice:
            deltas[place] = msgspec.structs.replace(told, logprobs=likely)
            return


class ResponseEncoder:
    """See `EventEncoder`. A call goes out whole, when its arguments are: Gemini has no part of a call.

    A finish waits for the usage that may follow it, since Google's clients expect both in the last event.
    """

    def __init__(self, request: ChatRequest) -> None:
        self._head: Json = {"modelVersion": request.model, "responseId": ""}
        self._calls: dict[tuple[int, int], tuple[ToolCallStart, list[str]]] = {}
        self._finishes: list[Json] = []
        self._texts: dict[int, list[str]] = {}
        self._notes: dict[int, list[Json]] = {}
        self._offsets = Offsets()
        self._usage: Usage | None = None

    def encode(self, deltas: tuple[Delta, ...]) -> bytes:
        """One event per delta that says something."""
        return b"".join([self._encode_one(delta) for delta in deltas])

    def finish(self) -> bytes:
        """The last event: finish reasons and usage."""
        body: Json = {"candidates": self._finishes, **self._head}
        if self._usage is not None:
            body["usageMetadata"] = encode_usage(self._usage)
        return self.frame(body)

    def error(self, error: IntelliRouterError) -> bytes:
        """Google's envelope as an event."""
        return self.frame(error_envelope(error))

    def frame(self, body: Json) -> bytes:
        """One object as it goes out."""
        return format_event(_encode(body))

    def _encode_one(self, delta: Delta) -> bytes:
        match delta:
            case Start():
                self._head["modelVersion"] = delta.model or self._head["modelVersion"]
                self._head["responseId"] = delta.id or self._head["responseId"]
                self._usage = delta.usage or self._usage
            case TextDelta():
                self._offsets.said(delta)
                self._texts.setdefault(delta.choice, []).append(delta.text)
                more = {"logprobsResult": likely} if (likely := to_gemini(delta.logprobs)) is not None else {}
                return self._part(delta.choice, signed({"text": delta.text}, delta.signature), more)
            case RefusalDelta():
                return self._part(delta.choice, {"text": delta.text})
            case ThinkingDelta():
                return self._part(
                    delta.choice,
                    signed(
                        {"text": delta.text, "thought": True},
                        signature_for(VENDOR, delta),
                    ),
                )
            case ToolCallStart():
                self._calls[delta.choice, delta.index] = (delta, [])
            case ToolCallArguments():
                if (call := self._calls.get((delta.choice, delta.index))) is not None:
                    call[1].append(delta.fragment)
            case ImageDelta() | OpaqueDelta():
                return self._block(delta)
            case AnnotationDelta(annotation=dict() as note):
                begin = self._offsets.begin(delta.choice, delta.block)
                self._notes.setdefault(delta.choice, []).append(shifted(note, begin))
            case Finish():
                return self._finish(delta)
            case UsageDelta():
                self._usage = delta.usage
            case _:
                pass
        return b""

    def _block(self, delta: ImageDelta | OpaqueDelta) -> bytes:
        """What comes whole."""
        if isinstance(delta, ImageDelta):
            picture = Image(url=delta.url, data=delta.data, media_type=delta.media_type)
            return self._part(delta.choice, encode_media(picture, []))
        return self._part(delta.choice, delta.data) if delta.dialect == DIALECT else b""

    def _finish(self, finish: Finish) -> bytes:
        ended: Json = {
            "content": {"role": "model", "parts": []},
            "finishReason": encode_finish(finish.reason, finish.detail),
            "index": finish.choice,
        }
        text = "".join(self._texts.get(finish.choice, ()))
        if (metadata := metadata_of(self._notes.get(finish.choice, ()), text)) is not None:
            ended[FIELD] = metadata
        self._finishes.append(ended)
        return self._flush(finish.choice)

    def _flush(self, choice: int) -> bytes:
        """The calls of a choice in their order; a vendor may have interleaved their arguments."""
        keys = sorted(key for key in self._calls if key[0] == choice)
        events: list[bytes] = []
        for start, fragments in (self._calls.pop(key) for key in keys):
            call = ToolCall(start.id, start.name, "".join(fragments), start.kind)
            events.append(self._part(choice, signed({"functionCall": encode_call(call)}, start.signature)))
        return b"".join(events)

    def _part(self, choice: int, part: Json, more: Json | None = None) -> bytes:
        candidate = {"content": {"role": "model", "parts": [part]}, "index": choice, **(more or {})}
        return self.frame({"candidates": [candidate], **self._head})


class ArrayEncoder(ResponseEncoder):
    """Without `?alt=sse` a stream is one JSON array, sent piece by piece."""

    def __init__(self, request: ChatRequest) -> None:
        super().__init__(request)
        self._first = True

    def frame(self, body: Json) -> bytes:
        """One element of the array."""
        lead, self._first = (b"[" if self._first else b",\r\n"), False
        return lead + _encode(body)

    def finish(self) -> bytes:
        """The last element, and the end of the array."""
        return super().finish() + b"]"

    def error(self, error: IntelliRouterError) -> bytes:
        """The error as the last element; the array is closed so that it can be read."""
        return super().error(error) + b"]"
