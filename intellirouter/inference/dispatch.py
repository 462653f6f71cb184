"""Dispatch: from a request to an answer, over as many targets as it takes.

The walk: the catalogue names candidates, the strategy ranks them, one attempt after another is made until one answers
or none is left. Before the first token a failed attempt is invisible to the caller; every attempt is recorded.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

from intellirouter.chat.delta import StreamEvent, UsageDelta
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.errors import (
    IntelliRouterError,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from intellirouter.inference.catalog import Candidate, Catalog, ModelEntry
from intellirouter.inference.discovery import Discovery
from intellirouter.inference.exchange import Exchange, UpstreamStream
from intellirouter.inference.job import Job, Trace
from intellirouter.inference.record import Recorder
from intellirouter.transport.contract import Transport

T = TypeVar("T")


class Dispatch:
    """Answers jobs. One per process; holds no per-request state."""

    def __init__(
        self,
        catalog: Catalog,
        transport: Transport,
        recorder: Recorder,
        discovery: Discovery,
        *,
        max_attempts: int,
        max_bytes: int,
    ) -> None:
        self.catalog = catalog
        self._discovery = discovery
        self._transport = transport
        self._recorder = recorder
        self._max_attempts = max_attempts
        self._max_bytes = max_bytes

    async def complete(self, job: Job) -> tuple[ChatResponse, Trace]:
        """A whole answer. Raises `ModelNotFound`, or an `UpstreamError` whose details say what was tried."""

        async def attempt(exchange: Exchange, trace: Trace) -> ChatResponse:
            response, notes = await exchange.complete()
            trace.notes = notes
            trace.model = response.model or exchange.candidate.target.model
            return response

        response, candidate, trace = await self._try_all(job, attempt)
        self._settle(candidate, trace, response.usage)
        return response, trace

    async def stream(self, job: Job) -> LiveAnswer:
        """An answer whose first token has arrived. Raises like `complete`; must be closed."""

        async def attempt(exchange: Exchange, trace: Trace) -> UpstreamStream:
            stream = await exchange.open_stream()
            trace.notes = stream.notes
            trace.model = exchange.candidate.target.model
            return stream

        stream, candidate, trace = await self._try_all(job, attempt)
        return LiveAnswer(stream, candidate, trace, self._settle, self._recorder)

    async def _try_all(
        self, job: Job, attempt: Callable[[Exchange, Trace], Awaitable[T]]
    ) -> tuple[T, Candidate, Trace]:
        if not self.catalog.configured(job.request.model):
            await self._discovery.settled()
        entry = self.catalog.resolve(job.request.model)
        request = with_defaults(job.request, entry)
        trace = Trace()
        failure: IntelliRouterError | None = None
        for candidate in self._plan(entry):
            exchange = Exchange(
                transport=self._transport,
                candidate=candidate,
                request=request,
                deadline=job.deadline,
                max_bytes=self._max_bytes,
                relay=job.relay == candidate.provider.adapter.wire.name,
            )
            record = trace.start(candidate.id)
            began = time.perf_counter()
            try:
                result = await attempt(exchange, trace)
            except IntelliRouterError as error:
                trace.upstream_seconds += time.perf_counter() - began
                trace.end(record, error)
                self._recorder.failed(candidate, error, record.seconds)
                failure = _worse(failure, error)
                if not _may_go_on(error) or time.monotonic() >= job.deadline:
                    break
                continue
            trace.upstream_seconds += time.perf_counter() - began
            trace.end(record)
            trace.provider = candidate.provider.name
            self._recorder.answered(candidate, record.seconds)
            return result, candidate, trace
        raise _with_attempts(failure, trace)

    def _plan(self, entry: ModelEntry) -> Iterator[Candidate]:
        """Candidates in order, then those of the fallback models; a lone target gets a second try."""
        planned = list(entry.candidates)
        for name in entry.fallbacks:
            planned.extend(self.catalog.resolve(name).candidates)
        if len(planned) == 1:
            planned *= 2
        yield from planned[: self._max_attempts]

    def _settle(self, candidate: Candidate, trace: Trace, usage: Usage | None) -> None:
        trace.usage = usage
        if usage is not None:
            trace.cost_usd = self._recorder.used(candidate, usage)


class LiveAnswer:
    """A streamed answer: the trace, and events to forward."""

    def __init__(
        self,
        stream: UpstreamStream,
        candidate: Candidate,
        trace: Trace,
        settle: Callable[[Candidate, Trace, Usage | None], None],
        recorder: Recorder,
    ) -> None:
        self.trace = trace
        self.dialect = candidate.provider.adapter.wire.name
        self._stream = stream
        self._candidate = candidate
        self._settle = settle
        self._recorder = recorder

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """Events in the groups they arrived in. Raises where the stream breaks; never ends early in silence."""
        usage: Usage | None = None
        try:
            async for events in self._stream.batches():
                for event in events:
                    for delta in event.deltas:
                        if isinstance(delta, UsageDelta):
                            usage = delta.usage
                yield events
        except IntelliRouterError as error:
            self._recorder.failed(self._candidate, error, 0.0)
            raise
        finally:
            self._settle(self._candidate, self.trace, usage)

    def close(self) -> None:
        """Cut the upstream unless it has ended."""
        self._stream.close()


def with_defaults(request: ChatRequest, entry: ModelEntry) -> ChatRequest:
    """The request with the model's configured defaults where it is silent."""
    absent = {name: value for name, value in entry.defaults.items() if getattr(request, name, value) is None}
    return request.changed(**absent) if absent else request


def _may_go_on(error: IntelliRouterError) -> bool:
    """A request the provider refused as it stands fails elsewhere too; anything else is worth another target."""
    return isinstance(error, UpstreamError) and not isinstance(error, UpstreamRejected)


def _worse(first: IntelliRouterError | None, second: IntelliRouterError) -> IntelliRouterError:
    """The error that tells the caller most: a provider's reason over a timeout over a refusal to connect."""
    order = (UpstreamUnavailable, UpstreamTimeout, UpstreamRateLimited, UpstreamRejected)

    def rank(error: IntelliRouterError) -> int:
        return next((place for place, kind in enumerate(order) if isinstance(error, kind)), -1)

    return second if first is None or rank(second) >= rank(first) else first


def _with_attempts(failure: IntelliRouterError | None, trace: Trace) -> IntelliRouterError:
    error = failure or UpstreamUnavailable("no target is configured for this model")
    error.details.setdefault("attempts", [attempt.shown() for attempt in trace.attempts])
    return error
