"""A stand-in for a vendor's paid API: it replays bytes as they would come over the wire, and misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(slots=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Play:
    """What to send: a status, headers, pieces of a body with pauses (floats, in seconds) between, and how it ends."""

    pieces: Sequence[bytes | float] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    end: Literal["clean", "reset", "close", "hang"] = "clean"
    before: Literal["headers", "reset", "hang"] = "headers"

    @staticmethod
    def json(body: object, status: int = 200, **headers: str) -> Play:
        return Play([json.dumps(body).encode()], status, {"content-type": "application/json", **headers})

    @staticmethod
    def sse(*events: bytes | float, end: Literal["clean", "reset", "close", "hang"] = "clean") -> Play:
        pieces = [event if isinstance(event, float) else b"data: " + event + b"\n\n" for event in events]
        return Play(pieces, headers={"content-type": "text/event-stream"}, end=end)


Answer = Play | Callable[[Received], Play]


class Vendor:
    """Plays `answers` in turn, the last one for ever. `by_path` answers first, for what its key ends a path with."""

    def __init__(self, *answers: Answer, by_path: dict[str, Answer] | None = None, port: int = 0) -> None:
        self.answers = list(answers)
        self.by_path = by_path or {}
        self.received: list[Received] = []
        self.open_connections = 0
        self.cut = asyncio.Event()  # a client left before we had finished
        self._closed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Vendor]:
        writers = self._writers
        idle = asyncio.Event()
        idle.set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.add(writer)
            idle.clear()
            self.open_connections += 1
            try:
                await self._connection(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.cut.set()
            finally:
                self.open_connections -= 1
                writer.close()
                writers.discard(writer)
                if not writers:
                    idle.set()

        server = await asyncio.start_server(serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._closed.set()
            for writer in writers:
                writer.transport.abort()
            await asyncio.wait_for(idle.wait(), 30)

    def hang_up(self) -> None:
        """Close every connection, whatever it waits for."""
        for writer in self._writers:
            writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await _read_request(reader):
            self.received.append(request)
            answer = self._pick(request)
            play = answer(request) if callable(answer) else answer
            if not await self._play(play, reader, writer):
                return

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)

    def _pick(self, request: Received) -> Answer:
        path = request.path.partition("?")[0]
        for suffix, answer in self.by_path.items():
            if path.endswith(suffix):
                return answer
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def _play(self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if play.before == "reset":
            _reset(writer)
            return False
        if play.before == "hang":
            await self._hang(reader)
            return False
        head = {"transfer-encoding": "chunked", **play.headers}
        lines = [f"HTTP/1.1 {play.status} X", *(f"{name}: {value}" for name, value in head.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        for piece in play.pieces:
            if isinstance(piece, float):
                await writer.drain()
                await self._pause(piece)
            elif piece:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
        if play.end == "clean":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        if play.end == "hang":
            await self._hang(reader)
        elif play.end == "reset":
            await writer.drain()
            _reset(writer)
        return False

    async def _hang(self, reader: asyncio.StreamReader) -> None:
        if not await reader.read(1):
            self.cut.set()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)
