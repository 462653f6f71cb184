"""One attempt at one target: build, send, read, parse. Knows nothing of other targets, retries or clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

import msgspec

from intellirouter.bounds.aside import LONG
from intellirouter.bounds.marks import MANY
from intellirouter.chat.delta import (
    Finish,
    RedactedThinkingDelta,
    Start,
    StreamEvent,
    ThinkingDelta,
    UsageDelta,
)
from intellirouter.chat.fit.names import events_with_names, with_names
from intellirouter.chat.foreign import MAX_VALUES
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.chat.tokens import CHARACTERS_PER_TOKEN, estimate_tokens
from intellirouter.errors import (
    CallerTimeout,
    IntelliRouterError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.emptiness import BadEnd, FirstWords, refuse_nothing
from intellirouter.inference.job import Attempt
from intellirouter.inference.limits.guess import Guesses
from intellirouter.inference.reading import MAX_PASSED_VALUES, is_stream, read_answer, read_stream
from intellirouter.inference.refusal import MAX_ERROR_BYTES, refusal
from intellirouter.inference.tally import Tally
from intellirouter.inference.usage import credible, expected
from intellirouter.providers.adapter import Adapter, HttpRequest, HttpResponse, StreamParser, Target
from intellirouter.transport.contract import Deadlines, Reply, Transport

LAST_WORDS_SECONDS = 1.0
"""How long a complete answer may still wait for its usage and its end."""
LONGEST_OPENING = 3
"""Times `first_token`: a provider that only says that it is alive has so long for its first token."""
MAX_HELD = 20_000
"""Events before the first token, which are kept until it is there."""
_FED = 64 * 1024
"""Bytes of a stream that are read at a stretch."""
_SLACK = 0.01


class Exchange(msgspec.Struct):
    """Everything one attempt needs, and what it has done. `max_bytes` bounds a whole answer.

    `deadline` is the caller's; `patience` is how long the operator lets any request take. `guesses` know how long answers
    of `model` usually are, and how its vendor counts.
    """

    transport: Transport
    candidate: Candidate
    request: ChatRequest
    deadline: float
    max_bytes: int
    relay: bool
    record: Attempt
    patience: float = float("inf")
    model: str = ""
    guesses: Guesses | None = None
    target: Target | None = None  # the candidate's, with another key
    owner: str = ""  # the tenant
    _began: float = msgspec.field(default_factory=time.monotonic)
    _welcome: bool = False  # the provider began to answer
    _received: int | None = None  # bytes of a whole answer
    _tally: Tally | None = None  # of a stream

    async def _prepared(self) -> tuple[Adapter, HttpRequest]:
        if self.request.long or len(self.request.messages) > MANY:
            return await LONG.run(self.owner, self._built)
        return self._built()

    def _built(self) -> tuple[Adapter, HttpRequest]:
        """The request as it goes out, and the adapter that reads what comes back.

        Clients of one vendor ask for longer answers than another's model can write, and that one refuses them.
        """
        adapter, target = self.candidate.provider.adapter, self.target or self.candidate.target
        request = self.request.routed(model=target.model)
        if adapter.instead is not None:
            adapter = adapter.instead(request, target) or adapter
        limit, source = self.candidate.max_output_tokens, request.source
        if (
            limit is None
            or (request.max_tokens or 0) <= limit
            or (source and source.dialect == adapter.wire.name)
        ):
            return adapter, adapter.build_chat(request, target)
        http = adapter.build_chat(request.routed(max_tokens=limit), target)
        note = f"{request.max_tokens} tokens of answer were asked for as {limit}, the most this model writes."
        return adapter, msgspec.structs.replace(http, notes=(*http.notes, note))

    async def complete(self) -> tuple[ChatResponse, tuple[str, ...]]:
        """The whole answer and the notes of its translation. Raises `UpstreamError`."""
        adapter, http = await self._prepared()
        try:
            reply = await self._send(http)
            self._welcome = reply.status < 300
            if reply.idle < (patience := self.candidate.deadlines.first_byte):
                reply.idle = patience  # what is whole comes late
            try:
                response = HttpResponse(reply.status, reply.headers, await reply.read(self.max_bytes))
            finally:
                reply.close()
        except UpstreamTimeout as error:
            raise self._whose(error) from error.__cause__
        if response.status >= 300:
            raise refusal(adapter, response, self.candidate.provider.name)
        names = http.names
        peek = adapter.peek_chat if self.relay and not names else None
        self._received = size = len(response.body)
        read = peek or adapter.parse_chat
        if is_stream(response):
            peek, read = None, partial(read_stream, adapter)
        most = MAX_VALUES if peek is None else MAX_PASSED_VALUES
        answer = await read_answer(response, read, self.owner, most)
        refuse_nothing(answer, self.request)
        if answer.usage is not None:  # as much as can have been written into it, whatever it says
            written = answer.usage.output_tokens
            self.record.tokens = written if written < size else size
        return with_names(answer, names) if names else answer, http.notes

    async def open_stream(self) -> UpstreamStream:
        """A stream whose first token has arrived. Raises `UpstreamError`."""
        adapter, http = await self._prepared()
        self._tally = Tally()
        try:
            deadlines = within(self.candidate.deadlines, self.deadline, self.candidate.provider.name)
            limit = min(deadlines.first_byte, deadlines.total)
            try:
                async with asyncio.timeout(limit) as opening:
                    return await self._first_token(adapter, http, opening, deadlines)
            except TimeoutError as cause:
                name = self.candidate.provider.name
                phase = "first_byte" if deadlines.first_byte <= deadlines.total else "total"
                raise UpstreamTimeout(
                    f"{name} sent no token within {limit:g} s", phase=phase, provider=name
                ) from cause
        except UpstreamTimeout as error:
            raise self._whose(error) from error.__cause__

    async def _first_token(
        self, adapter: Adapter, http: HttpRequest, opening: asyncio.Timeout, deadlines: Deadlines
    ) -> UpstreamStream:
        reply = await self._send(http)
        try:
            if reply.status >= 300:
                response = HttpResponse(reply.status, reply.headers, await reply.read(MAX_ERROR_BYTES))
                raise refusal(adapter, response, self.candidate.provider.name)
            self._welcome = True
            dialect = None if http.names else adapter.wire.name
            stream = UpstreamStream(reply, adapter.new_stream(), http.notes, dialect, http.names, deadlines)
            loop = asyncio.get_running_loop()
            last = loop.time() + LONGEST_OPENING * deadlines.first_byte

            def alive() -> None:
                opening.reschedule(min(loop.time() + deadlines.first_byte, last))

            await stream.start(FirstWords(self.request), alive, self._tally or Tally())
            if stream.rewritten:
                stream.dialect = None
        except BaseException:  # a cancelled or failed attempt must not leave its connection open
            reply.close()
            raise
        return stream

    async def _send(self, http: HttpRequest) -> Reply:
        deadlines = within(self.candidate.deadlines, self.deadline, self.candidate.provider.name)
        self.record.bill, self.record.size = self._lost, len(http.body)
        try:
            return await self.transport.send(http, deadlines, self.record.went_out)
        except UpstreamError as error:
            error.provider = error.provider or self.candidate.provider.name
            raise

    def _whose(self, error: UpstreamTimeout) -> UpstreamTimeout:
        """The caller's, where its deadline came before the target had all the time that any request has."""
        now = time.monotonic()
        if (
            error.phase != "total"
            or now < self.deadline - _SLACK
            or now - self._began >= self.patience - _SLACK
        ):
            return error
        return CallerTimeout(
            "the request's deadline passed", phase="total", provider=self.candidate.provider.name
        )

    def _lost(self, error: IntelliRouterError | None) -> Usage | None:
        """What a call that reached the provider used, though there is no answer.

        Refusals and faults that a provider tells cost nothing; what it was left to work on, or broke off, does.
        """
        if not self.record.sent:
            return None
        tally = self._tally
        if tally is not None and (tally.tokens or tally.usage is not None):
            return credible(tally.used(self._read), self.candidate, self._read, lambda: tally.tokens)[0]
        if tally is not None:  # nothing came: it is paid for where the provider was left at work
            return self._estimate(0) if error is None or isinstance(error, UpstreamTimeout) else None
        if self._received is not None and self._welcome:  # an answer that says nothing we can read
            return self._estimate(self._received // CHARACTERS_PER_TOKEN)
        if self._welcome or error is None or isinstance(error, UpstreamTimeout):
            usual = 0.0 if self.guesses is None else self.guesses.length(self.model)
            return self._estimate(expected(self.request, usual))
        return None

    def _estimate(self, written: int) -> Usage:
        return Usage(input_tokens=self._read(), output_tokens=written, estimated=True)

    def _read(self) -> int:
        ratio = 1.0 if self.guesses is None else self.guesses.ratio(self.candidate.id)
        return int(estimate_tokens(self.request) * ratio)


def within(deadlines: Deadlines, deadline: float, provider: str) -> Deadlines:
    """The deadlines cut to what is left until `deadline` (of `time.monotonic()`). Raises when nothing is."""
    left = deadline - time.monotonic()
    if left >= deadlines.total - 1.0:  # as good as the same, and no copy for every request
        return deadlines
    if left <= 0:
        raise CallerTimeout("the request's deadline passed", phase="total", provider=provider)
    return Deadlines(deadlines.connect, deadlines.first_byte, deadlines.idle, left)


class UpstreamStream:
    """A stream under way: events as they come, the connection let go at the end.

    `dialect` is what their bytes are, None where they are to be written anew. `names` are those of tools as the caller
    has them.
    Until the first content a provider may take `first_token` between any two signs of life: pings, thoughts. From then
    on it may be silent for `idle`, or say nothing but that it is alive for `first_token`.
    """

    def __init__(
        self,
        reply: Reply,
        parser: StreamParser,
        notes: tuple[str, ...],
        dialect: str | None,
        names: Mapping[str, str],
        deadlines: Deadlines | None = None,
    ) -> None:
        self.notes = notes
        self.dialect = dialect
        self._deadlines = deadlines or Deadlines()
        self._reply = reply
        reply.idle = self._deadlines.first_byte
        self._stall = self._deadlines.idle
        self._alive = max(self._deadlines.first_byte, self._deadlines.idle)
        self._content = False
        self._spoke = time.monotonic()
        self._parser = parser
        self._chunks = reply.chunks()
        self._held: list[StreamEvent] = []
        self._ended = False
        self._bad_end = BadEnd()
        self._names = names
        self._unfed = b""

    async def start(self, first: FirstWords, alive: Callable[[], None], tally: Tally) -> None:
        """Read up to the first token: what came before it can still be thrown away. Raises where none comes.

        `alive` hears of what came.
        """
        while not self._ended:
            events = await self._next()
            self._held.extend(events)
            if len(self._held) > MAX_HELD:
                raise UpstreamProtocolError(f"the provider sent {MAX_HELD:,} events without a word")
            tally.take(events)
            if first.came(events):
                return
            alive()
        first.refuse_nothing()

    @property
    def rewritten(self) -> bool:
        """The provider did not stream: what he said has no bytes as events."""
        return self._parser.rewritten

    def may_stall(self, seconds: float) -> None:
        """Be silent for so long at the most, once there is content."""
        self._stall = min(self._deadlines.idle, seconds)
        self._alive = min(self._alive, seconds)
        if self._content:
            self._reply.idle = self._stall

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """The events, in the groups they arrived in; ends only after a complete answer.

        Raises `StreamInterrupted`, `UpstreamTimeout` or the error an error event carries.
        """
        try:
            if self._held:
                held, self._held = self._held, []
                self._heard(held)
                yield held
            while not self._ended:
                events = await self._next()
                self._heard(events)
                if events:
                    yield events
        finally:
            self.close()

    def _heard(self, events: list[StreamEvent]) -> None:
        if self._content:
            if any(event.deltas for event in events):
                self._spoke = time.monotonic()
            elif time.monotonic() - self._spoke > self._alive:
                raise UpstreamTimeout("the provider says nothing but that it is alive", phase="idle")
        elif any(_is_content(event) for event in events):
            self._content = True
            self._spoke = time.monotonic()
            self._reply.idle = self._stall

    async def _next(self) -> list[StreamEvent]:
        try:
            data = await self._read()
        except TimeoutError:  # all was said, and nobody ends the stream: we do
            self._ended = True
            return []
        except StopAsyncIteration:
            self._ended = True
            events = self._parser.close()
            self._bad_end.watch(events)
            return events_with_names(events, self._names) if self._names else events
        except UpstreamError:
            if not self._parser.complete:  # all was said; how the connection ended does not matter
                raise
            self._ended = True
            return []
        if len(data) > _FED:  # much of little events at a stretch would hold everybody up
            data, self._unfed = data[:_FED], data[_FED:]
        events = self._parser.feed(data)
        self._ended = self._parser.done
        self._bad_end.watch(events)
        return events_with_names(events, self._names) if self._names else events

    async def _read(self) -> bytes:
        if self._unfed:
            await asyncio.sleep(0)
            data, self._unfed = self._unfed, b""
            return data
        if not self._parser.complete:
            return await anext(self._chunks)
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            return await anext(self._chunks)

    def discard(self) -> None:
        """Let it go unread: nobody needs it. What it used is for its call to say."""
        self.close()

    def close(self) -> None:
        """Let the connection go; cut it unless the answer was read to its end."""
        self._reply.close()


def _is_content(event: StreamEvent) -> bool:
    """A part of the answer itself, which thoughts are not."""
    return any(
        not isinstance(delta, (Start, UsageDelta, ThinkingDelta, RedactedThinkingDelta, Finish))
        for delta in event.deltas
    )
