"""A wire tap: passes bytes between a client and a server unchanged, and keeps the bodies of the answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httptools


@dataclass(slots=True)
class Answered:
    """One answer as it went over the wire, without its framing."""

    status: int = 0
    content_type: str = ""
    body: bytearray = field(default_factory=bytearray)


class _Reader:
    """Cuts the bytes of one connection into answers."""

    def __init__(self, kept: list[Answered]) -> None:
        self._kept = kept
        self._now = Answered()
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._now = Answered()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._now.content_type = value.decode()

    def on_body(self, body: bytes) -> None:
        self._now.body += body

    def on_message_complete(self) -> None:
        self._now.status = self._parser.get_status_code()
        self._kept.append(self._now)


class Recorder:
    """Listens on a free port of loopback; `answers` grows as answers end."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream = upstream_port
        self.answers: list[Answered] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Recorder]:
        writers: set[asyncio.StreamWriter] = set()
        tasks: set[asyncio.Task[None]] = set()

        async def pump(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: _Reader | None
        ) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65_536):
                    writer.write(data)  # before it is kept: what a client saw is always here already
                    if seen is not None:
                        seen.feed(data)
                    await writer.drain()
            writer.close()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            there, out = await asyncio.open_connection("127.0.0.1", self._upstream)
            writers.update((writer, out))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(pump(reader, out, None))
                    group.create_task(pump(there, writer, _Reader(self.answers)))
            finally:
                tasks.discard(task)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in writers:
                writer.transport.abort()
            if tasks:
                await asyncio.wait(tasks, timeout=10)
