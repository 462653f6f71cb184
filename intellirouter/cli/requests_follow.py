"""The record of requests as it grows: `intellirouter requests --follow`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from intellirouter.cli.server_client import ServerRefused
from intellirouter.cli.server_session import session_of
from intellirouter.errors import PeerUnavailable


async def follow(
    url: str | None,
    api_key: str | None,
    config: Path | None,
    path: str,
    last: str | None,
    take: Callable[[Any], None],
) -> None:
    """Hand rows to `take` as the server tells of them, until it ends or the user does."""
    async with session_of(url, api_key, config=config) as session:
        headers = {"last-event-id": last} if last else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
        try:
            async with session.get(path, headers=headers, timeout=timeout) as reply:
                if reply.status >= 400:
                    raise ServerRefused(f"the server answered {reply.status}: {(await reply.text())[:300]}")
                async for line in reply.content:
                    if line.startswith(b"data: "):
                        take(msgspec.json.decode(line[6:]))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PeerUnavailable(f"the server went away: {str(error) or type(error).__name__}") from error
