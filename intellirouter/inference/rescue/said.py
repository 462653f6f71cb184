"""What the caller has seen of a streamed answer."""

from __future__ import annotations

from intellirouter.chat.delta import (
    Delta,
    OpaqueDelta,
    RedactedThinkingDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallStart,
)
from intellirouter.inference.tally import Tally

_ENDS_RESCUE = (ToolCallStart, OpaqueDelta, RefusalDelta, RedactedThinkingDelta)


class Said(Tally):
    """Follows a stream, and keeps its text where `keep_text` says that another target may be asked to go on."""

    __slots__ = ("_can_continue", "_keep", "_start", "_texts", "_thoughts", "block")

    def __init__(self, *, keep_text: bool) -> None:
        super().__init__()
        self.block = 0
        self._keep = keep_text
        self._start: Start | None = None
        self._texts: list[str] = []
        self._thoughts: list[ThinkingDelta] = []
        self._can_continue = keep_text

    def _text(self, delta: TextDelta) -> None:
        super()._text(delta)
        if self._keep:
            self._texts.append(delta.text)
            self.block = delta.block
            if delta.choice:
                self._can_continue = False

    def _more(self, delta: Delta) -> None:
        super()._more(delta)
        if isinstance(delta, Start):
            self._start = delta
        elif isinstance(delta, ThinkingDelta):
            if self._keep:
                self._thoughts.append(delta)
        elif isinstance(delta, _ENDS_RESCUE):
            self._can_continue = False

    @property
    def text(self) -> str:
        """The text so far."""
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]
        return self._texts[0] if self._texts else ""

    @property
    def can_continue(self) -> bool:
        """False once something went out that no other model can go on from: a tool call, a second choice, a block of
        one vendor."""
        return self._can_continue and not self.finished

    def as_deltas(self) -> tuple[Delta, ...]:
        """The same in short: what brings an encoder to where the caller is."""
        start = self._start or Start()
        text = (TextDelta(self.text, block=self.block),) if self.text else ()
        return (start, *self._thoughts, *text)
