"""One walk of a run on this node, and what it has under way.

A run that was cancelled and resumed at once has two for a moment: the walk that was cut ends when it next looks, the one that was
resumed has begun. What one of them holds, the other never sees.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Course:
    """`places` bounds the run's calls at once; `was_cut` says that a cancel ended its waits and calls."""

    run_id: str
    places: asyncio.Semaphore
    was_cut: bool = False
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def alone(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that a cancel cuts short."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        try:
            return await task
        finally:
            self._tasks.discard(task)
            if not task.done():
                task.cancel()

    def cut(self) -> None:
        """End what is under way, from whichever thread."""
        self.was_cut = True
        for task in tuple(self._tasks):
            task.get_loop().call_soon_threadsafe(task.cancel)


@dataclass(slots=True)
class Courses:
    """Every walk of this node. Runs that were taken over walk on a loop, and so a thread, of their own."""

    _by_run: dict[str, list[Course]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def of(self, run_id: str, most: int) -> Iterator[Course]:
        """A new walk of a run, with so many places, until it ends."""
        course = Course(run_id, asyncio.Semaphore(most))
        with self._lock:
            self._by_run.setdefault(run_id, []).append(course)
        try:
            yield course
        finally:
            with self._lock:
                left = [other for other in self._by_run[run_id] if other is not course]
                if left:
                    self._by_run[run_id] = left
                else:
                    del self._by_run[run_id]

    def cut(self, run_id: str) -> None:
        """End what a run has under way here."""
        with self._lock:
            found = tuple(self._by_run.get(run_id, ()))
        for course in found:
            course.cut()

    def going(self) -> list[str]:
        """The runs that walk here and were not cut."""
        with self._lock:
            return [run_id for run_id, found in self._by_run.items() if not all(one.was_cut for one in found)]
