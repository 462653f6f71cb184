"""The log file: the node's alone, opened anew when it was moved, and never the end of the node.

The standard library's `WatchedFileHandler` lets go of the file it has before it opens the new one, and lets whoever logs have
the error: a logrotate that gives the file to another user would then end every request.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import time
from io import TextIOWrapper
from pathlib import Path

AGAIN_SECONDS = 1.0
"""Between two tries to open a file that cannot be opened."""
COMPLAIN_SECONDS = 60.0


class LogFile(logging.FileHandler):
    """Mode 0600. Raises `OSError` when it cannot be opened at first; later it writes on to the file that it has."""

    def __init__(self, file: Path) -> None:
        self._tried = self._complained = 0.0
        self._file = file
        super().__init__(file, encoding="utf-8")
        self._mark = self._seen()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, into the file that has the name now."""
        now = time.monotonic()
        if now - self._tried >= AGAIN_SECONDS and self._seen() != self._mark:
            self._tried = now
            self._open_anew()
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the base class's name
        """Say that lines are lost, and not for each of them."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._complain(f"{record.name}: a line was not logged ({error.strerror})")
        else:
            super().handleError(record)

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        facts = os.fstat(descriptor)
        if stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding)

    def _open_anew(self) -> None:
        try:
            fresh = self._open()
        except OSError as error:
            self._complain(
                f"{self.baseFilename} cannot be opened ({error.strerror}): the old one is written on"
            )
            return
        old, self.stream = self.stream, fresh
        self._mark = self._seen()
        if old is not None:
            old.close()

    def _seen(self) -> tuple[int, int] | None:
        try:
            facts = self._file.stat()
        except OSError:
            return None
        return facts.st_dev, facts.st_ino

    def _complain(self, words: str) -> None:
        now = time.monotonic()
        if now - self._complained >= COMPLAIN_SECONDS:
            self._complained = now
            sys.stderr.write(f"log: {words}\n")
