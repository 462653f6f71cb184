"""Asking a member: its own request through dispatch, and one trace of all that was asked for one answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.inference.answering import Answering
from intellirouter.inference.decided import Decided
from intellirouter.inference.job import Job, Trace
from intellirouter.inference.usage import combined


@dataclass(slots=True)
class Asking:
    """One request to a group under way. `told` says what each part of it did, for the decision; `decided` is what was expected
    of each, where feedback teaches that."""

    inner: Answering
    job: Job
    group: str
    kind: str
    told: list[dict[str, Any]] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    decided: Decided | None = None
    spare: tuple[ChatResponse, dict[str, Any]] | None = None
    """A member's answer, and what is told of it, for where nobody can write one of all."""

    def member_job(self, request: ChatRequest) -> Job:
        """The job of one member: whoever may use the group may use what the operator put behind it."""
        granted = (*self.job.granted, request.model)
        return msgspec.structs.replace(self.job, request=request, relay=None, granted=granted)

    async def ask(self, request: ChatRequest, role: str) -> ChatResponse:
        """The whole answer of one member, or judge. Raises as dispatch does."""
        note: dict[str, Any] = {"role": role, "model": request.model, "outcome": "cancelled"}
        self.told.append(note)
        try:
            response, trace = await self.inner.complete(self.member_job(request.routed(stream=False)))
        except Exception as error:
            note["outcome"] = getattr(error, "code", type(error).__name__)
            raise
        self.traces.append(trace)
        note |= {"outcome": "ok", "provider": trace.provider, "answered_as": trace.model}
        return response

    def joined(self, trace: Trace, note: dict[str, Any]) -> None:
        """Count in what was asked before the group was."""
        self.traces.append(trace)
        self.told.append(note | {"provider": trace.provider})

    def trace(self, provider: str = "", model: str = "", more: Trace | None = None) -> Trace:
        """What all of it took. `more` is of an answer that is still streamed."""
        whole = Trace(began=min([one.began for one in self.traces], default=Trace().began))
        for one in (*self.traces, *((more,) if more is not None else ())):
            whole.attempts += one.attempts
            whole.upstream_seconds += one.upstream_seconds
            whole.waited += one.waited
            whole.rescued += one.rescued
            whole.notes += one.notes
            whole.headers |= one.headers
            whole.answered_by += one.answered_by
            if one.usage is not None:
                whole.usage = combined(whole.usage, one.usage)
            if one.cost_usd is not None:
                whole.cost_usd = (whole.cost_usd or 0.0) + one.cost_usd
        whole.provider, whole.model = provider, model
        whole.plan = self.shown
        return whole

    def answered(self, model: str, response_id: str) -> None:
        """The answer is that of `model`: feedback may come for it."""
        if self.decided is not None:
            self.decided.answered(model, response_id, None)

    def shown(self) -> dict[str, Any]:
        """The group's part of the decision."""
        return {"strategy": self.kind, "group": self.group, "members": self.told}

    def finished(self, response: ChatResponse, note: dict[str, Any]) -> tuple[ChatResponse, Trace]:
        """The answer of the group: one of its members', with the usage of all."""
        note["chosen"] = True
        self.answered(str(note.get("model", "")), response.id)
        trace = self.trace(str(note.get("provider", "")), response.model)
        return msgspec.structs.replace(response, usage=trace.usage or Usage(), raw=None, dialect=None), trace


def repaired(request: ChatRequest, name: str, text: str, complaint: str) -> ChatRequest:
    """The request asked once more of `name`, which is shown its answer and what does not hold."""
    asked = f"This answer does not hold: {complaint}. Answer again, with the answer alone."
    more = (Message("assistant", (Text(text),)), Message("user", (Text(asked),)))
    return request.changed(model=name, messages=(*request.messages, *more))
