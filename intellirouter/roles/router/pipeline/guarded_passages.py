"""What is retrieved is looked at before it is believed: a document may hold words that are meant for the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from intellirouter.guards.finding import Finding
from intellirouter.guards.guard import Guard, masked, replaced
from intellirouter.guards.joining import Apart, among
from intellirouter.guards.report import Report
from intellirouter.peers.contract import Passage

PLACE = "passage"


def believed(passages: tuple[Passage, ...], guards: Sequence[Guard], report: Report) -> tuple[Passage, ...]:
    """The passages that may be shown to a model: what is found blocks the passages that hold it, and no other."""
    for guard in guards:
        if guard.watches(PLACE) and not guard.remote and passages:
            passages = _looked_at(passages, guard, report)
    return passages


def _looked_at(passages: tuple[Passage, ...], guard: Guard, report: Report) -> tuple[Passage, ...]:
    found: Apart = {
        number: hits for number, passage in enumerate(passages) if (hits := guard.find(passage.text))
    }
    kinds = [one.kind for hits in found.values() for one in hits]
    if guard.joins:
        told = [(number, passage.text) for number, passage in enumerate(passages) if number not in found]
        for more, apart in among(told, guard.find, coded=guard.decodes):
            kinds += more
            found |= apart
            break
    if not found:
        return passages
    report.note(guard.name, guard.action, PLACE, kinds)
    if not guard.enforced:
        return passages
    match guard.section.action:
        case "block":
            return tuple(passage for number, passage in enumerate(passages) if number not in found)
        case "mask":
            return tuple(_masked(passage, found.get(number, ())) for number, passage in enumerate(passages))
        case _:
            return passages


def _masked(passage: Passage, found: Sequence[Finding]) -> Passage:
    return replace(passage, text=replaced(passage.text, found, masked)) if found else passage
