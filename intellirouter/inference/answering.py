"""What the fronts ask: dispatch, with or without a cache before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from intellirouter.chat.delta import Delta, StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.response import ChatResponse
from intellirouter.inference.job import Job, Trace


class Streamed(Protocol):
    """A streamed answer under way.

    `dialect` is what the events' bytes are, None where they must be written anew; when it turns None on the way, `said`
    holds the deltas that bring an encoder to where the caller is.
    """

    @property
    def trace(self) -> Trace:
        """What happened so far."""

    @property
    def dialect(self) -> str | None:
        """See the class."""

    @property
    def said(self) -> tuple[Delta, ...]:
        """See the class."""

    def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """Events in the groups they arrived in. Raises where the stream breaks; never ends early in silence."""

    def close(self) -> None:
        """Let go. Idempotent."""


class Passing:
    """A stream around another one: what is not said anew here is the inner one's. See `Streamed`."""

    def __init__(self, live: Streamed) -> None:
        self._live = live

    @property
    def trace(self) -> Trace:
        """See `Streamed.trace`."""
        return self._live.trace

    @property
    def dialect(self) -> str | None:
        """See `Streamed.dialect`."""
        return self._live.dialect

    @property
    def said(self) -> tuple[Delta, ...]:
        """See `Streamed.said`."""
        return self._live.said

    def close(self) -> None:
        """See `Streamed.close`."""
        self._live.close()


class Answering(Protocol):
    """Answers jobs."""

    async def complete(self, job: Job) -> tuple[ChatResponse, Trace]:
        """A whole answer. Raises `ModelNotFound`, or an `UpstreamError` whose details say what was tried."""

    async def stream(self, job: Job) -> Streamed:
        """An answer whose first token has arrived. Raises like `complete`; must be closed."""

    async def embed(self, job: Job, wanted: EmbeddingRequest) -> tuple[EmbeddingResponse, Trace]:
        """Vectors for every input of `wanted`, in order; `job.request` holds the same texts. Raises like `complete`."""

    async def count(self, job: Job) -> tuple[int, bool]:
        """The input tokens of `job.request`, and whether the number is only an estimate. Raises `ModelNotFound`."""
