"""One attempt at one target: build, send, read, parse. Knows nothing of other targets, retries or clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import msgspec

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.fit.names import events_with_names, with_names
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import UpstreamError, UpstreamTimeout
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.emptiness import BadEnd, FirstWords, refuse_nothing
from intellirouter.inference.refusal import refusal
from intellirouter.providers.adapter import Adapter, HttpRequest, HttpResponse, StreamParser, Target
from intellirouter.transport.contract import Deadlines, Reply, Transport

MAX_ERROR_BYTES = 256 * 1024
LAST_WORDS_SECONDS = 1.0
"""How long a complete answer may still wait for its usage and its end."""


class Exchange(msgspec.Struct, frozen=True):
    """Everything one attempt needs. `max_bytes` bounds a whole answer."""

    transport: Transport
    candidate: Candidate
    request: ChatRequest
    deadline: float
    max_bytes: int
    relay: bool
    target: Target | None = None  # the candidate's, with another key

    def _prepared(self) -> tuple[Adapter, HttpRequest]:
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
        adapter, http = self._prepared()
        reply = await self._send(http)
        try:
            response = HttpResponse(reply.status, reply.headers, await reply.read(self.max_bytes))
        finally:
            reply.close()
        if response.status >= 300:
            raise refusal(adapter, response, self.candidate.provider.name)
        relayed = self.relay and adapter.peek_chat is not None and not http.names
        parse = adapter.peek_chat if relayed and adapter.peek_chat else adapter.parse_chat
        answer = parse(response)
        refuse_nothing(answer, self.request)
        return with_names(answer, http.names) if http.names else answer, http.notes

    async def open_stream(self) -> UpstreamStream:
        """A stream whose first token has arrived. Raises `UpstreamError`."""
        adapter, http = self._prepared()
        deadlines = within(self.candidate.deadlines, self.deadline, self.candidate.provider.name)
        limit = min(deadlines.first_byte, deadlines.total)
        try:
            async with asyncio.timeout(limit):
                return await self._first_token(adapter, http)
        except TimeoutError as cause:
            name = self.candidate.provider.name
            raise UpstreamTimeout(
                f"{name} sent no token within {limit:g} s", phase="first_byte", provider=name
            ) from cause

    async def _first_token(self, adapter: Adapter, http: HttpRequest) -> UpstreamStream:
        reply = await self._send(http)
        try:
            if reply.status >= 300:
                response = HttpResponse(reply.status, reply.headers, await reply.read(MAX_ERROR_BYTES))
                raise refusal(adapter, response, self.candidate.provider.name)
            dialect = None if http.names else adapter.wire.name
            stream = UpstreamStream(reply, adapter.new_stream(), http.notes, dialect, http.names)
            await stream.start(FirstWords(self.request))
        except BaseException:  # a cancelled or failed attempt must not leave its connection open
            reply.close()
            raise
        return stream

    async def _send(self, http: HttpRequest) -> Reply:
        deadlines = within(self.candidate.deadlines, self.deadline, self.candidate.provider.name)
        try:
            return await self.transport.send(http, deadlines)
        except UpstreamError as error:
            error.provider = error.provider or self.candidate.provider.name
            raise


def within(deadlines: Deadlines, deadline: float, provider: str) -> Deadlines:
    """The deadlines cut to what is left until `deadline` (of `time.monotonic()`). Raises when nothing is."""
    left = deadline - time.monotonic()
    if left >= deadlines.total - 1.0:  # as good as the same, and no copy for every request
        return deadlines
    if left <= 0:
        raise UpstreamTimeout("the request's deadline passed", phase="total", provider=provider)
    return Deadlines(deadlines.connect, deadlines.first_byte, deadlines.idle, left)


class UpstreamStream:
    """A stream under way: events as they come, the connection let go at the end.

    `dialect` is what their bytes are, None where they are to be written anew. `names` are those of tools as the caller has them.
    """

    def __init__(
        self,
        reply: Reply,
        parser: StreamParser,
        notes: tuple[str, ...],
        dialect: str | None,
        names: Mapping[str, str],
    ) -> None:
        self.notes = notes
        self.dialect = dialect
        self._reply = reply
        self._parser = parser
        self._chunks = reply.chunks()
        self._held: list[StreamEvent] = []
        self._ended = False
        self._bad_end = BadEnd()
        self._names = names

    async def start(self, first: FirstWords) -> None:
        """Read up to the first token: what came before it can still be thrown away. Raises where none comes."""
        while not self._ended:
            events = await self._next()
            self._held.extend(events)
            if first.came(events):
                return
        first.refuse_nothing()

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """The events, in the groups they arrived in; ends only after a complete answer.

        Raises `StreamInterrupted`, `UpstreamTimeout` or the error an error event carries.
        """
        try:
            if self._held:
                held, self._held = self._held, []
                yield held
            while not self._ended:
                if events := await self._next():
                    yield events
        finally:
            self.close()

    async def _next(self) -> list[StreamEvent]:
        try:
            data = await self._read()
        except TimeoutError:  # all was said, and nobody ends the stream: we do
            self._ended = True
            return []
        except StopAsyncIteration:
            self._ended = True
            return self._parser.close()
        except UpstreamError:
            if not self._parser.complete:  # all was said; how the connection ended does not matter
                raise
            self._ended = True
            return []
        events = self._parser.feed(data)
        self._ended = self._parser.done
        self._bad_end.watch(events)
        return events_with_names(events, self._names) if self._names else events

    async def _read(self) -> bytes:
        if not self._parser.complete:
            return await anext(self._chunks)
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            return await anext(self._chunks)

    def close(self) -> None:
        """Let the connection go; cut it unless the answer was read to its end."""
        self._reply.close()
