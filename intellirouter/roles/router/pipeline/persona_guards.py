"""A persona's guardrails as guards of the requests that are asked as it: what it may not talk about, how long it may, what it ends with.

What it was told is not always what a model does. They act where all guards do, whoever asks; a persona's `output_schema` is the form
of its answers and is held to in `answering.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from intellirouter.bounds.aside import ASIDE
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.config.schema.guards import GuardSection
from intellirouter.guards.detectors.words import Keywords
from intellirouter.guards.guard import Guard
from intellirouter.guards.report import Report

DEFAULT_REFUSAL = "I cannot help with that."
NAME = "persona/guardrails"
"""What answers, records and metrics call them: no guard of the configuration can be called so."""
TOPIC, LENGTH = "topic", "length"
Breach = Literal["topic", "length", "schema"]
_AT_ONCE = 50_000
"""Characters that are looked through on the event loop."""


def guards_of(guardrails: Mapping[str, Any], *, data: bool) -> tuple[Guard, ...]:
    """Those of a persona's answers. `data`: they are JSON, which is not cut and which no words follow."""
    found = [topics] if (topics := topics_of(guardrails)) is not None else []
    if (most := guardrails.get("max_length")) and not data:
        found.append(Guard(_section(kind="length", action="cut", max_characters=most), ()))
    if (closing := guardrails.get("disclaimer")) and not data:
        found.append(Guard(_section(kind="closing", action="flag", message=closing), ()))
    return tuple(found)


def carried_by(request: ChatRequest) -> tuple[Guard, ...]:
    """The guards of a persona whose words somebody else put into the request, such as a step of a chain."""
    given = request.options.guarded_as if request.options is not None else None
    return guards_of(given["guardrails"], data=is_data(request)) if given else ()


def is_data(request: ChatRequest) -> bool:
    """Whether the answer is to be JSON."""
    return request.output is not None and request.output.kind != "text"


def topics_of(guardrails: Mapping[str, Any]) -> Guard | None:
    """The guard of what a persona may not talk about; its message is the refusal."""
    topics = tuple(topic for topic in guardrails.get("forbidden_topics") or () if topic)
    return _topics(topics, guardrails.get("refusal") or DEFAULT_REFUSAL) if topics else None


@lru_cache(maxsize=64)
def _topics(topics: tuple[str, ...], refusal: str) -> Guard:
    section = _section(kind="keywords", action="block", words=topics, message=refusal)
    return Guard(section, (Keywords(topics, TOPIC),), said_only=True)


def _section(**fields: Any) -> GuardSection:
    """A section that no file says: its name is none of the operator's."""
    return GuardSection.model_construct(name=NAME, on=("output",), **fields)


async def refused(guardrails: Mapping[str, Any], said: Sequence[Message], tenant: str) -> str | None:
    """The persona's refusal where what the client sent names a forbidden topic: its own words to the model and every turn of its user."""
    guard = topics_of(guardrails)
    if guard is None:
        return None
    texts = [message.text for message in said if message.role in ("user", "system", "developer")]

    def named() -> bool:
        return any(guard.find(text) for text in texts)

    found = named() if sum(map(len, texts)) <= _AT_ONCE else await ASIDE.run(tenant, named)
    return guard.section.message if found else None


def breach_of(report: Report | None) -> Breach | None:
    """The rule of a persona that an answer broke."""
    for (name, _, _), kinds in report.found.items() if report is not None else ():
        if name == NAME:
            return "topic" if TOPIC in kinds else "length"
    return None


def complaint(schema: Mapping[str, Any], text: str) -> str | None:
    """What in the text does not hold to the schema; None when all does."""
    module = importlib.import_module("intellirouter.roles.router.pipeline.answer_schema")
    found: str | None = module.complaint(schema, text)
    return found
