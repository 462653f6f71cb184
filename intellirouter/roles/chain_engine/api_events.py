"""`GET /v1/runs/{id}/events`: a run as it goes, from any node, and again from where a listener was.

What is recorded decides: each recorded step is one event with an id that grows with the time of its record, so that
`Last-Event-ID` goes on behind it, and an ended run tells all of its steps again. The words of a step under way come as `step_tokens`, whose
id also says how much of them was told. What the node that walks the run hears beside that (a step that begins, or is tried again) comes
without an id, and is not told twice.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from intellirouter.errors import InvalidRequest
from intellirouter.roles.chain_engine.api import framed
from intellirouter.roles.chain_engine.hearing import Heard
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.live import Words
from intellirouter.roles.following import followed
from intellirouter.web.endpoint import CALLER

if TYPE_CHECKING:  # every process imports this module, and must not pay for dbos
    from intellirouter.roles.chain_engine.service import ChainService

LOOK_SECONDS = 0.5
"""Between two looks at a run that another node walks."""
RECORD_SECONDS = 0.02
"""What is heard is recorded a moment later."""
MAX_SIDE_BY_SIDE = 100
"""Steps of a run whose words are told as they come."""
_ID = re.compile(r"(-?\d{1,16})-(-?\d{1,9})(?:~((?:[0-9a-f]{8}\.\d{1,4}\.\d{1,7},?){1,100}))?")
_RECORDED = frozenset({"step_finished", "step_failed", "step_waited"})
"""What is told from the record and not when it is heard, which is a moment earlier."""


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: `step_finished`, `step_failed`, `step_tokens`, `run_waiting` and at last `run_ended`.

    `last-event-id` goes on behind one, also in the middle of a step's words.
    """
    last = Place.read(request.headers.get("last-event-id", ""))
    run_id = request.match_info["id"]
    await request.app[ENGINE].row(request[CALLER], run_id)  # one that is not there is a 404, not a stream
    return await followed(request, _told(request, run_id, last), "runs:read")


@dataclass(slots=True)
class Place:
    """Where a listener is: the last record it was told, and how much of which words of steps under way."""

    record: tuple[int, int] = (-1, -1)
    words: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, given: str) -> Place:
        """From an event's id. Raises `InvalidRequest`."""
        if not given:
            return cls()
        found = _ID.fullmatch(given)
        if found is None:
            raise InvalidRequest("'Last-Event-ID' is the id of an event of this run.", param="Last-Event-ID")
        words = {}
        for each in filter(None, (found[3] or "").split(",")):
            step, attempt, length = each.split(".")
            words[step] = (int(attempt), int(length))
        return cls((int(found[1]), int(found[2])), words)

    def text(self) -> bytes:
        """The id of an event that leaves a listener here."""
        words = ",".join(f"{step}.{attempt}.{length}" for step, (attempt, length) in self.words.items())
        return f"{self.record[0]}-{self.record[1]}{f'~{words}' if words else ''}".encode()

    def new(self, said: Mapping[str, Words]) -> list[dict[str, Any]]:
        """The words that the listener has not been told, and who said them. Moves it behind them, one after the other."""
        found = []
        known = {f"{zlib.crc32(path.encode()):08x}": (path, words) for path, words in said.items()}
        self.words = {step: told for step, told in self.words.items() if step in known}
        for step, (path, (attempt, text)) in list(known.items())[:MAX_SIDE_BY_SIDE]:
            before, length = self.words.get(step, (attempt, 0))
            offset = length if before == attempt else 0
            if len(text) > offset:
                found.append(
                    {"step": path, "attempt": attempt, "offset": offset, "text": text[offset:], "of": step}
                )
        return found

    def behind(self, words: dict[str, Any]) -> None:
        """These were told."""
        self.words[words.pop("of")] = (words["attempt"], words["offset"] + len(words["text"]))


async def _told(request: web.Request, run_id: str, at: Place) -> AsyncIterator[bytes]:
    service, caller = request.app[ENGINE], request[CALLER]
    row = await service.row(caller, run_id)
    waiting: object = None
    with service.hearing.following(run_id) as queue:
        async with service.live.following(run_id):
            while True:
                (run,) = await service.shown(row)  # first: what ends is recorded whole by then
                for place, step in sorted(
                    (_place(step), step) for step in await service.steps(caller, run_id)
                ):
                    if place > at.record:
                        at.record = place
                        failed = isinstance(step["outcome"], dict) and "error" in step["outcome"]
                        yield _event("step_failed" if failed else "step_finished", step, at.text())
                if run["status"] not in ("running", "waiting", "queued"):
                    yield _event("run_ended", run)
                    return
                now = (run["waiting_for"], run["waiting_until"]) if run["status"] == "waiting" else None
                if now is not None and now != waiting:
                    yield _event("run_waiting", run)
                waiting = now
                async for event in _until_recorded(service, run_id, queue, at):
                    yield event


async def _until_recorded(
    service: ChainService, run_id: str, queue: asyncio.Queue[Heard | None], at: Place
) -> AsyncIterator[bytes]:
    """What is heard until something was recorded, or it is time to look again."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LOOK_SECONDS
    while True:
        for words in at.new(await service.live.said(run_id, walks_here=service.runtime.walks(run_id))):
            at.behind(words)
            yield _event("step_tokens", {"run_id": run_id, **words}, at.text())
        try:
            async with asyncio.timeout_at(until):
                heard = await queue.get()
        except TimeoutError:
            return
        if heard is None or heard[0] in _RECORDED:
            await asyncio.sleep(RECORD_SECONDS)
            return
        if heard[0] != "step_tokens":
            yield _event(*heard)


def _place(step: dict[str, Any]) -> tuple[int, int]:
    return int((step["ended_at"] or 0) * 1e3), step["number"]


def _event(name: str, facts: object, place: bytes | None = None) -> bytes:
    at = b"" if place is None else b"id: %b\n" % place
    return b"%bevent: %b\ndata: %b\n\n" % (at, name.encode(), msgspec.json.encode(facts))


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [web.get("/v1/runs/{id}/events", framed("run_events", events))]
