"""Server-sent events mean the same however the bytes were split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.sse import SseEvent, SseSplitter, format_event
from intellirouter.errors import UpstreamProtocolError

CASES: list[tuple[str, bytes, list[tuple[str, bytes]]]] = [
    ("LF", b"data: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
    ("CRLF", b"event: x\r\ndata: a\r\n\r\n", [("x", b"a")]),
    ("CR", b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
    ("mixed ends", b"data: a\r\n\ndata: b\n\r\n", [("", b"a"), ("", b"b")]),
    ("several data lines", b"data: a\ndata:b\ndata\n\n", [("", b"a\nb\n")]),
    ("comments and retry", b": hello\n\nretry: 5\n\nid: 7\ndata: a\n\n", [("", b"a")]),
    ("only one space goes", b"data:  a\n\n", [("", b" a")]),
    ("a BOM", b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
    ("no last blank line", b"data: a\n\ndata: b", [("", b"a"), ("", b"b")]),
    ("UTF-8", "data: Grüße 🎉\n\n".encode(), [("", "Grüße 🎉".encode())]),
    ("nothing", b"", []),
]


def split(pieces: list[bytes]) -> list[SseEvent]:
    splitter = SseSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)] + splitter.flush()


@pytest.mark.parametrize(("data", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_events_are_found_whole_and_byte_by_byte(data: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert [event[:2] for event in split([data])] == expected
    assert [event[:2] for event in split([data[i : i + 1] for i in range(len(data))])] == expected


@given(
    st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: not {10, 13} & set(b)), max_size=8),
    st.data(),
)
def test_any_split_gives_the_events_that_were_written_and_their_bytes(
    payloads: list[bytes], data: st.DataObject
) -> None:
    written = b"".join(format_event(payload, "kind" if i % 2 else "") for i, payload in enumerate(payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=6)))
    pieces = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    events = split(pieces)
    assert [event.data for event in events] == payloads
    assert b"".join(event.raw for event in events) == written


def test_an_event_without_end_is_refused_at_the_bound() -> None:
    splitter = SseSplitter(max_event_bytes=100)
    with pytest.raises(UpstreamProtocolError):
        for _ in range(20):
            splitter.feed(b"data: 0123456789")
