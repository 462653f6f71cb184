"""What both sides of `peers.proto` share. Every message there has one field of bytes, so its wire form is written here without
generated code.

Source: Protocol Buffers, "Encoding": field 1 of wire type 2 is the byte 0x0A, the length as a varint, the bytes.
"""

from __future__ import annotations

from intellirouter.errors import UpstreamProtocolError

PACKAGE = "intellirouter.peers.v1"
ERROR_KEY = "intellirouter-error-bin"
STATUS_KEY = "intellirouter-status"
RETRY_AFTER = "retry-after"
REQUEST_ID, TRACEPARENT, IDEMPOTENCY = "x-request-id", "traceparent", "idempotency-key"
HAND_ON = "HandOn"
MAX_HEAD = 64 * 1024
"""Bytes of method, path and headers of a request that is handed on."""
MAX_BYTES = 64 * 1024 * 1024
_FIELD = 0x0A


def method(service: str, name: str) -> str:
    """The path of a call."""
    return f"/{PACKAGE}.{service}/{name}"


def encode(body: bytes) -> bytes:
    """The message that holds `body`; proto3 leaves an empty field out."""
    if not body:
        return b""
    head = bytearray((_FIELD,))
    length = len(body)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def decode(message: bytes) -> bytes:
    """What a message holds. Raises `UpstreamProtocolError` for one that is not of `peers.proto`."""
    if not message:
        return b""
    length = shift = 0
    at = 1
    while message[0] == _FIELD and at < len(message) and shift < 35:
        byte = message[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            if at + length == len(message):
                return message[at:]
            break
    raise UpstreamProtocolError("a message between roles is not of peers.proto")
