"""Dispatch behind guards. See `Answering`.

Without a guard for a request it goes through untouched, and where a guard finds nothing so does its body, byte for byte. An answer is
encoded anew only where a guard has to look at it or a value has to be given back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar

import msgspec
import structlog

from intellirouter.bounds.aside import ASIDE
from intellirouter.bounds.marks import MANY
from intellirouter.chat.delta import Delta, StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import GuardBlocked, IntelliRouterError, Overloaded
from intellirouter.guards import places
from intellirouter.guards.guard import Guard
from intellirouter.guards.incoming import Incoming, looked_at
from intellirouter.guards.outgoing import Outgoing
from intellirouter.guards.report import Report
from intellirouter.inference.answering import Answering, Streamed
from intellirouter.inference.groups.dispatcher import Whole
from intellirouter.inference.guarding.metered import count
from intellirouter.inference.guarding.remote import Remote
from intellirouter.inference.guarding.rules import TO_MODEL, Guards
from intellirouter.inference.guarding.verdict import Verdict
from intellirouter.inference.job import Job, Trace
from intellirouter.telemetry.light import LightCounter
from intellirouter.telemetry.logs import exception_facts

HEADER = "x-intellirouter-guards"
_AT_ONCE = 20_000
"""Characters that are looked at on the event loop; more go into a thread."""
_FROM_MODEL = ("output", "tool_call")
T = TypeVar("T")
log = structlog.get_logger(__name__)


class Guarded:
    """See `Answering`."""

    def __init__(self, inner: Answering, guards: Guards, remote: Remote, found: LightCounter) -> None:
        self._inner = inner
        self._guards = guards
        self._remote = remote
        self._found = found

    def complete(self, job: Job) -> Coroutine[Any, Any, tuple[ChatResponse, Trace]]:
        """See `Answering.complete`."""
        return self._complete(job) if self._any(job) else self._inner.complete(job)

    def stream(self, job: Job) -> Coroutine[Any, Any, Streamed]:
        """See `Answering.stream`."""
        return self._stream(job) if self._any(job) else self._inner.stream(job)

    def embed(
        self, job: Job, wanted: EmbeddingRequest
    ) -> Coroutine[Any, Any, tuple[EmbeddingResponse, Trace]]:
        """See `Answering.embed`: what is found in its texts is masked for good, or blocks them."""
        return self._embed(job, wanted) if self._any(job) else self._inner.embed(job, wanted)

    def count(self, job: Job) -> Coroutine[Any, Any, tuple[int, bool]]:
        """See `Answering.count`: what is counted is what would be sent."""
        return self._count(job) if self._any(job) else self._inner.count(job)

    async def _complete(self, job: Job) -> tuple[ChatResponse, Trace]:
        guards = self._guards.of(job)
        if not guards:
            return await self._inner.complete(job)
        course = _Course(self, job, guards)
        onward = await course.onward()
        trace: Trace | None = None
        try:
            response, trace = await self._inner.complete(onward)
            response = await course.back(response)
        finally:
            course.ended(trace)
        return response, trace

    async def _stream(self, job: Job) -> Streamed:
        guards = self._guards.of(job)
        if not guards:
            return await self._inner.stream(job)
        course = _Course(self, job, guards)
        onward = await course.onward()
        if course.needs_whole:
            trace: Trace | None = None
            whole = msgspec.structs.replace(onward, request=onward.request.routed(stream=False))
            try:
                response, trace = await self._inner.complete(whole)
                response = await course.back(response)
            finally:
                course.ended(trace)
            return Whole(response, trace)
        live = await self._inner.stream(onward)
        if course.outgoing.idle:
            course.ended(live.trace)
            return live
        course.told(live.trace)
        return _Guarded(live, course)

    async def _embed(self, job: Job, wanted: EmbeddingRequest) -> tuple[EmbeddingResponse, Trace]:
        guards = self._guards.of(job)
        if not guards:
            return await self._inner.embed(job, wanted)
        course = _Course(self, job, guards)
        onward = await course.onward()
        if onward.request is not job.request:
            parts = onward.request.messages[0].content[
                : len(wanted.texts)
            ]  # the texts come before the tokens
            texts = tuple(part.text for part in parts if isinstance(part, Text))
            wanted = msgspec.structs.replace(wanted, texts=texts, model=onward.request.model)
        return await self._inner.embed(onward, wanted)

    async def _count(self, job: Job) -> tuple[int, bool]:
        guards = tuple(guard for guard in self._guards.of(job) if not guard.remote)
        return await self._inner.count(await _Course(self, job, guards).onward() if guards else job)

    async def inward(self, job: Job) -> None:
        """Let a request pass that no model is asked with as it is, such as a chain's question. Raises `GuardBlocked`.

        What would be masked is masked where a model is asked.
        """
        blocking = [guard for guard in self._guards_of(job) if guard.section.action == "block"]
        if blocking:
            await _Course(self, job, tuple(blocking)).onward()

    async def outward(self, job: Job, response: ChatResponse, trace: Trace) -> ChatResponse:
        """The answer as its guards let it go, where it is not, or not only, a model's."""
        guards = self._guards_of(job)
        if not guards:
            return response
        course = _Course(self, job, guards)
        try:
            return await course.back(response)
        finally:
            course.ended(trace)

    def _guards_of(self, job: Job) -> tuple[Guard, ...]:
        return self._guards.of(job) if self._any(job) else ()

    def _any(self, job: Job) -> bool:
        """Whether there may be a guard for it. One that is named and not there is refused, also where there is none at all."""
        options = job.request.options
        return bool(self._guards.all or job.guards or (options is not None and options.guardrails))

    async def asked(
        self, guard: Guard, job: Job, texts: Sequence[str], kind: Literal["request", "response"]
    ) -> Verdict:
        """What a remote guard says of these, or what `on_error` says where it does not."""
        try:
            async with asyncio.timeout(guard.section.timeout):
                return await self._remote.ask(guard, job, texts, kind)
        except (IntelliRouterError, TimeoutError) as error:
            log.warning(
                "guard.not_answered", guard=guard.name, request_id=job.request_id, **exception_facts(error)
            )
            return Verdict(blocked=guard.section.on_error == "closed", answered=False)

    def count_found(self, report: Report) -> None:
        """Into the metrics."""
        count(report, self._found)


