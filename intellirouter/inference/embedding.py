"""One attempt to embed: inputs split to the provider's limit, asked for a few batches at a time, joined in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec

from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.response import Usage
from intellirouter.errors import UnsupportedByTarget, UpstreamError, UpstreamProtocolError
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.refusal import refusal
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
    *,
    relay: bool,
) -> EmbeddingResponse:
    """The vectors of every input, unread where `relay` allows it. Raises `UnsupportedByTarget` or `UpstreamError`."""
    adapter = candidate.provider.adapter
    if adapter.build_embeddings is None or adapter.parse_embeddings is None:
        raise UnsupportedByTarget(f"{candidate.provider.name} has no embeddings.", param="model")
    build, parse = adapter.build_embeddings, adapter.parse_embeddings
    pieces = list(batches(request, adapter.max_embedding_inputs))
    peek = adapter.peek_embeddings if relay and len(pieces) == 1 else None
    room = asyncio.Semaphore(BATCHES_AT_ONCE)

    async def ask(batch: EmbeddingRequest) -> EmbeddingResponse:
        async with room:
            reply = await transport.send(build(batch, target), deadlines)
            try:
                response = HttpResponse(reply.status, reply.headers, await reply.read(max_bytes))
            finally:
                reply.close()
        if response.status >= 300:
            raise refusal(adapter, response, candidate.provider.name)
        answer = parse(response) if peek is None else peek(response, batch)
        if answer.raw is None and len(answer.vectors) != len(batch.texts) + len(batch.tokens):
            raise UpstreamProtocolError(
                "the provider sent another number of vectors than it was given inputs"
            )
        return answer

    if len(pieces) == 1:
        answer = await ask(pieces[0])
        return msgspec.structs.replace(answer, model=answer.model or target.model, usage=_used(answer))
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(piece)) for piece in pieces]
    except* UpstreamError as failures:
        raise failures.exceptions[0] from None
    answers = [task.result() for task in tasks]
    return EmbeddingResponse(
        model=answers[0].model or target.model,
        vectors=tuple(vector for answer in answers for vector in answer.vectors),
        usage=_used(*answers),
    )


def _used(*answers: EmbeddingResponse) -> Usage:
    return Usage(input_tokens=sum(answer.usage.input_tokens for answer in answers if answer.usage))


def batches(request: EmbeddingRequest, size: int) -> Iterator[EmbeddingRequest]:
    """The request in pieces of at most `size` inputs."""
    for start in range(0, len(request.texts), size):
        yield msgspec.structs.replace(request, texts=request.texts[start : start + size])
    for start in range(0, len(request.tokens), size):
        yield msgspec.structs.replace(request, tokens=request.tokens[start : start + size])
