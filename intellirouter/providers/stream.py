"""The streaming half that every adapter shares, whether its vendor sends server-sent events or a JSON object a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.foreign import MAX_EVENT_VALUES, check_event
from intellirouter.chat.halves import BACKSLASH, Halves, has_halves
from intellirouter.chat.ndjson import LineSplitter
from intellirouter.chat.response import ChatResponse
from intellirouter.chat.sse import MAX_EVENT_BYTES, SseEvent, SseSplitter
from intellirouter.chat.told import deltas_of
from intellirouter.chat.wire import EventDecoder
from intellirouter.errors import StreamInterrupted, UpstreamProtocolError

END_MARKER = b"[DONE]"
_PIECE = 16
"""Bytes that no piece of an answer is shorter than; an end marker with white space behind it is."""


class Splitter(Protocol):
    """Cuts bytes into events."""

    def feed(self, data: bytes) -> list[SseEvent]:
        """Events completed by these bytes."""

    def flush(self) -> list[SseEvent]:
        """What is left at the end."""


Whole = Callable[[bytes], ChatResponse]
"""Reads a whole answer, or raises the error that it is."""


class EventStreamParser:
    """Bytes to events by a wire format's decoder. See `StreamParser`.

    `whole` reads the answer of a vendor who does not stream what he was asked to: one JSON object in place of events.
    """

    def __init__(
        self,
        splitter: Splitter,
        decoder: EventDecoder,
        most: int = MAX_EVENT_VALUES,
        whole: Whole | None = None,
    ) -> None:
        self._splitter = splitter
        self._decoder = decoder
        self._most = most  # values of one event
        self._whole = whole
        self._began = False
        self._body: bytearray | None = None  # of a whole answer
        self._told = False
        self._halves: Halves | None = None

    def feed(self, data: bytes) -> list[StreamEvent]:
        """See `StreamParser.feed`."""
        if not self._began:
            head = data.lstrip()
            self._began = bool(head)
            if self._whole is not None and head.startswith(b"{"):
                self._body = bytearray()
        if self._body is not None:
            self._body += data
            if len(self._body) > MAX_EVENT_BYTES:
                raise UpstreamProtocolError(f"the provider's answer is longer than {MAX_EVENT_BYTES} bytes")
            return []
        return self._decode(self._splitter.feed(data))

    def close(self) -> list[StreamEvent]:
        """See `StreamParser.close`."""
        if self._body is not None and self._whole is not None:
            answer = self._whole(bytes(self._body))
            self._told = True
            return [StreamEvent(deltas_of(answer))]
        try:
            events = self._decode(self._splitter.flush())
        except UpstreamProtocolError as cause:  # half an event: the stream was cut inside it
            raise StreamInterrupted("the stream ended inside an event") from cause
        if not self._decoder.complete:
            raise StreamInterrupted("the stream ended before the answer was complete")
        return events

    @property
    def complete(self) -> bool:
        """See `StreamParser.complete`."""
        return self._told or self._decoder.complete

    @property
    def rewritten(self) -> bool:
        """See `StreamParser.rewritten`."""
        return self._body is not None

    @property
    def done(self) -> bool:
        """See `StreamParser.done`."""
        return self._decoder.done

    def _decode(self, events: list[SseEvent]) -> list[StreamEvent]:
        decode = self._decoder.decode
        decoded: list[StreamEvent] = []
        for event in events:
            if self._decoder.done:
                break
            check_event(event.data, self._most)
            data = event.data
            if self._halves is not None or (BACKSLASH in data and has_halves(data)):
                self._halves = self._halves or Halves()
                data = self._halves.joined(data)
            deltas = decode(event.event, data)
            if deltas is not None:
                ends = len(data) < _PIECE and data.startswith(END_MARKER)
                decoded.append(StreamEvent(deltas, b"" if ends else event.raw))
        return decoded


def sse_parser(
    decoder: EventDecoder, most: int = MAX_EVENT_VALUES, whole: Whole | None = None
) -> EventStreamParser:
    """A parser of server-sent events of so many values."""
    return EventStreamParser(SseSplitter(), decoder, most, whole)


def ndjson_parser(decoder: EventDecoder) -> EventStreamParser:
    """A parser of a JSON object a line."""
    return EventStreamParser(LineSplitter(), decoder)