class _Course:
    """One request on its way through its guards and back."""

    def __init__(self, guarded: Guarded, job: Job, guards: tuple[Guard, ...]) -> None:
        self._guarded = guarded
        self._job = job
        self.report = job.found if job.found is not None else Report()
        self._routed_to: str | None = None
        self._going = [guard for guard in guards if guard.watches(*TO_MODEL)]
        self._coming = [guard for guard in guards if guard.watches(*_FROM_MODEL)]
        self._remote_coming = [guard for guard in self._coming if guard.remote]
        self.outgoing = Outgoing(self._coming, Incoming(job.request).placeholders, job.request, self.report)

    @property
    def needs_whole(self) -> bool:
        """Whether somebody has to see the whole answer before the caller sees any of it."""
        return bool(self._remote_coming)

    async def onward(self) -> Job:
        """The job as its guards let it go. Raises `GuardBlocked`."""
        job = self._job
        request = job.request
        local = [guard for guard in self._going if not guard.remote]
        done = (
            await self._aside(request, lambda: looked_at(request, local, self.report))
            if local
            else Incoming(request)
        )
        if done.blocked is not None:
            raise self._refused(done.blocked)
        request = done.request
        for guard in self._going:
            if guard.remote:
                request, route = await self._asked_before(guard, request)
                done.route_to = done.route_to or route
        changed: dict[str, Any] = {"request": request}
        if done.route_to is not None:
            changed["alone"] = True  # to that model only: no fallback may lead it elsewhere
        if done.route_to is not None and done.route_to != request.model:
            self._routed_to = done.route_to
            changed["request"] = request.routed(model=done.route_to)
            changed["granted"] = (*job.granted, done.route_to)  # the operator's guard leads there
        self.outgoing = Outgoing(self._coming, done.placeholders, job.request, self.report)
        if not self.outgoing.idle or self._remote_coming:
            changed["relay"] = None
        if len(changed) == 1 and request is job.request:
            return job
        return msgspec.structs.replace(job, **changed)

    async def _asked_before(self, guard: Guard, request: ChatRequest) -> tuple[ChatRequest, str | None]:
        texts = [text for text, where in places.texts(request) if guard.reads(where)]
        job = msgspec.structs.replace(self._job, request=request)
        verdict = await self._guarded.asked(guard, job, texts, "request")
        blocked, new = verdict.blocked, verdict.texts
        if verdict.found:
            self.report.note(guard.name, guard.action, "request", verdict.told(guard))
        if not guard.enforced:
            return request, None
        if blocked and guard.section.action == "route" and verdict.answered:
            return request, guard.section.route_to
        if blocked and guard.section.action != "flag":
            raise self._refused(guard)
        if new is None or guard.section.action not in ("mask", "block"):
            return request, None
        rest = iter(new)
        return places.request(
            request, lambda text, where: _same(next(rest, text), text) if guard.reads(where) else text
        ), None

    async def back(self, response: ChatResponse) -> ChatResponse:
        """The answer as its guards let it go."""
        for guard in self._remote_coming:
            response = await self._asked_after(guard, response)
        if self.outgoing.idle:
            return response
        size = sum(len(choice.text) for choice in response.choices)
        return await self._somewhere(size, lambda: self.outgoing.whole(response))

    async def _asked_after(self, guard: Guard, response: ChatResponse) -> ChatResponse:
        texts = [text for text, _ in places.answer_texts(response)]
        if not texts:
            return response
        verdict = await self._guarded.asked(guard, self._job, texts, "response")
        blocked, new = verdict.blocked, verdict.texts
        if verdict.found:
            self.report.note(guard.name, guard.action, "output", verdict.told(guard))
        if not guard.enforced or guard.section.action == "flag":
            return response
        if blocked:
            return self.outgoing.withheld(response, guard)
        if new is None:
            return response
        rest = iter(new)
        return places.response(response, lambda text, _where: _same(next(rest, text), text))

    async def _aside(self, request: ChatRequest, work: Callable[[], T]) -> T:
        # of what is long, to look up the texts takes long by itself
        long = request.long or len(request.messages) > MANY
        size = _AT_ONCE + 1 if long else sum(len(text) for text, _ in places.texts(request))
        return await self._somewhere(size, work)

    async def _somewhere(self, size: int, work: Callable[[], T]) -> T:
        if size <= _AT_ONCE:
            return work()
        try:
            async with asyncio.timeout(max(0.001, self._job.deadline - time.monotonic())):
                return await ASIDE.run(self._job.caller.tenant, work)
        except TimeoutError as cause:
            raise Overloaded("The guards could not look at all of it in time.") from cause

    def _refused(self, guard: Guard) -> GuardBlocked:
        self._guarded.count_found(self.report)
        kinds = sorted(
            {
                kind
                for (name, _, _), found in self.report.found.items()
                if name == guard.name
                for kind in found
            }
        )
        message = (
            guard.section.message
            or f"The guard '{guard.name}' lets this request not pass ({', '.join(kinds)})."
        )
        return GuardBlocked(message, guard=guard.name, kinds=kinds, guards=self.report.shown())

    def told(self, trace: Trace) -> None:
        """Say in the trace what was found; of a stream, what was found so far."""
        if self.report:
            trace.guards = self.report
            trace.guarded_to = self._routed_to
            trace.headers = {**trace.headers, HEADER: self.report.header()}

    def ended(self, trace: Trace | None) -> None:
        """All was seen that there is to see."""
        if trace is not None:
            self.told(trace)
        self._guarded.count_found(self.report)


def _same(new: str, old: str) -> str:
    return old if new == old else new


class _Guarded:
    """A stream on its way through guards. See `Streamed`."""

    dialect: str | None = None
    said: tuple[Delta, ...] = ()

    def __init__(self, live: Streamed, course: _Course) -> None:
        self._live = live
        self._course = course
        self._guard = course.outgoing.stream()

    @property
    def trace(self) -> Trace:
        """See `Streamed.trace`."""
        return self._live.trace

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        try:
            async for events in self._live.batches():
                made = [StreamEvent(deltas) for event in events if (deltas := self._guard.feed(event.deltas))]
                if made:
                    yield made
        finally:
            self._course.ended(self._live.trace)

    def close(self) -> None:
        """See `Streamed.close`."""
        self._live.close()
