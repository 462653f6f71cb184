"""The folders that the configuration names for others to put files into, and where backups go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from intellirouter.config.schema.settings import Settings
from intellirouter.ops.diagnose.finding import Finding, Level


def folders(settings: Settings) -> Iterator[Finding]:
    """A finding on each that the node could not use."""
    for name, folder in settings.chain_engine.folders.items():
        yield from _looked(f"chain_engine.folders.{name}", folder.path, os.R_OK | os.X_OK)
    for source in settings.rag.sources:
        if source.kind == "folder" and source.path is not None:
            yield from _looked(f"source {source.name}", Path(source.path), os.R_OK | os.X_OK)
    to = settings.backup.to
    if to is not None and settings.backup.schedule is not None and "://" not in to:
        yield from _place(Path(to))


def _looked(name: str, path: Path, rights: int) -> Iterator[Finding]:
    if not path.is_dir():
        told = f"{path} is {'no directory' if path.exists() else 'not there'}"
        yield Finding("install", name, Level.PROBLEM, told, "Make it, mount it, or correct the path.")
    elif not os.access(path, rights):
        told = f"{path} may not be read by the user who asks"
        yield Finding("install", name, Level.PROBLEM, told, "chgrp, or chmod, so that the node may read it.")


def _place(path: Path) -> Iterator[Finding]:
    """A directory of backups is made by the first of them, where it may be."""
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not there.is_dir():
        told = f"no backup can be made: {there} is no directory"
        yield Finding("install", "backup", Level.PROBLEM, told, "Correct [backup] to.")
    elif not os.access(there, os.W_OK | os.X_OK):
        told = f"no backup can be made: {there} cannot be written by the user who asks"
        yield Finding(
            "install", "backup", Level.PROBLEM, told, f"Make {path} as root, and chown it to the node's user."
        )
