"""What a provider's content policy refused is asked of the models that are configured for that. See `Answering`.

A refusal is an error of the provider's (`content_policy_violation`), a whole answer that its filter ended, or a stream that it ended
before the first word: what a caller has read stands. The next models are asked in order; where none answers, the first refusal is told.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

import msgspec

from intellirouter.chat.delta import Delta, Finish, RefusalDelta, Start, StreamEvent, UsageDelta
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import ContentFiltered, IntelliRouterError, ModelNotFound
from intellirouter.inference.answering import Answering, Passing, Streamed
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.job import Attempt, Job, Trace, recalled
from intellirouter.inference.usage import combined

T = TypeVar("T")
MAX_ASKED = 16
"""Models that are asked in place of one."""
_REFUSED = ("content_filter", "refusal")
Ask = Callable[[Job], Awaitable[tuple[T, Trace, bool]]]
"""The answer to a job, its trace, and whether it is a refusal."""


class PolicyFallbacks:
    """Asks `inner`, and others where a content policy refused."""

    def __init__(self, inner: Answering, catalog: Catalog) -> None:
        self._inner = inner
        self._catalog = catalog

    def complete(self, job: Job) -> Coroutine[Any, Any, tuple[ChatResponse, Trace]]:
        """See `Answering.complete`."""
        if not self._catalog.policy_fallbacks or job.alone:
            return self._inner.complete(job)

        async def ask(onward: Job) -> tuple[ChatResponse, Trace, bool]:
            response, trace = await self._inner.complete(onward)
            return response, trace, _is_refusal(response)

        return _Round(self._catalog, job, ask).answer()

    async def stream(self, job: Job) -> Streamed:
        """See `Answering.stream`."""
        if not self._catalog.policy_fallbacks or job.alone:
            return await self._inner.stream(job)

        async def ask(onward: Job) -> tuple[Streamed, Trace, bool]:
            begun = _Begun(await self._inner.stream(onward))
            try:
                refused = await begun.is_refusal()
            except BaseException:
                begun.close()
                raise
            return begun, begun.trace, refused

        live, _ = await _Round(self._catalog, job, ask, let_go=lambda one: one.close()).answer()
        return live

    def embed(
        self, job: Job, wanted: EmbeddingRequest
    ) -> Coroutine[Any, Any, tuple[EmbeddingResponse, Trace]]:
        """See `Answering.embed`: another model's vectors are not comparable, so no other is asked."""
        return self._inner.embed(job, wanted)

    def count(self, job: Job) -> Coroutine[Any, Any, tuple[int, bool]]:
        """See `Answering.count`."""
        return self._inner.count(job)


class _Round(Generic[T]):
    """One request: the model that was asked for, and those that may answer in its place."""

    def __init__(
        self, catalog: Catalog, job: Job, ask: Ask[T], let_go: Callable[[T], None] = lambda _answer: None
    ) -> None:
        self._catalog = catalog
        self._job = job
        self._ask = ask
        self._let_go = let_go
        self._began = time.perf_counter()
        self._attempts: list[Attempt] = []
        self._before: list[Trace] = []

    async def answer(self) -> tuple[T, Trace]:
        """The answer. Raises as `Answering` does."""
        refusal: ContentFiltered | None = None
        kept: tuple[T, Trace] | None = None
        try:
            answer, trace, refused = await self._ask(self._job)
        except ContentFiltered as error:
            refusal = error
            self._attempts += recalled(error.details.get("attempts"))
        else:
            if not refused:
                return answer, trace
            kept = answer, trace
            self._refused(trace)
        by = self._attempts[-1].candidate if self._attempts else ""
        for name in self._names(by):
            try:
                answer, trace, refused = await self._ask(self._in_place(name))
            except IntelliRouterError as error:
                self._attempts += recalled(error.details.get("attempts"))
                continue
            if not refused:
                if kept is not None:
                    self._let_go(kept[0])
                return answer, self._told(trace, by, name)
            self._let_go(answer)
            self._refused(trace)
        if kept is not None:
            kept[1].attempts = self._attempts
            return kept
        refusal = cast("ContentFiltered", refusal)
        refusal.details["attempts"] = [attempt.shown() for attempt in self._attempts]
        raise refusal

    def _refused(self, trace: Trace) -> None:
        self._before.append(trace)
        self._attempts = [*self._attempts, *trace.attempts]

    def _in_place(self, name: str) -> Job:
        job = self._job
        return msgspec.structs.replace(
            job, request=job.request.routed(model=name), granted=(*job.granted, name)
        )

    def _names(self, by: str) -> list[str]:
        """Who is asked: those of the model that was asked for, then those of the model whose target refused."""
        job = self._job
        try:
            entry = self._catalog.resolve(job.request.model)
        except ModelNotFound:
            return []
        names = list(entry.content_policy_fallbacks)
        for other in self._catalog.policy_fallbacks:
            if other is not entry and any(candidate.id == by for candidate in other.candidates):
                reached = other in entry.members or other.name in entry.fallbacks
                names += other.content_policy_fallbacks if reached else ()
        return [name for name in dict.fromkeys(names) if name != job.request.model][:MAX_ASKED]

    def _told(self, trace: Trace, by: str, name: str) -> Trace:
        """The trace of the answer with what came before."""
        trace.began = self._began
        trace.attempts = [*self._attempts, *trace.attempts]
        trace.refused_by, trace.policy_fallback = by, name
        trace.notes = (
            *trace.notes,
            f"The content policy of {by or self._job.request.model} refused this; {name} was asked instead.",
        )
        trace.upstream_seconds += sum(attempt.seconds for attempt in self._attempts)
        for one in self._before:
            if one.usage is not None:
                trace.usage = one.usage if trace.usage is None else combined(one.usage, trace.usage)
            if one.cost_usd is not None:
                trace.cost_usd = (trace.cost_usd or 0.0) + one.cost_usd
        return trace


def _is_refusal(response: ChatResponse) -> bool:
    """Whether a filter ended it: nobody has read the words before that yet."""
    return bool(response.choices) and all(choice.finish_reason in _REFUSED for choice in response.choices)


class _Begun(Passing):
    """A stream of which the first words were read. See `Streamed`."""

    def __init__(self, live: Streamed) -> None:
        super().__init__(live)
        self._head: list[list[StreamEvent]] = []
        self._rest = live.batches()

    async def is_refusal(self) -> bool:
        """Whether it ends by a filter before it says anything; one that does is read to its end."""
        refused = False
        async for events in self._rest:
            self._head.append(events)
            for delta in (delta for event in events for delta in event.deltas):
                if isinstance(delta, Finish) and delta.reason in _REFUSED:
                    refused = True
                elif not isinstance(delta, (Start, UsageDelta, RefusalDelta)) and _says(delta):
                    return False
        return refused

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        try:
            head, self._head = self._head, []
            for events in head:
                yield events
            async for events in self._rest:
                yield events
        finally:
            await cast("AsyncGenerator[list[StreamEvent], None]", self._rest).aclose()


def _says(delta: Delta) -> bool:
    return not (hasattr(delta, "text") and not delta.text)
