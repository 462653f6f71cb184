"""What guards make of a request before it goes to a model: blocked, masked, sent elsewhere, or as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from intellirouter.chat.model import ChatRequest
from intellirouter.guards import places
from intellirouter.guards.escapes import read
from intellirouter.guards.finding import Finding
from intellirouter.guards.guard import Guard, masked, replaced
from intellirouter.guards.joining import found_together
from intellirouter.guards.placeholders import Placeholders
from intellirouter.guards.places import SIGNED
from intellirouter.guards.reading import Reading
from intellirouter.guards.report import Report

_MASKING = ("mask", "mask-restore")
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


def hidden_at(
    request: ChatRequest, guard: Guard, found: Mapping[int, Sequence[Finding]], placeholders: Placeholders
) -> ChatRequest:
    """The request with what a guard was told of replaced; by the number of a text, as `places.texts` has them."""
    for text, _ in places.texts(request):
        placeholders.leave(text)
    apart = {number: [(one, guard) for one in some] for number, some in found.items()}
    return _hidden(request, (), apart, placeholders)


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
    pieces: dict[int, list[Finding]] = {}
    masks = guard.section.action in _MASKING
    if guard.joins and (masks or not found):
        said = [(text.text, where if guard.reads(where) else "") for text, where in texts]
        for where, (kinds, apart) in found_together(said, guard.find, coded=guard.decodes):
            if any(part not in pieces.get(number, ()) for number, some in apart.items() for part in some):
                found.setdefault(where, []).extend(kinds)
            for number, some in apart.items():
                pieces.setdefault(number, []).extend(some)
            if not masks:
                break
    return found, pieces


def _one_by_one(found: Iterable[tuple[Finding, Guard]]) -> list[tuple[Finding, Guard]]:
    """In order and apart: those that overlap made one."""
    kept: list[tuple[Finding, Guard]] = []
    for one, guard in sorted(found, key=lambda pair: pair[0]):
        if kept and one.start < kept[-1][0].end:
            last, whose = kept[-1]
            kept[-1] = Finding(last.start, max(last.end, one.end), last.kind), whose
        else:
            kept.append((one, guard))
    return kept


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
