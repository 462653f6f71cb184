"""What guards make of one text: for the operator, who sees where each thing stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.config.schema.guards import GuardSection
from intellirouter.guards.guard import Guard
from intellirouter.guards.incoming import Incoming, looked_at
from intellirouter.guards.report import Report
from intellirouter.inference.guarding.rules import TO_MODEL, Guards, built
from intellirouter.inference.job import Job

KINDS = ("secret", "pii", "injection", "invisible", "bidi", "control")
"""What is tried where no guard is configured."""


def tried(guards: Sequence[Guard], text: str) -> dict[str, Any]:
    """Findings with their places, and the text as a model would be shown it (`sent`; null where it is blocked)."""
    findings = [
        {"guard": guard.name, "action": guard.action, "kind": one.kind, "start": one.start, "end": one.end}
        for guard in guards
        if not guard.remote
        for one in guard.find(text)
    ]
    request = ChatRequest(model="", messages=(Message("user", (Text(text),)),))
    done = looked_at(request, [guard for guard in guards if not guard.remote], Report())
    return {
        "findings": findings,
        "blocked_by": done.blocked.name if done.blocked is not None else None,
        "route_to": done.route_to,
        "sent": None if done.blocked is not None else done.request.messages[0].text,
        "asked_elsewhere": [guard.name for guard in guards if guard.remote],
    }


def led(guards: Guards, job: Job) -> Incoming:
    """What the guards of a request that ask nobody make of it: blocked, sent elsewhere, or let through."""
    going = [guard for guard in guards.of(job) if not guard.remote and guard.watches(*TO_MODEL)]
    return looked_at(job.request, going, Report())


def every_kind() -> list[Guard]:
    """A guard of each built-in kind, which only tells."""
    return [
        built(GuardSection.model_validate({"name": kind, "kind": kind, "action": "flag"})) for kind in KINDS
    ]
