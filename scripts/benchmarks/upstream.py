"""The canned upstream in Python, for machines without nginx. Slower than nginx: figures with it are lower bounds."""

from __future__ import annotations

import asyncio
import re
import sys

import uvloop

from scripts.benchmarks.servers import COMPLETION, stream_body


def response(body: bytes, kind: str) -> bytes:
    """A whole response."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


CHAT = response(COMPLETION.encode(), "application/json")
STREAM = response(stream_body(), "text/event-stream")
MODELS = response(b'{"object":"list","data":[]}', "application/json")


class Canned(asyncio.Protocol):
    """Answers each request by its path."""

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"(?i)content-length: *(\d+)", self._held[:end])
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._held) < size:
                return
            path = self._held.split(b" ", 2)[1]
            self._held = self._held[size:]
            answer = (
                STREAM if path.startswith(b"/stream") else CHAT if path.endswith(b"completions") else MODELS
            )
            self._transport.write(answer)  # type: ignore[attr-defined]


async def main(port: int) -> None:
    """Serve until stopped."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
