"""One kept answer: whole, or the deltas of a stream."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from intellirouter.chat.delta import Delta, StreamEvent, TextDelta
from intellirouter.chat.response import ChatResponse


class Entry(msgspec.Struct, frozen=True):
    """`made` in Unix seconds. One of `response` and `deltas` is there."""

    made: float
    provider: str
    model: str
    response: ChatResponse | None = None
    deltas: tuple[Delta, ...] = ()

    def events(self) -> list[StreamEvent]:
        """The stream again, event by event."""
        return [StreamEvent((delta,)) for delta in self.deltas]


def joined(events: Iterable[StreamEvent]) -> tuple[Delta, ...]:
    """The deltas of a stream, neighbouring pieces of one text made one."""
    deltas: list[Delta] = []
    pieces: list[str] = []
    open_text: TextDelta | None = None

    def close() -> None:
        nonlocal open_text
        if open_text is not None:
            deltas.append(TextDelta("".join(pieces), block=open_text.block, choice=open_text.choice))
            pieces.clear()
            open_text = None

    for event in events:
        for delta in event.deltas:
            plain = isinstance(delta, TextDelta) and delta.logprobs is None and delta.signature is None
            if not plain or not isinstance(delta, TextDelta):
                close()
                deltas.append(delta)
                continue
            if open_text is not None and (open_text.block, open_text.choice) != (delta.block, delta.choice):
                close()
            open_text = open_text or delta
            pieces.append(delta.text)
    close()
    return tuple(deltas)


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Entry).decode
