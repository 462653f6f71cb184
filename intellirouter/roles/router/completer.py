"""The Router as the other roles see it when they live in its process: no HTTP in between, the same rules as for clients."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse
from intellirouter.inference.answering import Answering
from intellirouter.inference.job import Job
from intellirouter.peers.contract import Call
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.caller import Caller, Owner


class LocalChatCompleter:
    """See `ChatCompleter`."""

    def __init__(self, answering: Answering, timeout: float, ring: KeyRing) -> None:
        self._answering = answering
        self._ring = ring
        self._timeout = timeout

    async def complete(self, request: ChatRequest, call: Call) -> ChatResponse:
        """See `ChatCompleter.complete`."""
        response, _ = await self._answering.complete(self._job(request, call))
        return response

    async def stream(self, request: ChatRequest, call: Call) -> AsyncIterator[StreamEvent]:
        """See `ChatCompleter.stream`."""
        live = await self._answering.stream(self._job(request, call))
        try:
            async for events in live.batches():
                for event in events:
                    yield event
        finally:
            live.close()

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        """See `ChatCompleter.embed`."""
        chat = ChatRequest(model=request.model, messages=(Message("user", tuple(map(Text, request.texts))),))
        response, _ = await self._answering.embed(self._job(chat, call), request)
        return response

    async def caller_of(self, owner: Owner, call: Call) -> Caller:  # noqa: ARG002  nothing is done for a caller
        """See `ChatCompleter.caller_of`."""
        return self._ring.caller_of(owner)

    def _job(self, request: ChatRequest, call: Call) -> Job:
        now = time.monotonic()
        deadline = now + self._timeout if call.deadline is None else min(call.deadline, now + self._timeout)
        return Job(request=request, caller=call.caller, request_id=call.request_id, deadline=deadline)
