"""Streaming events to deltas.

Every content part of a message, every reasoning item and every call is a block, numbered as it opens. What a vendor
says only in a `done` event is said then; what it says twice is said once.
"""

from __future__ import annotations

from collections.abc import Callable
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
from intellirouter.chat.openai_responses.content import DIALECT, decode_annotation
from intellirouter.chat.openai_responses.errors import decode_failure
from intellirouter.chat.openai_responses.items import decode_call, decode_reasoning
from intellirouter.chat.openai_responses.response import decode_finish, made_picture, seconds
from intellirouter.chat.openai_responses.usage import decode_usage
from intellirouter.chat.parts import RedactedThinking
from intellirouter.errors import InvalidRequest, UpstreamProtocolError

_json = msgspec.json.Decoder()
_CALLS = ("function_call", "custom_tool_call")


class ResponseEventDecoder:
    """See `EventDecoder`."""

    def __init__(self) -> None:
        self._started = False
        self._ended = False
        self._blocks: dict[tuple[Any, ...], int] = {}
        self._calls: dict[int, int] = {}  # output index to our index of the call
        self._items: dict[
            int, tuple[str, str]
        ] = {}  # output index to the kind of item that is there, and its call
        self._first: dict[tuple[str, str], int] = {}  # the other way round, the first such
        self._where: dict[str, int] = {}  # ids of items to the output index
        self._last = -1  # the greatest output index
        self._early: dict[int, list[str]] = {}  # arguments that came before their call
        self._said: set[tuple[Any, ...]] = set()  # blocks whose words came as deltas
        self._thoughts: dict[int, tuple[str, int]] = {}  # the piece of each reasoning item now being told
        self._readers: dict[str, Callable[[Json], list[Delta]]] = {
            "response.created": self._start,
            "response.in_progress": self._start,
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.output_text.delta": self._text,
            "response.output_text.done": self._text_done,
            "response.output_text.annotation.added": self._annotation,
            "response.refusal.delta": self._refusal,
            "response.refusal.done": self._refusal_done,
            "response.reasoning_summary_text.delta": self._summary,
            "response.reasoning_text.delta": self._reasoning_text,
            "response.function_call_arguments.delta": self._arguments,
            "response.custom_tool_call_input.delta": self._arguments,
            "response.completed": self._end,
            "response.incomplete": self._end,
            "response.failed": self._failed,
            "response.cancelled": self._failed,
        }

    @property
    def complete(self) -> bool:
        """The last event came."""
        return self._ended

    @property
    def done(self) -> bool:
        """The last event came: this dialect has no end marker after it."""
        return self._ended

    def decode(self, event: str, data: bytes) -> tuple[Delta, ...] | None:
        """One event. See `EventDecoder.decode`."""
        if data == b"[DONE]":  # compatible vendors add it
            return None
        try:
            body = _json.decode(data)
        except (msgspec.DecodeError, RecursionError) as cause:
            raise UpstreamProtocolError("an event of the stream is not JSON") from cause
        if type(body) is not dict:
            raise UpstreamProtocolError("an event of the stream is not an object")
        kind = body.get("type") or event
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        if kind == "error" or (reader is None and isinstance(body.get("error"), dict)):
            raise decode_failure(body["error"] if isinstance(body.get("error"), dict) else body)
        if reader is None:
            return ()
        try:
            return tuple(reader(body))
        except (InvalidRequest, AttributeError, TypeError) as cause:
            raise UpstreamProtocolError("an event of the stream is not as its type demands") from cause

    def _block(self, *key: Any) -> int:
        return self._blocks.setdefault(key, len(self._blocks))

    def _start(self, body: Json) -> list[Delta]:
        if self._started:
            return []
        self._started = True
        response = _object(body, "response")
        tier = response.get("service_tier")
        return [
            Start(
                id=str(response.get("id") or ""),
                model=str(response.get("model") or ""),
                created=seconds(response.get("created_at")),
                service_tier=tier if isinstance(tier, str) else None,
            )
        ]

    def _output(self, body: Json) -> int:
        """Where an event belongs: some servers give every item the same output index, and only ids tell them apart."""
        known = self._where.get(_words(body, "item_id"))
        return _index(body, "output_index") if known is None else known

    def _place(self, item: Json, body: Json) -> int:
        """The output index of an item, one of its own.

        Ids that are known tell. Others may be new in every event, as a gateway's are that seals them each time: then an item is what
        stands at its index, unless that is of another kind or another call.
        """
        output, item_id = _index(body, "output_index"), _words(item, "id")
        if (known := self._where.get(item_id)) is not None:
            return known
        kind = _words(item, "type")
        this = (kind, (_words(item, "call_id") or item_id) if kind in _CALLS else "")
        if self._items.setdefault(output, this) == this:
            self._first.setdefault(this, output)
        else:
            output = self._first.setdefault(this, self._last + 1)
            self._items[output] = this
        self._last = max(self._last, output)
        if item_id:
            self._where[item_id] = output
        return output

    def _item_added(self, body: Json) -> list[Delta]:
        item = _object(body, "item")
        output = self._place(item, body)
        if item.get("type") == "reasoning" and isinstance(item_id := item.get("id"), str):
            return [ThinkingDelta(block=self._block(output), id=item_id)]
        return self._call(item, output) if item.get("type") in _CALLS else []

    def _call(self, item: Json, output: int) -> list[Delta]:
        """Open a call, once, with what of its arguments is there already."""
        if output in self._calls:
            return []
        call = decode_call(item, "item")
        index = self._calls[output] = len(self._calls)
        block = self._block(output)
        deltas: list[Delta] = [ToolCallStart(index, call.id, call.name, call.kind, block, 0, call.signature)]
        if early := self._early.pop(output, None):
            self._said.add((output,))
            deltas.append(ToolCallArguments(index, "".join(early), block))
        elif item.get("arguments") or item.get("input"):
            self._said.add((output,))
            deltas.append(ToolCallArguments(index, call.arguments, block))
        return deltas

    def _arguments(self, body: Json) -> list[Delta]:
        output = self._output(body)
        if output not in self._calls:
            self._early.setdefault(output, []).append(_words(body, "delta"))
            return []
        self._said.add((output,))
        return [ToolCallArguments(self._calls[output], _words(body, "delta"), self._block(output))]

    def _item_done(self, body: Json) -> list[Delta]:
        item = _object(body, "item")
        output = self._place(item, body)
        match item.get("type"):
            case "function_call" | "custom_tool_call":
                deltas = self._call(item, output)
                if (output,) not in self._said and (arguments := decode_call(item, "item").arguments):
                    self._said.add((output,))
                    index = self._calls[output]
                    deltas.append(ToolCallArguments(index, arguments, self._block(output)))
                return deltas
            case "reasoning":
                return self._reasoning_done(item, output)
            case "message":
                return self._message_done(item, output)
            case "image_generation_call" if isinstance(item.get("result"), str) and item["result"]:
                made = made_picture(item)
                return [ImageDelta(made.data, made.media_type, block=self._block(output))]
            case _:
                return [OpaqueDelta(DIALECT, item, self._block(output))]

    def _reasoning_done(self, item: Json, output: int) -> list[Delta]:
        part, block = decode_reasoning(item, "item"), self._block(output)
        if isinstance(part, RedactedThinking):
            return [RedactedThinkingDelta(part.data, block)]
        words = "" if output in self._thoughts else part.text
        return [ThinkingDelta(words, block, 0, part.signature, part.encrypted, part.id, part.signer)]

    def _message_done(self, item: Json, output: int) -> list[Delta]:
        """What no delta said of a message, for vendors that send only its end."""
        deltas: list[Delta] = []
        for index, part in enumerate(item.get("content") or ()):
            key = (output, index)
            if key not in self._said and isinstance(part, dict):
                whole = {**part, "output_index": output, "content_index": index}
                deltas += self._text_done(whole) if part.get("type") == "output_text" else []
                deltas += self._refusal_done(whole) if part.get("type") == "refusal" else []
        return deltas

    def _text(self, body: Json) -> list[Delta]:
        return self._said_text(body, _words(body, "delta"))

    def _text_done(self, body: Json) -> list[Delta]:
        words = _words(body, "text")
        return self._said_text(body, words) if words and self._part(body) not in self._said else []

    def _said_text(self, body: Json, words: str) -> list[Delta]:
        self._said.add(self._part(body))
        logprobs = body.get("logprobs")
        told = {"content": logprobs} if isinstance(logprobs, list) and logprobs else None
        return [TextDelta(words, self._block(*self._part(body)), logprobs=told)]

    def _refusal(self, body: Json) -> list[Delta]:
        self._said.add(self._part(body))
        return [RefusalDelta(_words(body, "delta"), self._block(*self._part(body)))]

    def _refusal_done(self, body: Json) -> list[Delta]:
        if self._part(body) in self._said:
            return []
        return self._refusal({**body, "delta": body.get("refusal")})

    def _annotation(self, body: Json) -> list[Delta]:
        note = _object(body, "annotation")
        return [AnnotationDelta(decode_annotation(note), block=self._block(*self._part(body)))]

    def _summary(self, body: Json) -> list[Delta]:
        return self._thought(body, "summary_index")

    def _reasoning_text(self, body: Json) -> list[Delta]:
        return self._thought(body, "content_index")

    def _thought(self, body: Json, index: str) -> list[Delta]:
        output, words = self._output(body), _words(body, "delta")
        piece = (index, _index(body, index))
        if self._thoughts.setdefault(output, piece) != piece:
            self._thoughts[output] = piece
            words = "\n\n" + words
        return [ThinkingDelta(words, self._block(output))]

    def _end(self, body: Json) -> list[Delta]:
        response = _object(body, "response")
        called = bool(self._calls)
        deltas = [*self._start(body), *self._untold(response.get("output"))]
        if self._early and (called or not self._calls):  # else the last event tells of it
            raise UpstreamProtocolError("arguments came for a tool call that never began")
        cut = (
            body.get("type") == "response.incomplete"
        )  # some compatible vendors say no status, or the one of the start
        reason, detail = decode_finish(
            {**response, "status": "incomplete" if cut else "completed"}, bool(self._calls)
        )
        deltas.append(Finish(reason or "stop", detail=detail))
        if usage := decode_usage(response.get("usage")):
            deltas.append(UsageDelta(usage))
        self._ended = True
        return deltas

    def _untold(self, output: Any) -> list[Delta]:
        """What only the last event says, for vendors whose stream is that event: each kind where none of it was told."""
        items = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
        place = max((int(key[0]) for key in self._blocks), default=-1) + 1
        quiet = {
            "message": not any(len(key) == 2 for key in self._said),
            "function_call": not self._calls,
            "custom_tool_call": not self._calls,
            "reasoning": not any(len(key) == 1 and key[0] not in self._calls for key in self._blocks),
        }
        told: list[Delta] = []
        for index, item in enumerate(items):
            if quiet.get(str(item.get("type")), False):
                told += self._item_done({"output_index": place + index, "item": item})
        return told

    def _part(self, body: Json) -> tuple[int, int]:
        return self._output(body), _index(body, "content_index")

    def _failed(self, body: Json) -> list[Delta]:
        raise decode_failure(_object(body, "response").get("error"))


def _object(body: Json, key: str) -> Json:
    value = body.get(key)
    if not isinstance(value, dict):
        raise UpstreamProtocolError(f"an event of the stream has no '{key}'")
    return value


def _index(body: Json, key: str) -> int:
    value = body.get(key)
    return value if isinstance(value, int) else 0


def _words(body: Json, key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
