"""One guard, ready for use, and what guards found in one request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from intellirouter.config.schema.guards import ASKED, GuardSection
from intellirouter.guards.detectors.language import LANGUAGE, Languages
from intellirouter.guards.detectors.patterns import Patterns
from intellirouter.guards.detectors.words import Keywords
from intellirouter.guards.finding import Detector, Finding
from intellirouter.guards.placeholders import mask_of
from intellirouter.guards.places import TOOL_CALL, TOOL_RESULT, USER
from intellirouter.guards.reading import Reading
from intellirouter.guards.table import PERSONAL, detectors

_MOST_WORDS = 100_000
_LONGEST_WORD = 200


@dataclass(frozen=True, slots=True)
class Guard:
    """See `GuardSection`, whose fields these are."""

    section: GuardSection
    detectors: tuple[Detector, ...]
    said_only: bool = False
    """Whether of an answer it looks at its words alone, and not at thoughts and calls."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.section.name

    @property
    def enforced(self) -> bool:
        """Whether it acts, and does not only tell."""
        return self.section.mode == "enforce"

    @property
    def action(self) -> str:
        """What it does, or would do."""
        return self.section.action if self.enforced else f"monitor {self.section.action}"

    @property
    def remote(self) -> bool:
        """Whether somebody is asked."""
        return self.section.kind in ASKED

    @property
    def needs_whole(self) -> bool:
        """Whether it cannot say anything of an answer before its end."""
        return self.remote or self.section.kind == LANGUAGE

    @property
    def joins(self) -> bool:
        """Whether it looks for what several texts may hold only together: something that is said."""
        return self.section.kind in ("injection", "keywords")

    @property
    def decodes(self) -> bool:
        """Whether what it looks for may be said in a code."""
        return self.section.kind == "injection"

    def watches(self, *places: str) -> bool:
        """Whether it is for one of these places."""
        return not set(places).isdisjoint(self.section.on)

    def reads(self, where: str) -> bool:
        """Whether it looks at a text of a request that stands there."""
        on = self.section.on
        # an operator's own prompt and tools may be in another language than people are to speak
        if self.section.kind == LANGUAGE:
            return (where == USER and "input" in on) or (where == TOOL_RESULT and "tool_result" in on)
        return (
            "input" in on
            or (where == TOOL_RESULT and "tool_result" in on)
            or (where == TOOL_CALL and "tool_call" in on)
        )

    def find(self, text: str | Reading) -> list[Finding]:
        """Everything it looks for in a text, in order and without overlap."""
        return (Reading(text) if isinstance(text, str) else text).find(self.detectors)

    def is_for(self, models: Iterable[str]) -> bool:
        """Whether it is for a model that has one of these names."""
        patterns = self.section.models
        return not patterns or any(fnmatchcase(name, one) for name in models for one in patterns)

    def scoped(self, *, key: str, team: str | None, personas: Set[str], named: Sequence[str]) -> bool:
        """Whether it is for such a request, if it is for its model."""
        section = self.section
        if self.name in named:
            return True
        return (
            section.default
            and (not section.keys or key in section.keys)
            and (not section.teams or team in section.teams)
            and (not section.personas or not personas.isdisjoint(section.personas))
        )


def made(section: GuardSection, compiled: Callable[[str], Any]) -> Guard:
    """The guard of a section; `compiled` makes its patterns. Raises what that raises, `OSError` and `ValueError` for a file of words."""
    match section.kind:
        case "keywords":
            found: Iterable[Detector] = [Keywords(_words(section), section.name)]
        case "pattern":
            found = [Patterns([compiled(pattern) for pattern in section.patterns], section.name)]
        case "pii":
            found = detectors(section.detect or PERSONAL, section.countries)
        case "language":
            return Guard(section, (Languages(section.allow),), said_only=True)
        case "length" | "closing" | "webhook" | "judge" | "moderation" | "presidio":
            found = ()
        case kind:
            found = detectors((kind,), section.countries)
    return Guard(section, tuple(found))


def _words(section: GuardSection) -> tuple[str, ...]:
    words = [word.strip() for word in section.words]
    if section.words_file is not None:
        with section.words_file.open(encoding="utf-8") as file:
            words += [line.strip() for line in file if line.strip() and not line.startswith("#")]
    if len(words) > _MOST_WORDS:
        raise ValueError(f"{len(words):,} words; a guard knows at most {_MOST_WORDS:,}")
    for word in words:
        if not 0 < len(word) <= _LONGEST_WORD:
            raise ValueError(f"a keyword has 1 to {_LONGEST_WORD} characters: '{word[:40]}'")
    return tuple(words)


def replaced(text: str, findings: Sequence[Finding], by: Callable[[Finding, str], str]) -> str:
    """The text with something else in place of each finding; findings are in order and apart."""
    if not findings:
        return text
    out: list[str] = []
    last = 0
    for one in findings:
        out += (text[last : one.start], by(one, text[one.start : one.end]))
        last = one.end
    return "".join((*out, text[last:]))


def masked(one: Finding, _value: str) -> str:
    """What stands in place of a finding for good."""
    return mask_of(one.kind)
