"""The streaming half that every adapter shares, whether its vendor sends server-sent events or a JSON object a line."""

from __future__ import annotations

from typing import Protocol

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.foreign import MAX_EVENT_VALUES, check_event
from intellirouter.chat.ndjson import LineSplitter
from intellirouter.chat.sse import SseEvent, SseSplitter
from intellirouter.chat.wire import EventDecoder
from intellirouter.errors import StreamInterrupted, UpstreamProtocolError

END_MARKER = b"[DONE]"


class Splitter(Protocol):
    """Cuts bytes into events."""

    def feed(self, data: bytes) -> list[SseEvent]:
        """Events completed by these bytes."""

    def flush(self) -> list[SseEvent]:
        """What is left at the end."""


class EventStreamParser:
    """Bytes to events by a wire format's decoder. See `StreamParser`."""

    def __init__(self, splitter: Splitter, decoder: EventDecoder, most: int = MAX_EVENT_VALUES) -> None:
        self._splitter = splitter
        self._decoder = decoder
        self._most = most  # values of one event

    def feed(self, data: bytes) -> list[StreamEvent]:
        """See `StreamParser.feed`."""
        return self._decode(self._splitter.feed(data))

    def close(self) -> list[StreamEvent]:
        """See `StreamParser.close`."""
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
        return self._decoder.complete

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
            deltas = decode(event.event, event.data)
            if deltas is not None:
                decoded.append(StreamEvent(deltas, b"" if event.data == END_MARKER else event.raw))
        return decoded


def sse_parser(decoder: EventDecoder, most: int = MAX_EVENT_VALUES) -> EventStreamParser:
    """A parser of server-sent events of so many values."""
    return EventStreamParser(SseSplitter(), decoder, most)


def ndjson_parser(decoder: EventDecoder) -> EventStreamParser:
    """A parser of a JSON object a line."""
    return EventStreamParser(LineSplitter(), decoder)
