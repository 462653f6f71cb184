"""What every wire format offers: the four translations and their two streaming halves.

A format is a record of pure functions, so that fronts and adapters pick one from `chat/formats.py` by name and
no `if dialect ==` exists anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from intellirouter.chat.delta import Delta
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import IntelliRouterError


class EventDecoder(Protocol):
    """Upstream events to deltas. One instance per stream."""

    def decode(self, event: str, data: bytes) -> tuple[Delta, ...] | None:
        """Translate one event; empty when it means nothing to us but belongs to the dialect (it is still relayed).

        None for an end marker (`[DONE]`), or the finishes that the vendor never told before it; the marker itself is
        never relayed: a front writes its own. Raises
        `UpstreamProtocolError` for bytes that are not the dialect's, or the error an error event carries.
        """

    @property
    def complete(self) -> bool:
        """True once the answer is whole: every choice has finished. The stream may end here."""

    @property
    def done(self) -> bool:
        """True once nothing more can come: no need to wait for the connection to close."""


class EventEncoder(Protocol):
    """Deltas to the client's bytes, framing included. One instance per stream."""

    def encode(self, deltas: tuple[Delta, ...]) -> bytes:
        """Bytes to write now; may be empty."""

    def finish(self) -> bytes:
        """The format's clean end. Called once, and only after a complete stream."""

    def error(self, error: IntelliRouterError) -> bytes:
        """The format's error event: what ends a stream that broke."""


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One dialect, both directions.

    - `decode_request(body, headers)`: the client's parsed JSON and lower-case vendor headers to canonical.
      Raises `InvalidRequest` naming the field.
    - `encode_request(request, notes)`: canonical to the JSON object this dialect sends. Raises `UnsupportedByTarget`
      for what it cannot express, appends to `notes` a sentence for what it only approximates. When
      `request.source` is of its own dialect, that body goes out with only `model` and streaming changed.
    - `decode_response(body)`: the upstream's bytes to canonical. Raises `UpstreamProtocolError`.
    - `encode_response(response)`: canonical to the client's JSON bytes.
    - `encode_error(error)`: the envelope of this dialect.
    - `request_id_header`: where this dialect's clients look for the id of an answer, beside `x-request-id`.
    - `takes_comments`: whether its clients pass over comments between server-sent events, as the standard says.
    - `pictures`: an answer may hold those that a model made.
    - `relay_end`: what ends a stream whose events were relayed as bytes, where the dialect has an end marker.
    """

    name: str
    decode_request: Callable[[dict[str, Any], Mapping[str, str]], ChatRequest]
    encode_request: Callable[[ChatRequest, list[str]], dict[str, Any]]
    decode_response: Callable[[bytes], ChatResponse]
    encode_response: Callable[[ChatResponse], bytes]
    encode_error: Callable[[IntelliRouterError], bytes]
    new_decoder: Callable[[], EventDecoder]
    new_encoder: Callable[[ChatRequest], EventEncoder]
    stream_media_type: str = "text/event-stream"
    relay_end: bytes = b""
    request_id_header: str = "x-request-id"
    pictures: bool = True
    takes_comments: bool = True
