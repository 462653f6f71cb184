"""Locks in a place that has none: small files in `locks/`, one for each who works there, as restic does it.

Whoever comes puts his down, looks whether another is there that he may not work beside, and takes his away again if so. One that was
not renewed for `STALE_SECONDS` is of a process that was killed: it is removed by whoever meets it. Of a process of this machine that is
known at once, so that the backup after a kill has nothing to wait for.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import psutil

from intellirouter.errors import Conflict, IntelliRouterError
from intellirouter.ops.backup import place
from intellirouter.ops.backup.place import Directory, File

FOLDER = "locks"
STALE_SECONDS = 1800.0
RENEW_SECONDS = 300.0
_PAUSE_SECONDS = 2.0
_SAME_SECONDS = 2.0
"""Between what two looks say of when a process began: it is counted from the machine's start, and its clock is set meanwhile."""
_BYTES = 4096


class Held(msgspec.Struct, frozen=True):
    """What a lock says: whose it is, when it was last renewed (Unix time), and whether it is of one who writes.

    `machine` is where `pid` means something, and `began` when that process did; a lock of an older version does not say.
    """

    host: str
    pid: int
    at: float
    alone: bool
    machine: str = ""
    began: float = 0.0

    def is_dead(self) -> bool:
        """Whether its process was of this machine and is no more. A number of a process that is given out again is of another one."""
        if not self.machine or self.machine != _machine():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.began) > _SAME_SECONDS
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


@contextlib.contextmanager
def far_lock(directory: Directory, kind: int, wait_seconds: float) -> Iterator[None]:
    """Hold a lock (`fcntl.LOCK_EX` alone, `LOCK_SH` beside others who read). Raises `Conflict`."""
    alone = kind == fcntl.LOCK_EX
    folder = place.folder(directory, FOLDER)
    mine = folder / f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}.lock"
    until = time.monotonic() + wait_seconds
    while True:
        _renew(mine, alone)
        in_the_way = _in_the_way(folder, mine, alone)
        if in_the_way is None:
            break
        mine.unlink()
        if time.monotonic() > until:
            raise Conflict(
                f"{directory} is in use by process {in_the_way.pid} of {in_the_way.host}: another backup is under way there."
            )
        time.sleep(_PAUSE_SECONDS * (0.5 + secrets.randbelow(100) / 100))
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(mine, alone, ended), name="backup lock", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        with contextlib.suppress(FileNotFoundError):  # somebody took it for one of a killed process
            mine.unlink()


@cache
def _machine() -> str:
    """This start of this machine, and the space of its processes: a container beside it has another. Empty where it cannot be told."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _renew(lock: File, alone: bool) -> None:
    began = psutil.Process().create_time()
    held = Held(socket.gethostname(), os.getpid(), time.time(), alone, _machine(), began)
    with place.writing(lock) as stream:
        stream.write(msgspec.json.encode(held))


def _keep(lock: File, alone: bool, ended: threading.Event) -> None:
    while not ended.wait(RENEW_SECONDS):
        # a place that does not answer now is asked again; what is written there fails by itself
        with contextlib.suppress(OSError, IntelliRouterError):
            _renew(lock, alone)


def _in_the_way(folder: Directory, mine: File, alone: bool) -> Held | None:
    for file in folder.glob("*.lock"):
        if file.name == mine.name:
            continue
        try:
            held = msgspec.json.decode(place.read_at(file, 0, _BYTES), type=Held)
        except (FileNotFoundError, msgspec.MsgspecError):
            continue
        if time.time() - held.at > STALE_SECONDS or held.is_dead():
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
        elif alone or held.alone:
            return held
    return None
