"""Asking a running node, for the commands that do."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import weakref
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from intellirouter.cli.node_address import address_of
from intellirouter.cli.signed_in import kept
from intellirouter.errors import IntelliRouterError, InvalidRequest, PeerUnavailable

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="INTELLIROUTER_URL", help="The Router to ask; without it the one that runs here."
    ),
]
ApiKeyOption = Annotated[
    str | None, typer.Option("--api-key", envvar="INTELLIROUTER_API_KEY", help="Where it asks for one.")
]
DEADLINE_SECONDS = 120.0


class ServerRefused(IntelliRouterError):
    """The server answered with an error."""

    code = "server_refused"


async def ask(
    session: aiohttp.ClientSession, method: str, path: str, body: object | None = None
) -> tuple[Any, dict[str, str]]:
    """The JSON answer and the headers, names lower case. Raises `PeerUnavailable`, `ServerRefused`."""
    data = None if body is None else msgspec.json.encode(body)
    try:
        async with session.request(method, path, data=data) as reply:
            answer = msgspec.json.decode(await reply.read())
            if reply.status >= 400:
                raise _refusal(reply.status, answer)
            return answer, {name.lower(): value for name, value in reply.headers.items()}
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
        raise PeerUnavailable(_no_answer(session, method, path, error)) from error


def text_of(
    url: str | None, api_key: str | None, path: str, *, role: str = "Router", config: Path | None = None
) -> str:
    """What is answered as text, such as a picture. Raises like `ask`."""

    async def run() -> str:
        async with session_of(url, api_key, role, config) as session:
            try:
                async with session.get(path) as reply:
                    data = await reply.read()
                    if reply.status >= 400:
                        raise _refusal(reply.status, msgspec.json.decode(data))
                    return data.decode()
            except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
                raise PeerUnavailable(_no_answer(session, "GET", path, error)) from error

    return asyncio.run(run())


def _refusal(status: int, answer: object) -> ServerRefused:
    """The server's reason, and what to do about the usual one."""
    error = answer.get("error") if isinstance(answer, dict) else None
    message = (
        str(error.get("message") or "no reason") if isinstance(error, dict) else str(error or "no reason")
    )
    advice = ""
    if status == 401:
        advice = " Give a key with --api-key, or in INTELLIROUTER_API_KEY, or sign in: intellirouter login."
    elif status == 403 and "which keys with the scope" in message:
        scope = message.rpartition("with the scope '")[2].partition("'")[0]
        advice = f" `intellirouter keys create NAME --scope {scope}` makes one; give it with --api-key."
    return ServerRefused(f"the server answered {status}: {message}{advice}")


def _no_answer(session: aiohttp.ClientSession, method: str, path: str, error: Exception) -> str:
    """Who does not answer, why, and how to name another."""
    where = str(session._base_url or "").rstrip("/")  # noqa: SLF001  aiohttp shows it nowhere else
    known = _known.get(session, "")
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no server answers at {where} ({known}): {_plain(error.os_error)}. Is it running? --url names another."
    if isinstance(error, TimeoutError):
        return f"{where} does not answer within {DEADLINE_SECONDS:g} s: {method} {path}"
    if isinstance(error, msgspec.MsgspecError):
        return f"{where} answers {method} {path} with something else than JSON: is it IntelliRouter? --url names another."
    return f"{where} does not answer {method} {path}: {str(error) or type(error).__name__}"


def _plain(error: OSError) -> str:
    """The system's words, without the numbers that asyncio puts around them."""
    if error.errno and not isinstance(error, (socket.gaierror, ssl.SSLError)):
        return os.strerror(error.errno)
    return error.strerror or str(error)


_known: weakref.WeakKeyDictionary[aiohttp.ClientSession, str] = weakref.WeakKeyDictionary()
"""How a session's address is known."""


def session_of(
    url: str | None, api_key: str | None, role: str = "Router", config: Path | None = None
) -> aiohttp.ClientSession:
    """A session for the node that is named, or the one that is found (`node_address.py`)."""
    found = address_of(role, url, config)
    headers = {"content-type": "application/json"}
    token = api_key or ((found_here := kept(found.url)) and found_here.access_token)
    if token:
        headers["authorization"] = f"Bearer {token}"
    timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
    try:
        session = aiohttp.ClientSession(
            found.url,
            headers=headers,
            timeout=timeout,
            connector=aiohttp.TCPConnector(ssl=found.trust) if found.trust is not None else None,
        )
    except ValueError as error:
        raise InvalidRequest(
            f"'{found.url}' is no address: http://host:port or https://host:port.", param="--url"
        ) from error
    _known[session] = found.known
    return session


def ask_once(
    url: str | None,
    api_key: str | None,
    method: str,
    path: str,
    body: object | None = None,
    *,
    role: str = "Router",
    config: Path | None = None,
) -> tuple[Any, dict[str, str]]:
    """One question. Raises like `ask`."""

    async def run() -> tuple[Any, dict[str, str]]:
        async with session_of(url, api_key, role, config) as session:
            return await ask(session, method, path, body)

    return asyncio.run(run())
