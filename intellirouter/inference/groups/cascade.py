"""One model after the other, until an answer is good enough."""

from __future__ import annotations

from typing import Any

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.config.schema.groups import ValidationSection
from intellirouter.errors import IntelliRouterError, UpstreamProtocolError
from intellirouter.inference.decided import Decided
from intellirouter.inference.groups import judging
from intellirouter.inference.groups.answers import calls_tools, text_of
from intellirouter.inference.groups.asking import Asking, repaired
from intellirouter.inference.groups.validation import Rules, unsure
from intellirouter.inference.learning.decision import ENOUGH


def above(decided: Decided, steps: tuple[str, ...], confidence: float) -> tuple[str, ...]:
    """The steps from the first on that is known to be good enough at such a question, or not known yet; the last stays.

    To pass over a cheap step that has mostly failed at such questions saves its cost and its time.
    """
    for place, choice in enumerate(decided.choices[:-1]):
        if choice.outcomes < ENOUGH or choice.success + choice.error >= confidence:
            return steps[place:]
    return steps[-1:]


async def climbed(
    asking: Asking, steps: tuple[str, ...], section: ValidationSection | None, request: ChatRequest
) -> tuple[ChatResponse, dict[str, Any]] | None:
    """The first answer that holds, and the note of who gave it; None where no step gave one that an `unsure` model would not
    have given and no rule judges the last.

    Raises `UpstreamProtocolError` when every step's answer broke the rules, or the last step's own error.
    """
    complaint, failure = "", None
    for number, name in enumerate(steps):
        last = number == len(steps) - 1
        if last and section is None:
            return None  # nothing is left to judge: the caller may stream it
        place = len(asking.told)
        try:
            response = await asking.ask(request.routed(model=name), "step")
            found = await _complaint(asking, section, request, response)
            if found is not None and section is not None and section.repair:
                place = len(asking.told)
                response = await asking.ask(repaired(request, name, text_of(response), found), "repair")
                found = await _complaint(asking, section, request, response)
        except IntelliRouterError as error:
            if last:
                raise
            failure = error
            continue
        if found is None:
            return response, asking.told[place]
        complaint = found
        asking.told[place]["complaint"] = found
    raise UpstreamProtocolError(f"no answer of '{asking.group}' is as it must be: {complaint}") from failure


async def _complaint(
    asking: Asking, section: ValidationSection | None, request: ChatRequest, response: ChatResponse
) -> str | None:
    if calls_tools(response):
        return None  # it is not the answer yet
    text = text_of(response)
    if section is None:
        return "it says itself that it is not sure" if unsure(text) else None
    found = Rules(section).complaint(text)
    if found is not None or section.judge is None:
        return found
    said = await asking.ask(judging.to_check(request, text, section.judge, section.criterion), "judge")
    return judging.verdict(text_of(said))
