"""How an answer ends: cut at a word where it grows too long, and with the words that have to follow it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from intellirouter.chat.delta import Delta, Finish, TextDelta, ToolCallArguments, ToolCallStart
from intellirouter.chat.parts import Part, Text
from intellirouter.chat.response import Choice
from intellirouter.guards.guard import Guard
from intellirouter.guards.report import Report

LENGTH = "length"
PLACE = "output"
_LONGEST_WORD = 64
"""Characters that are held back at most."""


def shortened(text: str, length: int) -> str:
    """At most `length` characters, ending with a whole word where there is one."""
    cut = text[: length + 1]
    if cut[-1:].isspace():
        return cut.rstrip() or text[:length]
    words = cut.rsplit(None, 1)
    return words[0] if len(words) == 2 else text[:length]


class Ending:
    """What guards of one answer say of its end: the least length at which one cuts, and what follows."""

    def __init__(self, guards: Sequence[Guard], report: Report) -> None:
        acting = [guard for guard in guards if guard.enforced and guard.watches(PLACE)]
        self._cutting = min(
            (guard for guard in acting if guard.section.action == "cut"),
            key=lambda guard: guard.section.max_characters or 0,
            default=None,
        )
        self.closing = tuple(
            guard.section.message or "" for guard in acting if guard.section.kind == "closing"
        )
        self._report = report

    def __bool__(self) -> bool:
        return self._cutting is not None or bool(self.closing)

    @property
    def most(self) -> int | None:
        """Characters that an answer may have."""
        return None if self._cutting is None else self._cutting.section.max_characters

    def cut(self) -> None:
        """Say that an answer was cut."""
        if self._cutting is not None:
            self._report.note(self._cutting.name, self._cutting.action, PLACE, [LENGTH])

    def words(self, said: str) -> str:
        """What has to follow a text: nothing where it is empty, or says so already."""
        return "".join(f"\n\n{one}" for one in self.closing if said.strip() and one not in said)

    def choice(self, choice: Choice) -> Choice:
        """A whole answer with its end."""
        text, most = choice.text, self.most
        if most is not None and len(text) > most:
            text = shortened(text, most)
            others: tuple[Part, ...] = tuple(part for part in choice.content if not isinstance(part, Text))
            choice = msgspec.structs.replace(
                choice, content=(*others, Text(text)), finish_reason="length", logprobs=None
            )
            self.cut()
        closing = self.words(text)
        return (
            msgspec.structs.replace(choice, content=(*choice.content, Text(closing))) if closing else choice
        )


class EndingStream:
    """The same for the deltas of a stream; each choice by itself."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._choices: dict[int, _Choice] = {}

    def feed(self, deltas: Sequence[Delta], own: Sequence[Delta]) -> list[Delta]:
        """What goes out. `own` are our words in place of a choice's: they are neither cut nor followed."""
        out: list[Delta] = []
        for delta in deltas:
            number = getattr(delta, "choice", None)
            if number is None:
                out.append(delta)
                continue
            choice = self._choices.setdefault(number, _Choice(self._ending))
            out += choice.ours(delta) if any(one is delta for one in own) else choice.feed(delta)
        return out


class _Choice:
    """Held back is the last word: it may be one too many."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._said: list[str] = []
        self._length = 0
        self._held = ""
        self._inside = False  # what is held goes on with a word that is told in part
        self._last = TextDelta("")
        self._cut = self._replaced = False

    def feed(self, delta: Delta) -> list[Delta]:
        match delta:
            case TextDelta():
                return self._text(delta)
            case Finish():
                return [*self._rest(), *self._closing(), self._finish(delta)]
            case ToolCallStart() | ToolCallArguments() if self._cut:
                return []
            case _:
                return [delta]

    def ours(self, delta: Delta) -> list[Delta]:
        self._replaced = True
        return [*self._rest(), delta]

    def _text(self, delta: TextDelta) -> list[Delta]:
        if self._cut:
            return []
        self._last = delta
        most = self._ending.most
        if most is None:
            return self._words(delta.text, delta)
        whole = self._held + delta.text
        if self._length + len(whole) > most:
            self._cut = True
            self._ending.cut()
            self._held = ""
            return self._words(self._whole_words(whole, most - self._length))
        words = whole.rstrip()
        start = max(words.rfind(sign) for sign in " \n\t")
        start = len(words[:start].rstrip()) if start >= 0 else 0
        if len(whole) - start > _LONGEST_WORD:  # a script that writes without spaces
            start, self._inside = len(whole) - _LONGEST_WORD, True
        elif start:
            self._inside = False
        self._held = whole[start:]
        return self._words(whole[:start])

    def _whole_words(self, text: str, left: int) -> str:
        """As `shortened` has it, where words stand before the text."""
        if self._length == 0:
            return shortened(text, left)
        cut = text[: left + 1]
        if self._inside and not any(map(str.isspace, cut)):
            return text[:left]
        if not cut[-1:].isspace():
            cut = cut[: max(map(cut.rfind, " \n\t"), default=-1) + 1]
        return cut.rstrip()

    def _rest(self) -> list[Delta]:
        rest, self._held = self._held, ""
        return self._words(rest)

    def _closing(self) -> list[Delta]:
        return [] if self._replaced else self._words(self._ending.words("".join(self._said)))

    def _finish(self, delta: Finish) -> Finish:
        return msgspec.structs.replace(delta, reason="length") if self._cut and not self._replaced else delta

    def _words(self, text: str, like: TextDelta | None = None) -> list[Delta]:
        if not text:
            return []
        self._said.append(text)
        self._length += len(text)
        if like is not None:
            return [like]
        return [msgspec.structs.replace(self._last, text=text, logprobs=None)]
