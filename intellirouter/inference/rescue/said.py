"""What the caller has seen of a streamed answer."""

from __future__ import annotations

from collections.abc import Iterable

from intellirouter.chat.delta import (
    Delta,
    Finish,
    OpaqueDelta,
    RedactedThinkingDelta,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.response import Usage
from intellirouter.chat.tokens import CHARACTERS_PER_TOKEN

_ENDS_RESCUE = (ToolCallStart, OpaqueDelta, RefusalDelta, RedactedThinkingDelta)


class Said:
    """Follows a stream. `usage` is what the provider reported last."""

    def __init__(self, *, keep_text: bool) -> None:
        self.usage: Usage | None = None
        self.finished = False
        self.block = 0
        self._keep = keep_text
        self._start: Start | None = None
        self._texts: list[str] = []
        self._characters = 0
        self._can_continue = keep_text

    def take(self, events: Iterable[StreamEvent]) -> None:
        """These events go to the caller."""
        for event in events:
            for delta in event.deltas:
                if isinstance(delta, TextDelta):
                    self._text(delta)
                elif isinstance(delta, UsageDelta):
                    self.usage = delta.usage
                elif isinstance(delta, Start):
                    self._start = delta
                elif isinstance(delta, Finish):
                    self.finished = True
                elif isinstance(delta, _ENDS_RESCUE):
                    self._can_continue = False

    def _text(self, delta: TextDelta) -> None:
        self._characters += len(delta.text)
        if self._keep:
            self._texts.append(delta.text)
            self.block = delta.block
            if delta.choice:
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

    @property
    def tokens(self) -> int:
        """An estimate of what was said, in tokens."""
        return (self._characters + CHARACTERS_PER_TOKEN - 1) // CHARACTERS_PER_TOKEN

    def as_deltas(self) -> tuple[Delta, ...]:
        """The same in short: what brings an encoder to where the caller is."""
        start = self._start or Start()
        return (start, TextDelta(self.text, block=self.block)) if self.text else (start,)
