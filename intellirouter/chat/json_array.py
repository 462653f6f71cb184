"""A JSON array sent piece by piece, sans-io: bytes in, its objects out, however the bytes were split.

Google streams so to whoever does not ask for server-sent events, and some gateways before it never do.
"""

from __future__ import annotations

import re

from intellirouter.chat.sse import MAX_EVENT_BYTES, SseEvent
from intellirouter.errors import UpstreamProtocolError

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')


class ArraySplitter:
    """Cuts an array into its elements, each an event without a name. One instance per stream."""

    def __init__(self, max_element_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._at = 0  # all before it was looked at
        self._depth = 0
        self._quoted = False  # within a string
        self._start = 0  # of the element now open
        self._max = max_element_bytes

    def feed(self, data: bytes) -> list[SseEvent]:
        """Elements completed by these bytes. Raises `UpstreamProtocolError` when one grows past the bound."""
        self._buffer += data
        events: list[SseEvent] = []
        while mark := (_INSIDE if self._quoted else _OUTSIDE).search(self._buffer, self._at):
            at, byte = mark.start(), mark[0]
            if byte == b"\\" and at + 1 == len(self._buffer):
                self._at = at  # what it escapes is yet to come
                break
            self._at = at + (2 if byte == b"\\" else 1)
            if byte == b'"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._nest(byte, at, events)
        else:
            self._at = len(self._buffer)
        self._let_go()
        return events

    def _nest(self, byte: bytes, at: int, events: list[SseEvent]) -> None:
        if byte in b"{[":
            if self._depth == 1:
                self._start = at
            self._depth += 1
            return
        self._depth -= 1
        if self._depth == 1:
            element = bytes(self._buffer[self._start : at + 1])
            events.append(SseEvent("", element, element))
            self._start = at + 1

    def _let_go(self) -> None:
        """Forget what was given out; hold no more than one element."""
        done = self._start if self._depth > 1 else self._at
        del self._buffer[:done]
        self._at, self._start = self._at - done, 0
        if len(self._buffer) > self._max:
            raise UpstreamProtocolError(f"an element of the stream is longer than {self._max} bytes")

    def flush(self) -> list[SseEvent]:
        """The stream ended: half an element is none."""
        self._buffer.clear()
        return []
