"""The canned upstream in Python: for slow streams, and for machines without nginx (then figures are lower bounds)."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import uvloop

from scripts.benchmarks.servers import COMPLETION, embeddings_body, stream_body


def response(body: bytes, kind: str) -> bytes:
    """A whole response."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


CHAT = response(COMPLETION.encode(), "application/json")
STREAM = response(stream_body(), "text/event-stream")
SLOW_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
SLOW_PIECES = 15
SLOW_SECONDS = 1.0


def slow_pieces() -> list[bytes]:
    """A streamed completion, cut between events."""
    events = [event + b"\n\n" for event in stream_body().split(b"\n\n") if event]
    size = len(events) // SLOW_PIECES + 1
    return [b"".join(events[start : start + size]) for start in range(0, len(events), size)]


SLOW = slow_pieces()
EMBEDDINGS = response(embeddings_body(), "application/json")
MODELS = response(b'{"object":"list","data":[]}', "application/json")


def answer_to(path: bytes) -> bytes:
    """What is answered at once."""
    if path.startswith(b"/stream"):
        return STREAM
    if path.endswith(b"completions"):
        return CHAT
    return EMBEDDINGS if path.endswith(b"embeddings") else MODELS


class Canned(asyncio.Protocol):
    """Answers each request by its path."""

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"(?i)content-length: *(\d+)", self._held[:end])
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._held) < size:
                return
            path = self._held.split(b" ", 2)[1]
            self._held = self._held[size:]
            if path.startswith(b"/slow"):
                self._transport.write(SLOW_HEAD)
                self._slowly(0)
                continue
            self._transport.write(answer_to(path))

    def _slowly(self, index: int) -> None:
        """A streamed completion in pieces, one a second."""
        piece = SLOW[index]
        last = index == len(SLOW) - 1
        self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) + (b"0\r\n\r\n" if last else b""))
        if not last:
            asyncio.get_running_loop().call_later(SLOW_SECONDS, self._slowly, index + 1)


async def main(port: int) -> None:
    """Serve until stopped."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
