"""Deltas to chat completion chunks."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from intellirouter.chat.citations import Offsets, shifted
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
from intellirouter.chat.openai_chat.content import DIALECT, details_of, encode_picture, encode_thinking_block
from intellirouter.chat.openai_chat.errors import error_envelope
from intellirouter.chat.openai_chat.response import encode_finish
from intellirouter.chat.openai_chat.usage import encode_usage
from intellirouter.chat.parts import RedactedThinking, Thinking
from intellirouter.chat.response import Usage
from intellirouter.chat.sse import format_event
from intellirouter.errors import IntelliRouterError

_encode = msgspec.json.Encoder(enc_hook=str).encode


class ChunkEncoder:
    """See `EventEncoder`. Usage goes out in a chunk of its own, at the end, when the client asked for it."""

    def __init__(self, request: ChatRequest) -> None:
        self._head: Json = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": request.model,
        }
        self._include_usage = request.include_usage
        self._usage: Usage | None = None
        self._offsets = Offsets()
        self._spoken: set[int] = set()  # choices whose first chunk, with the role, has gone out
        self._kinds: dict[tuple[int, int], str] = {}
        self._thoughts: dict[
            tuple[int, int], list[str]
        ] = {}  # by choice and block, until their signature comes

    def encode(self, deltas: tuple[Delta, ...]) -> bytes:
        """One chunk per delta, as vendors send them."""
        return b"".join([self._encode_one(delta) for delta in deltas])

    def finish(self) -> bytes:
        """The usage chunk, if asked for, and `[DONE]`."""
        usage = b""
        if self._include_usage and self._usage is not None:
            usage = format_event(_encode({**self._head, "choices": [], "usage": encode_usage(self._usage)}))
        return usage + b"data: [DONE]\n\n"

    def error(self, error: IntelliRouterError) -> bytes:
        """An error object where a chunk was expected, and no `[DONE]`: what the SDKs raise on."""
        return format_event(_encode(error_envelope(error)))

    def _encode_one(self, delta: Delta) -> bytes:
        match delta:
            case TextDelta():
                self._offsets.said(delta)
                return self._chunk(delta.choice, {"content": delta.text}, logprobs=delta.logprobs)
            case ThinkingDelta():
                return self._chunk(delta.choice, self._thinking(delta))
            case RedactedThinkingDelta():
                block = encode_thinking_block(RedactedThinking(delta.data))
                return self._chunk(delta.choice, {"thinking_blocks": [block]})
            case ToolCallStart():
                return self._chunk(delta.choice, {"tool_calls": [self._call_start(delta)]})
            case ToolCallArguments():
                return self._chunk(delta.choice, {"tool_calls": [self._call_arguments(delta)]})
            case RefusalDelta():
                return self._chunk(delta.choice, {"refusal": delta.text})
            case Finish():
                finish = encode_finish(delta.reason, delta.detail)
                return self._chunk(delta.choice, {}, finish=finish, more=delta.told)
            case AnnotationDelta():
                return self._annotate(delta)
            case ImageDelta() | OpaqueDelta():
                return self._chunk(delta.choice, _whole(delta))
            case Start():
                self._start(delta)
            case UsageDelta():
                self._usage = delta.usage
        return b""

    def _annotate(self, delta: AnnotationDelta) -> bytes:
        if delta.annotation is None:  # Anthropic's form alone: the other follows
            return b""
        note = shifted(delta.annotation, self._offsets.begin(delta.choice, delta.block))
        return self._chunk(delta.choice, {"annotations": [note]})

    def _start(self, start: Start) -> None:
        self._head["id"] = start.id or self._head["id"]
        self._head["created"] = start.created or self._head["created"]
        self._head["model"] = start.model or self._head["model"]
        for key, value in (
            ("service_tier", start.service_tier),
            ("system_fingerprint", start.system_fingerprint),
        ):
            if value is not None:
                self._head[key] = value
        if start.usage is not None:
            self._usage = start.usage

    def _thinking(self, delta: ThinkingDelta) -> Json:
        """Words as they come; with the signature, the whole block: a client sends back what it gathered."""
        encoded: Json = {"reasoning_content": delta.text} if delta.text else {}
        words = self._thoughts.setdefault((delta.choice, delta.block), [])
        words.append(delta.text)
        if delta.signature or delta.encrypted:
            block = Thinking("".join(words), delta.signature, delta.encrypted, delta.id, delta.signer)
            words.clear()
            if details := details_of(block):
                encoded["reasoning_details"] = details
            else:
                encoded["thinking_blocks"] = [encode_thinking_block(block)]
        return encoded

    def _call_start(self, delta: ToolCallStart) -> Json:
        self._kinds[delta.choice, delta.index] = delta.kind
        body = "custom" if delta.kind == "custom" else "function"
        argument = "input" if delta.kind == "custom" else "arguments"
        call: Json = {
            "index": delta.index,
            "id": delta.id,
            "type": delta.kind,
            body: {"name": delta.name, argument: ""},
        }
        if delta.signature:
            call["extra_content"] = {"google": {"thought_signature": delta.signature}}
        return call

    def _call_arguments(self, delta: ToolCallArguments) -> Json:
        if self._kinds.get((delta.choice, delta.index)) == "custom":
            return {"index": delta.index, "custom": {"input": delta.fragment}}
        return {"index": delta.index, "function": {"arguments": delta.fragment}}

    def _chunk(
        self,
        choice: int,
        delta: Json,
        *,
        finish: str | None = None,
        logprobs: dict[str, Any] | None = None,
        more: Json | None = None,
    ) -> bytes:
        if choice not in self._spoken:
            self._spoken.add(choice)
            delta = {"role": "assistant", **({"content": ""} if "content" not in delta else {}), **delta}
        body: Json = {"index": choice, "delta": delta, "finish_reason": finish}
        if logprobs is not None:
            body["logprobs"] = logprobs
        return format_event(_encode({**self._head, "choices": [body], **(more or {})}))


def _whole(delta: ImageDelta | OpaqueDelta) -> Json:
    """What comes in one piece."""
    if isinstance(delta, ImageDelta):
        return {"images": [encode_picture(delta.url, delta.data, delta.media_type)]}
    return delta.data if delta.dialect == DIALECT else {"provider_blocks": [delta.data]}
