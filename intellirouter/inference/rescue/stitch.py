"""Joining a continuation to what was said before, so that the caller reads one answer.

A model asked to go on usually goes on; some repeat the last words, some begin again from the start, some do something
else. The first characters are held back until it is clear which: what repeats is followed silently to its end, what goes
on passes, joined as `joint.py` says; anything else is no continuation.
"""

from __future__ import annotations

from intellirouter.errors import StreamInterrupted
from intellirouter.inference.rescue.joint import joint
from intellirouter.inference.rescue.opening import does_not_go_on

HELD = 120
"""Characters looked at before deciding."""
SHORTEST_OVERLAP = 8
TAIL = 400
"""How far back from its end a repetition of the last words may begin."""


class DoesNotGoOn(StreamInterrupted):
    """A model that was asked to go on with an answer did something else."""


class Stitcher:
    """Feed it the continuation; it returns what is new. `asked` is the text of the request, to know its subject by."""

    def __init__(self, said: str, asked: str = "") -> None:
        self._said = said
        self._asked = asked
        self._held = ""
        self._decided = not said
        self._follow = -1  # where in `said` the continuation is, while it repeats
        self._dropped = ""

    def feed(self, text: str) -> str:
        """The new part of these characters; may be empty.

        Raises `DoesNotGoOn` for another answer, and for one that began again and takes another way than the one already
        sent.
        """
        if self._decided:
            return self._pass(text)
        self._held += text
        if len(self._held) < HELD:
            return ""
        return self._decide()

    def finish(self) -> str:
        """The continuation ended: what was held back and is new."""
        return "" if self._decided else self._decide()

    @property
    def retold(self) -> bool:
        """The answer was told anew from its first character, all that is known of it."""
        return self._decided and self._follow == -1 and bool(self._said) and self._dropped == self._said

    def _decide(self) -> str:
        self._decided = True
        held, self._held = self._held, ""
        opening = held[: min(len(held), len(self._said))]
        if len(self._said) >= SHORTEST_OVERLAP and opening and self._said.startswith(opening):
            self._follow = 0
            return self._pass(held)
        place = self._said.rfind(held, max(0, len(self._said) - TAIL)) if len(held) >= HELD else -1
        if place >= 0:
            self._follow = place
            return self._pass(held)
        for length in range(min(len(held), len(self._said)), SHORTEST_OVERLAP - 1, -1):
            if self._said.endswith(held[:length]):
                return held[length:]
        if (reason := does_not_go_on(self._said, held.lstrip(), self._asked)) is not None:
            raise DoesNotGoOn(f"the answer broke and the model that took over did not go on: {reason}")
        glue, rest = joint(self._said, held)
        return glue + rest

    def _pass(self, text: str) -> str:
        if self._follow < 0:
            return text
        expected = self._said[self._follow : self._follow + len(text)]
        if text.startswith(expected):
            self._follow += len(expected)
            self._dropped += expected
            if self._follow == len(self._said):
                self._follow = -1
            return text[len(expected) :]
        if self._follow == len(self._dropped):  # it began at the start, and now says something else
            raise DoesNotGoOn("the answer broke and the model that took over told it differently")
        self._follow = -1
        return self._dropped + text  # a likeness by chance: nothing of it may be lost
