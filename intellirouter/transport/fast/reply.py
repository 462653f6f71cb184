"""A response under way: filled by its connection, emptied by its reader."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Protocol

from intellirouter.errors import AnswerTooLong, UpstreamError
from intellirouter.transport.content_coding import decoder_for
from intellirouter.transport.contract import Deadlines

HIGH_WATER_BYTES = 256 * 1024
"""Reading from the socket pauses while more than this waits for the reader."""


class Source(Protocol):
    """What a reply needs of its connection."""

    def arm(self, when: float) -> None:
        """Call the exchange off at `when` (monotonic)."""

    def resume(self) -> None:
        """The reader has caught up."""

    def cut(self) -> None:
        """Close now."""


class FastReply:
    """See `Reply`."""

    __slots__ = (
        "_error",
        "_pieces",
        "_size",
        "_source",
        "_until",
        "_waiter",
        "headers",
        "idle",
        "status",
    )

    def __init__(
        self, source: Source, status: int, headers: dict[str, str], deadlines: Deadlines, until: float
    ) -> None:
        self.status = status
        self.headers = headers
        self.idle = deadlines.idle
        self._source: Source | None = source  # None once the response is complete
        self._until = until
        self._pieces: list[bytes] = []
        self._size = 0
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # The connection's side.

    @property
    def waiting(self) -> bool:
        """The reader waits for bytes."""
        return self._waiter is not None

    @property
    def over_high_water(self) -> bool:
        """The reader has fallen behind."""
        return self._size > HIGH_WATER_BYTES

    def add(self, data: bytes) -> None:
        """More of the body."""
        self._pieces.append(data)
        self._size += len(data)

    def wake(self) -> None:
        """Let a waiting reader look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def complete(self) -> None:
        """That was all of the body; the connection is no longer ours."""
        self._source = None
        self.wake()

    def fail(self, error: UpstreamError) -> None:
        """No more will come. The reader is told after what has arrived."""
        self._source = None
        self._error = error
        self.wake()

    # The reader's side.

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `Reply.chunks`."""
        decoder = decoder_for(self.headers.get("content-encoding", ""))
        if decoder is None:
            while data := await self._take():
                yield data
            return
        while data := await self._take():
            for piece in decoder.feed(data):
                yield piece
                await asyncio.sleep(0)  # a little that grows into much must not go at a stretch
        decoder.close()

    async def read(self, limit: int) -> bytes:
        """See `Reply.read`."""
        if "content-encoding" in self.headers:
            return await self._read_decoded(limit)
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise _too_long(limit)
        first = await self._take()
        size = len(first)
        if self._source is None and self._error is None and not self._pieces and size <= limit:
            return first  # the common case: it was all there
        pieces = [first]
        while size <= limit and (data := await self._take()):
            size += len(data)
            pieces.append(data)
        if size > limit:
            raise _too_long(limit)
        return b"".join(pieces)

    async def _read_decoded(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in self.chunks():
            size += len(piece)
            if size > limit:
                raise _too_long(limit)
            pieces.append(piece)
        return b"".join(pieces)

    async def _take(self) -> bytes:
        """Everything that has arrived, or what arrives next; nothing at the end."""
        while not (pieces := self._pieces):
            if self._error is not None:
                raise self._error
            if self._source is None:
                return b""
            await self._wait(self._source)
        self._pieces = []
        self._size = 0
        if self._source is not None:
            self._source.resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _wait(self, source: Source) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        source.arm(min(time.monotonic() + self.idle, self._until))
        try:
            await self._waiter
        finally:
            self._waiter = None

    def close(self) -> None:
        """See `Reply.close`."""
        if self._source is not None:
            self._source.cut()


def _too_long(limit: int) -> AnswerTooLong:
    return AnswerTooLong(f"the provider's answer is longer than {limit} bytes")
