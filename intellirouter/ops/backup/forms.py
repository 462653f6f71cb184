"""The two forms of a backup, told by their names: an archive is one file, a snapshot shares its pieces with others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from intellirouter.ops.backup import archive, recall, snapshot
from intellirouter.ops.backup.archive import Manifest, Sink
from intellirouter.ops.backup.place import Directory, File
from intellirouter.ops.backup.shelf import shelf_of

SUFFIXES = (archive.SUFFIX, snapshot.SUFFIX)


def backups(directory: Directory) -> Iterator[File]:
    """Every backup of a directory."""
    return (file for suffix in SUFFIXES for file in directory.glob(f"*{suffix}"))


def read(file: File, sink: Sink | None = None, identities: Sequence[Any] = ()) -> Manifest:
    """See `archive.read`."""
    if file.suffix == snapshot.SUFFIX:
        return recall.read(file, sink, identities)
    return archive.read(file, sink, identities)


def glance(file: File) -> Manifest | None:
    """What a listing may read: all of an archive, of a snapshot its own bytes and not its pieces. See `archive.verify`."""
    if file.suffix == snapshot.SUFFIX:
        listed = snapshot.Snapshot(shelf_of(file.parent).here(file))
        return None if listed.sealed else listed.head(()).manifest
    return archive.verify(file)


def verify(file: File, identities: Sequence[Any] = ()) -> Manifest | None:
    """See `archive.verify`."""
    if file.suffix == snapshot.SUFFIX:
        return recall.verify(file, identities)
    return archive.verify(file, identities)
