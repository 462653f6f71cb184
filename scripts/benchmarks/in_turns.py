"""A Router whose record is on and off in turns: what the record costs a request, of one process and within one minute.

    python -m scripts.benchmarks.in_turns FIGURES run --role Router --config FILE

Two processes differ by more than a record costs, and two minutes of a busy machine by more than two processes. So one process takes
turns of a fraction of a second, and writes into the file FIGURES what the processors spent on each: the thread that answers by turn,
and the thread of the record by request that was noted. Only time on a processor is counted, never time in a queue for one.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time
from pathlib import Path

from intellirouter.app import serving
from intellirouter.cli.main import main
from intellirouter.web.endpoint import Frame

TURN_SECONDS = (0.15, 0.3)
"""Between these by chance, so that no turn falls in with what is done in a rhythm."""
SETTLE_SECONDS = 0.06
"""Until what was under way at the turn has ended."""


class Turns:
    """Turns the record of a role's requests on and off, and counts."""

    def __init__(self, frame: Frame, file: Path) -> None:
        self._frame, self._file = frame, file
        self._recorder = frame.recorder
        self._loop = asyncio.get_running_loop()
        self._on = False
        self._spent: dict[bool, list[float]] = {False: [], True: []}
        self._began = 0.0
        self._answered = self._noted_before = 0
        self._noted = 0
        self._turn()

    def _turn(self) -> None:
        self._on = not self._on
        # the frame is frozen for those who answer
        object.__setattr__(self._frame, "recorder", self._recorder if self._on else None)
        self._loop.call_later(SETTLE_SECONDS, self._begin)

    def _begin(self) -> None:
        self._answered, self._began = self._requests(), time.thread_time()
        self._loop.call_later(random.uniform(*TURN_SECONDS), self._end)

    def _end(self) -> None:
        spent = time.thread_time() - self._began
        answered = self._requests() - self._answered
        self._spent[self._on].append(spent / answered * 1e6 if answered > MANY else 0.0)
        if not self._on:
            self._tell()
        self._turn()

    def _requests(self) -> int:
        labels = {"role": self._frame.role, "endpoint": "chat_completions", "status": "200"}
        return int(self._frame.metrics.registry.get_sample_value("intellirouter_requests_total", labels) or 0)

    def _tell(self) -> None:
        recorder = self._recorder
        noted = 0 if recorder is None else recorder.standing().written
        told = {"on": self._spent[True], "off": self._spent[False], "noted": noted, "record_us": _record_us()}
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(told))
        fresh.replace(self._file)


MANY = 100
"""Requests of a turn that says something."""


def _record_us() -> float:
    """What the thread of the record has spent."""
    for thread in threading.enumerate():
        if thread.name == "records":
            return int(Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0]) / 1e3
    return 0.0


def _run() -> None:
    file = Path(sys.argv.pop(1)).absolute()

    def framed(*arguments: object, **named: object) -> Frame:
        frame = Frame(*arguments, **named)  # type: ignore[arg-type]
        Turns(frame, file)
        return frame

    serving.Frame = framed  # type: ignore[misc,assignment]
    main()


if __name__ == "__main__":
    _run()
