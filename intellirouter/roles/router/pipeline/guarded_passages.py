"""What is retrieved is looked at before it is believed: a document may hold words that are meant for the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from intellirouter.guards.guard import Guard, masked, replaced
from intellirouter.guards.report import Report
from intellirouter.peers.contract import Passage


def believed(passages: tuple[Passage, ...], guards: Sequence[Guard], report: Report) -> tuple[Passage, ...]:
    """The passages that may be shown to a model: what is found blocks the passage that holds it, and no other."""
    mine = [guard for guard in guards if guard.watches("passage") and not guard.remote]
    if not mine:
        return passages
    return tuple(shown for passage in passages if (shown := _looked_at(passage, mine, report)) is not None)


def _looked_at(passage: Passage, guards: Sequence[Guard], report: Report) -> Passage | None:
    text = passage.text
    for guard in guards:
        found = guard.find(text)
        if not found:
            continue
        report.note(guard.name, guard.action, "passage", [one.kind for one in found])
        if not guard.enforced:
            continue
        if guard.section.action == "mask":
            text = replaced(text, found, masked)
        elif guard.section.action == "block":
            return None
    return passage if text is passage.text else replace(passage, text=text)
