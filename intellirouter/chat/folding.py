"""A stream folded into the answer that it is, for whoever wants the text both as it comes and whole.

What is kept is what a reader sees: text and refusals of the first choice, why it ended, and what was used. Calls of tools and blocks that
only one vendor knows are not: who needs those asks for the whole answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from intellirouter.chat.delta import Delta, Finish, RefusalDelta, Start, TextDelta, UsageDelta
from intellirouter.chat.parts import Part, Refusal, Text
from intellirouter.chat.response import ChatResponse, Choice, FinishReason, Usage


class Folded:
    """One stream. `take` gives back the text that was new."""

    def __init__(self, model: str) -> None:
        self._id, self._model = "", model
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None

    def take(self, deltas: Iterable[Delta]) -> str:
        """More of it."""
        new = ""
        for delta in deltas:
            match delta:
                case TextDelta(choice=0):
                    new += delta.text
                case RefusalDelta(choice=0):
                    self._refusal.append(delta.text)
                case Start():
                    self._id, self._model = delta.id or self._id, delta.model or self._model
                    self._usage = delta.usage or self._usage
                case UsageDelta():
                    self._usage = delta.usage
                case Finish(choice=0):
                    self._reason = delta.reason
        self._text.append(new)
        return new

    def response(self, cost_usd: float | None) -> ChatResponse:
        """The whole answer."""
        parts: list[Part] = [Text("".join(self._text))] if any(self._text) else []
        if self._refusal:
            parts.append(Refusal("".join(self._refusal)))
        choice = Choice(tuple(parts), self._reason)
        return ChatResponse(
            id=self._id, model=self._model, choices=(choice,), usage=self._usage, cost_usd=cost_usd
        )
