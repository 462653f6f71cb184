"""How many errors this process logged lately."""

from __future__ import annotations

import logging
from collections import Counter

from intellirouter.alerts.reading.window import Window
from intellirouter.alerts.sample import Sample

SECONDS = 300.0
MOST_NAMES = 200


class LogErrors(logging.Handler):
    """Counts what is logged as an error or worse, by the logger's name. It writes nothing."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._counts: Counter[str] = Counter()
        self._window = Window(SECONDS)

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        name = record.name if record.name in self._counts or len(self._counts) < MOST_NAMES else "others"
        self._counts[name] += 1

    def attach(self) -> None:
        """Hear of what is logged; a log that was set up anew forgot of us."""
        root = logging.getLogger()
        if self not in root.handlers:
            root.addHandler(self)

    def detach(self) -> None:
        """Hear no more."""
        logging.getLogger().removeHandler(self)

    def sample(self, now: float) -> Sample:
        """The errors of the last five minutes."""
        self.attach()
        rise = self._window.rise({name: (float(count),) for name, count in self._counts.items()}, now)
        count = sum(value[0] for value in rise.values())
        most = sorted(((value[0], name) for name, value in rise.items() if value[0]), reverse=True)[:3]
        return Sample("log_errors", count, note=", ".join(f"{name} {number:g}" for number, name in most))
