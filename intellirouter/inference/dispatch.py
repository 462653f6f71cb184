"""Dispatch: from a request to an answer, over as many targets as it takes.

The walk: the catalogue names candidates, the planner orders them, attempts are made until one answers or none is left,
and a stream that breaks later is taken over by another target. Every attempt is recorded; before the first token a
failed one is invisible to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec
import structlog

from intellirouter.chat import openai_embeddings
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.chat.tokens import CHARACTERS_PER_TOKEN, estimate_tokens, text_tokens
from intellirouter.errors import UpstreamError
from intellirouter.inference import spans
from intellirouter.inference.attempts import Attempts, Limits
from intellirouter.inference.catalog import Candidate, Catalog, ModelEntry
from intellirouter.inference.counting import count, counts
from intellirouter.inference.discovery import Discovery
from intellirouter.inference.embedding import embed
from intellirouter.inference.exchange import Exchange, UpstreamStream, within
from intellirouter.inference.job import Job, Trace
from intellirouter.inference.limits.gate import Gate
from intellirouter.inference.limits.governor import Governor
from intellirouter.inference.live import Books, LiveAnswer, Resume
from intellirouter.inference.permission import permitted
from intellirouter.inference.plan import Planner
from intellirouter.inference.record import Recorder
from intellirouter.inference.rescue.continuation import continuation, may_continue
from intellirouter.inference.standing import Board
from intellirouter.providers.adapter import Target
from intellirouter.transport.contract import Transport

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard to try. `whole` and `streamed` bound attempts; `mid_stream` is what follows a broken stream."""

    whole: Limits
    streamed: Limits
    mid_stream: Literal["continue", "error"] = "continue"
    max_bytes: int = 64 * 1024 * 1024


