"""What an answer says of itself: empty, cut, refused, a tool called with arguments that are not what its schema asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from intellirouter.chat.delta import (
    Delta,
    Finish,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.answering import Passing, Streamed
from intellirouter.inference.learning import outcome

_MAX_ARGUMENTS = 64 * 1024


def signal_of(response: ChatResponse, request: ChatRequest) -> str | None:
    """The kind of outcome that a whole answer gives away, None where nothing speaks against it or nobody read it."""
    if not response.choices:
        return outcome.EMPTY
    choice = response.choices[0]
    if response.unread:  # it went on as it came, with words in it
        return outcome.CUT if choice.finish_reason == "length" else None
    calls = choice.tool_calls
    if choice.refusal or choice.finish_reason in ("refusal", "content_filter"):
        return outcome.REFUSED
    if any(not fits(request, call.name, call.arguments) for call in calls if call.kind == "function"):
        return outcome.BROKEN_CALL
    if choice.finish_reason == "length":
        return outcome.CUT
    return None if calls or choice.text.strip() or len(choice.content) > 1 else outcome.EMPTY


def fits(request: ChatRequest, name: str, arguments: str) -> bool:
    """Whether a call's arguments are an object with all that the tool's schema requires."""
    tool = next((tool for tool in request.tools if tool.name == name), None)
    if tool is None:
        return not request.tools
    if len(arguments) > _MAX_ARGUMENTS:
        return True
    try:
        given = msgspec.json.decode(arguments or "{}")
    except msgspec.DecodeError:
        return False
    schema = tool.parameters or {}
    required = schema.get("required")
    if not isinstance(given, dict):
        return False
    return not isinstance(required, list) or all(
        not isinstance(field, str) or field in given for field in required
    )


class Watched(Passing):
    """See `Streamed`. Passes a stream on as it is and tells, once it is complete, what speaks against the answer."""

    def __init__(self, live: Streamed, request: ChatRequest) -> None:
        super().__init__(live)
        self._request = request
        self._said = self._refused = False
        self._finish = ""
        self._id = ""
        self._calls: dict[int, list[str]] = {}

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        try:
            async for events in self._live.batches():
                for event in events:
                    for delta in event.deltas:
                        self._take(delta)
                yield events
        except IntelliRouterError:
            if (decided := self.trace.decided) is not None and self.trace.answered_by:
                decided.failed(self.trace.answered_by[-1])
            raise
        self._told()

    def _take(self, delta: Delta) -> None:
        match delta:
            case TextDelta(choice=0):
                self._said = self._said or bool(delta.text.strip())
            case Start():
                self._id = self._id or delta.id
            case RefusalDelta():
                self._refused = True
            case ToolCallStart(choice=0):
                self._calls[delta.index] = [delta.name]
            case ToolCallArguments(choice=0) if delta.index in self._calls:
                self._calls[delta.index].append(delta.fragment)
            case Finish(choice=0):
                self._finish = delta.reason
            case _:
                pass

    def _told(self) -> None:
        decided, by = self.trace.decided, self.trace.answered_by
        if decided is not None and by:
            decided.answered(by[-1], self._id, self._signal())

    def _signal(self) -> str | None:
        if self._refused or self._finish in ("refusal", "content_filter"):
            return outcome.REFUSED
        if any(not fits(self._request, name, "".join(pieces)) for name, *pieces in self._calls.values()):
            return outcome.BROKEN_CALL
        if self._finish == "length":
            return outcome.CUT
        return None if self._said or self._calls else outcome.EMPTY
