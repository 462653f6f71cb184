"""A library that pulls from a stream, or pushes into one, turned around: its end of a pipe is worked by a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO


@contextmanager
def drained(work: Callable[[IO[bytes]], None]) -> Iterator[IO[bytes]]:
    """A stream to write to, all of which `work` has read and dealt with when the block has ended well."""
    inward, outward = os.pipe()
    with _Work(work, os.fdopen(inward, "rb")), os.fdopen(outward, "wb") as stream:
        yield stream


@contextmanager
def filled(work: Callable[[IO[bytes]], None]) -> Iterator[IO[bytes]]:
    """A stream to read from, which `work` writes."""
    inward, outward = os.pipe()
    with _Work(work, os.fdopen(outward, "wb")), os.fdopen(inward, "rb") as stream:
        yield stream


class _Work:
    """A thread that works on one end of a pipe; its error is raised in place of what the error did to the other end."""

    def __init__(self, work: Callable[[IO[bytes]], None], end: IO[bytes]) -> None:
        self._work, self._end = work, end
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pipe", daemon=True)

    def _run(self) -> None:
        try:
            self._work(self._end)
        except BaseException as error:  # noqa: BLE001  handed to the other side
            self._error = error
        finally:
            with suppress(OSError):  # the other side has gone, which it knows
                self._end.close()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.join()
        if self._error is not None and not (kind and isinstance(self._error, BrokenPipeError)):
            raise self._error
