"""A streamed answer under way, rescued where it breaks if that is possible."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import structlog

from intellirouter.chat.delta import Delta, Start, StreamEvent, TextDelta, UsageDelta
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import Usage
from intellirouter.chat.tokens import estimate_tokens
from intellirouter.errors import IntelliRouterError, UpstreamError
from intellirouter.inference import spans
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.concealing import conceal
from intellirouter.inference.exchange import UpstreamStream
from intellirouter.inference.job import Trace
from intellirouter.inference.record import Recorder
from intellirouter.inference.rescue.said import Said
from intellirouter.inference.rescue.stitch import Stitcher
from intellirouter.inference.standing import Board

MAX_RESCUES = 2

log = structlog.get_logger(__name__)

Resume = Callable[[str, Candidate], Awaitable[tuple[UpstreamStream, Candidate]]]
"""Ask for the rest of an answer of which this text is known, of anybody rather than of that candidate."""


@dataclass(frozen=True, slots=True)
class Books:
    """Where what happens to a stream is written down."""

    board: Board
    recorder: Recorder
    settle: Callable[[Candidate, Trace, Usage | None], None]


class LiveAnswer:
    """The trace, and events to forward.

    `dialect` is what the events' bytes are; it is None from the moment another target went on, and `said` then holds
    the deltas that bring an encoder to where the caller is.
    """

    def __init__(
        self,
        stream: UpstreamStream,
        candidate: Candidate,
        trace: Trace,
        books: Books,
        resume: Resume | None,
        finished: Callable[[], None],
        request: ChatRequest,
    ) -> None:
        self.trace = trace
        self.dialect: str | None = stream.dialect
        self.said: tuple[Delta, ...] = ()
        self._stream = stream
        self._candidate = candidate
        self._books = books
        self._resume = resume
        self._seen = Said(keep_text=resume is not None)
        self._rescues = 0
        self._stitcher: Stitcher | None = None
        self._before: Said | None = None
        self._load = books.board.of(candidate)
        self._load.load += 1
        self._finished = finished
        self._request = request
        self._closed = False
        self._settled = False

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """Events in the groups they arrived in. Raises where the stream breaks; never ends early in silence."""
        while True:
            try:
                async for events in self._stream.batches():
                    passed = events if self._stitcher is None else self._stitched(events)
                    self._seen.take(passed)
                    if passed:
                        yield passed
            except IntelliRouterError as error:
                conceal(error, self._candidate.provider)
                self._books.board.failed(self._candidate, 0, error)
                self._books.recorder.failed(self._candidate, error, 0.0)
                spans.broken(self.trace, self._candidate, error)
                await self._rescue(error)
                continue
            except BaseException:  # the caller left: what was used by then is still to be paid
                self._settle()
                raise
            self._settle()
            return

    async def _rescue(self, error: IntelliRouterError) -> None:
        """Go on with another target, or raise what broke the stream."""
        seen = self._seen
        may = isinstance(error, UpstreamError) and seen.can_continue and self._rescues < MAX_RESCUES
        if self._resume is None or not may:
            self._settle()
            raise error
        self._rescues += 1
        self.trace.rescued += 1
        self._stream.close()
        try:
            stream, candidate = await self._resume(seen.text, self._candidate)
        except IntelliRouterError as second:
            log.info("stream.rescue_failed", code=second.code, provider=self._candidate.provider.name)
            self._settle()
            raise error from second
        self._pay_for_the_cut_part()
        log.info("stream.rescued", broken=self._candidate.id, by=candidate.id, code=error.code)
        if self._closed:
            stream.close()
        self._stream = stream
        self._take_over(candidate)
        self.dialect = None
        self.said = seen.as_deltas()
        self._stitcher = Stitcher(seen.text)

    def _take_over(self, candidate: Candidate) -> None:
        self._load.load -= 1
        self._candidate = candidate
        self._load = self._books.board.of(candidate)
        self._load.load += 1

    def _pay_for_the_cut_part(self) -> None:
        """The cut part is used up: the next part's own usage comes on top."""
        self._books.settle(self._candidate, self.trace, self._seen.usage or self._estimate())
        self._seen.usage = None

    def _stitched(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """The continuation's events as they follow on what was said: no second start, nothing said twice."""
        passed = []
        for event in events:
            deltas = tuple(new for delta in event.deltas for new in self._follow_on(delta))
            if deltas:
                passed.append(StreamEvent(deltas))
        return passed

    def _follow_on(self, delta: Delta) -> tuple[Delta, ...]:
        stitcher = self._stitcher
        if stitcher is None or isinstance(delta, Start):
            return ()
        if isinstance(delta, TextDelta):
            text = stitcher.feed(delta.text)
            return (TextDelta(text, block=self._seen.block),) if text else ()
        if isinstance(delta, UsageDelta):
            return (delta,)
        rest = stitcher.finish()
        return (TextDelta(rest, block=self._seen.block), delta) if rest else (delta,)

    def _settle(self) -> None:
        if self._settled:
            return
        self._settled = True
        usage = self._seen.usage
        if usage is None and self._seen.tokens:
            usage = self._estimate()
        self._books.settle(self._candidate, self.trace, usage)

    def _estimate(self) -> Usage:
        """What was used, where the provider did not come to say it: it charges for the prompt of a cut answer too."""
        read = estimate_tokens(self._request)
        return Usage(input_tokens=read, output_tokens=self._seen.tokens, estimated=True)

    def close(self) -> None:
        """Cut the upstream unless it has ended. Idempotent."""
        if not self._closed:
            self._closed = True
            self._load.load -= 1
            self._settle()  # a caller that left before the end still pays what it got
            self._finished()
        self._stream.close()
