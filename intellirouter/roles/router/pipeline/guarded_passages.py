"""What is retrieved is looked at before it is believed: a document may hold words that are meant for the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from intellirouter.bounds.aside import ASIDE
from intellirouter.config.schema.guards import GuardSection
from intellirouter.guards.finding import Finding
from intellirouter.guards.guard import Guard, masked, replaced
from intellirouter.guards.joining import Apart, among
from intellirouter.guards.report import Report
from intellirouter.inference.guarding.metered import count
from intellirouter.inference.guarding.rules import built
from intellirouter.peers.contract import Call, Passage, RetrievalRequest, Retrieved, Retriever
from intellirouter.telemetry.light import LightCounter

PLACE = "passage"
log = structlog.get_logger(__name__)


class GuardedSearch:
    """See `Retriever`. What is found for a chain, whichever model it is shown to: guards for some models hold as well."""

    def __init__(self, inner: Retriever, sections: Sequence[GuardSection], found: LightCounter) -> None:
        self._inner = inner
        self._found = found
        self.prepare(sections)()

    def prepare(self, sections: Sequence[GuardSection]) -> Callable[[], None]:
        """What puts these in place of the last ones. Raises `ConfigError`."""
        guards = tuple(built(section) for section in sections if PLACE in section.on and section.default)

        def commit() -> None:
            self._guards = guards

        return commit

    async def retrieve(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """See `Retriever.retrieve`."""
        found = await self._inner.retrieve(request, call)
        caller, report = call.caller, Report()
        guards = [
            guard
            for guard in self._guards
            if (not guard.section.keys or caller.key_id in guard.section.keys)
            and (not guard.section.teams or caller.team in guard.section.teams)
        ]
        if not guards or not found.passages:
            return found
        shown = await ASIDE.soon(caller.tenant, lambda: believed(found.passages, guards, report))
        if not report:
            return found
        count(report, self._found)
        log.info("guard.found", request_id=call.request_id, guards=report.header())
        return replace(found, passages=shown)


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
