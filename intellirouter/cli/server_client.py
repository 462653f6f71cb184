"""Asking a running node, for the commands that do: one question, one answer.

By the standard library, which is imported ten times as fast as the client that streams (`server_session.py`): most commands
ask once and end.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import msgspec
import typer

from intellirouter.cli.fresh_token import fresh
from intellirouter.cli.node_address import Address, address_of
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
"""For a whole answer, and for each silence within it."""
MAX_ANSWER_BYTES = 1 << 30
_BLOCK = 1 << 20


class ServerRefused(IntelliRouterError):
    """The server answered with an error."""

    code = "server_refused"


def ask_once(
    url: str | None,
    api_key: str | None,
    method: str,
    path: str,
    body: object | None = None,
    *,
    role: str = "Router",
    config: Path | None = None,
    seconds: float = DEADLINE_SECONDS,
) -> tuple[Any, dict[str, str]]:
    """The JSON answer and the headers, names lower case, of the node that is named or found (`node_address.py`).

    Raises `PeerUnavailable`, `ServerRefused`, and `InvalidRequest` for what is no address.
    """
    found = address_of(role, url, config)
    data = None if body is None else msgspec.json.encode(body)
    answer, headers = ask_bytes(found, api_key, method, path, data, seconds)
    try:
        return msgspec.json.decode(answer), headers
    except msgspec.MsgspecError as error:
        raise PeerUnavailable(no_answer(found, method, path, error, seconds)) from error


def ask_bytes(
    found: Address,
    api_key: str | None,
    method: str,
    path: str,
    data: bytes | None = None,
    seconds: float = DEADLINE_SECONDS,
) -> tuple[bytes, dict[str, str]]:
    """The same, of an answer that need not be JSON."""
    status, answer, headers = exchange(found, headers_of(found, api_key), method, path, data, seconds)
    if status >= 300:
        try:
            said = msgspec.json.decode(answer)
        except msgspec.MsgspecError as error:
            raise PeerUnavailable(no_answer(found, method, path, error, seconds)) from error
        raise refusal(status, said, headers.get("location"))
    return answer, headers


def exchange(
    found: Address,
    headers: dict[str, str],
    method: str,
    path: str,
    data: bytes | None = None,
    seconds: float = DEADLINE_SECONDS,
) -> tuple[int, bytes, dict[str, str]]:
    """Whatever is answered: status, body, and the headers, names lower case. Raises `PeerUnavailable`, `InvalidRequest`."""
    parts = parts_of(found.url)
    connection = _connection(parts, found.trust, seconds)
    until = time.monotonic() + seconds
    try:
        connection.request(method, parts.path.rstrip("/") + path, data, headers)
        reply = connection.getresponse()
        return (
            reply.status,
            _whole(reply, until),
            {name.lower(): value for name, value in reply.headers.items()},
        )
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PeerUnavailable(no_answer(found, method, path, error, seconds)) from error
    finally:
        connection.close()


def text_of(
    url: str | None, api_key: str | None, path: str, *, role: str = "Router", config: Path | None = None
) -> str:
    """What is answered as text, such as a picture. Raises like `ask_once`."""
    return ask_bytes(address_of(role, url, config), api_key, "GET", path)[0].decode(errors="replace")


def parts_of(url: str) -> SplitResult:
    """The parts of an address. Raises `InvalidRequest`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        usable = None
    if not usable:
        raise InvalidRequest(f"'{url}' is no address: http://host:port or https://host:port.", param="--url")
    return parts


def headers_of(found: Address, api_key: str | None) -> dict[str, str]:
    """With the key that was given, or the token of whoever signed in there."""
    headers = {"content-type": "application/json"}
    token = api_key or ((signed := fresh(found.url, found.trust)) and signed.access_token)
    if token:
        if not token.isascii() or not token.isprintable():
            raise InvalidRequest(
                "the API key is none: it holds a character that no key has.", param="--api-key"
            )
        headers["authorization"] = f"Bearer {token}"
    return headers


def _connection(
    parts: SplitResult, trust: ssl.SSLContext | None, seconds: float
) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=seconds)
    return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=trust)


def _whole(reply: http.client.HTTPResponse, until: float) -> bytes:
    """All that came before the deadline. Raises `TimeoutError`, and `ValueError` for more than a command takes."""
    blocks, size = [], 0
    while block := reply.read1(_BLOCK):
        blocks.append(block)
        size += len(block)
        if time.monotonic() > until:
            raise TimeoutError
        if size > MAX_ANSWER_BYTES:
            raise ValueError(f"its answer is larger than {MAX_ANSWER_BYTES >> 20} MiB")
    if reply.length:
        raise http.client.IncompleteRead(b"", reply.length)
    return b"".join(blocks)


def refusal(status: int, answer: object, location: str | None = None) -> ServerRefused:
    """The server's reason, and what to do about the usual one."""
    message, advice = reason_of(answer), ""
    if status == 401:
        if message.startswith("No API key"):  # and how it is sent over HTTP
            message = "No API key."
        advice = " Give a key with --api-key, or in INTELLIROUTER_API_KEY, or sign in: intellirouter login."
    elif status == 403 and "which keys with the scope" in message:
        scope = message.rpartition("with the scope '")[2].partition("'")[0]
        advice = f" `intellirouter keys create NAME --scope {scope}` makes one; give it with --api-key."
    elif status == 404 and "no endpoint" in message:
        advice = " Is it another role, or an older one? --url names the one that this command asks, without a path."
    elif location:
        advice = f" It says to ask {location}: name that with --url."
    error = answer.get("error") if isinstance(answer, dict) else None
    kind = error.get("code") if isinstance(error, dict) else None
    return ServerRefused(f"the server answered {status}: {message}{advice}", refused=kind)


def reason_of(answer: object) -> str:
    """What the server says of an error."""
    error = answer.get("error") if isinstance(answer, dict) else None
    return str((error.get("message") if isinstance(error, dict) else error) or "no reason")


def no_answer(found: Address, method: str, path: str, error: Exception, seconds: float) -> str:
    """Who does not answer, why, and how to name another."""
    where = found.url
    if isinstance(error, TimeoutError) and error.errno is None:
        return f"{where} does not answer within {seconds:g} s: {method} {path}"
    if isinstance(error, OSError) and not isinstance(error, http.client.RemoteDisconnected):
        return f"no server answers at {where} ({found.known}): {_plain(error)}. Is it running? --url names another."
    if isinstance(error, (msgspec.MsgspecError, http.client.BadStatusLine)) and not isinstance(
        error, OSError
    ):
        return f"{where} answers {method} {path} with something else than JSON: is it IntelliRouter? --url names another."
    return f"{where} does not answer {method} {path}: {str(error) or type(error).__name__}"


def _plain(error: OSError) -> str:
    """The system's words, without numbers."""
    if error.errno and not isinstance(error, (socket.gaierror, ssl.SSLError)):
        return os.strerror(error.errno)
    return error.strerror or str(error)
