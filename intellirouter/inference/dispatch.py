"""Dispatch: from a request to an answer, over as many targets as it takes.

The walk: the catalogue names candidates, the planner orders them, attempts are made until one answers or none is left,
and a stream that breaks later is taken over by another target. Every attempt is recorded; before the first token a
failed one is invisible to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import structlog

from intellirouter.chat import openai_embeddings
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.chat.tokens import estimate_tokens
from intellirouter.errors import UpstreamError
from intellirouter.inference import spans
from intellirouter.inference.answering import Streamed
from intellirouter.inference.attempts import Answered, Attempts, Limits
from intellirouter.inference.catalog import Candidate, Catalog, ModelEntry
from intellirouter.inference.cost import cost_usd
from intellirouter.inference.counting import count, counts
from intellirouter.inference.discovery import Discovery
from intellirouter.inference.embedding import embed
from intellirouter.inference.exchange import Exchange, UpstreamStream, within
from intellirouter.inference.job import COUNT, EMBEDDINGS, Attempt, Chosen, Job, Trace
from intellirouter.inference.limits.gate import Gate
from intellirouter.inference.limits.governor import Governor, Grant
from intellirouter.inference.live import Books, LiveAnswer, Resume
from intellirouter.inference.permission import permitted
from intellirouter.inference.plan import Planner
from intellirouter.inference.record import Recorder
from intellirouter.inference.rescue.continuation import continuation, may_continue
from intellirouter.inference.rescue.said import Said
from intellirouter.inference.signals import Watched, signal_of
from intellirouter.inference.standing import Board
from intellirouter.inference.told_models import check_told
from intellirouter.inference.usage import IMPOSSIBLE, combined, credible, embedded_tokens, usual, written_by
from intellirouter.providers.adapter import Target
from intellirouter.transport.contract import Transport

MAX_NAME = 256
"""Characters of a model's name, as a provider tells it, that go on."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard to try. `whole` and `streamed` bound attempts; `mid_stream` is what follows a broken stream.

    `stall_seconds` is how long a stream may stand still in all; `request_timeout` bounds every request.
    """

    whole: Limits
    streamed: Limits
    mid_stream: Literal["continue", "error"] = "continue"
    max_bytes: int = 64 * 1024 * 1024
    stall_seconds: float = 30.0
    request_timeout: float = 600.0


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
        self._attempts = Attempts(board, recorder, governor, self._pay)
        self._books = Books(board, recorder, self._pay)

    def configure(self, policy: Policy) -> None:
        """Try as hard as this from now on."""
        self._policy = policy

    async def complete(self, job: Job) -> tuple[ChatResponse, Trace]:
        """A whole answer. Raises `ModelNotFound`, or an `UpstreamError` whose details say what was tried."""
        entry = self.catalog.known(job.request.model)
        if entry is None or job.caller.models:
            entry = await self._entry(job)
        trace = Trace(caller=job.caller)
        grant = await self._admit(job, entry, trace)
        try:
            request = with_defaults(job.request, entry)

            async def attempt(candidate: Candidate, target: Target, record: Attempt) -> ChatResponse:
                exchange = self._exchange(job, entry, request, candidate, target, record)
                response, trace.notes = await exchange.complete()
                return response

            answered = await self._attempts.first(
                grant.candidates, attempt, trace, job.deadline, self._policy.whole, _used
            )
            response, candidate = answered.result, answered.candidate
            trace.model = (response.model or candidate.target.model)[:MAX_NAME]
            trace.answered_by.append(candidate.id)
            response = self._billed(response, request, answered, trace, grant)
            if trace.decided is not None:
                _tell(trace, trace.decided, candidate, response, request)
        finally:
            self._finish(grant, trace)
        return response, trace

    def _billed(
        self,
        response: ChatResponse,
        request: ChatRequest,
        answered: Answered[ChatResponse],
        trace: Trace,
        grant: Grant,
    ) -> ChatResponse:
        """Pay for a whole answer. One that goes on in our words says what was billed."""
        candidate, said = answered.candidate, response.usage
        if said is not None and usual(said, candidate):
            usage = said
        else:
            usage, impossible = credible(
                said or Usage(), candidate, lambda: estimate_tokens(request), lambda: written_by(response)
            )
            if impossible:
                trace.notes += (IMPOSSIBLE,)
                if response.raw is None:
                    response = msgspec.structs.replace(response, usage=usage)
        if grant.read and not usage.estimated:
            self._governor.guesses.counted(candidate.id, grant.read, usage.input_tokens)
        self._pay(candidate, trace, answered.record, usage)
        return response

    async def stream(self, job: Job) -> Streamed:
        """An answer whose first token has arrived. Raises like `complete`; must be closed."""
        entry = self.catalog.known(job.request.model)
        if entry is None or job.caller.models:
            entry = await self._entry(job)
        trace = Trace(caller=job.caller)
        grant = await self._admit(job, entry, trace)
        try:
            request = with_defaults(job.request, entry)
            opened = await self._open(job, entry, request, grant.candidates, trace)
        except BaseException:
            self._finish(grant, trace)
            raise
        live = LiveAnswer(
            opened,
            trace,
            self._books,
            request,
            resume=self._resume(job, entry, request, grant.candidates, trace),
            finished=lambda: self._finish(grant, trace),
            patience=self._policy.stall_seconds,
            told=lambda candidate, usage: self._learn(grant, candidate, usage),
        )
        return live if trace.decided is None else Watched(live, request)

    async def embed(self, job: Job, wanted: EmbeddingRequest) -> tuple[EmbeddingResponse, Trace]:
        """Vectors for every input of `wanted`; `job.request` holds the same texts for limits and rules."""
        entry = await self._entry(job, wanted.extra)
        trace = Trace(operation=EMBEDDINGS, caller=job.caller)
        grant = await self._admit(job, entry, trace)

        async def attempt(
            candidate: Candidate, target: Target, record: Attempt
        ) -> tuple[EmbeddingResponse, Usage]:
            request = msgspec.structs.replace(wanted, model=target.model)
            deadlines = within(candidate.deadlines, job.deadline, candidate.provider.name)
            relay = job.relay == openai_embeddings.DIALECT
            return await embed(
                self._transport,
                candidate,
                target,
                request,
                deadlines,
                self._policy.max_bytes,
                record,
                job.caller.tenant,
                relay=relay,
            )

        try:
            answered = await self._attempts.first(
                grant.candidates, attempt, trace, job.deadline, self._policy.whole, lambda result: result[1]
            )
            (response, told), candidate = answered.result, answered.candidate
            trace.model = response.model[:MAX_NAME]
            usage, impossible = credible(told, candidate, lambda: embedded_tokens(wanted), lambda: 0)
            trace.notes += (IMPOSSIBLE,) if impossible else ()
            self._learn(grant, candidate, usage)
            self._pay(candidate, trace, answered.record, usage)
        finally:
            self._finish(grant, trace)
        return response, trace

    async def count(self, job: Job) -> tuple[int, bool]:
        """The input tokens of `job.request`, and whether the number is only an estimate.

        Asked are the providers that can be; the estimate stands in for one that cannot or does not answer. A count is a
        request by the limits of the key, and costs nothing.
        """
        entry = await self._entry(job)
        trace = Trace(operation=COUNT, caller=job.caller)
        grant = await self._admit(job, entry, trace)
        request = with_defaults(job.request, entry)

        async def attempt(candidate: Candidate, target: Target, record: Attempt) -> int:
            deadlines = within(candidate.deadlines, job.deadline, candidate.provider.name)
            return await count(self._transport, candidate, target, request, deadlines, record)

        try:
            candidates = [candidate for candidate in grant.candidates if counts(candidate)]
            if candidates:
                answered = await self._attempts.first(
                    candidates, attempt, trace, job.deadline, self._policy.whole
                )
                spans.settled(trace, answered.candidate, None, None)
                return answered.result, False
        except UpstreamError as error:
            log.info("count.estimated", model=job.request.model, reason=error.code)
        finally:
            self._finish(grant, trace)
        return estimate_tokens(request), True

    async def _admit(self, job: Job, entry: ModelEntry, trace: Trace) -> Grant:
        """Take a place, make the plan, and take what the request may use. `_finish` gives back."""
        gate = self._gate
        if gate is not None:
            await gate.enter(job.caller, job.deadline)
        try:
            plan = self._planner.plan(job, entry)
            trace.plan, trace.lone, trace.decided = plan.shown, plan.lone(), plan.decided
            grant = await self._governor.admit(job, entry, plan.candidates, trace.operation)
        except BaseException:
            if gate is not None:
                gate.leave(job.caller)
            raise
        trace.headers = grant.headers
        return grant

    def _finish(self, grant: Grant, trace: Trace) -> None:
        """Give back the place and what was not used; write down what was."""
        if self._gate is not None and not grant.settled:
            self._gate.leave(grant.caller)
        self._governor.settle(grant, trace.usage, trace.cost_usd, grant.model)

    async def _entry(self, job: Job, extra: Mapping[str, Any] | None = None) -> ModelEntry:
        """What the caller may use under the name it gave, and with what else the request says (`extra`). Raises `PermissionDenied`, `ModelNotFound`."""
        name = job.request.model
        entry = self.catalog.known(name)
        if entry is None:
            await self._discovery.settled()
        elif not job.caller.models:
            return entry
        entry = permitted(self.catalog, job.caller, name, granted=job.granted)
        told = job.request.extra if extra is None else extra
        check_told(told, job.caller, {candidate.provider.name for candidate in entry.candidates})
        return entry

    async def _open(
        self,
        job: Job,
        entry: ModelEntry,
        request: ChatRequest,
        candidates: Sequence[Candidate],
        trace: Trace,
        deadline: float | None = None,
    ) -> Answered[UpstreamStream]:
        until = job.deadline if deadline is None else min(deadline, job.deadline)

        async def attempt(candidate: Candidate, target: Target, record: Attempt) -> UpstreamStream:
            return await self._exchange(job, entry, request, candidate, target, record, until).open_stream()

        opened = await self._attempts.first(
            candidates, attempt, trace, until, self._policy.streamed, UpstreamStream.discard
        )
        spans.first_token(trace, opened.candidate)
        trace.notes = opened.result.notes
        trace.model = trace.model or opened.candidate.target.model
        return opened

    def _resume(
        self,
        job: Job,
        entry: ModelEntry,
        request: ChatRequest,
        candidates: Sequence[Candidate],
        trace: Trace,
    ) -> Resume | None:
        if self._policy.mid_stream == "error" or not may_continue(request):
            return None

        async def resume(said: Said, broken: list[str], until: float) -> Answered[UpstreamStream]:
            onward = continuation(request, said.text, said.tokens)
            order = sorted(candidates, key=lambda candidate: _last(broken, candidate.id))
            return await self._open(job, entry, onward, order, trace, until)

        return resume

    def _exchange(
        self,
        job: Job,
        entry: ModelEntry,
        request: ChatRequest,
        candidate: Candidate,
        target: Target,
        record: Attempt,
        deadline: float | None = None,
    ) -> Exchange:
        return Exchange(
            transport=self._transport,
            candidate=candidate,
            request=request,
            deadline=job.deadline if deadline is None else deadline,
            max_bytes=self._policy.max_bytes,
            relay=job.relay == candidate.provider.adapter.wire.name,
            record=record,
            patience=self._policy.request_timeout,
            model=entry.name,
            guesses=self._governor.guesses,
            target=target,
            owner=job.caller.tenant,
        )

    def _learn(self, grant: Grant, candidate: Candidate, usage: Usage) -> None:
        if grant.read and not usage.estimated:
            self._governor.guesses.counted(candidate.id, grant.read, usage.input_tokens)

    def _pay(self, candidate: Candidate, trace: Trace, record: Attempt, usage: Usage | None) -> None:
        """Write down what a call used, if anything."""
        record.settle()
        if usage is None:
            spans.settled(trace, candidate, None, None)
            return
        trace.usage = usage if trace.usage is None else combined(trace.usage, usage)
        price = candidate.price or self._governor.price_of(candidate)
        cost = None if price is None else cost_usd(usage, price)
        if cost is not None:
            trace.cost_usd = (trace.cost_usd or 0.0) + cost
        record.usage, record.cost_usd = usage, cost
        self._recorder.used(candidate, usage, cost)
        if trace.spans:
            spans.settled(trace, candidate, usage, cost)
        provider = candidate.provider
        self.board.provider(provider).minute.add(self.board.clock(), 0, usage.total_tokens)
        if provider.tokens_per_minute is not None:
            self._governor.outbound_used(provider, usage)


def _last(names: list[str], name: str) -> int:
    """Where the name stands last, from 1; 0 where it does not."""
    return next((place for place in range(len(names), 0, -1) if names[place - 1] == name), 0)


def _used(response: ChatResponse) -> Usage | None:
    return response.usage


def _tell(
    trace: Trace, decided: Chosen, candidate: Candidate, response: ChatResponse, request: ChatRequest
) -> None:
    """What learns hears how it went: who failed before, and what the answer says of itself."""
    for record in trace.attempts:
        if record.candidate != candidate.id and record.outcome not in ("ok", "", "cancelled"):
            decided.failed(record.candidate)
    decided.answered(candidate.id, response.id, signal_of(response, request))


def with_defaults(request: ChatRequest, entry: ModelEntry) -> ChatRequest:
    """The request with the model's configured defaults where it is silent."""
    if not entry.defaults:
        return request
    absent = {name: value for name, value in entry.defaults.items() if getattr(request, name, value) is None}
    return request.changed(**absent) if absent else request
