"""Dispatch with the cache before it, and behind it when every provider is down.

Fresh answers are given without asking anybody. Requests for a whole answer that are alike and come together ask once
(single flight). When asking fails because nobody can answer, an older answer is given, marked stale; where there is none,
the canned text, marked as well and never billed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import structlog

from intellirouter.chat.delta import Delta, Finish, Start, StreamEvent, TextDelta, UsageDelta
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse, Choice, Usage
from intellirouter.errors import (
    IntelliRouterError,
    ModelNotFound,
    Overloaded,
    UpstreamError,
    UpstreamRejected,
)
from intellirouter.inference.answering import Answering, Streamed
from intellirouter.inference.cache.entry import Entry, joined
from intellirouter.inference.cache.key import Wishes, cache_key, wishes_of
from intellirouter.inference.cache.store import ResponseCache
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.job import Job, Trace, recalled
from intellirouter.inference.offline_transport import OFFLINE
from intellirouter.inference.permission import permitted

HEADER = "x-intellirouter-cache"
CANNED = "canned"
CANNED_HEADER = "x-intellirouter-canned"

log = structlog.get_logger(__name__)


class CachedDispatch:
    """See `Answering`. `count` counts a request by the limits of its key, where a kept answer is given and nobody else counts it."""

    def __init__(
        self,
        inner: Answering,
        catalog: Catalog,
        cache: ResponseCache,
        count: Callable[[Job], Awaitable[None]],
    ) -> None:
        self.cache = cache
        self._count = count
        self._inner = inner
        self._catalog = catalog
        self._flights: dict[str, asyncio.Future[None]] = {}

    async def complete(self, job: Job) -> tuple[ChatResponse, Trace]:
        """See `Answering.complete`."""
        key, wishes = self._key(job)
        while True:
            kept = await self._kept(key, wishes)
            if kept is not None and kept.response is not None and self.cache.fresh(kept, wishes.max_age):
                await self._count(job)
                self.cache.stats.hits += 1
                return kept.response, _trace_of(kept, "hit")
            flight = self._flights.get(key) if key and wishes.read else None
            if flight is None:
                break
            await asyncio.wait((flight,), timeout=max(0.0, job.deadline - time.monotonic()))
            if not flight.done() or flight.cancelled():
                break
        self.cache.stats.misses += 1
        landed = self._take_off(key, wishes)
        try:
            response, trace = await self._inner.complete(msgspec.structs.replace(job, relay=None))
            await self._keep_response(key, wishes, response, trace)
        except IntelliRouterError as error:
            if not _nobody_can_answer(error):
                raise
            return self._last_resort(kept, error)
        finally:
            self._land(key, landed)
        trace.headers = {**trace.headers, HEADER: "miss"}
        return response, trace

    async def stream(self, job: Job) -> Streamed:
        """See `Answering.stream`."""
        key, wishes = self._key(job)
        kept = await self._kept(key, wishes)
        if kept is not None and kept.deltas and self.cache.fresh(kept, wishes.max_age):
            await self._count(job)
            self.cache.stats.hits += 1
            return Replay(kept.events(), _trace_of(kept, "hit"))
        self.cache.stats.misses += 1
        try:
            live = await self._inner.stream(job)
        except IntelliRouterError as error:
            if not _nobody_can_answer(error):
                raise
            if kept is not None and kept.deltas:
                self.cache.stats.stale += 1
                return Replay(kept.events(), _instead(_trace_of(kept, "stale"), error))
            return self._canned_stream(error)
        live.trace.headers = {**live.trace.headers, HEADER: "miss"}
        return Kept(live, self.cache, key) if key and wishes.write else live

    async def embed(self, job: Job, wanted: EmbeddingRequest) -> tuple[EmbeddingResponse, Trace]:
        """See `Answering.embed`. Vectors are not kept here: who needs them twice keeps them."""
        return await self._inner.embed(job, wanted)

    async def count(self, job: Job) -> tuple[int, bool]:
        """See `Answering.count`."""
        return await self._inner.count(job)

    def _key(self, job: Job) -> tuple[str, Wishes]:
        """The key, empty when the request's answer is not to be kept, and what the request wishes."""
        control = job.request.options.cache_control if job.request.options else None
        wishes = wishes_of(control or job.headers.get("cache-control"))
        if not self.cache.section.enabled:
            return "", wishes
        try:
            model = permitted(self._catalog, job.caller, job.request.model, granted=job.granted).name
        except ModelNotFound:  # a provider may still list it: dispatch says what becomes of it
            return "", wishes
        return cache_key(job.request, job.caller, model), wishes

    async def _kept(self, key: str, wishes: Wishes) -> Entry | None:
        return await self.cache.get(key) if key and wishes.read else None

    def _take_off(self, key: str, wishes: Wishes) -> asyncio.Future[None] | None:
        if not key or not wishes.read or not wishes.write or key in self._flights:
            return None
        flight: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flights[key] = flight
        return flight

    def _land(self, key: str, flight: asyncio.Future[None] | None) -> None:
        if flight is not None:
            self._flights.pop(key, None)
            flight.set_result(None)

    async def _keep_response(self, key: str, wishes: Wishes, response: ChatResponse, trace: Trace) -> None:
        if (
            key
            and wishes.write
            and trace.provider != OFFLINE.name
            and response.choices
            and all(choice.finish_reason not in (None, "error") for choice in response.choices)
        ):
            plain = msgspec.structs.replace(response, raw=None, dialect=None)
            await self.cache.put(key, Entry(time.time(), trace.provider, trace.model, plain))

    def _last_resort(self, kept: Entry | None, error: IntelliRouterError) -> tuple[ChatResponse, Trace]:
        if kept is not None and kept.response is not None:
            self.cache.stats.stale += 1
            return kept.response, _instead(_trace_of(kept, "stale"), error)
        text = self.cache.section.canned_answer
        if text is None:
            raise error
        self.cache.stats.canned += 1
        choice = Choice(content=(Text(text),))
        response = ChatResponse(
            id="canned", model="canned", choices=(choice,), usage=Usage(), created=int(time.time())
        )
        return response, _instead(_canned_trace(), error)

    def _canned_stream(self, error: IntelliRouterError) -> Replay:
        text = self.cache.section.canned_answer
        if text is None:
            raise error
        self.cache.stats.canned += 1
        start = Start(id="canned", model="canned", created=int(time.time()))
        deltas: tuple[Delta, ...] = (start, TextDelta(text), Finish("stop"), UsageDelta(Usage()))
        return Replay([StreamEvent((delta,)) for delta in deltas], _instead(_canned_trace(), error))


