"""What guards make of an answer, whole or streamed, before its caller has it: looked at, masked, cut, and given its values back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

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
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Part, Text, Thinking, ToolCall
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.guards import places
from intellirouter.guards.ending import Ending, EndingStream
from intellirouter.guards.finding import Finding
from intellirouter.guards.guard import Guard, masked, replaced
from intellirouter.guards.placeholders import Placeholders
from intellirouter.guards.places import TOOL_CALL
from intellirouter.guards.report import Report
from intellirouter.guards.stream import Returned, Watched

_Beside = ToolCallStart | AnnotationDelta | ImageDelta | OpaqueDelta | ThinkingDelta | RedactedThinkingDelta
WITHHELD = "This answer was withheld by a guard."
_OUT, _CALLS, _THOUGHT = "output", "tool_call", "thought"


class Outgoing:
    """The guards of one answer. `placeholders` hold what its request was masked of."""

    def __init__(
        self, guards: Sequence[Guard], placeholders: Placeholders, request: ChatRequest, report: Report
    ) -> None:
        self.guards = [guard for guard in guards if guard.detectors and guard.watches(_OUT, _CALLS)]
        self.placeholders = placeholders
        self.report = report
        self.json = request.output is not None and request.output.kind != "text"
        self._limits = [
            guard
            for guard in guards
            if guard.section.kind == "length" and guard.section.action != "cut" and guard.watches(_OUT)
        ]
        self.ending = Ending(guards, report)

    @property
    def idle(self) -> bool:
        """Whether the answer may pass as it is."""
        return not (self.guards or self._limits or self.placeholders or self.ending)

    def withheld(self, response: ChatResponse, guard: Guard) -> ChatResponse:
        """The answer with nothing of what was said in it."""
        kept: tuple[Part, ...] = (Text(guard.section.message or WITHHELD),)
        choices = tuple(
            msgspec.structs.replace(choice, content=kept, finish_reason="content_filter", logprobs=None)
            for choice in response.choices
        )
        return msgspec.structs.replace(response, choices=choices, raw=None, dialect=None)

    def of_place(self, place: str) -> list[Guard]:
        """The guards that look at texts, at thoughts, or at calls."""
        return [
            guard
            for guard in self.guards
            if guard.watches(_OUT, place) and not (guard.said_only and place != _OUT)
        ]

    def whole(self, response: ChatResponse) -> ChatResponse:
        """A whole answer."""
        choices = tuple(map(self._choice, response.choices))
        if all(new is old for new, old in zip(choices, response.choices, strict=True)):
            return response
        return msgspec.structs.replace(response, choices=choices, raw=None, dialect=None)

    def _choice(self, choice: Choice) -> Choice:
        blocked: list[Guard] = []

        def look(text: str, where: str, said: str = _OUT) -> str:
            if where == places.SIGNED:
                return text
            for guard in self.of_place(_CALLS if where == TOOL_CALL else said):
                if found := guard.find(text):
                    text = self.heard(guard, where, found, text, blocked)
            return text

        for guard in self._limits:
            if len(choice.text) > (guard.section.max_characters or 0):
                self.report.note(guard.name, guard.action, _OUT, ["length"])
                blocked += [guard] if guard.enforced and guard.section.action == "block" else []
        thought = partial(look, said=_THOUGHT)
        content = tuple(
            places.part_of(part, thought if isinstance(part, Thinking) else look, _OUT)
            for part in choice.content
        )
        if blocked:
            kept: tuple[Part, ...] = (Text(blocked[0].section.message or WITHHELD),)
            return msgspec.structs.replace(
                choice, content=kept, finish_reason="content_filter", logprobs=None
            )
        if self.placeholders:
            content = tuple(places.part_of(part, self._back, _OUT) for part in content)
            content = tuple(map(self._calls_back, content))
        if any(new is not old for new, old in zip(content, choice.content, strict=True)):
            choice = msgspec.structs.replace(choice, content=content)
        return self.ending.choice(choice) if self.ending else choice

    def _back(self, text: str, where: str) -> str:
        if where == TOOL_CALL:
            return text
        made = self.placeholders.back.whole(text, in_json=self.json and where == _OUT)
        return text if made == text else made

    def _calls_back(self, part: Part) -> Part:
        """A call's arguments are JSON as the model wrote it, and stay so but for the values."""
        if not isinstance(part, ToolCall):
            return part
        made = self.placeholders.back.whole(part.arguments, in_json=part.kind == "function")
        return part if made == part.arguments else msgspec.structs.replace(part, arguments=made)

    def heard(self, guard: Guard, where: str, found: list[Finding], text: str, blocked: list[Guard]) -> str:
        """What becomes of a text in which a guard found something."""
        self.report.note(guard.name, guard.action, where, [one.kind for one in found])
        if not guard.enforced:
            return text
        if guard.section.action in ("mask", "mask-restore"):
            return replaced(text, found, masked)
        if guard.section.action == "block":
            blocked.append(guard)
        return text

    def stream(self) -> OutgoingStream:
        """The same for a stream."""
        return OutgoingStream(self, self._limits)


