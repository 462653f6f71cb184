"""The Router as the other roles see it when they live in its process: no HTTP in between, the same rules as for clients."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import msgspec

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse
from intellirouter.config.schema.auth import AuthSection
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.answering import Answering
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.job import Job, Trace
from intellirouter.peers.contract import Call, Judgement
from intellirouter.records.recorder import Recorder
from intellirouter.roles.router.asked import Asked, asked_of
from intellirouter.roles.router.judging import Judging
from intellirouter.roles.router.kept_content import ContentPolicy
from intellirouter.roles.router.pipeline.persona_guards import carried_by
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.caller import Caller, Owner
from intellirouter.web.errors import status_of
from intellirouter.web.noting import error_facts, note_call


@dataclass(frozen=True, slots=True)
class Recording:
    """Notes the calls of other roles for the record, as the frame around an endpoint notes those of clients."""

    recorder: Recorder | None
    catalog: Catalog
    content: ContentPolicy

    @contextlib.contextmanager
    def noting(self, endpoint: str, chat: ChatRequest, call: Call) -> Iterator[Asked | None]:
        """The call, until it is answered or fails."""
        if self.recorder is None:
            yield None
            return
        asked = asked_of(self.catalog, self.content, chat, call.caller, "", None)
        asked.session = call.session
        began, status, error = time.perf_counter(), 499, None
        try:
            yield asked
            status = 200
        except IntelliRouterError as failure:
            status, error = status_of(failure), error_facts(failure)
            raise
        finally:
            seconds = time.perf_counter() - began
            note_call(
                self.recorder,
                "Router",
                endpoint,
                call.request_id,
                call.caller,
                status,
                seconds,
                call.traceparent,
                asked,
                error,
            )


class LocalChatCompleter:
    """See `ChatCompleter`. Without a `ring` nobody has a key; without a `recording` nothing is noted, without `judging` nothing learnt."""

    def __init__(
        self,
        answering: Answering,
        timeout: float,
        ring: KeyRing | None = None,
        recording: Recording | None = None,
        judging: Judging | None = None,
    ) -> None:
        self._answering = answering
        self._ring = ring or KeyRing(AuthSection())
        self._timeout = timeout
        self._recording = recording
        self._judging = judging

    def _noting(
        self, endpoint: str, chat: ChatRequest, call: Call
    ) -> contextlib.AbstractContextManager[Asked | None]:
        if self._recording is None:
            return contextlib.nullcontext()
        return self._recording.noting(endpoint, chat, call)

    async def complete(self, request: ChatRequest, call: Call) -> ChatResponse:
        """See `ChatCompleter.complete`."""
        with self._noting("peer_chat", request, call) as asked:
            response, trace = await self._answering.complete(self._job(request, call))
            _told(asked, trace)
            if asked is not None and asked.content is not None:
                asked.content.response = response
        return msgspec.structs.replace(response, cost_usd=trace.cost_usd)

    async def stream(self, request: ChatRequest, call: Call) -> AsyncIterator[StreamEvent]:
        """See `ChatCompleter.stream`."""
        with self._noting("peer_chat", request, call) as asked:
            live = await self._answering.stream(self._job(request, call))
            _told(asked, live.trace)
            try:
                async for events in live.batches():
                    if asked is not None and asked.content is not None:
                        asked.content.take(events)
                    for event in events:
                        yield event
                if call.told_cost is not None and live.trace.cost_usd is not None:
                    call.told_cost(live.trace.cost_usd)
            finally:
                live.close()

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        """See `ChatCompleter.embed`."""
        chat = ChatRequest(model=request.model, messages=(Message("user", tuple(map(Text, request.words))),))
        with self._noting("peer_embeddings", chat, call) as asked:
            response, trace = await self._answering.embed(self._job(chat, call), request)
            _told(asked, trace)
        return response

    async def caller_of(self, owner: Owner, call: Call) -> Caller:  # noqa: ARG002  nothing is done for a caller
        """See `ChatCompleter.caller_of`."""
        return self._ring.caller_of(owner).entering()

    async def judge(self, judged: Judgement, call: Call) -> int:
        """See `ChatCompleter.judge`."""
        return 0 if self._judging is None else await self._judging.take(call.caller.tenant, judged)

    def _job(self, request: ChatRequest, call: Call) -> Job:
        now = time.monotonic()
        deadline = now + self._timeout if call.deadline is None else min(call.deadline, now + self._timeout)
        return Job(
            request=request,
            caller=call.caller,
            request_id=call.request_id,
            deadline=deadline,
            guards=carried_by(request),
        )


def _told(asked: Asked | None, trace: Trace) -> None:
    if asked is not None:
        asked.trace = trace
