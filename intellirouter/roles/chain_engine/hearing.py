"""Hears the steps of every run: counts them, knows who waits for what, and passes them on to those who follow a run."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from intellirouter.roles.chain_engine.live import Live
from intellirouter.roles.chain_engine.meters import ChainMeters

MAX_BEHIND = 1_000
"""Events a slow follower may be behind; later ones are left out."""

Heard = tuple[str, dict[str, Any]]


def _nobody(_run_id: str, _idle: bool) -> None:
    """Nobody asks who waits."""


@dataclass(slots=True)
class Hearing:
    """`waiting` names what runs of this node wait for: a signal, or nothing where they sleep; `under_way` the steps that go on here."""

    meters: ChainMeters
    waiting: dict[str, str] = field(default_factory=dict)
    under_way: dict[str, set[str]] = field(default_factory=dict)
    idles: Callable[[str, bool], None] = _nobody
    live: Live | None = None
    moved: dict[str, float] = field(default_factory=dict)
    """When something happened last to the runs of this node, by the monotonic clock."""
    _followers: dict[str, set[asyncio.Queue[Heard | None]]] = field(default_factory=dict)

    def hear(self, event: str, path: str, facts: Mapping[str, Any]) -> None:
        """A `Listener`."""
        told = dict(facts)
        run_id = told.pop("run_id")
        self.meters.step(event, told)
        self.moved[run_id] = time.monotonic()
        if self.live is not None:
            self.live.hear(event, run_id, path, told)
        if event == "step_started":
            self.under_way.setdefault(run_id, set()).add(path)
        elif event in ("step_finished", "step_failed"):
            self.under_way.get(run_id, set()).discard(path)
        if event == "step_waiting":
            self.waiting[run_id] = told["signal"]
            self.idles(run_id, True)
        elif event == "step_waited":
            self.waiting.pop(run_id, None)
            self.idles(run_id, False)
        for queue in self._followers.get(run_id, ()):
            if queue.qsize() < MAX_BEHIND:
                queue.put_nowait((event, {"run_id": run_id, "step": path, **told}))

    def elsewhere(self, run_id: str, recorded: bool) -> None:
        """There is news of a run that another node walks: its followers look for it."""
        event = "step_finished" if recorded else "step_tokens"
        for queue in self._followers.get(run_id, ()):
            if queue.qsize() < MAX_BEHIND:
                queue.put_nowait((event, {"run_id": run_id}))

    def stillest(self) -> tuple[float, str]:
        """For how many seconds nothing happened to the run that stands still the longest, and which that is; waiting is no standstill."""
        still = ((at, run_id) for run_id, at in self.moved.items() if run_id not in self.waiting)
        at, run_id = min(still, default=(time.monotonic(), ""))
        return time.monotonic() - at, run_id

    def ended(self, run_id: str) -> None:
        """The run has come to its end: its followers stop."""
        self.waiting.pop(run_id, None)
        self.under_way.pop(run_id, None)
        self.moved.pop(run_id, None)
        if self.live is not None:
            self.live.ended(run_id)
        for queue in self._followers.get(run_id, ()):
            queue.put_nowait(None)

    @contextlib.contextmanager
    def following(self, run_id: str) -> Iterator[asyncio.Queue[Heard | None]]:
        """Events of a run from now on; None is the last."""
        queue: asyncio.Queue[Heard | None] = asyncio.Queue()
        self._followers.setdefault(run_id, set()).add(queue)
        try:
            yield queue
        finally:
            self._followers[run_id].discard(queue)
            if not self._followers[run_id]:
                del self._followers[run_id]