class Replay:
    """A kept answer as a stream. See `Streamed`."""

    def __init__(self, events: list[StreamEvent], trace: Trace) -> None:
        self.trace = trace
        self.dialect: str | None = None
        self.said: tuple[Delta, ...] = ()
        self._events = events

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        yield self._events

    def close(self) -> None:
        """Nothing is held."""


class Kept:
    """A live stream that is kept once it has ended well. See `Streamed`."""

    def __init__(self, live: Streamed, cache: ResponseCache, key: str) -> None:
        self.trace = live.trace
        self._live = live
        self._cache = cache
        self._key = key

    @property
    def dialect(self) -> str | None:
        """See `Streamed`."""
        return self._live.dialect

    @property
    def said(self) -> tuple[Delta, ...]:
        """See `Streamed`."""
        return self._live.said

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        seen: list[StreamEvent] = []
        size = 0
        async for events in self._live.batches():
            size += sum(len(event.raw) or 64 for event in events)
            if size <= self._cache.section.max_entry_bytes * 16:  # raw events are many times their deltas
                seen += [StreamEvent(event.deltas) for event in events]
            yield events
        if self.trace.provider == OFFLINE.name:
            return  # it says what to configure: no longer true once that is done
        if size > self._cache.section.max_entry_bytes * 16:
            self._cache.stats.too_long += 1
            return
        deltas = joined(seen)
        await self._cache.put(
            self._key, Entry(time.time(), self.trace.provider, self.trace.model, deltas=deltas)
        )

    def close(self) -> None:
        """See `Streamed.close`."""
        self._live.close()


def _nobody_can_answer(error: IntelliRouterError) -> bool:
    return isinstance(error, UpstreamError | Overloaded) and not isinstance(error, UpstreamRejected)


def _trace_of(kept: Entry, how: str) -> Trace:
    age = max(0, int(time.time() - kept.made))
    return Trace(provider=kept.provider, model=kept.model, headers={HEADER: how, "age": str(age)})


def _instead(trace: Trace, error: IntelliRouterError) -> Trace:
    """The answer hides a failure from the caller's program; neither from the operator nor from who looks."""
    trace.attempts = recalled(error.details.get("attempts"))
    trace.cost_usd = error.details.get("cost_usd")
    log.info(
        "cache.answered_instead",
        answer="canned" if trace.provider == CANNED else "stale",
        error=error.code,
        message=error.message[:200],
        attempts=[attempt.shown() for attempt in trace.attempts],
    )
    return trace


def _canned_trace() -> Trace:
    return Trace(provider=CANNED, model=CANNED, headers={CANNED_HEADER: "true"})
