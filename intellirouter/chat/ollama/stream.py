"""Newline-delimited JSON streams, both directions."""

from __future__ import annotations

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
from intellirouter.chat.likelihoods import content_of, from_list
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.ollama.encode import encode_call
from intellirouter.chat.ollama.errors import encode_error
from intellirouter.chat.ollama.response import (
    decode_call,
    decode_finish,
    decode_usage,
    encode_done,
    encode_usage,
    now,
    read_message,
    read_object,
)
from intellirouter.chat.parts import ToolCall
from intellirouter.chat.response import Usage
from intellirouter.errors import IntelliRouterError

THINKING, TEXT, FIRST_CALL = 0, 1, 2


class LineDecoder:
    """See `EventDecoder`. Each line is an event."""

    def __init__(self) -> None:
        self._started = False
        self._calls = 0
        self._done = False

    @property
    def complete(self) -> bool:
        """The line with `done: true` came."""
        return self._done

    @property
    def done(self) -> bool:
        """Nothing follows it."""
        return self._done

    def decode(self, event: str, data: bytes) -> tuple[Delta, ...] | None:  # noqa: ARG002  lines have no event names
        """One line."""
        line = read_object(data)
        seed = str(line.get("created_at") or "")
        deltas: list[Delta] = []
        if not self._started:
            self._started = True
            deltas.append(Start(id=f"ollama-{seed}", model=str(line.get("model") or "")))
        thinking, text, calls = read_message(line)
        if thinking:
            deltas.append(ThinkingDelta(thinking, THINKING))
        likely = from_list(line.get("logprobs"))
        if text or likely:
            deltas.append(TextDelta(text, TEXT, logprobs=likely))
        for raw in calls:
            call = decode_call(raw, seed, self._calls)
            block = FIRST_CALL + self._calls
            deltas.append(ToolCallStart(self._calls, call.id, call.name, block=block))
            deltas.append(ToolCallArguments(self._calls, call.arguments, block))
            self._calls += 1
        if line.get("done"):
            self._done = True
            reason, detail = decode_finish(line.get("done_reason"), self._calls > 0)
            deltas.append(Finish(reason, 0, detail))
            if usage := decode_usage(line):
                deltas.append(UsageDelta(usage))
        return tuple(deltas)


class LineEncoder:
    """See `EventEncoder`. A tool call goes out whole, when the next thing begins."""

    def __init__(self, request: ChatRequest) -> None:
        self._model = request.model
        self._usage = Usage()
        self._finish: Finish | None = None
        self._calls: dict[int, tuple[ToolCallStart, list[str]]] = {}

    def encode(self, deltas: tuple[Delta, ...]) -> bytes:
        """Lines for these deltas, of the first choice: there is no other here."""
        return b"".join([self._encode_one(delta) for delta in deltas if getattr(delta, "choice", 0) == 0])

    def finish(self) -> bytes:
        """The tool calls, and the last line."""
        calls = [encode_call(_whole(start, pieces)) for start, pieces in self._calls.values()]
        lines = self._line(self.tool_calls(calls)) if calls else b""
        reason = self._finish.reason if self._finish else "stop"
        return lines + self._line({**self.text(""), **encode_done(reason), **encode_usage(self._usage)})

    def error(self, error: IntelliRouterError) -> bytes:
        """A line with the error."""
        return encode_error(error) + b"\n"

    def text(self, words: str) -> Json:
        """Words of the answer."""
        return {"message": {"role": "assistant", "content": words}, "done": False}

    def thinking(self, words: str) -> Json:
        """Words of the reasoning."""
        return {"message": {"role": "assistant", "content": "", "thinking": words}, "done": False}

    def tool_calls(self, calls: list[Json]) -> Json:
        """Whole tool calls."""
        return {"message": {"role": "assistant", "content": "", "tool_calls": calls}, "done": False}

    def _encode_one(self, delta: Delta) -> bytes:
        match delta:
            case TextDelta():
                likely = content_of(delta.logprobs)
                line = {**self.text(delta.text), "logprobs": likely} if likely else self.text(delta.text)
                return self._line(line) if delta.text or likely else b""
            case RefusalDelta():
                return self._line(self.text(delta.text)) if delta.text else b""
            case ImageDelta() if delta.data:
                message = {"role": "assistant", "content": "", "images": [delta.data]}
                return self._line({"message": message, "done": False})
            case ThinkingDelta():
                return self._line(self.thinking(delta.text)) if delta.text else b""
            case ToolCallStart():
                self._calls[delta.index] = (delta, [])
            case ToolCallArguments():
                self._calls[delta.index][1].append(delta.fragment)
            case Start():
                self._model = delta.model or self._model
            case UsageDelta():
                self._usage = delta.usage
            case Finish():
                self._finish = delta
            case _:
                pass
        return b""

    def _line(self, body: Json) -> bytes:
        return msgspec.json.encode({"model": self._model, "created_at": now(), **body}) + b"\n"


class GenerateEncoder(LineEncoder):
    """The stream of a generate request: text stands in `response`."""

    def text(self, words: str) -> Json:
        """Words of the answer."""
        return {"response": words, "done": False}

    def thinking(self, words: str) -> Json:
        """Words of the reasoning."""
        return {"response": "", "thinking": words, "done": False}


def _whole(start: ToolCallStart, pieces: list[str]) -> ToolCall:
    return ToolCall(start.id, start.name, "".join(pieces), start.kind)
