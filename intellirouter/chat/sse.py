"""Server-sent events, sans-io: bytes in, events out, however the bytes were split.

Source: WHATWG HTML, "Server-sent events", section 9.2.5 and 9.2.6. Lines end with LF, CRLF or CR; `data` lines of one
event are joined with LF; comments are skipped; a BOM at the start is skipped. Unlike a browser we also deliver
a last event whose blank line is missing (`flush`), because some vendors never send it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from intellirouter.errors import UpstreamProtocolError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""A single event longer than this is an attack or a bug, not an answer."""

# A line end is atomic: CRLF must never be read as two ends.
_EVENT_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LOOK_BACK = 3
_BOM = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One event: its type (empty when not named), its data, and the bytes it came as, blank line included."""

    event: str
    data: bytes
    raw: bytes


class SseSplitter:
    """Cuts a byte stream into events. One instance per stream."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = b""
        self._scanned = 0  # no event ends before this offset of the buffer
        self._started = False
        self._max = max_event_bytes

    def feed(self, data: bytes) -> list[SseEvent]:
        """Events completed by these bytes. Raises `UpstreamProtocolError` when one grows past the bound."""
        buffer = self._buffer + data if self._buffer else data
        if not self._started:
            if _BOM.startswith(buffer):
                self._buffer = buffer
                return []
            buffer = buffer.removeprefix(_BOM)
            self._started = True
        events: list[SseEvent] = []
        start = self._split_lf(buffer, events) if b"\r" not in buffer else self._split(buffer, events)
        self._buffer = buffer[start:]
        self._scanned = max(0, len(self._buffer) - _LOOK_BACK)
        if len(self._buffer) > self._max:
            raise UpstreamProtocolError(f"an event of the stream is longer than {self._max} bytes")
        return events

    def _split_lf(self, buffer: bytes, events: list[SseEvent]) -> int:
        """`_split` where lines end with LF alone, as nearly every vendor's do: several times as fast."""
        start, scan = 0, self._scanned
        while (at := buffer.find(b"\n\n", scan)) >= 0:
            scan = at + 2
            if event := parse_event(buffer[start:at], buffer[start:scan]):
                events.append(event)
            start = scan
        return start

    def _split(self, buffer: bytes, events: list[SseEvent]) -> int:
        """Add the events of `buffer`; where what is left over begins."""
        start, scan = 0, self._scanned
        while match := _EVENT_END.search(buffer, scan):
            end = match.end()
            if end == len(buffer) and buffer[end - 1] == 0x0D:
                break  # a lone CR at the very end may be half of a CRLF
            if event := parse_event(buffer[start : match.start()], buffer[start:end]):
                events.append(event)
            start = scan = end
        return start

    def flush(self) -> list[SseEvent]:
        """The stream ended: what is left counts as an event if it has data."""
        rest, self._buffer, self._scanned = self._buffer, b"", 0
        block = rest.rstrip(b"\r\n")
        event = parse_event(block, block + b"\n\n") if block else None
        return [event] if event else []


def parse_event(block: bytes, raw: bytes) -> SseEvent | None:
    """One block of lines without its blank line; None when it carries no data: an empty buffer is no event (9.2.6)."""
    if block.startswith(b":") and b"\n" not in block and b"\r" not in block:
        return None
    if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
        return SseEvent("", block[6:], raw) if len(block) > 6 else None
    name = ""
    data: list[bytes] = []
    for line in block.splitlines():
        field, colon, value = line.partition(b":")
        if colon and value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    joined = b"\n".join(data)
    return SseEvent(name, joined, raw) if joined else None


def format_event(data: bytes, event: str = "") -> bytes:
    """One event as we write it. `data` holds no line end (compact JSON)."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data
