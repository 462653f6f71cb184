"""A copy of an embedded Chroma that another process has open.

The files of the index first, then the database by SQLite's own backup: what the database knows beyond the index it plays back when the
copy is opened. The other way round the index would know what its database does not.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from intellirouter.errors import StateUnavailable
from intellirouter.vectors.chroma.child import LOCK

DATABASE = "chroma.sqlite3"
TRIES = 5
"""Of a copy during which the index was not written."""


def held(directory: Path) -> bool:
    """Another process has the store open."""
    lock = directory / LOCK
    if not lock.exists():
        return False
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def copy(directory: Path, target: Path) -> None:
    """Copy the store into `target`, which is made. Raises `StateUnavailable` when it is written all the time."""
    for _ in range(TRIES):
        before = _state(directory)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700)
        try:
            for folder in (path for path in directory.iterdir() if path.is_dir()):
                shutil.copytree(folder, target / folder.name)
        except (FileNotFoundError, shutil.Error):
            continue  # a collection went meanwhile
        if _state(directory) == before:
            _copy_database(directory / DATABASE, target / DATABASE)
            return
    raise StateUnavailable(f"{directory} was written during each of {TRIES} copies")


def _state(directory: Path) -> Mapping[Path, tuple[int, int]]:
    found = {}
    for path in directory.rglob("*"):
        if path.parent != directory and path.is_file():
            facts = path.stat()
            found[path] = (facts.st_size, facts.st_mtime_ns)
    return found


def _copy_database(source: Path, target: Path) -> None:
    try:
        live = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
        kept = sqlite3.connect(target)
        try:
            live.backup(kept)
        finally:
            kept.close()
            live.close()
    except sqlite3.Error as cause:
        raise StateUnavailable(f"{source} cannot be copied ({cause})") from cause
