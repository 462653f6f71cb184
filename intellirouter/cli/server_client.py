"""Asking a running node, for the commands that do."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from intellirouter.errors import IntelliRouterError, PeerUnavailable

UrlOption = Annotated[
    str, typer.Option("--url", envvar="INTELLIROUTER_URL", help="The Router to ask.", show_default=True)
]
ApiKeyOption = Annotated[
    str | None, typer.Option("--api-key", envvar="INTELLIROUTER_API_KEY", help="Where it asks for one.")
]
DEFAULT_URL = "http://127.0.0.1:8080"
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
                error = answer.get("error", {}) if isinstance(answer, dict) else {}
                raise ServerRefused(
                    f"the server answered {reply.status}: {error.get('message', 'no reason')}"
                )
            return answer, {name.lower(): value for name, value in reply.headers.items()}
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
        reason = str(error) or type(error).__name__
        raise PeerUnavailable(f"no server answers {method} {path}: {reason}") from error


def session_of(url: str, api_key: str | None) -> aiohttp.ClientSession:
    """A session for one node."""
    headers = {"content-type": "application/json"}
    if api_key:
        headers["authorization"] = f"Bearer {api_key}"
    timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
    return aiohttp.ClientSession(url.rstrip("/"), headers=headers, timeout=timeout)


def ask_once(
    url: str, api_key: str | None, method: str, path: str, body: object | None = None
) -> tuple[Any, dict[str, str]]:
    """One question. Raises like `ask`."""

    async def run() -> tuple[Any, dict[str, str]]:
        async with session_of(url, api_key) as session:
            return await ask(session, method, path, body)

    return asyncio.run(run())
