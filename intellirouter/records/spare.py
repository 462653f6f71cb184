"""Whether a processor has time for work that can wait.

What the processors did is read from `/proc/stat` (proc(5)): of those this process may run on, how long each had nothing to do. Where
there is no such file, there always is time.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_READ = 1 << 16
"""The lines of the processors are the first ones."""
_IDLE = 4
_TICK = 1.0 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


class Spare:
    """Call `look`, wait a while, and ask for the `share`."""

    def __init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Begin to count here."""
        self._idle, self._at = _idle_seconds(), time.monotonic()

    def share(self) -> float:
        """How many processors, in the mean, had nothing to do since the last look; one where nobody can tell."""
        idle, passed = _idle_seconds(), time.monotonic() - self._at
        if idle is None or self._idle is None or passed <= 0:
            return 1.0
        return max(0.0, idle - self._idle) / passed


def _idle_seconds() -> float | None:
    try:
        with _STAT.open("rb", buffering=0) as file:
            lines = (file.read(_READ) or b"").splitlines()
        ours = {b"cpu%d" % number for number in os.sched_getaffinity(0)}
        told = [line.split() for line in lines]
        return sum(int(words[_IDLE]) for words in told if len(words) > _IDLE and words[0] in ours) * _TICK
    except (OSError, ValueError, AttributeError):
        return None
