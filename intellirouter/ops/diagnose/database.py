"""A look into a SQLite file of this node, and what is wrong where it cannot be looked into."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from intellirouter.ops.diagnose.finding import Finding, Level

_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextlib.contextmanager
def read_only(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing, and makes no file.

    Raises `OSError` where SQLite would only say that it cannot open the file, and `sqlite3.Error`.
    """
    if not os.access(file, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
    if not file.is_file():
        raise OSError(errno.EINVAL, "is no file", str(file))
    with contextlib.closing(
        sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
    ) as connection:
        yield connection


def trouble(area: str, name: str, file: Path, error: sqlite3.Error | OSError) -> Finding:
    """Why the file could not be read, and what helps. Raises a `PermissionError` again: that is the asker's."""
    if isinstance(error, PermissionError):
        raise error
    if isinstance(error, OSError):
        told = f"{file}: {error.strerror or error}"
        return Finding(area, name, Level.PROBLEM, told, "Move it away; a backup holds what was there before.")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _HELD:
        told = f"{file} is held by another program, which lets nobody read or write it"
        return Finding(
            area, name, Level.PROBLEM, told, f"fuser -v {file} names it; end it, or let it finish."
        )
    with contextlib.suppress(OSError):
        if file.stat().st_size == 0:
            told = f"{file} is empty"
            advice = (
                "The node begins it anew. Where it held something, stop the node and restore the last backup."
            )
            return Finding(area, name, Level.WARNING, told, advice)
    if str(error).startswith("no such table"):
        told = f"{file} is a database, and not one of IntelliRouter's ({error})"
        advice = "Move it away, or correct [paths] data_dir; if it should be ours, restore the last backup."
        return Finding(area, name, Level.PROBLEM, told, advice)
    advice = "Stop the node and restore the last backup of the file; keep this one aside."
    return Finding(area, name, Level.PROBLEM, f"{file}: {error}", advice)