class OutgoingStream:
    """The guards on the deltas of one stream. What is under way is kept apart by choice and block."""

    def __init__(self, outgoing: Outgoing, limits: Sequence[Guard]) -> None:
        self._outgoing = outgoing
        self._limits = limits
        self._texts: dict[tuple[int, str], _Text] = {}
        self._lengths: dict[int, int] = {}
        self._ended: dict[int, Guard] = {}
        self._kinds: dict[tuple[int, int], str] = {}
        self._told: set[int] = set()
        self._own: list[TextDelta] = []
        self._ending = EndingStream(outgoing.ending) if outgoing.ending else None

    def feed(self, deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
        """What may go out now."""
        out: list[Delta] = []
        for delta in deltas:
            match delta:
                case TextDelta() | RefusalDelta():
                    self._add(out, delta, type(delta).__name__, delta.text)
                case ThinkingDelta() if not delta.signature and not delta.encrypted:
                    self._add(out, delta, "thinking", delta.text)
                case ToolCallArguments():
                    self._add(out, delta, f"call {delta.index}", delta.fragment)
                case Finish():
                    self._finish(out, delta)
                case Start() | UsageDelta():
                    out.append(delta)
                case _:
                    self._beside(out, delta)
        return tuple(out) if self._ending is None else tuple(self._ending.feed(out, self._own))

    def _beside(self, out: list[Delta], delta: _Beside) -> None:
        """What is no text: it ends the text before it, unless it only speaks about it."""
        if delta.choice not in self._ended and not isinstance(delta, AnnotationDelta):
            self._flush(out, delta.choice)
        if delta.choice in self._ended:
            return
        if isinstance(delta, ToolCallStart):
            self._kinds[delta.choice, delta.index] = delta.kind
        out.append(delta)

    def _add(
        self,
        out: list[Delta],
        delta: TextDelta | RefusalDelta | ThinkingDelta | ToolCallArguments,
        name: str,
        text: str,
    ) -> None:
        choice = delta.choice
        if choice in self._ended:
            return
        key = (choice, f"{name} {delta.block}")
        under_way = self._texts.get(key)
        if under_way is None:
            if not isinstance(delta, ToolCallArguments):
                self._flush(out, choice)
            under_way = self._texts[key] = self._begun(delta)
        under_way.like = delta
        if isinstance(delta, TextDelta) and self._too_long(choice, len(text)):
            self._withhold(out, choice)
            return
        ready = under_way.feed(text)
        if ready:
            self._told.add(choice)
            out.append(_with_text(delta, ready))
        if under_way.blocked:
            self._ended.setdefault(choice, under_way.blocked[0])
            self._withhold(out, choice)

    def _begun(self, delta: TextDelta | RefusalDelta | ThinkingDelta | ToolCallArguments) -> _Text:
        call = isinstance(delta, ToolCallArguments)
        in_json = self._outgoing.json and isinstance(delta, TextDelta)
        if isinstance(delta, ToolCallArguments):
            in_json = self._kinds.get((delta.choice, delta.index), "function") == "function"
        place = _CALLS if call else _THOUGHT if isinstance(delta, ThinkingDelta) else _OUT
        return _Text(self._outgoing, delta, place, in_json=in_json)

    def _too_long(self, choice: int, more: int) -> bool:
        length = self._lengths[choice] = self._lengths.get(choice, 0) + more
        for guard in self._limits:
            if length > (guard.section.max_characters or 0) >= length - more:
                self._outgoing.report.note(guard.name, guard.action, _OUT, ["length"])
                if guard.enforced and guard.section.action == "block":
                    self._ended[choice] = guard
        return choice in self._ended

    def _withhold(self, out: list[Delta], choice: int) -> None:
        """The rest of a choice is not told; that is said in its own text."""
        for key in [key for key in self._texts if key[0] == choice]:
            del self._texts[key]
        message = self._ended[choice].section.message or WITHHELD
        block = max(
            (delta.block for delta in out if isinstance(delta, TextDelta) and delta.choice == choice),
            default=0,
        )
        lead = "\n\n" if choice in self._told else ""
        self._own.append(TextDelta(f"{lead}{message}", block, choice))
        out.append(self._own[-1])

    def _flush(self, out: list[Delta], choice: int) -> None:
        """Texts that another block follows are at their end."""
        for key in [key for key in self._texts if key[0] == choice]:
            under_way = self._texts.pop(key)
            if rest := under_way.rest():
                self._told.add(choice)
                out.append(_with_text(under_way.like, rest))
            if under_way.blocked and choice not in self._ended:
                self._ended[choice] = under_way.blocked[0]
                self._withhold(out, choice)
                return

    def _finish(self, out: list[Delta], delta: Finish) -> None:
        if delta.choice not in self._ended:
            self._flush(out, delta.choice)
        if delta.choice in self._ended:
            delta = msgspec.structs.replace(delta, reason="content_filter")
        out.append(delta)


class _Text:
    """One text under way: through each guard in turn, then its placeholders given back."""

    def __init__(
        self,
        outgoing: Outgoing,
        like: TextDelta | RefusalDelta | ThinkingDelta | ToolCallArguments,
        place: str,
        *,
        in_json: bool,
    ) -> None:
        self.like = like
        self.blocked: list[Guard] = []
        self._outgoing = outgoing
        self._steps: list[Watched | Returned] = [
            self._watched(guard, place) for guard in outgoing.of_place(place)
        ]
        if outgoing.placeholders:
            self._steps.append(Returned(outgoing.placeholders.back, in_json=in_json))

    def _watched(self, guard: Guard, place: str) -> Watched:
        where = _CALLS if place == _CALLS else _OUT

        def hear(found: list[Finding], text: str) -> tuple[str, bool]:
            before = len(self.blocked)
            made = self._outgoing.heard(guard, where, found, text, self.blocked)
            if len(self.blocked) > before:
                return text[: found[0].start], True
            return made, False

        return Watched(guard.detectors, guard.find, hear)

    def feed(self, text: str) -> str:
        """What may go out now."""
        for one in self._steps:
            text = one.feed(text) if text else ""
        return text

    def rest(self) -> str:
        """What was held back."""
        text = ""
        for one in self._steps:
            text = (one.feed(text) if text else "") + one.rest()
        return text


def _with_text(
    delta: TextDelta | RefusalDelta | ThinkingDelta | ToolCallArguments, text: str
) -> TextDelta | RefusalDelta | ThinkingDelta | ToolCallArguments:
    if isinstance(delta, ToolCallArguments):
        return msgspec.structs.replace(delta, fragment=text)
    if isinstance(delta, TextDelta):
        same = delta.text == text
        return delta if same else msgspec.structs.replace(delta, text=text, logprobs=None)
    return msgspec.structs.replace(delta, text=text)
