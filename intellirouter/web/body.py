"""Reading a request's body: bounded in size, in time and in what it holds, JSON, and an object."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from intellirouter.bounds.aside import LONG
from intellirouter.bounds.json_values import holds_more_than
from intellirouter.bounds.marks import is_long
from intellirouter.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from intellirouter.web.endpoint import CALLER
from intellirouter.web.inflating import coded, inflated

T = TypeVar("T")

BODY_TIMEOUT: web.AppKey[float] = web.AppKey("body_timeout", float)

BODY_VALUES: web.AppKey[int] = web.AppKey("body_values", int)
"""How many values the JSON of one request may hold."""

KEYLESS: web.AppKey[Callable[[], bool]] = web.AppKey("keyless")
"""Whether the node asks nobody for a key; then a page could send JSON without saying so (`door.py`)."""

HOLDS_MUCH: web.RequestKey[bool] = web.RequestKey("holds_much", bool)
"""The JSON of this request holds so many values that what is made of it is made off the event loop."""

NAMES_FILES: web.RequestKey[bool] = web.RequestKey("names_files", bool)
"""The JSON of this request may name files."""

MOST_FIELDS = 256
"""Fields of a body that are looked at for the largest one."""

_BOM = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder().decode


class _Place(int):
    """Of a field's name among those that were read."""


async def read_body(request: web.Request, most: int | None = None) -> bytes:
    """The whole body, `most` bytes where this endpoint takes less than others.

    Raises `PayloadTooLarge`, or `InvalidRequest` when it does not arrive in time.
    """
    limit = request.client_max_size if most is None else min(most, request.client_max_size)
    if (length := request.content_length) is not None and length > limit:
        raise _too_large(limit)
    decoder = coded(request) if "content-encoding" in request.headers else None
    content = request.content
    if content.is_eof():  # small bodies arrive with the headers: no timer needed, and nothing to wait for
        if content.total_bytes > limit:
            raise _too_large(limit)
        try:
            data = content.read_nowait()
        except web.RequestPayloadError as cause:
            raise _damaged() from cause
    else:
        data = await _arrived(request, limit)
    if decoder is None:
        return data
    whole = await inflated(decoder, data, limit)
    if whole is None:
        raise _too_large(limit)
    return whole


async def _arrived(request: web.Request, limit: int) -> bytes:
    """The body as it comes."""
    try:
        async with asyncio.timeout(request.app[BODY_TIMEOUT]):
            return await _read(request, limit)
    except TimeoutError as cause:
        raise InvalidRequest("The request body did not arrive in time.") from cause


async def read_up_to(request: web.Request, limit: int, setting: str) -> bytes:
    """The whole body, which may be larger than `server.max_body_bytes`, in pieces that each arrive in time. Raises as `read_body`."""
    decoder = coded(request)
    data = bytearray()
    try:
        while not request.content.at_eof():
            async with asyncio.timeout(request.app[BODY_TIMEOUT]):
                data += await request.content.readany()
            if len(data) > limit:
                raise _too_large(limit, setting)
    except TimeoutError as cause:
        raise InvalidRequest("The request body did not arrive in time.") from cause
    except web.RequestPayloadError as cause:
        raise _damaged() from cause
    whole = bytes(data) if decoder is None else await inflated(decoder, bytes(data), limit)
    if whole is None:
        raise _too_large(limit, setting)
    return whole


async def _read(request: web.Request, limit: int) -> bytes:
    data = bytearray()
    try:
        while not request.content.at_eof():
            data += await request.content.readany()
            if len(data) > limit:
                raise _too_large(limit)
    except web.RequestPayloadError as cause:
        raise _damaged() from cause
    return bytes(data)


def _damaged() -> InvalidRequest:
    return InvalidRequest("The request body is damaged: bad chunking or content encoding.")


def _too_large(limit: int, setting: str = "server.max_body_bytes") -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is larger than {limit} bytes ({setting}).")


async def read_json(request: web.Request, most: int | None = None, values: int = 0) -> dict[str, Any]:
    """The body as a JSON object, of `most` bytes. Raises `UnsupportedMediaType` or `InvalidRequest` that says where it breaks.

    `values`: so many may be in it where the configuration allows fewer.
    """
    most_values = max(values, request.app[BODY_VALUES])
    if request.headers.get("content-type") == "application/json":  # the common case, unparsed
        return await parse_object(await read_body(request, most), most_values, request)
    kind = request.content_type
    named = "content-type" in request.headers or not request.app[KEYLESS]()
    if not named or not (kind in ("application/json", "application/octet-stream") or kind.endswith("+json")):
        told = kind[:100] if "content-type" in request.headers else "none"
        raise UnsupportedMediaType(
            f"The content type is {told}; send the header 'content-type: application/json' (curl: -H, or --json for -d)."
        )
    return await parse_object(await read_body(request, most), most_values, request)


async def made(request: web.Request, make: Callable[[], T]) -> T:
    """What `make` makes of the request's JSON: in a thread where that holds much. Raises `InvalidRequest` for what is nested too deep."""
    try:
        if HOLDS_MUCH not in request:
            return make()
        caller = request.get(CALLER)
        return await LONG.run(caller.tenant if caller is not None else "", make)
    except RecursionError as cause:
        raise InvalidRequest("The request body is nested too deeply.") from cause


async def parse_object(body: bytes, most_values: int, request: web.Request) -> dict[str, Any]:
    """Bytes to a JSON object of so many values at most."""
    if body[:1] == _BOM[:1]:
        body = body.removeprefix(_BOM)  # RFC 8259, 8.1: a reader may ignore it; Windows' shells write it
    if not body:
        raise InvalidRequest("The request body is empty; a JSON object is expected.")
    if len(body) > 2 * most_values and await holds_more_than(most_values, body):
        raise _too_many(body, most_values)
    if is_long(body):
        request[HOLDS_MUCH] = True
    if b'"file_id"' in body:
        request[NAMES_FILES] = True
    return await made(request, partial(_parsed, body))


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        data = _decode(body)
    except msgspec.DecodeError as cause:
        raise InvalidRequest(f"The request body is not valid JSON: {cause}.") from cause
    except UnicodeDecodeError as cause:
        raise InvalidRequest(f"The request body is not valid UTF-8 (byte {cause.start}).") from cause
    except RecursionError as cause:
        raise InvalidRequest("The request body is nested too deeply.") from cause
    if type(data) is not dict:
        raise InvalidRequest("The request body must be a JSON object.")
    return data


def _too_many(body: bytes, most: int) -> InvalidRequest:
    """Names the field that holds most of it, where the body can be read so far."""
    words = f"The request body holds more than {most:,} values (server.max_body_values)"
    sizes = _sizes(body)
    if not sizes:
        return InvalidRequest(f"{words}.")
    largest = max(sizes, key=sizes.__getitem__)
    return InvalidRequest(
        f"{words}; '{largest[:100]}' is {sizes[largest]:,} of its {len(body):,} bytes. Send less of it at a time.",
        param=largest[:100],
    )


def _sizes(body: bytes) -> dict[str, int]:
    """The bytes of each field; none where the body cannot be read, or has more fields than any request: this is done on the event loop."""
    names: list[str] = []

    def named(_type: type, name: str) -> _Place:
        names.append(name)
        if len(names) > MOST_FIELDS:
            raise InvalidRequest("Too many fields.")
        return _Place(len(names) - 1)

    try:
        found = msgspec.json.Decoder(dict[_Place, msgspec.Raw], dec_hook=named).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidRequest):
        return {}
    return {names[place]: len(memoryview(raw)) for place, raw in found.items()}
