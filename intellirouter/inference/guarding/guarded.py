"""Dispatch behind guards. See `Answering`.

Without a guard for a request it goes through untouched, and where a guard finds nothing so does its body, byte for byte. An answer is
encoded anew only where a guard has to look at it or a value has to be given back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from itertools import count as count_up
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
from intellirouter.guards.finding import Finding
from intellirouter.guards.guard import Guard, masked, replaced
from intellirouter.guards.incoming import Incoming, hidden_at, looked_at
from intellirouter.guards.outgoing import Outgoing
from intellirouter.guards.placeholders import Placeholders
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
Placed = Mapping[int, Sequence[Finding]]
"""By the number of a text, what stands where in it."""
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
            parts = onward.request.messages[0].content[: len(wanted.words)]  # which come before the tokens
            said = wanted.saying([part.text for part in parts if isinstance(part, Text)])
            wanted = msgspec.structs.replace(said, model=onward.request.model)
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
        return any(guard.needs_whole for guard in self._coming)

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
                request, route = await self._asked_before(guard, request, done.placeholders)
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

    async def _asked_before(
        self, guard: Guard, request: ChatRequest, placeholders: Placeholders
    ) -> tuple[ChatRequest, str | None]:
        told = places.texts(request)
        numbers = [number for number, (_, where) in enumerate(told) if guard.reads(where)]
        job = msgspec.structs.replace(self._job, request=request)
        verdict = await self._guarded.asked(guard, job, [told[number][0] for number in numbers], "request")
        found = _placed(verdict, numbers, told, placeholders)
        action = guard.section.action
        if not self._noted(guard, verdict, found, told, "request") or not guard.enforced:
            return request, None
        if found is not None and action in ("mask", "mask-restore"):
            hidden = found
            return await self._aside(request, lambda: hidden_at(request, guard, hidden, placeholders)), None
        if verdict.blocked and action == "route" and verdict.answered:
            return request, guard.section.route_to
        if verdict.blocked and action != "flag":
            raise self._refused(guard)
        if verdict.texts is None or action not in ("mask", "block"):
            return request, None
        return places.request(request, _with_new(numbers, verdict.texts)), None

    def _noted(
        self,
        guard: Guard,
        verdict: Verdict,
        found: Placed | None,
        told: Sequence[tuple[str, str]],
        place: str,
    ) -> bool:
        """Whether there is anything to be told, and told."""
        if found is not None:
            for number, some in found.items():
                where = told[number][1] if place == "request" else place
                self.report.note(guard.name, guard.action, where, [one.kind for one in some])
            return bool(found)
        if verdict.found:
            self.report.note(guard.name, guard.action, place, verdict.told(guard))
        return verdict.found

    async def back(self, response: ChatResponse) -> ChatResponse:
        """The answer as its guards let it go."""
        for guard in self._remote_coming:
            response = await self._asked_after(guard, response)
        if self.outgoing.idle:
            return response
        size = sum(len(choice.text) for choice in response.choices)
        return await self._somewhere(size, lambda: self.outgoing.whole(response))

    async def _asked_after(self, guard: Guard, response: ChatResponse) -> ChatResponse:
        told = places.answer_texts(response)
        if not told:
            return response
        numbers = range(len(told))
        verdict = await self._guarded.asked(guard, self._job, [text for text, _ in told], "response")
        found = _placed(verdict, numbers, told, self.outgoing.placeholders)
        action = guard.section.action
        if not self._noted(guard, verdict, found, told, "output"):
            return response
        if not guard.enforced or action == "flag":
            return response
        if found is not None and action in ("mask", "mask-restore"):
            return places.response(response, with_masks(found))
        if verdict.blocked:
            return self.outgoing.withheld(response, guard)
        if verdict.texts is None:
            return response
        return places.response(response, _with_new(numbers, verdict.texts))

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


def _placed(
    verdict: Verdict, numbers: Sequence[int], told: Sequence[tuple[str, str]], placeholders: Placeholders
) -> Placed | None:
    """What was found where, by the number of a text among all; without what is only a placeholder of ours."""
    if verdict.places is None:
        return None
    found = {
        numbers[shown]: placeholders.beside(told[numbers[shown]][0], some)
        for shown, some in verdict.places.items()
    }
    return {number: some for number, some in found.items() if some}


def _with_new(numbers: Sequence[int], texts: Sequence[str]) -> places.Change:
    """Puts new texts in place of those with these numbers."""
    fresh = dict(zip(numbers, texts, strict=True))
    number = count_up()

    def change(text: str, _where: str) -> str:
        new = fresh.get(next(number), text)
        return text if new == text else new

    return change


def with_masks(found: Placed) -> places.Change:
    """Masks for good what was found."""
    number = count_up()

    def change(text: str, where: str) -> str:
        here = found.get(next(number))
        return text if here is None or where == places.SIGNED else replaced(text, here, masked)

    return change


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
