"""Whoever follows a run, breaks off at every event, and comes back at whichever node answers."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.chains.killing.nodes import PAUSE, Nodes


@dataclass(eq=False)
class Listener:
    """`steps`: the records by number, and when each was told first; `wrong`: what was told that may not be."""

    nodes: Nodes
    run_id: str
    steps: dict[int, tuple[dict[str, Any], float]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    ended: dict[str, Any] | None = None
    breaks: int = 0
    moved: int = 0
    """Grows with every step, and while the run waits."""

    async def follow(self) -> None:
        """To the end of the run."""
        last = ""
        while self.ended is None:
            self.breaks += 1
            try:
                last = await self._once(last)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                await asyncio.sleep(PAUSE)

    async def _once(self, last: str) -> str:
        """Up to the next event that has an id; the id."""
        headers = {"last-event-id": last} if last else {}
        url, event = self.nodes.url(), {}
        async with self.nodes.http.get(f"{url}/v1/runs/{self.run_id}/events", headers=headers) as reply:
            if reply.status != 200:
                if reply.status < 500 and reply.status != 429:
                    self.wrong.append(f"events after {last!r}: {reply.status} {(await reply.text())[:200]}")
                await asyncio.sleep(PAUSE)
                return last
            async for raw in reply.content:
                line = raw.decode().rstrip("\n")
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                    continue
                if "event" in event:
                    self._take(event["event"], json.loads(event["data"]))
                    if self.ended is not None or "id" in event:
                        return event.get("id", last)
                event = {}
        return last

    def _take(self, name: str, facts: dict[str, Any]) -> None:
        self.moved += name in ("step_finished", "step_failed", "run_waiting", "run_ended")
        if name in ("step_finished", "step_failed"):
            if facts["number"] in self.steps:
                self.wrong.append(f"{facts['path']} was told twice")
            self.steps[facts["number"]] = (facts, time.monotonic())
        elif name == "step_tokens":
            before = self.words.get(facts["step"], "") if facts["offset"] else ""
            if len(before) != facts["offset"]:
                self.wrong.append(f"words of {facts['step']} from {facts['offset']}, told were {len(before)}")
            self.words[facts["step"]] = before + facts["text"]
        elif name == "run_ended":
            self.ended = facts
