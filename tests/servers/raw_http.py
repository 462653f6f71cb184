"""A server that sends exactly the bytes it is told to, well-formed or not, and ends connections in every way there is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

DEADLINE = 20.0
"""Seconds after which a script that still waits for its client fails."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived: its head as bytes, its headers by lower-case name."""

    line: str
    head: bytes
    headers: dict[str, str]
    body: bytes


class Connection:
    """The server's end of one connection, for a script to use. `number` counts from 1."""

    def __init__(
        self, server: RawServer, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.number = number
        self.reader = reader
        self.writer = writer

    async def request(self) -> Request | None:
        """The next request; None when the client has left."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(first, head, headers, body)
        self.server.requests.append(request)
        return request

    async def send(self, data: bytes) -> None:
        """Send, waiting while the client is slow."""
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, data: bytes, size: int = 1) -> None:
        """Send in pieces that the client's loop sees apart (as far as the kernel lets it)."""
        for start in range(0, len(data), size):
            await self.send(data[start : start + size])
            await asyncio.sleep(0)

    def half_close(self) -> None:
        """Send no more, read on."""
        self.writer.write_eof()

    def reset(self) -> None:
        """End with a TCP reset."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def hang(self) -> None:
        """Say nothing until the client leaves."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        self.server.left.set()


Script = Callable[[Connection], Awaitable[None]]


class RawServer:
    """Runs `script` on every connection, and closes the connection when it returns."""

    def __init__(self, script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.connections = 0
        self.left = asyncio.Event()  # a client left while a script hung
        self._host = host
        self._tls = tls
        self.port = 0

    @property
    def url(self) -> str:
        """The root URL; TLS servers are named localhost."""
        host = "localhost" if self._tls else f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[RawServer]:
        """Listening on a free port; every connection is gone on leaving."""
        open_now: set[asyncio.StreamWriter] = set()
        idle = asyncio.Event()
        idle.set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            open_now.add(writer)
            idle.clear()
            try:
                async with asyncio.timeout(DEADLINE):
                    await self.script(Connection(self, self.connections, reader, writer))
            except (ConnectionError, asyncio.IncompleteReadError):
                self.left.set()
            finally:
                writer.close()
                open_now.discard(writer)
                if not open_now:
                    idle.set()

        server = await asyncio.start_server(serve, self._host, 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in open_now:
                writer.transport.abort()
            async with asyncio.timeout(DEADLINE):
                await idle.wait()


def once(data: bytes, *, end: str = "hang", size: int = 0) -> Script:
    """A script: take a request, send `data` (dripped when `size` is given), then hang, close, half-close or reset."""

    async def script(connection: Connection) -> None:
        if await connection.request() is None:
            return
        await (connection.drip(data, size) if size else connection.send(data))
        if end == "reset":
            connection.reset()
        elif end == "half-close":
            connection.half_close()
        if end in ("hang", "half-close"):
            await connection.hang()

    return script


def repeat(data: bytes) -> Script:
    """A script: answer every request with `data`."""

    async def script(connection: Connection) -> None:
        while await connection.request() is not None:
            await connection.send(data)

    return script
