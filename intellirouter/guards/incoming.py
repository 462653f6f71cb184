"""What guards make of a request before it goes to a model: blocked, masked, sent elsewhere, or as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from intellirouter.chat.model import ChatRequest
from intellirouter.guards import places
from intellirouter.guards.escapes import read
from intellirouter.guards.finding import Finding
from intellirouter.guards.guard import Guard, masked, replaced
from intellirouter.guards.placeholders import Placeholders
from intellirouter.guards.places import SIGNED, TOOL_RESULT, USER
from intellirouter.guards.reading import Reading
from intellirouter.guards.report import Report

_JOINED = "\n"
_MOST_JOINED = 50_000
"""Characters of neighbouring turns that are read as one text."""
_SAID_TO_MODELS = "injection"
_Apart = dict[int, list[tuple[Finding, Guard]]]
"""By the number of a text, what stands in it of something that only several texts together hold, and who found it."""


@dataclass(slots=True)
class Incoming:
    """The outcome. `blocked` is the guard that let it not pass; `route_to` the model that gets it instead."""

    request: ChatRequest
    report: Report = field(default_factory=Report)
    placeholders: Placeholders = field(default_factory=Placeholders)
    blocked: Guard | None = None
    route_to: str | None = None


def looked_at(request: ChatRequest, guards: Sequence[Guard], report: Report) -> Incoming:
    """The request through guards that need nobody's help."""
    done = Incoming(request, report)
    texts = [(Reading(text), where) for text, where in places.texts(request)]
    acting = [guard for guard in guards if not guard.remote]
    hidden: list[Guard] = []
    apart: _Apart = {}
    for guard in acting:
        kinds, pieces = _kinds(guard, texts)
        if not kinds:
            continue
        for place, found in kinds.items():
            report.note(guard.name, guard.action, place, found)
        if not guard.enforced:
            continue
        match guard.section.action:
            case "block":
                done.blocked = guard
                return done
            case "route":
                done.route_to = done.route_to or guard.section.route_to
            case "mask" | "mask-restore":
                hidden.append(guard)
                for number, some in pieces.items():
                    apart.setdefault(number, []).extend((one, guard) for one in some)
    if hidden:
        for text, _ in texts:
            done.placeholders.leave(text.text)
        done.request = _hidden(request, hidden, apart, done.placeholders)
    return done


def _kinds(
    guard: Guard, texts: list[tuple[Reading, str]]
) -> tuple[dict[str, list[str]], dict[int, list[Finding]]]:
    """The kinds found, by place; and of what several texts hold only together the pieces, by number of the text."""
    found: dict[str, list[str]] = {}
    limit = guard.section.max_characters
    if guard.section.kind == "length" and limit is not None:
        total = sum(len(text.text) for text, where in texts if guard.reads(where))
        return ({"request": ["length"]} if total > limit else {}), {}
    for text, where in texts:
        if guard.reads(where):
            for one in guard.find(text):
                found.setdefault(where, []).append(one.kind)
    if not found and guard.section.kind in (_SAID_TO_MODELS, "keywords"):
        for joiner in (_JOINED, " ", ""):
            for where in (USER, TOOL_RESULT):
                said = [
                    (number, text.text)
                    for number, (text, place) in enumerate(texts)
                    if place == where and guard.reads(place)
                ]
                joined = joiner.join(text for _, text in said)[-_MOST_JOINED:]
                if len(said) > 1 and (hits := guard.find(joined)):
                    found[where] = [one.kind for one in hits]
                    return found, _pieces(hits, len(joined), said, len(joiner))
    return found, {}


def _pieces(
    hits: Sequence[Finding], end: int, said: Sequence[tuple[int, str]], between: int
) -> dict[int, list[Finding]]:
    """By number of the text what of the hits stands in it; `end` is where the last one ends in what was read as one."""
    pieces: dict[int, list[Finding]] = {}
    for number, text in reversed(said):
        start = end - len(text)
        if end <= 0:
            break
        pieces[number] = [
            Finding(max(one.start, start) - start, min(one.end, end) - start, one.kind)
            for one in hits
            if one.start < end and one.end > start
        ]
        end = start - between
    return pieces


def _one_by_one(found: Iterable[tuple[Finding, Guard]]) -> Iterator[tuple[Finding, Guard]]:
    """In order, without what begins in another."""
    end = 0
    for one, guard in sorted(found, key=lambda pair: pair[0]):
        if one.start >= end:
            yield one, guard
            end = one.end


def _hidden(
    request: ChatRequest, guards: Sequence[Guard], apart: _Apart, placeholders: Placeholders
) -> ChatRequest:
    """The request with what was found replaced: first what is found where it stands, then the same values wherever they stand."""
    number = count()

    def put(one: Finding, value: str, guard: Guard) -> str:
        return (
            masked(one, value) if guard.section.action == "mask" else placeholders.of(one.kind, read(value))
        )

    def hide(text: str, where: str) -> str:
        here = next(number)  # of the text, as `places.texts` has them
        if where == SIGNED:
            return text
        if here in apart:  # first: these are of the text as it was
            whose = dict(_one_by_one(apart[here]))
            text = replaced(text, list(whose), lambda one, value: put(one, value, whose[one]))
        for guard in guards:
            if guard.reads(where) and (found := guard.find(text)):
                text = replaced(text, found, lambda one, value, guard=guard: put(one, value, guard))  # type: ignore[misc]
        return text

    first = places.request(request, hide)
    if not placeholders:
        return first
    return places.request(first, lambda text, _where: placeholders.hide(text))
