"""How counters rose within the last so many seconds. Pure: the time is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

POINTS = 60
"""That are kept of a window, evenly: its length is exact to a sixtieth."""

Levels = Mapping[str, tuple[float, ...]]
"""By subject, counters that only rise."""


class Window:
    """Remembers the levels of the last `seconds`. `began` is when all counters were 0; None: when it is first asked."""

    def __init__(self, seconds: float, began: float | None = None) -> None:
        self._seconds = seconds
        self._began = began
        self._points: deque[tuple[float, Levels]] = deque()

    def rise(self, levels: Levels, now: float) -> dict[str, tuple[float, ...]]:
        """By subject, how far each counter rose since the beginning of the window."""
        points = self._points
        if not points:
            began = now if self._began is None else self._began
            # of what was counted long before somebody looked, nothing is said
            points.append((began, {}) if now - began <= self._seconds else (now, dict(levels)))
        while len(points) > 1 and points[1][0] <= now - self._seconds:
            points.popleft()
        base = points[0][1]
        if now - points[-1][0] >= self._seconds / POINTS:
            points.append((now, dict(levels)))
        return {
            subject: tuple(
                max(0.0, level - before)
                for level, before in zip(found, base.get(subject) or (0.0,) * len(found), strict=False)
            )
            for subject, found in levels.items()
        }
