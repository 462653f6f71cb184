"""A session with a running node, for the commands that stream or ask many times at once."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from intellirouter.cli.node_address import Address, address_of
from intellirouter.cli.server_client import (
    DEADLINE_SECONDS,
    ServerRefused,
    headers_of,
    no_answer,
    parts_of,
    refusal,
)
from intellirouter.errors import PeerUnavailable

_addresses: weakref.WeakKeyDictionary[aiohttp.ClientSession, Address] = weakref.WeakKeyDictionary()
"""Where a session asks, and how that is known."""


def session_of(
    url: str | None, api_key: str | None, role: str = "Router", config: Path | None = None, *, most: int = 100
) -> aiohttp.ClientSession:
    """A session for the node that is named, or the one that is found (`node_address.py`), of `most` connections (0: any number).

    Raises `InvalidRequest`.
    """
    found = address_of(role, url, config)
    parts_of(found.url)
    session = aiohttp.ClientSession(
        found.url,
        headers=headers_of(found, api_key),
        timeout=aiohttp.ClientTimeout(total=DEADLINE_SECONDS),
        connector=aiohttp.TCPConnector(limit=most, ssl=True if found.trust is None else found.trust),
    )
    _addresses[session] = found
    return session


async def refused(reply: aiohttp.ClientResponse) -> ServerRefused:
    """Why a server did not answer with a stream."""
    said = await reply.read()
    try:
        answer = msgspec.json.decode(said)
    except msgspec.MsgspecError:
        answer = {"error": said[:300].decode(errors="replace")}
    return refusal(reply.status, answer)


async def ask(
    session: aiohttp.ClientSession, method: str, path: str, body: object | None = None
) -> tuple[Any, dict[str, str]]:
    """The JSON answer and the headers, names lower case. Raises `PeerUnavailable`, `ServerRefused`."""
    data = None if body is None else msgspec.json.encode(body)
    try:
        async with session.request(method, path, data=data) as reply:
            answer = msgspec.json.decode(await reply.read())
            if reply.status >= 400:
                raise refusal(reply.status, answer)
            return answer, {name.lower(): value for name, value in reply.headers.items()}
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        raise PeerUnavailable(
            no_answer(_addresses[session], method, path, cause, DEADLINE_SECONDS)
        ) from error
