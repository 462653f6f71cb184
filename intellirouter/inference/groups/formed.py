"""A plain model asked for JSON: an answer that has not the form is mended, asked for once more, then asked of the next target.

Only whole answers: of a stream the caller has read what does not hold before it is known.
"""

from __future__ import annotations

import asyncio

from intellirouter.chat.model import ChatRequest, OutputFormat
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.answering import Answering
from intellirouter.inference.groups import forms
from intellirouter.inference.groups.asking import Asking, repaired
from intellirouter.inference.job import Job, Trace
from intellirouter.inference.learning import outcome

_INLINE = 16 * 1024
"""Characters that are judged on the event loop; more in a thread."""


async def formed(inner: Answering, job: Job) -> tuple[ChatResponse, Trace]:
    """The answer to a request for JSON. One that still has not the form says so in its notes. Raises as dispatch does."""
    response, trace = await inner.complete(job)
    output = job.request.output
    text = forms.judged_text(response)
    if output is None or text is None or (found := await _complaint(text, output)) is None:
        return response, trace
    _tell(trace)
    if (inside := forms.unfenced(text, output)) is not None:
        trace.notes += ("the fence around the JSON was taken off",)
        return forms.said_instead(response, inside), trace
    asking = Asking(inner, job, job.request.model, "response_format")
    asking.joined(trace, {"role": "answer", "model": trace.model, "outcome": "ok", "complaint": found})
    by = trace.answered_by[-1] if trace.answered_by else job.request.model
    order = [name for name in trace.plan().get("order", ()) if name != by]
    steps = [
        ("repair", repaired(job.request, by, text, found)),
        *(_next(job.request, name) for name in order[:1]),
    ]
    for role, request in steps:
        try:
            again = await asking.ask(request, role)
        except IntelliRouterError:
            continue
        if await _holds(asking, again, output):
            return _whole(asking, again)
    whole, of_all = _whole(asking, forms.said_instead(response, text))
    of_all.notes += (f"the answer has not the form that was asked for: {found}",)
    return whole, of_all


def _next(request: ChatRequest, name: str) -> tuple[str, ChatRequest]:
    return "next", request.routed(model=name)


async def _holds(asking: Asking, response: ChatResponse, output: OutputFormat) -> bool:
    text = forms.judged_text(response)
    found = "nothing can be read of it" if text is None else await _complaint(text, output)
    if found is not None:
        asking.told[-1]["complaint"] = found
        _tell(asking.traces[-1])
    return found is None


def _whole(asking: Asking, response: ChatResponse) -> tuple[ChatResponse, Trace]:
    return asking.finished(response, asking.told[-1])


async def _complaint(text: str, output: OutputFormat) -> str | None:
    if len(text) <= _INLINE:
        return forms.complaint(text, output)
    return await asyncio.to_thread(forms.complaint, text, output)


def _tell(trace: Trace) -> None:
    """What learns hears that a validator refused the answer."""
    if trace.decided is not None and trace.answered_by:
        trace.decided.judged(trace.answered_by[-1], outcome.VALIDATOR, 0.0)
