"""What a restore moves, written down before it moves anything: a restore that was killed is undone.

`.restore-…/journal.json` in the data directory lists the moves, and the servers that were being changed. It disappears
when all is done; whoever finds it undoes the moves.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from intellirouter.errors import Conflict

STAGED = ".restore-"
SCRATCH = ".backup-"
_NAME = "journal.json"


class Journal(msgspec.Struct):
    """Renames in order, as (from, to); `servers` holds what of them may be half replaced."""

    moves: list[tuple[str, str]]
    servers: list[str] = msgspec.field(default_factory=list)


class RestoreUnfinished(Conflict):
    """A server was being replaced when the restore was killed."""

    code = "restore_unfinished"


@contextlib.contextmanager
def alone(data_dir: Path, *, replacing: bool = False) -> Iterator[None]:
    """One backup or restore (`replacing`) at a time; what a killed one left is cleared. Raises `Conflict`.

    That a server is half replaced is forgotten when a restore ends well, and not before.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data_dir / ".backup.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise Conflict(f"Another backup or restore of {data_dir} is under way.") from cause
        servers = undo(data_dir)
        if servers and not replacing:
            raise _unfinished(servers)
        for left in (*data_dir.glob(f"{SCRATCH}*"), *data_dir.glob(f"{STAGED}*")):
            if not open_in(left):
                shutil.rmtree(left)
        yield
        if replacing:
            for left in data_dir.glob(f"{STAGED}*"):
                shutil.rmtree(left)


def write(staged: Path, journal: Journal) -> None:
    """Put the journal on the disk, whole."""
    fresh = staged / f"{_NAME}.new"
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(journal))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(staged / _NAME)
    _sync(staged)


def finish(staged: Path) -> None:
    """From here on the restore stands."""
    (staged / _NAME).unlink()
    _sync(staged)


def open_in(staged: Path) -> bool:
    """True while the restore of this directory has moved things and is not finished."""
    return (staged / _NAME).exists()


def undo(data_dir: Path) -> list[str]:
    """Take back the moves of a restore that was killed; the servers it may have left half replaced. Idempotent."""
    servers: list[str] = []
    for file in data_dir.glob(f"{STAGED}*/{_NAME}"):
        journal = msgspec.json.decode(file.read_bytes(), type=Journal)
        for old, new in reversed(journal.moves):
            if Path(new).exists() and not Path(old).exists():
                Path(old).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(new, old)
        servers += journal.servers
        if not journal.servers:
            finish(file.parent)
            shutil.rmtree(file.parent)
    return servers


def half_replaced(data_dir: Path) -> list[str]:
    """The servers that a restore which was killed may have left half replaced. Changes nothing."""
    found: list[str] = []
    for file in data_dir.glob(f"{STAGED}*/{_NAME}"):
        found += msgspec.json.decode(file.read_bytes(), type=Journal).servers
    return found


def repair(data_dir: Path) -> None:
    """Before a node starts. Raises `RestoreUnfinished` when only a restore can make the servers whole."""
    if not any(data_dir.glob(f"{STAGED}*/{_NAME}")):
        return
    with (data_dir / ".backup.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise RestoreUnfinished(f"{data_dir} is being restored: start the node afterwards.") from cause
        if servers := undo(data_dir):
            raise _unfinished(servers)


def _unfinished(servers: list[str]) -> RestoreUnfinished:
    names = ", ".join(servers)
    return RestoreUnfinished(f"A restore into {names} was killed: run `intellirouter restore` again first.")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
