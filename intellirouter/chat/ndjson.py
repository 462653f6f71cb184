"""Newline-delimited JSON, sans-io: bytes in, lines out, however the bytes were split."""

from __future__ import annotations

from intellirouter.chat.sse import MAX_EVENT_BYTES, SseEvent
from intellirouter.errors import UpstreamProtocolError


class LineSplitter:
    """Cuts a byte stream into lines, each an event without a name. One instance per stream."""

    def __init__(self, max_line_bytes: int = MAX_EVENT_BYTES) -> None:
        self._pieces: list[bytes] = []
        self._held = 0
        self._max = max_line_bytes

    def feed(self, data: bytes) -> list[SseEvent]:
        """Lines completed by these bytes. Raises `UpstreamProtocolError` when one grows past the bound."""
        if b"\n" not in data:
            self._pieces.append(data)
            self._held += len(data)
            if self._held > self._max:
                raise UpstreamProtocolError(f"a line of the stream is longer than {self._max} bytes")
            return []
        *lines, rest = (b"".join(self._pieces) + data).split(b"\n")
        self._pieces, self._held = [rest], len(rest)
        return [SseEvent("", line, line + b"\n") for line in lines if line.strip()]

    def flush(self) -> list[SseEvent]:
        """The stream ended: what is left counts as a line."""
        rest = b"".join(self._pieces)
        self._pieces, self._held = [], 0
        return [SseEvent("", rest, rest + b"\n")] if rest.strip() else []
