"""Writing a stream to a client: headers late, comments while silent, back-pressure always.

Nothing is sent before the first bytes are known, so that a failure before them is a plain HTTP error with its status. A
source that stays silent for `keep_alive` seconds commits the stream: headers go out, then a comment, so that no proxy
between us and the client gives up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from aiohttp import web

COMMENT = b": keep-alive\n\n"


class StreamWriter:
    """One streamed answer. `headers` is asked once, when the stream is committed."""

    def __init__(
        self,
        request: web.Request,
        media_type: str,
        headers: Callable[[], Mapping[str, str]],
        *,
        keep_alive: float,
        comment: bytes = COMMENT,
    ) -> None:
        self._request = request
        self._media_type = media_type
        self._headers = headers
        self._keep_alive = keep_alive
        self._comment = comment
        self._last_write = asyncio.get_running_loop().time()
        self._committing = asyncio.Lock()
        self.response: web.StreamResponse | None = None

    async def write(self, data: bytes) -> None:
        """Send bytes, waiting while the client is slow. Commits the stream."""
        self._last_write = asyncio.get_running_loop().time()
        response = self.response or await self._commit()
        await response.write(data)

    async def finish(self, data: bytes = b"") -> web.StreamResponse:
        """Send the last bytes and end the body cleanly."""
        if data:
            await self.write(data)
        response = self.response or await self._commit()
        await response.write_eof()
        return response

    async def relay(self, source: AsyncIterator[bytes]) -> None:
        """Write all of `source`, whole events at a time. An error of the source passes through."""
        beat = asyncio.create_task(self._beat()) if self._comment else None
        try:
            async for data in source:
                if data:
                    await self.write(data)
        finally:
            if beat is not None:
                beat.cancel()
                await asyncio.wait((beat,))

    async def _beat(self) -> None:
        """Comment whenever nothing was written for `keep_alive` seconds. Ends when the client is gone."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._last_write + self._keep_alive - loop.time())
            if loop.time() - self._last_write >= self._keep_alive:
                try:
                    await self.write(self._comment)
                except ConnectionError:  # the handler's own write, or its cancellation, reports it
                    return

    async def _commit(self) -> web.StreamResponse:
        async with self._committing:
            if self.response is None:
                response = web.StreamResponse(
                    headers={"cache-control": "no-cache", "x-accel-buffering": "no"}
                )
                response.content_type = self._media_type
                response.headers.update(self._headers())
                await response.prepare(self._request)
                self.response = response
            return self.response
