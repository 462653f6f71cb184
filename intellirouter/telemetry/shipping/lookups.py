"""Where the thread that sends does what blocks, which is to look up names: in threads that the end of a process does not wait for.

The threads of a `ThreadPoolExecutor` are waited for when the interpreter ends, and a server of names that does not answer takes its time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

MOST = 16
"""At once. An outlet looks up one name for a try, so that only lookups that hang for minutes are so many."""
P = ParamSpec("P")
T = TypeVar("T")


class Lookups(ThreadPoolExecutor):
    """An executor for a loop, which takes nothing that is not of this class. What comes beyond `MOST` fails with `OSError`."""

    def __init__(self) -> None:
        super().__init__(1)
        self._places = threading.Semaphore(MOST)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`."""
        future: Future[T] = Future()
        if not self._places.acquire(blocking=False):
            future.set_exception(OSError(f"{MOST} names are being looked up already"))
            return future

        def work() -> None:
            try:
                found = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  whoever waits is told
                future.set_exception(error)
            else:
                future.set_result(found)
            finally:
                self._places.release()

        future.set_running_or_notify_cancel()
        threading.Thread(target=work, name="log-lookup", daemon=True).start()
        return future