class Dispatch:
    """Answers jobs. One per process; holds no per-request state."""

    def __init__(
        self,
        catalog: Catalog,
        transport: Transport,
        recorder: Recorder,
        discovery: Discovery,
        planner: Planner,
        board: Board,
        policy: Policy,
        governor: Governor,
        gate: Gate | None = None,
    ) -> None:
        self.catalog = catalog
        self.board = board
        self._discovery = discovery
        self._transport = transport
        self._recorder = recorder
        self._planner = planner
        self._policy = policy
        self._governor = governor
        self._gate = gate
        self._attempts = Attempts(board, recorder, governor)
        self._books = Books(board, recorder, self._settle)

    def configure(self, policy: Policy) -> None:
        """Try as hard as this from now on."""
        self._policy = policy

    async def complete(self, job: Job) -> tuple[ChatResponse, Trace]:
        """A whole answer. Raises `ModelNotFound`, or an `UpstreamError` whose details say what was tried."""
        entry = await self._entry(job)
        trace = Trace()
        finished = await self._admit(job, entry, trace)
        try:
            request = with_defaults(job.request, entry)

            async def attempt(candidate: Candidate, target: Target) -> ChatResponse:
                response, trace.notes = await self._exchange(job, request, candidate, target).complete()
                return response

            candidates = self._plan(job, entry, trace)
            response, candidate = await self._attempts.first(
                candidates, attempt, trace, job.deadline, self._policy.whole
            )
            trace.model = response.model or candidate.target.model
            self._settle(candidate, trace, response.usage or estimated(request, response))
        finally:
            finished()
        return response, trace

    async def stream(self, job: Job) -> LiveAnswer:
        """An answer whose first token has arrived. Raises like `complete`; must be closed."""
        entry = await self._entry(job)
        trace = Trace()
        finished = await self._admit(job, entry, trace)
        try:
            request = with_defaults(job.request, entry)
            candidates = self._plan(job, entry, trace)
            stream, candidate = await self._open(job, request, candidates, trace)
        except BaseException:
            finished()
            raise
        resume = self._resume(job, request, candidates, trace)
        return LiveAnswer(stream, candidate, trace, self._books, resume, finished, request)

    async def embed(self, job: Job, wanted: EmbeddingRequest) -> tuple[EmbeddingResponse, Trace]:
        """Vectors for every input of `wanted`; `job.request` holds the same texts for limits and rules."""
        entry = await self._entry(job)
        trace = Trace(operation="embeddings")
        finished = await self._admit(job, entry, trace)

        async def attempt(candidate: Candidate, target: Target) -> EmbeddingResponse:
            request = msgspec.structs.replace(wanted, model=target.model)
            deadlines = within(candidate.deadlines, job.deadline, candidate.provider.name)
            relay = job.relay == openai_embeddings.DIALECT
            return await embed(
                self._transport, candidate, target, request, deadlines, self._policy.max_bytes, relay=relay
            )

        try:
            candidates = self._plan(job, entry, trace)
            response, candidate = await self._attempts.first(
                candidates, attempt, trace, job.deadline, self._policy.whole
            )
            trace.model = response.model
            self._settle(candidate, trace, response.usage)
        finally:
            finished()
        return response, trace

    async def count(self, job: Job) -> tuple[int, bool]:
        """The input tokens of `job.request`, and whether the number is only an estimate.

        Asked are the providers that can be; the estimate stands in for one that cannot or does not answer.
        """
        entry = await self._entry(job)
        trace = Trace(operation="count_tokens")
        request = with_defaults(job.request, entry)

        async def attempt(candidate: Candidate, target: Target) -> int:
            deadlines = within(candidate.deadlines, job.deadline, candidate.provider.name)
            return await count(self._transport, candidate, target, request, deadlines)

        candidates = [candidate for candidate in self._plan(job, entry, trace) if counts(candidate)]
        if candidates:
            try:
                number, candidate = await self._attempts.first(
                    candidates, attempt, trace, job.deadline, self._policy.whole
                )
                spans.settled(trace, candidate, None, None)
            except UpstreamError as error:
                log.info("count.estimated", model=job.request.model, reason=error.code)
            else:
                return number, False
        return estimate_tokens(request), True

    async def _admit(self, job: Job, entry: ModelEntry, trace: Trace) -> Callable[[], None]:
        """Take a place and what the request may use; the call that gives both back and writes down what was used."""
        gate = self._gate
        if gate is not None:
            await gate.enter(job.caller.key_id, job.caller.priority, job.deadline)
        try:
            grant = await self._governor.admit(job, entry)
        except BaseException:
            if gate is not None:
                gate.leave()
            raise
        trace.headers = grant.headers

        def finished() -> None:
            if gate is not None:
                gate.leave()
            self._governor.settle(grant, trace.usage, trace.cost_usd, entry.name)

        return finished

    async def _entry(self, job: Job) -> ModelEntry:
        """What the caller may use under the name it gave. Raises `PermissionDenied`, `ModelNotFound`."""
        name = job.request.model
        entry = self.catalog.known(name)
        if entry is None:
            await self._discovery.settled()
        elif not job.caller.models:
            return entry
        return permitted(self.catalog, job.caller, name, granted=job.granted)

    def _plan(self, job: Job, entry: ModelEntry, trace: Trace) -> list[Candidate]:
        plan = self._planner.plan(job, entry)
        trace.plan = plan.shown
        return plan.candidates

    async def _open(
        self, job: Job, request: ChatRequest, candidates: Sequence[Candidate], trace: Trace
    ) -> tuple[UpstreamStream, Candidate]:
        async def attempt(candidate: Candidate, target: Target) -> UpstreamStream:
            return await self._exchange(job, request, candidate, target).open_stream()

        stream, candidate = await self._attempts.first(
            candidates, attempt, trace, job.deadline, self._policy.streamed, UpstreamStream.close
        )
        spans.first_token(trace, candidate)
        trace.notes = stream.notes
        trace.model = candidate.target.model
        return stream, candidate

    def _resume(
        self, job: Job, request: ChatRequest, candidates: Sequence[Candidate], trace: Trace
    ) -> Resume | None:
        if self._policy.mid_stream == "error" or not may_continue(request):
            return None

        async def resume(said: str, broken: Candidate) -> tuple[UpstreamStream, Candidate]:
            others = [candidate for candidate in candidates if candidate.id != broken.id]
            return await self._open(job, continuation(request, said), [*others, broken], trace)

        return resume

    def _exchange(self, job: Job, request: ChatRequest, candidate: Candidate, target: Target) -> Exchange:
        return Exchange(
            transport=self._transport,
            candidate=candidate,
            request=request,
            deadline=job.deadline,
            max_bytes=self._policy.max_bytes,
            relay=job.relay == candidate.provider.adapter.wire.name,
            target=target,
        )

    def _settle(self, candidate: Candidate, trace: Trace, usage: Usage | None) -> None:
        if usage is None:
            spans.settled(trace, candidate, None, None)
            return
        trace.usage = usage if trace.usage is None else combined(trace.usage, usage)
        cost = self._recorder.used(candidate, usage)
        if cost is not None:
            trace.cost_usd = (trace.cost_usd or 0.0) + cost
        spans.settled(trace, candidate, usage, cost)
        standing = self.board.provider(candidate.provider)
        standing.minute.add(self.board.clock(), 0, usage.total_tokens)
        self._governor.outbound_used(candidate.provider, usage)


def with_defaults(request: ChatRequest, entry: ModelEntry) -> ChatRequest:
    """The request with the model's configured defaults where it is silent."""
    if not entry.defaults:
        return request
    absent = {name: value for name, value in entry.defaults.items() if getattr(request, name, value) is None}
    return request.changed(**absent) if absent else request


def estimated(request: ChatRequest, response: ChatResponse) -> Usage:
    """The usage of an answer whose provider does not say it: no answer may count as free for that."""
    written = sum(text_tokens(choice.text) for choice in response.choices)
    if not written and response.raw is not None:  # it went on unread
        written = len(response.raw) // CHARACTERS_PER_TOKEN
    return Usage(input_tokens=estimate_tokens(request), output_tokens=written, estimated=True)


def combined(first: Usage, second: Usage) -> Usage:
    """The tokens of two parts of one answer."""
    return Usage(
        input_tokens=first.input_tokens + second.input_tokens,
        output_tokens=first.output_tokens + second.output_tokens,
        cached_tokens=_sum(first.cached_tokens, second.cached_tokens),
        cache_write_tokens=_sum(first.cache_write_tokens, second.cache_write_tokens),
        reasoning_tokens=_sum(first.reasoning_tokens, second.reasoning_tokens),
        estimated=first.estimated or second.estimated,
    )


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None and second is None else (first or 0) + (second or 0)
