"""Embedding shared with other RagManagers: slices of the work are taken by whoever is free, this node among them.

A helper that fails rests, and its slice is done by another. When nothing is left to begin, this node does again what a helper
still has under way, so that a slow one holds nothing up. Vectors are the same whoever makes them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import structlog

from intellirouter.errors import Conflict, IntelliRouterError
from intellirouter.roles.rag_manager.embedding.embedder import Behalf, Embedder
from intellirouter.vectors.index import Vectors

SLICE = 32
"""Texts in one piece of work. Fewer than this are not worth a call: a query never leaves the node."""
REST_SECONDS, LONGEST_REST = 2.0, 60.0
log = structlog.get_logger(__name__)

Embed = Callable[[Sequence[str]], Awaitable[Vectors]]


class Helper(Protocol):
    """Another RagManager with the same model."""

    @property
    def name(self) -> str:
        """Where it is, for the log."""

    async def embed(self, model: str, texts: Sequence[str], behalf: Behalf | None = None) -> Vectors:
        """Unit vectors, asked for on behalf of somebody, or of the node itself. Raises `PeerUnavailable`, and `Conflict` when it has another model."""


@dataclass(slots=True)
class _Standing:
    """How a helper does: it rests until then, for longer each time."""

    rests_until: float = 0.0
    rest: float = REST_SECONDS


class SharedEmbedder:
    """An `Embedder` that others help."""

    def __init__(self, own: Embedder, helpers: Sequence[Helper], behalf: Behalf | None = None) -> None:
        self._own = own
        self._helpers = {helper.name: helper for helper in helpers}
        self._standing = {helper.name: _Standing() for helper in helpers}
        self._behalf = behalf

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SharedEmbedder)
            and (self._own, self._behalf) == (other._own, other._behalf)
            and self._standing is other._standing
        )

    def __hash__(self) -> int:
        return hash((id(self._standing), self._behalf))

    def on_behalf_of(self, behalf: Behalf) -> SharedEmbedder:
        """See `Embedder.on_behalf_of`: the same helpers, and what is known of them."""
        same = SharedEmbedder(self._own.on_behalf_of(behalf), tuple(self._helpers.values()), behalf)
        same._standing = self._standing
        return same

    @property
    def model(self) -> str:
        """That of this node."""
        return self._own.model

    @property
    def max_tokens(self) -> int:
        """That of this node."""
        return self._own.max_tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        """As this node counts."""
        return self._own.count(texts)

    def knows(self, text: str) -> bool:
        """As this node's model does."""
        return self._own.knows(text)

    def fluency(self, text: str) -> float:
        """As this node's model does."""
        return self._own.fluency(text)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`. Fails only as this node fails."""
        now = time.monotonic()
        free = [helper for name, helper in self._helpers.items() if self._standing[name].rests_until <= now]
        if len(texts) <= SLICE or not free:
            return await self._own.embed(texts)
        work = _Work(texts)
        tasks = [asyncio.create_task(self._help(helper, work)) for helper in free]
        try:
            await work.done_by(self._own.embed, again=True)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):  # a mistake of ours: the work is done all the same
                    log.error("rag.helper_crashed", exc_info=ended)
        return work.joined()

    async def _help(self, helper: Helper, work: _Work) -> None:
        standing = self._standing[helper.name]

        async def ask(texts: Sequence[str]) -> Vectors:
            if self._behalf is None:
                return await helper.embed(self._own.model, texts)
            return await helper.embed(self._own.model, texts, self._behalf)

        try:
            await work.done_by(ask, again=False)
            standing.rest = REST_SECONDS
        except IntelliRouterError as error:
            rest = LONGEST_REST if isinstance(error, Conflict) else standing.rest
            standing.rests_until = time.monotonic() + rest
            standing.rest = min(2 * rest, LONGEST_REST)
            log.warning("rag.helper_rests", helper=helper.name, seconds=rest, reason=error.message)


class _Work:
    """Texts in slices: those that wait, those under way, and what was made of them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        # like lengths together, so that little is padding, and the longest first, so that the end is even
        order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
        slices = [tuple(order[start : start + SLICE]) for start in range(0, len(order), SLICE)]
        self._waiting = deque(slices)
        self._under_way: dict[tuple[int, ...], None] = {}
        self._made: dict[tuple[int, ...], Vectors] = {}

    async def done_by(self, embed: Embed, *, again: bool) -> None:
        """Take slices until none is left; with `again` also those that others have under way."""
        while (piece := self._next(again)) is not None:
            self._under_way[piece] = None
            try:
                vectors = await embed([self._texts[number] for number in piece])
            except BaseException:
                self._under_way.pop(piece, None)
                if piece not in self._made:
                    self._waiting.appendleft(piece)
                raise
            self._under_way.pop(piece, None)
            self._made.setdefault(piece, vectors)

    def _next(self, again: bool) -> tuple[int, ...] | None:
        while self._waiting:
            if (piece := self._waiting.popleft()) not in self._made:
                return piece
        return next(iter(self._under_way), None) if again else None

    def joined(self) -> Vectors:
        """The vectors in the order of the texts."""
        out: Vectors = np.empty((len(self._texts), next(iter(self._made.values())).shape[1]), np.float32)
        for piece, vectors in self._made.items():
            out[list(piece)] = vectors
        return out
