"""Codings of a body. `Content-Encoding` is undone in bounded steps, so that a small body that grows huge costs what its reader takes.

gzip (RFC 1952, several members allowed) and deflate (RFC 9110 8.4.1.2: zlib format; raw deflate, which some servers send,
is taken too).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from intellirouter.errors import UpstreamProtocolError

STEP_BYTES = 256 * 1024
"""The most that one step gives out."""

_BLOCK_BYTES = 16 * 1024  # zlib copies what it leaves over at every step
_GZIP = 16 + zlib.MAX_WBITS


class Inflate:
    """One body. Feed pieces in order, then `close`."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._held = b""  # of deflate, until its header can be told from raw data
        self._begun = False
        self._decoder = zlib.decompressobj(_GZIP)

    def again(self) -> Inflate:
        """A new one of the same coding."""
        return Inflate(gzip=self._gzip)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` decodes to, in steps. Raises `UpstreamProtocolError` on damage."""
        if not self._gzip and not self._begun:
            data = self._held + data
            if len(data) < 2:
                self._held = data
                return
            self._decoder = zlib.decompressobj(zlib.MAX_WBITS if _is_zlib(data) else -zlib.MAX_WBITS)
        self._begun = self._begun or bool(data)
        for start in range(0, len(data), _BLOCK_BYTES):
            yield from self._block(data[start : start + _BLOCK_BYTES])

    def _block(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._decoder.eof:
                if not self._gzip or not data.strip(b"\0"):
                    return  # padding after the end is ignored
                self._decoder = zlib.decompressobj(_GZIP)
            out = self._step(data)
            data = self._decoder.unconsumed_tail or self._decoder.unused_data
            if out:
                yield out
        # What is held back inside the decoder when a step was full comes out without new input.
        while not self._decoder.eof and (out := self._step(b"")):
            yield out

    def _step(self, data: bytes) -> bytes:
        try:
            return self._decoder.decompress(data, STEP_BYTES)
        except zlib.error as cause:
            raise UpstreamProtocolError("the provider's answer has a damaged content encoding") from cause

    def close(self) -> None:
        """The body ended. Raises `UpstreamProtocolError` when it was cut short."""
        if (self._held and not self._begun) or (self._begun and not self._decoder.eof):
            raise UpstreamProtocolError("the provider's answer ends inside its content encoding")


def _is_zlib(data: bytes) -> bool:
    """The two bytes of a zlib header (RFC 1950 2.2): method 8, and a multiple of 31."""
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0


def is_chunked(transfer_encoding: str) -> bool:
    """Whether a `Transfer-Encoding` says chunked. Raises `UpstreamProtocolError` on one that was not asked for."""
    coding = transfer_encoding.strip().lower()
    if coding not in ("", "chunked", "identity"):
        raise UpstreamProtocolError("the provider's answer has a transfer coding that was not asked for")
    return coding == "chunked"


def decoder_for(content_encoding: str) -> Inflate | None:
    """The decoder of a `Content-Encoding` value; None when nothing is to be undone."""
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip", "deflate"):
        return Inflate(gzip=coding != "deflate")
    raise UpstreamProtocolError("the provider's answer has a content encoding that was not asked for")
