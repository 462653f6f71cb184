"""JSON of a provider, which may be made to hold others up: its values are bounded before they are made."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.bounds.marks import may_hold_more_than
from intellirouter.chat.halves import has_halves, mended
from intellirouter.errors import UpstreamProtocolError

MAX_VALUES = 250_000
"""Of a whole answer."""
MAX_EVENT_VALUES = 80_000
"""Of one event of a stream: each is read at a stretch."""
MAX_VECTOR_BYTES = 256 * 1024
"""Of one vector: 8,192 numbers of 30 digits."""
MAX_CHOICES = 256
"""Answers to one request: vendors take 128 as `n` at the most."""
MAX_ASIDE_BYTES = 64 * 1024

_json = msgspec.json.Decoder()


def read(body: bytes, what: str) -> Any:
    """What `body` holds. Raises `UpstreamProtocolError`."""
    if may_hold_more_than(MAX_VALUES, body):
        raise UpstreamProtocolError(f"the provider's {what} holds more than {MAX_VALUES:,} values")
    try:
        return _decoded(body)
    except (ValueError, RecursionError) as cause:
        raise UpstreamProtocolError(f"the provider's {what} is not JSON") from cause


def _decoded(body: bytes) -> Any:
    try:
        return _json.decode(body)
    except msgspec.DecodeError:
        if not has_halves(body):
            raise
        return mended(body)


def check_event(data: bytes, most: int) -> None:
    """Raises `UpstreamProtocolError` for an event of a stream that holds too many values."""
    if may_hold_more_than(most, data):
        raise UpstreamProtocolError(f"an event of the stream holds more than {most:,} values")


def aside(raw: msgspec.Raw) -> Any:
    """What an answer says beside what it is: None where that is more than anybody says."""
    text = memoryview(raw)
    if len(text) > MAX_ASIDE_BYTES:
        return None
    return _json.decode(text)


def vector(raw: msgspec.Raw) -> Any:
    """One vector of many, as it is written: each is read by itself, so that no answer is read at a stretch."""
    text = memoryview(raw)
    if len(text) > MAX_VECTOR_BYTES:
        raise UpstreamProtocolError(f"a vector of the provider's is longer than {MAX_VECTOR_BYTES} bytes")
    return _json.decode(text)
