"""Whether an answer is one at all: a success without words, calls or a reason for their absence is a failure.

Vendors answer 200 with no choices, with a call they could not write (Gemini's MALFORMED_FUNCTION_CALL) or whose tool has no name, or
with a stream that only ends. An agent would take that for the end of its work, so it is an error here, before the first byte: another
try may do better, and nobody keeps it. Words that stop at a limit, at a stop sequence or at a filter are answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from intellirouter.chat.delta import (
    AnnotationDelta,
    Delta,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import RedactedThinking, Text, Thinking
from intellirouter.chat.response import ChatResponse, Choice, FinishReason, Usage
from intellirouter.errors import UpstreamProtocolError

_UNASKED = "unexpected_tool_call"
"""Gemini's word for a call that nobody offered a tool for: where the call is there, the caller may judge."""
_EMPTY = "the provider's answer has nothing in it"
_NAMELESS = "the provider called a tool without saying which"


def refuse_nothing(response: ChatResponse, request: ChatRequest) -> None:
    """Raise `UpstreamProtocolError` for a whole answer that is none."""
    if not response.choices:
        raise UpstreamProtocolError("the provider's answer has no choices")
    for choice in response.choices:
        if choice.finish_reason == "error" and not (choice.tool_calls and _is_unasked(choice.finish_detail)):
            raise ended_badly(choice.finish_detail)
        if not all(call.name for call in choice.tool_calls):
            raise UpstreamProtocolError(_NAMELESS)
    if not response.unread and all(
        _says_nothing(choice, response.usage, request) for choice in response.choices
    ):
        raise UpstreamProtocolError(_EMPTY)


def _is_unasked(word: str | None) -> bool:
    """Its endpoint for chat completions has the word behind one of its own, gateways in small letters."""
    return (word or "").lower().endswith(_UNASKED)


def _says_nothing(choice: Choice, usage: Usage | None, request: ChatRequest) -> bool:
    told = [part for part in choice.content if not (isinstance(part, Text) and not part.text)]
    thoughts = [part for part in told if isinstance(part, (Thinking, RedactedThinking))]
    return len(told) == len(thoughts) and is_nothing(
        choice.finish_reason, usage, request, thought=bool(thoughts)
    )


def is_nothing(
    reason: FinishReason | None, usage: Usage | None, request: ChatRequest, *, thought: bool
) -> bool:
    """Whether an answer without words or calls that ended for `reason` is none."""
    if reason == "tool_calls":
        return True  # it says that it calls, and calls nothing
    if reason not in ("stop", None) or request.stop:
        return False
    if usage is None or usage.estimated:
        return not thought
    return usage.output_tokens - (usage.reasoning_tokens or 0) <= 0


def ended_badly(word: str | None) -> UpstreamProtocolError:
    """The error of an answer whose vendor says itself that it failed."""
    return UpstreamProtocolError(f"the provider ended the answer with '{word or 'error'}'")


class BadEnd:
    """Watches a stream for an end that its vendor itself calls a failure, and for a call that nobody can answer."""

    def __init__(self) -> None:
        self._called = False

    def watch(self, events: Iterable[StreamEvent]) -> None:
        """Raise `UpstreamProtocolError` where it is among these events."""
        for event in events:
            for delta in event.deltas:
                if type(delta) is ToolCallStart:
                    self._called = True
                    if not delta.name:
                        raise UpstreamProtocolError(_NAMELESS)
                elif type(delta) is Finish and delta.reason == "error" and not self._expected(delta):
                    raise ended_badly(delta.detail)

    def _expected(self, end: Finish) -> bool:
        return self._called and _is_unasked(end.detail)


class FirstWords:
    """Waits in a stream for the first thing that a caller would see."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._thought = False

    def came(self, events: Iterable[StreamEvent]) -> bool:
        """Whether something to be seen is among these events."""
        seen = [
            self._seen(delta) for event in events for delta in event.deltas
        ]  # of every one: each may be the last
        return True in seen

    def _seen(self, delta: Delta) -> bool:
        match delta:
            case TextDelta():
                return bool(delta.text)
            case ThinkingDelta():
                self._thought = True
                return bool(delta.text)
            case Finish():
                self._reason = delta.reason
                return False
            case UsageDelta():
                self._usage = delta.usage
                return False
            case Start() | AnnotationDelta():
                return False
            case _:
                return True

    def refuse_nothing(self) -> None:
        """The stream ended. Raise `UpstreamProtocolError` where it said nothing."""
        if is_nothing(self._reason, self._usage, self._request, thought=self._thought):
            raise UpstreamProtocolError(_EMPTY)
