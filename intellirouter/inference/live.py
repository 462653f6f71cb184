"""A streamed answer under way, rescued where it breaks if that is possible, and paid for whatever ends it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import msgspec
import structlog

from intellirouter.chat.delta import Delta, StreamEvent, UsageDelta
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import Share, Usage
from intellirouter.chat.tokens import estimate_tokens
from intellirouter.errors import IntelliRouterError, UpstreamError
from intellirouter.inference import spans
from intellirouter.inference.attempts import Answered
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.concealing import conceal
from intellirouter.inference.exchange import UpstreamStream
from intellirouter.inference.job import Attempt, Trace
from intellirouter.inference.record import Recorder
from intellirouter.inference.rescue.continuation import asked_of
from intellirouter.inference.rescue.onward import Onward
from intellirouter.inference.rescue.said import Said
from intellirouter.inference.rescue.stitch import DoesNotGoOn
from intellirouter.inference.standing import Board
from intellirouter.inference.tally import Tally
from intellirouter.inference.usage import credible

MAX_RESCUES = 3

log = structlog.get_logger(__name__)

Resume = Callable[[Said, list[str], float], Awaitable[Answered[UpstreamStream]]]
"""Ask for the rest of an answer of which this is known, until then (monotonic); of those named, who broke it, last."""


@dataclass(frozen=True, slots=True)
class Books:
    """Where what happens to a stream is written down."""

    board: Board
    recorder: Recorder
    pay: Callable[[Candidate, Trace, Attempt, Usage | None], None]


class LiveAnswer:
    """The trace, and events to forward.

    `dialect` is what the events' bytes are; it is None from the moment another target went on, and `said` then holds
    the deltas that bring an encoder to where the caller is. `patience` is how many seconds the answer may stand still
    in all; `told` hears what a provider said it used.
    """

    def __init__(
        self,
        opened: Answered[UpstreamStream],
        trace: Trace,
        books: Books,
        request: ChatRequest,
        *,
        resume: Resume | None,
        finished: Callable[[], None],
        patience: float,
        told: Callable[[Candidate, Usage], None],
    ) -> None:
        self.trace = trace
        self.dialect: str | None = opened.result.dialect
        self.said: tuple[Delta, ...] = ()
        self._books = books
        self._resume = resume
        self._finished = finished
        self._request = request
        self._told = told
        self._patience = patience
        self._moved = time.monotonic()  # when the caller got something last
        self._seen = Said(keep_text=resume is not None)
        self._tally: Tally = self._seen  # of the stream at hand
        self._onward: Onward | None = None
        self._passed = True  # the caller got something of it
        self._broken: list[str] = []  # targets that did not bring the answer to its end
        self._closed = False
        self._paid = False
        self._take(opened)

    def _take(self, opened: Answered[UpstreamStream]) -> None:
        self._stream, self._candidate, self._record = opened.result, opened.candidate, opened.record
        self._stream.may_stall(self._patience)
        self._load = self._books.board.of(self._candidate)
        self._load.load += 1
        self._first, self._began = opened.record.seconds, time.monotonic()
        self._paid = False
        self.trace.answered_by.append(self._candidate.id)

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """Events in the groups they arrived in. Raises where the stream breaks; never ends early in silence."""
        broke: IntelliRouterError | None = None  # what went wrong first: the rest follows from it
        while True:
            try:
                async for events in self._stream.batches():
                    self._tally.take(events)
                    passed = events if self._onward is None else self._goes_on(self._onward.take(events))
                    if passed:
                        yield passed
                        self._moved = time.monotonic()
                if self._onward is not None:
                    yield self._ended(self._onward)
            except IntelliRouterError as error:
                self._note(error)
                broke = broke or error
                await self._rescue(broke, error)
                continue
            except BaseException:  # the caller left: what was used by then is still to be paid
                self._pay()
                raise
            self._pay()
            return

    def _note(self, error: IntelliRouterError) -> None:
        conceal(error, self._candidate.provider)
        spans.broken(self.trace, self._candidate, error)
        if not isinstance(error, DoesNotGoOn):  # what it said was no help, but it answered
            self._books.board.failed(self._candidate, 0, error, self.trace.witness)
            self._books.recorder.failed(self._candidate, error, 0.0)

    async def _rescue(self, broke: IntelliRouterError, error: IntelliRouterError) -> None:
        """Go on with another target, or raise what broke the stream."""
        self._pay()
        self._stream.close()
        self._patience -= time.monotonic() - self._moved
        self._broken.append(self._candidate.id)
        if not self._passed:  # nothing of it was any good
            self.trace.answered_by.pop()
        if (
            self._resume is None
            or not isinstance(error, UpstreamError)
            or not self._seen.can_continue
            or len(self._broken) > MAX_RESCUES
            or self._patience <= 0
        ):
            raise broke
        began = time.monotonic()
        try:
            opened = await self._resume(self._seen, self._broken, began + self._patience)
        except IntelliRouterError as second:
            log.info("stream.rescue_failed", code=second.code, provider=self._candidate.provider.name)
            raise broke from second
        self._moved = time.monotonic()
        self._patience -= self._moved - began
        log.info("stream.rescued", broken=self._candidate.id, by=opened.candidate.id, code=error.code)
        self.trace.rescued += 1
        if self._closed:
            opened.result.close()
        self._load.load -= 1
        self._take(opened)
        self._onward = Onward(self._seen.text, self._seen.block, asked_of(self._request))
        self._tally = Tally()
        self._passed = False

    def _goes_on(self, passed: list[StreamEvent]) -> list[StreamEvent]:
        """A continuation's events that the caller gets: the first of them change who writes the bytes."""
        if passed:
            if not self._passed:
                self._passed = True
                self.dialect = None
                self.said = self._seen.as_deltas()
            self._seen.take(passed)
        return passed

    def _ended(self, onward: Onward) -> list[StreamEvent]:
        """The end of a continuation, with all that the answer used: what the caller gets is one answer."""
        rest, finishes = onward.end()
        self._pay()
        usage = msgspec.structs.replace(
            self.trace.usage or Usage(), shares=shares_of(self.trace), extra={}, extra_dialect=None
        )
        told = [msgspec.structs.replace(finish, told=usage.told_shares) for finish in finishes]
        return self._goes_on([StreamEvent((*rest, *told, UsageDelta(usage)))])

    def _pay(self) -> None:
        """What the stream at hand used, once."""
        if self._paid:
            return
        self._paid = True
        tally = self._tally
        usage, _ = credible(tally.used(self._read), self._candidate, self._read, lambda: tally.tokens)
        if tally.usage is not None:
            self._told(self._candidate, usage)
        rest = time.monotonic() - self._began
        self._books.recorder.streamed(self._candidate, self._first, rest, usage.output_tokens)
        self._books.pay(self._candidate, self.trace, self._record, usage)

    def _read(self) -> int:
        return estimate_tokens(self._request)

    def close(self) -> None:
        """Cut the upstream unless it has ended. Idempotent."""
        if not self._closed:
            self._closed = True
            self._load.load -= 1
            self._pay()  # a caller that left before the end still pays what it got
            self._finished()
        self._stream.close()


def shares_of(trace: Trace) -> tuple[Share, ...]:
    """What each call used that was paid for."""
    return tuple(
        Share(attempt.candidate, attempt.usage.input_tokens, attempt.usage.output_tokens)
        for attempt in trace.attempts
        if attempt.usage is not None
    )
