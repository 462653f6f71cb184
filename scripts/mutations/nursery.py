"""One process that has collected every test, and forks for whatever is to be run: imports and collection are paid once.

A child runs tests in a session of its own and writes what came of each to a file. When it has ended, whatever it left running is
ended too: the nursery adopts orphans.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
import traceback
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.mutations import marks

WORDS = ("-q", "-s", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist")
_ADOPT = 36  # PR_SET_CHILD_SUBREAPER
spared: set[int] = set()
"""Children of this process that are no test's."""
_LEAVING = 20
"""Seconds for a child to end its servers."""


@dataclass
class Ran:
    """What came of one test."""

    test: str
    outcome: str
    """`passed`, `failed`, `skipped`, or `began` where it did not end."""
    cost: float
    """Processor seconds, those of its processes too, as far as it waited for them."""
    seconds: float
    reached: bytes = b""
    why: str = ""

    def marks(self) -> array[int]:
        found: array[int] = array("I")
        found.frombytes(zlib.decompress(self.reached) if self.reached else b"")
        return found


class Reports:
    """A plugin: the outcome of the present test, the worst of its phases."""

    def __init__(self) -> None:
        self.outcome, self.why = "passed", ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.outcome != "failed":
            self.outcome, self.why = "failed", str(report.longrepr)[-300:]
        elif report.skipped and self.outcome == "passed":
            self.outcome = "skipped"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.outcome, self.why = "failed", str(report.longrepr)[-300:]


def adopt() -> None:
    """What a child leaves behind becomes this process' own."""
    ctypes.CDLL(None).prctl(_ADOPT, 1, 0, 0, 0)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def forked(task: Callable[[Path], None], seconds: float) -> tuple[list[Ran], bool]:
    """What a child that does `task` wrote, and whether it ended by itself in this time."""
    descriptor, name = tempfile.mkstemp(prefix="mutations-")
    os.close(descriptor)
    path = Path(name)
    child = os.fork()
    if child == 0:
        _alone(task, path)
    deadline = time.monotonic() + seconds
    in_time = True
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            in_time = False
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.02)
    _end_orphans()
    found = list(_read(path))
    path.unlink()
    return found, in_time


def _alone(task: Callable[[Path], None], path: Path) -> None:
    status = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nothing, number)
        task(path)
        status = 0
    except BaseException:  # noqa: BLE001  a child never comes back into what its parent does
        with path.with_suffix(".error").open("a") as file:
            traceback.print_exc(file=file)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_LEAVING)
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()  # noqa: SLF001  the servers that last as long as a process of tests
        os._exit(status)


def _end_orphans() -> None:
    """Every child of this process, until there is none: there is but one at a time that is wanted."""
    for _ in range(200):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        children = [child for child in children if int(child) not in spared]
        if not children:
            return
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _read(path: Path) -> Iterator[Ran]:
    with path.open("rb") as file, contextlib.suppress(EOFError, pickle.UnpicklingError):
        while True:
            yield pickle.load(file)


def run(
    session: pytest.Session, items: Sequence[pytest.Item], path: Path, *, on: bool, limits: dict[str, float]
) -> None:
    """In a child: these tests in their order, to the first that fails unless it is to go `on`."""
    reports = Reports()
    session.config.pluginmanager.register(reports)
    session.items = list(items)
    with path.open("wb", buffering=0) as file:
        for place, item in enumerate(items):
            if item.nodeid in limits:
                item.add_marker(pytest.mark.timeout(limits[item.nodeid]), append=False)
            pickle.dump(Ran(item.nodeid, "began", 0, 0), file)
            following = items[place + 1] if place + 1 < len(items) else None
            reports.outcome, reports.why = "passed", ""
            marks.reached.clear()
            began, cost = time.monotonic(), _cost()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            reached = zlib.compress(array("I", marks.reached).tobytes(), 1) if marks.reached else b""
            pickle.dump(
                Ran(
                    item.nodeid,
                    reports.outcome,
                    _cost() - cost,
                    time.monotonic() - began,
                    reached,
                    reports.why,
                ),
                file,
            )
            if reports.outcome == "failed" and not on:
                break
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LEAVING)
    session._setupstate.teardown_exact(None)  # noqa: SLF001  pytest ends what outlives a test in no other way


def _cost() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Nursery:
    """A plugin that does `work` with the collected session in place of running its tests."""

    def __init__(self, work: Callable[[pytest.Session], None]) -> None:
        self._work = work

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        gc.collect()
        gc.freeze()
        self._work(session)
        return True


def collected(tree: Path, work: Callable[[pytest.Session], None], tests: Iterable[str] = ()) -> None:
    """Collect the tests of this tree in this process and do the work."""
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    os.environ["PYTHONPATH"] = str(tree)
    pytest.main([*WORDS, "--continue-on-collection-errors", *tests], plugins=[Nursery(work)])
