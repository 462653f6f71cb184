"""One attempt to embed: inputs split to the provider's limit, asked for a few batches at a time, joined in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import msgspec

from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.response import Usage
from intellirouter.errors import (
    IntelliRouterError,
    UnsupportedByTarget,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.job import Attempt
from intellirouter.inference.reading import MAX_PASSED_VALUES, read_answer
from intellirouter.inference.refusal import refusal
from intellirouter.inference.usage import embedded_tokens
from intellirouter.providers.adapter import HttpResponse, Target
from intellirouter.transport.contract import Deadlines, Transport

BATCHES_AT_ONCE = 4


async def embed(
    transport: Transport,
    candidate: Candidate,
    target: Target,
    request: EmbeddingRequest,
    deadlines: Deadlines,
    max_bytes: int,
    record: Attempt,
    owner: str,
    *,
    relay: bool,
) -> tuple[EmbeddingResponse, Usage]:
    """The vectors of every input, unread where `relay` allows it, and what they used. Raises `UnsupportedByTarget` or `UpstreamError`."""
    adapter = candidate.provider.adapter
    if adapter.build_embeddings is None or adapter.parse_embeddings is None:
        raise UnsupportedByTarget(f"{candidate.provider.name} has no embeddings.", param="model")
    build, parse = adapter.build_embeddings, adapter.parse_embeddings
    pieces = list(batches(request, adapter.max_embedding_inputs))
    peek = adapter.peek_embeddings if relay and len(pieces) == 1 else None
    room = asyncio.Semaphore(BATCHES_AT_ONCE)

    meter = _Meter(record)
    record.bill = meter.bill

    async def ask(batch: EmbeddingRequest) -> EmbeddingResponse:
        async with room:
            with meter.running(batch) as sent:
                reply = await transport.send(build(batch, target), deadlines, sent)
                try:
                    response = HttpResponse(reply.status, reply.headers, await reply.read(max_bytes))
                finally:
                    reply.close()
        if response.status >= 300:
            raise refusal(adapter, response, candidate.provider.name)
        read = parse if peek is None else lambda told: peek(told, batch)
        answer = await read_answer(response, read, owner, MAX_PASSED_VALUES)
        meter.answered(batch, answer.usage)
        if answer.raw is None and len(answer.vectors) != len(batch.texts) + len(batch.tokens):
            raise UpstreamProtocolError(
                "the provider sent another number of vectors than it was given inputs"
            )
        if not all(answer.vectors):
            raise UpstreamProtocolError("the provider sent a vector without a number")
        return answer

    if len(pieces) == 1:
        answer = await ask(pieces[0])
        whole = msgspec.structs.replace(answer, model=answer.model or target.model, usage=meter.used)
        return whole, meter.used
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(piece)) for piece in pieces]
    except* UpstreamError as failures:
        raise failures.exceptions[0] from None
    answers = [task.result() for task in tasks]
    whole = EmbeddingResponse(
        model=answers[0].model or target.model,
        vectors=tuple(vector for answer in answers for vector in answer.vectors),
        usage=meter.used,
    )
    return whole, meter.used


class _Meter:
    """What the batches used: as the provider counted, else as estimated; of those left at work, the estimate."""

    def __init__(self, record: Attempt) -> None:
        self.used = Usage()
        self._record = record
        self._left = 0  # tokens of batches whose end nobody saw

    @contextlib.contextmanager
    def running(self, batch: EmbeddingRequest) -> Iterator[Callable[[], None]]:
        """A batch under way; what it gives is to be called each time the batch goes out."""
        times = 0

        def sent() -> None:
            nonlocal times
            times += 1
            if times > 1 or not self._record.sent:
                self._record.sent += 1

        try:
            yield sent
        except (asyncio.CancelledError, UpstreamTimeout):
            if times:
                self._left += embedded_tokens(batch)
            raise

    def answered(self, batch: EmbeddingRequest, usage: Usage | None) -> None:
        """A batch was answered, which used so much."""
        told = usage.input_tokens if usage is not None and usage.input_tokens > 0 else 0
        self.used = Usage(
            input_tokens=self.used.input_tokens + (told or embedded_tokens(batch)),
            estimated=self.used.estimated or not told,
        )

    def bill(self, _error: IntelliRouterError | None) -> Usage | None:
        """See `Attempt`."""
        tokens = self.used.input_tokens + self._left
        return Usage(input_tokens=tokens, estimated=True) if tokens else None


def batches(request: EmbeddingRequest, size: int) -> Iterator[EmbeddingRequest]:
    """The request in pieces of at most `size` inputs."""
    for start in range(0, len(request.texts), size):
        part = slice(start, start + size)
        yield msgspec.structs.replace(request, texts=request.texts[part], each=request.each[part])
    for start in range(0, len(request.tokens), size):
        yield msgspec.structs.replace(request, tokens=request.tokens[start : start + size])
