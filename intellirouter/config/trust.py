"""Whether a configuration that nobody named may be believed: it says where keys are sent."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from intellirouter.errors import ConfigError


def check_found(file: Path) -> None:
    """For a file that was found where one stands. Raises `ConfigError` when others could have put it there, or change it.

    It, its directory and where links lead must be the user's or root's, and nobody else may write them.
    """
    for place in (file.parent, file):
        for facts in (place.lstat(), place.stat()):
            if (reason := _reason(facts)) is not None:
                raise ConfigError(
                    f"{place.absolute()} {reason}: what it says is not believed. "
                    f"To use it all the same, name it: --config {file}"
                )


def _reason(facts: os.stat_result) -> str | None:
    if facts.st_uid not in (0, os.geteuid()):
        return f"belongs to another user (uid {facts.st_uid})"
    writable = facts.st_mode & stat.S_IWOTH and not stat.S_ISLNK(facts.st_mode)
    if writable and not (stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX):
        return "can be written by every user"
    return None
