"""A request's `Content-Encoding`, undone after its caller is known, with an end, and off the event loop.

aiohttp would inflate what arrives as it arrives, a key or none, read or not: a body of four megabytes holds everybody up while
it becomes four gigabytes. So it leaves bodies as they came (`auto_decompress=False`), and whoever reads one asks here.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from intellirouter.errors import InvalidRequest, UnsupportedMediaType, UpstreamProtocolError
from intellirouter.transport.content_coding import Inflate, decoder_for

AT_ONCE = 16 * 1024
"""Compressed bytes that are inflated on the event loop, which ends after `_SMALL` of what they become."""
_SMALL = 256 * 1024


def coded(request: web.Request) -> Inflate | None:
    """What undoes this body's encoding; None for a plain one. Raises `UnsupportedMediaType`."""
    coding = request.headers.get("content-encoding", "")
    if not coding:
        return None
    try:
        return decoder_for(coding)
    except UpstreamProtocolError as cause:
        raise UnsupportedMediaType(
            f"The content encoding must be gzip or deflate, not {coding[:100]}."
        ) from cause


async def inflated(decoder: Inflate, data: bytes, limit: int) -> bytes | None:
    """The whole body; None where it is larger than `limit`. Raises `InvalidRequest` where it is damaged."""
    if len(data) <= AT_ONCE:
        small = _inflate(decoder, data, min(limit, _SMALL))
        if small is not None or limit <= _SMALL:
            return small
        decoder = decoder.again()
    return await asyncio.to_thread(_inflate, decoder, data, limit)


def _inflate(decoder: Inflate, data: bytes, limit: int) -> bytes | None:
    whole = bytearray()
    try:
        for piece in decoder.feed(data):
            whole += piece
            if len(whole) > limit:
                return None
        decoder.close()
    except UpstreamProtocolError as cause:
        raise InvalidRequest("The request body is damaged: bad content encoding.") from cause
    return bytes(whole)
