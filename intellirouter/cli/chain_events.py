"""A run as it goes, on a terminal: `intellirouter chain logs -f`, and the wait of `chain start --wait`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import typer

from intellirouter.cli.chain_words import standing, step_line
from intellirouter.cli.server_session import refused, session_of
from intellirouter.errors import PeerUnavailable

SILENCE_SECONDS = 60.0
"""The server says at least a comment every fifteen."""
TRIES = 10
PAUSE_SECONDS = 1.0


async def followed(
    url: str | None, api_key: str | None, config: Path | None, run_id: str, *, as_json: bool
) -> dict[str, Any]:
    """Print until the run has ended, and say how."""
    return await _heard(url, api_key, config, run_id, _Printer(as_json=as_json).take)


async def ended(url: str | None, api_key: str | None, config: Path | None, run_id: str) -> None:
    """Return when it has. On standard error is told what it waits for meanwhile: a person may have to answer."""

    def take(name: str, facts: dict[str, Any]) -> None:
        if name == "run_waiting":
            typer.echo(standing(facts), err=True)

    await _heard(url, api_key, config, run_id, take)


async def _heard(
    url: str | None,
    api_key: str | None,
    config: Path | None,
    run_id: str,
    take: Callable[[str, dict[str, Any]], None],
) -> dict[str, Any]:
    """Hand on what happens until the run has ended. A connection that breaks is made again, and goes on where it was."""
    last, tries = "", 0
    async with session_of(url, api_key, "ChainEngine", config) as session:
        while True:
            try:
                async for at, name, facts in _events(session, run_id, last):
                    last, tries = at or last, 0
                    take(name, facts)
                    if name == "run_ended":
                        return facts
            except (aiohttp.ClientError, TimeoutError) as cause:
                tries += 1
                if tries >= TRIES:
                    raise PeerUnavailable(f"The events of {run_id} break off again and again.") from cause
            await asyncio.sleep(PAUSE_SECONDS)  # also where it ended the stream: it stops


async def _events(
    session: aiohttp.ClientSession, run_id: str, last: str
) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """Id, name and facts of each."""
    headers = {"last-event-id": last} if last else {}
    patience = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS)
    path = f"/v1/runs/{quote(run_id, safe='')}/events"
    async with session.get(path, headers=headers, timeout=patience) as reply:
        if reply.status >= 400:
            raise await refused(reply)
        event: dict[str, str] = {}
        async for raw in reply.content:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif "event" in event:
                yield event.get("id", ""), event["event"], msgspec.json.decode(event.get("data", "{}"))
                event = {}
            else:
                event = {}


class _Printer:
    """One line an event; words of models run on in theirs."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._speaks = ""
        self._heard: set[str] = set()
        """Steps whose words were printed as they came."""

    def take(self, name: str, facts: dict[str, Any]) -> None:
        """Print one."""
        if self._as_json:
            typer.echo(msgspec.json.encode({"event": name, **facts}))
            return
        if name == "step_tokens":
            if self._speaks != facts["step"] or not facts["offset"]:  # from the beginning: it is asked again
                self._line(f"{facts['step']}: ", newline=False)
                self._speaks = facts["step"]
                self._heard.add(facts["step"])
            typer.echo(facts["text"], nl=False)
            return
        if name in ("step_finished", "step_failed"):
            self._line(step_line(facts, heard=facts["path"] in self._heard))
            self._heard.discard(facts["path"])
        elif name in ("run_waiting", "run_ended"):
            self._line(standing(facts))

    def _line(self, text: str, *, newline: bool = True) -> None:
        if self._speaks:
            typer.echo("")
            self._speaks = ""
        typer.echo(text, nl=newline)
