"""What a node keeps is its user's alone: files 0600, directories 0700, whoever made the directory they lie in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

UMASK = 0o077
"""For a process of ours: what it makes from here on is its user's alone."""

_NAMES = frozenset(
    "keys.json security.json backup.key audit rag personas documents models chains records nodes peer-calls .backup.lock".split()
)
_BEGINNINGS = (
    *("state.db", "chains.db", "outage.db", "requests.db"),  # and their logs and locks
    *("keys.", "replaced-", ".restore-", ".backup-"),
)


def close(data_dir: Path) -> None:
    """Take from others what an earlier version, another umask or a copy left them.

    A directory in which nothing but ours lies is closed itself; in any other, what is ours is. What belongs to another user is
    left as it is.
    """
    entries = [*data_dir.iterdir()]
    ours = [entry for entry in entries if entry.name in _NAMES or entry.name.startswith(_BEGINNINGS)]
    for entry in ours:
        if entry.is_symlink():
            continue
        if entry.is_dir() and _open_to_others(entry):
            # whoever cannot enter a directory reaches nothing in it: one that is closed need not be walked
            for directory, _, files in os.walk(entry):
                for name in files:
                    _close(Path(directory) / name, 0o600)
                _close(Path(directory), 0o700)
        elif entry.is_file():
            _close(entry, 0o600)
    if len(ours) == len(entries):
        _close(data_dir, 0o700)


def _open_to_others(place: Path) -> bool:
    return bool(place.stat().st_mode & 0o077)


def _close(place: Path, most: int) -> None:
    facts = place.lstat()
    mode = stat.S_IMODE(facts.st_mode)
    if mode & ~most & 0o077 and facts.st_uid == os.geteuid() and not stat.S_ISLNK(facts.st_mode):
        place.chmod(mode & most)
