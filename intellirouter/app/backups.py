"""The backups and drills that a node makes by its own clock (`[backup]`), each as a command of its own process.

A process of its own, so that a large backup takes no time of the requests and none of it stays in memory. Where several processes
serve from one data directory, whoever has the lock on it keeps the clock, and another when that one ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from pathlib import Path

import structlog

from intellirouter.config import env
from intellirouter.config.schema.backup import BackupSection

LOCK = ".clock"
LOOK_SECONDS = 30.0
"""A clock that was set, a lock that became free: seen so soon."""
MOST_SECONDS = 24 * 3600.0
_SAID = 2000

log = structlog.get_logger(__name__)


def clocks(
    section: BackupSection, data_dir: Path, file: Path | None
) -> dict[str, Coroutine[None, None, None]]:
    """The background tasks: one for each schedule there is."""
    return {
        name: _clock(schedule, words, data_dir, file.absolute() if file else None)
        for name, schedule, words in (
            ("backups", section.schedule, ("backup", "now")),
            ("backup_drills", section.drill_schedule, ("backup", "drill")),
        )
        if schedule is not None
    }


async def _clock(schedule: str, words: tuple[str, ...], data_dir: Path, file: Path | None) -> None:
    with contextlib.ExitStack() as stack:
        while not stack.enter_context(_alone(data_dir / f"{LOCK}-{words[1]}.lock"))():
            stack.close()
            await asyncio.sleep(LOOK_SECONDS)
        after = time.time()
        while True:
            due = next_time(schedule, after)
            while True:
                left = due - time.time()
                if left <= 0:
                    break
                await asyncio.sleep(min(left, LOOK_SECONDS))
            try:
                await _run(words, file)
            except OSError as error:  # no process can be had now: the next time may be better
                log.error("backup.failed", command=" ".join(words), reason=str(error))  # noqa: TRY400
            after = max(due, time.time())


def next_time(schedule: str, after: float) -> float:
    """The first time of a cron expression after a Unix time, in the machine's time zone."""
    start = datetime.fromtimestamp(after).astimezone()
    croniter = importlib.import_module("croniter").croniter
    return float(croniter(schedule, start).get_next(datetime).timestamp())


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[Callable[[], bool]]:
    """Hold the lock while the block runs, if nobody else does; what it gives says whether."""
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield lambda: False
        else:
            yield lambda: True


async def _run(words: tuple[str, ...], file: Path | None) -> None:
    """One command, to its end; what it says when it fails is logged, and its mark is what alerts read."""
    arguments = [*words, *(("--config", str(file)) if file is not None else ())]
    name, began = " ".join(words), time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "intellirouter",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env.current()),
    )
    try:
        async with asyncio.timeout(MOST_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        log.error("backup.not_ended", command=name, seconds=MOST_SECONDS)  # noqa: TRY400  no place in our code is at fault
        return
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    seconds = round(time.monotonic() - began, 1)
    if process.returncode == 0:
        log.info("backup.done", command=name, seconds=seconds)
    else:
        reason = said.decode(errors="replace").strip()[-_SAID:]
        log.error("backup.failed", command=name, seconds=seconds, code=process.returncode, reason=reason)
