"""A persona's rules, held to after the model has answered: what it was told is not always what it does.

A whole answer is checked as a whole. A stream cannot be unsaid, so the few characters in which a forbidden topic may be
under way are held back until it is clear that they are none; an answer that grows too long is cut where it does.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from intellirouter.chat.delta import (
    AnnotationDelta,
    Delta,
    Finish,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from intellirouter.chat.parts import Part, Text, ToolCall
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.roles.router.pipeline.topics import TopicStream, topics_of

DEFAULT_REFUSAL = "I cannot help with that."
Breach = Literal["topic", "length", "schema"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one persona. `topics` are as they were written; `schema` is what the whole answer must hold to."""

    topics: tuple[str, ...] = ()
    refusal: str = DEFAULT_REFUSAL
    max_length: int | None = None
    disclaimer: str = ""
    schema: Mapping[str, Any] | None = None

    def names_topic(self, text: str) -> bool:
        """Whether the text names a forbidden topic."""
        return topics_of(self.topics).named_in(text)

    @property
    def concern_answers(self) -> bool:
        """Whether an answer has to be looked at."""
        return bool(self.topics or self.max_length or self.disclaimer or self.schema)


def rules_of(guardrails: Mapping[str, Any], *, schema: bool) -> Rules:
    """The rules in a resolved persona. `schema`: its schema holds, since the request asks for none of its own."""
    return Rules(
        topics=tuple(topic for topic in guardrails.get("forbidden_topics") or () if topic),
        refusal=guardrails.get("refusal") or DEFAULT_REFUSAL,
        max_length=guardrails.get("max_length"),
        disclaimer=guardrails.get("disclaimer") or "",
        schema=guardrails.get("output_schema") if schema else None,
    )


def kept_to(rules: Rules, response: ChatResponse) -> tuple[ChatResponse, Breach | None]:
    """The answer as the rules allow it, and the rule it broke."""
    breach: Breach | None = None
    choices = []
    for choice in response.choices:
        allowed, broken = _allowed(rules, choice)
        breach = breach or broken
        choices.append(allowed)
    return msgspec.structs.replace(response, choices=tuple(choices)), breach


def _allowed(rules: Rules, choice: Choice) -> tuple[Choice, Breach | None]:
    text = choice.text
    if rules.names_topic(text):
        content: tuple[Part, ...] = (Text(rules.refusal),)
        return msgspec.structs.replace(choice, content=content, finish_reason="content_filter"), "topic"
    calls = any(isinstance(part, ToolCall) for part in choice.content)
    breach: Breach | None = None
    if rules.max_length is not None and len(text) > rules.max_length and rules.schema is None:
        others = tuple(part for part in choice.content if not isinstance(part, Text))
        text = shortened(text, rules.max_length)
        choice = msgspec.structs.replace(choice, content=(*others, Text(text)), finish_reason="length")
        breach = "length"
    if rules.schema is not None and not calls and complaint(rules.schema, text) is not None:
        breach = "schema"
    if closing := closing_words(rules, text):
        choice = msgspec.structs.replace(choice, content=(*choice.content, Text(closing)))
    return choice, breach


def shortened(text: str, length: int) -> str:
    """At most `length` characters, ending with a whole word where there is one."""
    cut = text[: length + 1]
    if cut[-1:].isspace():
        return cut.rstrip() or text[:length]
    words = cut.rsplit(None, 1)
    return words[0] if len(words) == 2 else text[:length]


def closing_words(rules: Rules, text: str) -> str:
    """What has to follow the answer: the disclaimer, unless it says it already, is empty, or is data."""
    if not rules.disclaimer or not text.strip() or rules.schema is not None or rules.disclaimer in text:
        return ""
    return f"\n\n{rules.disclaimer}"


def complaint(schema: Mapping[str, Any], text: str) -> str | None:
    """What in the text does not hold to the schema; None when all does."""
    module = importlib.import_module("intellirouter.roles.router.pipeline.answer_schema")
    found: str | None = module.complaint(schema, text)
    return found


class GuardedStream:
    """The rules on the deltas of one stream; what its choices say is kept apart."""

    def __init__(self, rules: Rules) -> None:
        self.breach: Breach | None = None
        self._rules = rules
        self._choices: dict[int, _Guarded] = {}

    def feed(self, deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
        """What may go out now."""
        out: list[Delta] = []
        for delta in deltas:
            number = getattr(delta, "choice", None)
            if number is None:
                out.append(delta)
                continue
            guarded = self._choices.get(number)
            if guarded is None:
                guarded = self._choices[number] = _Guarded(self._rules)
            out.extend(guarded.feed(delta))
            self.breach = self.breach or guarded.breach
        return tuple(out)


class _Guarded:
    """One choice. Held back is text that could still become a forbidden topic, or part of a word too many."""

    def __init__(self, rules: Rules) -> None:
        self.breach: Breach | None = None
        self._rules = rules
        self._topics = TopicStream(topics_of(rules.topics))
        self._watched = bool(rules.topics) or rules.max_length is not None
        self._said: list[str] = []
        self._length = 0
        self._last = TextDelta("")

    def feed(self, delta: Delta) -> list[Delta]:
        match delta:
            case TextDelta():
                return self._text(delta) if self.breach is None else []
            case Finish():
                return self._finish(delta)
            case ToolCallStart() | ToolCallArguments() | AnnotationDelta() if self.breach is not None:
                return []
            case _:
                return [delta]

    def _text(self, delta: TextDelta) -> list[Delta]:
        rules = self._rules
        self._last = delta
        ready, named = self._topics.feed(delta.text) if self._watched else (delta.text, False)
        if named:
            return self._refusal()
        limit = rules.max_length
        held = self._topics.held
        if limit is not None and rules.schema is None and self._length + len(ready) + len(held) > limit:
            self.breach = "length"
            rest = shortened(ready + held, limit - self._length) if limit > self._length else ""
            if len(rest) > len(ready) and self._rules.names_topic(rest):
                rest = ready
            return [self._words(rest)] if rest else []
        return [self._words(ready, delta)] if ready else []

    def _refusal(self) -> list[Delta]:
        self.breach = "topic"
        return [self._words(("\n\n" if self._length else "") + self._rules.refusal)]

    def _finish(self, delta: Finish) -> list[Delta]:
        out: list[Delta] = []
        if self.breach is None:
            rest, named = self._topics.rest()
            if named:
                out.extend(self._refusal())
            elif rest:
                out.append(self._words(rest))
        if self.breach != "topic" and (closing := closing_words(self._rules, "".join(self._said))):
            out.append(self._words(closing))
        if self.breach == "topic":
            return [*out, msgspec.structs.replace(delta, reason="content_filter")]
        if self.breach == "length":
            return [*out, msgspec.structs.replace(delta, reason="length")]
        return [*out, delta]

    def _words(self, text: str, like: TextDelta | None = None) -> TextDelta:
        self._said.append(text)
        self._length += len(text)
        return msgspec.structs.replace(like or self._last, text=text, logprobs=None)
