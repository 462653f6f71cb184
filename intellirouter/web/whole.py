"""A whole answer, written in one go.

aiohttp's own `Response` builds a multidict, completes it, and serializes it in steps that each may wait: about 15 µs of a
request that costs 150. What those steps come to for an answer whose length is known is written here instead (RFC 9112).
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from email.utils import formatdate

from aiohttp import HttpVersion10, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE

from intellirouter.transport.outbox import Outbox

_line = ": ".join
_control = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_TASKS_START_AT_ONCE = sys.version_info >= (3, 12)
"""aiohttp then may come to close the connection in the same breath as the answer is written."""
_JOINED_BYTES = 64 * 1024
"""A longer body is not copied behind its head."""


class WholeResponse(web.StreamResponse):
    """JSON with status 200 for any method but HEAD. Headers are what it was given and `tell`; `headers` has none."""

    def __init__(self, body: bytes, headers: dict[str, str]) -> None:
        # what the base class sets up is not used, but for the status
        self._set_status(200, "OK")
        self._whole = body
        self._told = headers

    outbox: Outbox | None = None
    """Where answers of one turn of the loop wait for one another."""

    def tell(self, name: str, value: str) -> None:
        """Add a header."""
        self._told[name] = value

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Take the connection; nothing is sent yet."""
        if self._eof_sent:
            return None
        self._req = request
        self._keep_alive = request.keep_alive
        self._payload_writer = request.writer
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Send everything, and wait while the client is slow. Raises `ConnectionResetError` when it is gone."""
        request, writer = self._req, self._payload_writer
        if request is None or writer is None:
            return  # ended before
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        body = self._whole + data
        head = self._head(request, len(body))
        self._eof_sent, self._req, self._payload_writer = True, None, None
        self._body_length = len(body)
        if len(body) > _JOINED_BYTES:
            transport.write(head)
            transport.write(body)
        elif self.outbox is None or not self._keep_alive:
            transport.write(head + body)
        elif self.outbox.put(transport, head + body) and _TASKS_START_AT_ONCE:
            await asyncio.sleep(0)
        await writer.drain()

    def _head(self, request: web.BaseRequest, length: int) -> bytes:
        version = "HTTP/1.1"
        if request.version == HttpVersion10:
            version = "HTTP/1.0"
            if self._keep_alive:
                self._told["connection"] = "keep-alive"
        elif not self._keep_alive:
            self._told["connection"] = "close"
        if _control("".join(self._told.values())):
            raise ValueError("a header with a control character could begin another one")
        first = f"{version} 200 OK\r\n{_common()}content-length: {length}"
        return "\r\n".join([first, *map(_line, self._told.items()), "\r\n"]).encode()


_second, _lines = 0, ""


def _common() -> str:
    """The lines that every answer of this second has."""
    global _second, _lines
    now = int(time.time())
    if now != _second:
        date = formatdate(now, usegmt=True)
        _second, _lines = (
            now,
            f"content-type: application/json\r\ndate: {date}\r\nserver: {SERVER_SOFTWARE}\r\n",
        )
    return _lines
