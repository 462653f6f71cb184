"""Streams, both directions: each chunk is an answer object with more of the text."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from intellirouter.chat import foreign
from intellirouter.chat.delta import Delta, Finish, RefusalDelta, Start, TextDelta, UsageDelta
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.endings import decode_finish
from intellirouter.chat.openai_chat.errors import decode_error, error_envelope
from intellirouter.chat.openai_chat.response import encode_finish, read_object
from intellirouter.chat.openai_chat.usage import decode_usage, encode_usage
from intellirouter.chat.openai_completions.logprobs import decode_logprobs
from intellirouter.chat.openai_completions.response import choice_object
from intellirouter.chat.response import Usage
from intellirouter.chat.sse import format_event
from intellirouter.errors import IntelliRouterError, UpstreamProtocolError

_encode = msgspec.json.Encoder(enc_hook=str).encode


class CompletionDecoder:
    """See `EventDecoder`."""

    def __init__(self) -> None:
        self._started = False
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._usage_seen = False
        self._ended = False

    @property
    def complete(self) -> bool:
        """Every choice that began has finished."""
        return self._ended or (bool(self._finished) and not self._open)

    @property
    def done(self) -> bool:
        """`[DONE]` came, or all that it would follow."""
        return self._ended or (self._usage_seen and self.complete)

    def decode(self, event: str, data: bytes) -> tuple[Delta, ...] | None:
        """One `data:` payload. See `EventDecoder.decode`."""
        if data == b"[DONE]":
            self._ended = True
            return tuple(Finish("stop", index) for index in sorted(self._open)) or None
        chunk = read_object(data, "stream")
        if chunk.get("error") or event == "error":
            raise decode_error(data)
        choices = chunk.get("choices") or ()
        if not isinstance(choices, list | tuple) or not all(isinstance(choice, dict) for choice in choices):
            raise UpstreamProtocolError("an event of the stream is not a completion")
        deltas: list[Delta] = []
        if not self._started and (chunk.get("id") or choices):
            self._started = True
            created = chunk.get("created")
            when = int(created) if isinstance(created, (int, float)) else 0
            deltas.append(Start(str(chunk.get("id") or ""), str(chunk.get("model") or ""), when))
        for choice in choices:
            self._decode_choice(choice, deltas)
        if (usage := decode_usage(chunk.get("usage"))) is not None:
            self._usage_seen = True
            deltas.append(UsageDelta(usage))
        return tuple(deltas)

    def _decode_choice(self, choice: Json, deltas: list[Delta]) -> None:
        number = choice.get("index")
        index = number if isinstance(number, int) else 0
        if not 0 <= index < foreign.MAX_CHOICES:
            raise UpstreamProtocolError("the provider sent an answer of a number that none has")
        if index not in self._finished:
            self._open.add(index)
        text, logprobs = choice.get("text"), decode_logprobs(choice.get("logprobs"))
        if text or logprobs:
            deltas.append(TextDelta(str(text or ""), choice=index, logprobs=logprobs))
        if (word := choice.get("finish_reason")) and index not in self._finished:
            self._open.discard(index)
            self._finished.add(index)
            reason, detail = decode_finish(word)
            deltas.append(Finish(reason or "stop", index, detail))


class CompletionEncoder:
    """See `EventEncoder`."""

    def __init__(self, request: ChatRequest) -> None:
        self._head: Json = {
            "id": "",
            "object": "text_completion",
            "created": int(time.time()),
            "model": request.model,
        }
        self._include_usage = request.include_usage
        self._usage: Usage | None = None
        self._said: dict[int, int] = {}  # characters of each choice so far

    def encode(self, deltas: tuple[Delta, ...]) -> bytes:
        """One chunk per delta that says something."""
        return b"".join([self._encode_one(delta) for delta in deltas])

    def finish(self) -> bytes:
        """The usage chunk, if asked for, and `[DONE]`."""
        usage = b""
        if self._include_usage and self._usage is not None:
            usage = format_event(_encode({**self._head, "choices": [], "usage": encode_usage(self._usage)}))
        return usage + b"data: [DONE]\n\n"

    def error(self, error: IntelliRouterError) -> bytes:
        """An error object where a chunk was expected, and no `[DONE]`."""
        return format_event(_encode(error_envelope(error)))

    def _encode_one(self, delta: Delta) -> bytes:
        match delta:
            case TextDelta():
                return self._words(delta.choice, delta.text, delta.logprobs)
            case RefusalDelta():
                return self._words(delta.choice, delta.text, None)
            case Finish():
                return self._chunk(choice_object(delta.choice, "", encode_finish(delta.reason, None)))
            case Start():
                self._head["id"] = delta.id or self._head["id"]
                self._head["model"] = delta.model or self._head["model"]
                self._usage = delta.usage or self._usage
            case UsageDelta():
                self._usage = delta.usage
            case _:
                pass
        return b""

    def _words(self, choice: int, text: str, logprobs: Any) -> bytes:
        offset = self._said.get(choice, 0)
        self._said[choice] = offset + len(text)
        return self._chunk(choice_object(choice, text, None, logprobs, offset))

    def _chunk(self, choice: Json) -> bytes:
        return format_event(_encode({**self._head, "choices": [choice]}))
