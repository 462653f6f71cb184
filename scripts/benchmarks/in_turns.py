"""A Router whose record is on and off in turns: what the record costs a request, of one process and within one minute.

    python -m scripts.benchmarks.in_turns FILE run --role Router --config …

Two processes differ by more than a record costs, and two seconds of a busy machine by more than two processes. So one process takes
turns of a fraction of a second and writes into the file what its threads spent on them (`turns.Turns`). Only time on a processor is
counted, never time in a queue for one.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from intellirouter.app import serving
from intellirouter.cli.main import main
from intellirouter.web.endpoint import Frame
from scripts.benchmarks.turns import Turns

TURN_SECONDS = (0.15, 0.3)
"""Between these by chance, so that no turn falls in with what is done in a rhythm."""
SETTLE_SECONDS = 0.06
"""Until what was under way at a turn has ended."""
MANY = 50
"""Requests of a turn that says something."""


class Turning:
    """Turns the record of a role's requests on and off, and counts."""

    def __init__(self, frame: Frame, file: Path) -> None:
        self._frame, self._file, self._recorder = frame, file, frame.recorder
        self._loop = asyncio.get_running_loop()
        self._turns = Turns()
        self._on = False
        self._before = (0.0, 0)
        self._turn()

    def _turn(self) -> None:
        self._on = not self._on
        # to those who answer the frame is frozen
        object.__setattr__(self._frame, "recorder", self._recorder if self._on else None)
        self._loop.call_later(SETTLE_SECONDS, self._begin)

    def _begin(self) -> None:
        answered = self._answered()
        self._before = time.thread_time(), answered
        self._loop.call_later(random.uniform(*TURN_SECONDS), self._end)

    def _end(self) -> None:
        spent = time.thread_time() - self._before[0]
        answered = self._answered() - self._before[1]
        turns = self._turns
        (turns.on_us if self._on else turns.off_us).append(spent / answered * 1e6 if answered > MANY else 0.0)
        if not self._on:
            turns.noted = 0 if self._recorder is None else self._recorder.standing().written
            turns.record_us = _record_us()
            turns.write(self._file)
        self._turn()

    def _answered(self) -> int:
        """Completions so far. To count them takes longer than some requests, so no turn goes on meanwhile."""
        labels = {"role": self._frame.role, "endpoint": "chat_completions", "status": "200"}
        return int(self._frame.metrics.registry.get_sample_value("intellirouter_requests_total", labels) or 0)


def _record_us() -> float:
    """What the thread of the record has spent (`/proc/PID/task/TID/schedstat`, its first figure in nanoseconds)."""
    for thread in threading.enumerate():
        if thread.name == "records":
            return int(Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0]) / 1e3
    return 0.0


def _run() -> None:
    file = Path(sys.argv.pop(1)).absolute()

    def framed(*given: Any, **named: Any) -> Frame:
        frame = Frame(*given, **named)
        Turning(frame, file)
        return frame

    serving.Frame = framed  # type: ignore[misc,assignment]
    main()


if __name__ == "__main__":
    _run()
