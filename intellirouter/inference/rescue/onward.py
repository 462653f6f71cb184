"""What the caller gets of a continuation: the deltas that follow on what was said, and its end once that is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from intellirouter.chat.delta import (
    Delta,
    Finish,
    OpaqueDelta,
    RedactedThinkingDelta,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.inference.rescue.ending import not_an_end
from intellirouter.inference.rescue.stitch import DoesNotGoOn, Stitcher

_REFUSALS = ("content_filter", "refusal", "error")


class Onward:
    """One continuation of `said`, in block `block`. `asked` is the text of the request."""

    def __init__(self, said: str, block: int, asked: str) -> None:
        self._said = said
        self._block = block
        self._asked = asked
        self._stitcher = Stitcher(said, asked)
        self._new: list[str] = []
        self._finishes: list[Finish] = []
        self._called = False

    def take(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """What of these events the caller may see now. Raises `DoesNotGoOn`."""
        passed = []
        for event in events:
            deltas = tuple(new for delta in event.deltas for new in self._follow_on(delta))
            if deltas:
                passed.append(StreamEvent(deltas))
        return passed

    def _follow_on(self, delta: Delta) -> Sequence[Delta]:
        match delta:
            case Start():
                return ()
            case TextDelta():
                return self._text(self._stitcher.feed(delta.text))
            case Finish():  # what was said may turn out to be no end
                self._finishes.append(delta)
                return ()
            case UsageDelta():  # of this part alone
                return ()
            case ThinkingDelta() | RedactedThinkingDelta() | OpaqueDelta():
                return () if self._said else (delta,)  # thoughts do not belong into the middle of an answer
            case RefusalDelta():
                if self._said:
                    raise DoesNotGoOn("the answer broke and the model that took over refused to go on")
                return (delta,)
            case ToolCallStart():
                self._called = True
        rest = self._text(self._stitcher.finish())
        return (*rest, delta)

    def _text(self, text: str) -> Sequence[Delta]:
        if not text:
            return ()
        self._new.append(text)
        return (TextDelta(text, block=self._block if self._said else 0),)

    def end(self) -> tuple[Sequence[Delta], Sequence[Finish]]:
        """What is left of it, once the stream has ended well: the last words and the finish. Raises `DoesNotGoOn`."""
        rest = self._text(self._stitcher.finish())
        reason = self._finishes[0].reason if self._finishes else "stop"
        if self._said:
            if reason in _REFUSALS:
                raise DoesNotGoOn(f"the answer broke and the model that took over ended with '{reason}'")
            if reason == "stop" and not self._called:
                self._must_be_whole()
        return rest, self._finishes

    def _must_be_whole(self) -> None:
        more = "".join(self._new)
        if not more and self._stitcher.retold:
            return  # told anew from the start it ends here too
        if (why := not_an_end(self._said, more, self._asked)) is not None:
            raise DoesNotGoOn(f"the answer broke and the model that took over stopped too soon: {why}")
