"""The streaming half of adapters whose vendor sends a JSON object a line."""

from __future__ import annotations

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.sse import MAX_EVENT_BYTES
from intellirouter.chat.wire import EventDecoder
from intellirouter.errors import StreamInterrupted, UpstreamProtocolError


class NdjsonStreamParser:
    """Bytes to events by a wire format's decoder; a line is an event."""

    def __init__(self, decoder: EventDecoder) -> None:
        self._decoder = decoder
        self._rest = b""

    def feed(self, data: bytes) -> list[StreamEvent]:
        """See `StreamParser.feed`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamProtocolError(f"a line of the stream is longer than {MAX_EVENT_BYTES} bytes")
        return self._decode(lines)

    def close(self) -> list[StreamEvent]:
        """See `StreamParser.close`."""
        rest, self._rest = self._rest, b""
        try:
            events = self._decode([rest])
        except UpstreamProtocolError as cause:  # half a line: the stream was cut inside it
            raise StreamInterrupted("the stream ended inside a line") from cause
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

    def _decode(self, lines: list[bytes]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for line in lines:
            if not line.strip() or self._decoder.done:
                continue
            deltas = self._decoder.decode("", line)
            if deltas is not None:
                events.append(StreamEvent(deltas, line + b"\n"))
        return events
