"""Incremental backups: snapshots in one place (`shelf.py`) that share their pieces.

    DIRECTORY/
      intellirouter-<time>.irsnapshot    what one backup held, and of which pieces (`snapshot.py`)
      packs/<sum>.pack                   the pieces of all of them (`packs.py`)
      index.sqlite3                      where each lies: a cache (`index.py`)

The snapshot is written last: one that is there has all its pieces on the disk. What a killed backup left in packs is used by the next, or
removed by `prune`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from intellirouter.errors import StateError
from intellirouter.ops.backup import packs, place
from intellirouter.ops.backup.archive import Entry, Manifest
from intellirouter.ops.backup.index import Index, opened
from intellirouter.ops.backup.packs import Frame, PackWriter
from intellirouter.ops.backup.pieces import pieces
from intellirouter.ops.backup.place import Directory, File
from intellirouter.ops.backup.shelf import PACKS, Far, Shelf, shelf_of
from intellirouter.ops.backup.snapshot import SUFFIX, Head, Snapshot, close

_UNDER_WAY, _PARTIAL = ".snapshot-", ".partial"


@contextlib.contextmanager
def create(
    target: File,
    manifest: Manifest,
    recipients: Sequence[Any] = (),
    seal: Callable[[Manifest], None] = lambda _: None,
) -> Iterator[Writer]:
    """A snapshot that appears under its name when the block ends well. `seal` vouches for the manifest when it is whole."""
    shelf = shelf_of(target.parent)
    (shelf.workshop / PACKS).mkdir(mode=0o700, exist_ok=True)
    with indexed(shelf, fcntl.LOCK_EX) as index:
        _clear(shelf.workshop)
        with tempfile.NamedTemporaryFile(
            dir=shelf.workshop, prefix=_UNDER_WAY, suffix=_PARTIAL, delete=False
        ) as sums:
            writer = Writer(shelf, index, manifest, sums, recipients)
            try:
                yield writer
                writer.flush()
                seal(manifest)
                close(sums, writer.head, recipients)
                shelf.show(Path(sums.name), target)
            finally:
                writer.discard()
                Path(sums.name).unlink(missing_ok=True)


def _clear(workshop: Path) -> None:
    """Remove what a killed process left half written."""
    for left in (*workshop.glob(f"{_UNDER_WAY}*{_PARTIAL}"), *(workshop / PACKS).glob(f"*{_PARTIAL}")):
        left.unlink()


class Writer:
    """Adds files to a snapshot under way; `archive.Writer` to who fills it."""

    def __init__(
        self, shelf: Shelf, index: Index, manifest: Manifest, sums: IO[bytes], recipients: Sequence[Any]
    ) -> None:
        self.manifest = manifest
        self.head = Head(manifest)
        self._shelf, self._index, self._recipients = shelf, index, recipients
        self._sums = sums
        self._pack: PackWriter | None = None
        self._fresh: set[bytes] = set()

    def add(self, name: str, file: Path) -> None:
        """Take a file in; of its pieces those that no pack holds. Raises `OSError`, also when it changes its size meanwhile."""
        whole, size, count = hashlib.sha256(), 0, 0
        with file.open("rb") as stream:
            expected = os.fstat(stream.fileno()).st_size
            for piece in pieces(stream):
                whole.update(piece)
                size += len(piece)
                count += 1
                sum_ = hashlib.sha256(piece).digest()
                self._sums.write(sum_)
                if sum_ not in self._fresh and not self._index.has(sum_):
                    self._keep(sum_, piece)
        if size != expected:
            raise OSError(f"{file} changed while it was read")
        self.manifest.files[name] = Entry(size, whole.hexdigest())
        self.head.pieces[name] = count

    def _keep(self, sum_: bytes, piece: bytes) -> None:
        if self._pack is None:
            self._pack = PackWriter(self._shelf.workshop / PACKS, self._recipients)
        self._pack.add(sum_, piece)
        self._fresh.add(sum_)
        if self._pack.size >= packs.PACK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Bring what is held to where it belongs."""
        if self._pack is not None:
            name, frames = self._pack.finish()
            self._pack = None
            self._shelf.shelve(self._shelf.workshop / PACKS / f"{name}{packs.SUFFIX}")
            self._index.add(name, frames)
            self._fresh.clear()

    def discard(self) -> None:
        """Leave no half pack."""
        if self._pack is not None:
            self._pack.discard()


def prune(directory: Directory, progress: Callable[[str], None] = lambda _: None) -> tuple[int, int]:
    """Drop the pieces that no snapshot needs; bytes before and after. Needs no key. Raises `BackupDamaged`.

    A pack goes when none of its frames is needed, and is written anew without the others when fewer than half of its bytes are.
    """
    shelf = shelf_of(directory)
    with indexed(shelf, fcntl.LOCK_EX) as index:
        # eight bytes of a sum: two that share them keep one piece too many, never one too few
        needed = np.empty(0, np.uint64)
        for snapshot in directory.glob(f"*{SUFFIX}"):
            needed = np.union1d(needed, Snapshot(shelf.here(snapshot)).prefixes())
        _clear(shelf.workshop)
        before = after = 0
        for pack in sorted(shelf.packs.glob(f"*{packs.SUFFIX}"), key=lambda file: file.name):
            progress(pack.name)
            size = place.size(pack)
            before += size
            frames = packs.frames(pack)
            live = [frame for frame in frames if _is_needed(frame, needed, pack.stem, index)]
            kept = sum(frame.length for frame in live)
            if live and kept * 2 >= sum(frame.length for frame in frames):
                after += size
                continue
            if live:
                after += _rewrite(shelf, pack, live, index)
            index.remove(pack.stem)
            pack.unlink()
        if isinstance(shelf, Far):
            shelf.tidy()
        else:
            packs.sync(place.local(shelf.packs))
        return before, after


def _is_needed(frame: Frame, needed: NDArray[np.uint64], pack: str, index: Index) -> bool:
    """Some snapshot needs a piece of it, and the piece is looked for here: a killed `prune` may have left it in two packs."""
    prefixes = np.frombuffer(b"".join(sum_[:8] for sum_, _ in frame.pieces), np.uint64)
    return any(
        (place := index.find(sum_)) is not None and place[0] == pack
        for (sum_, _), is_needed in zip(frame.pieces, np.isin(prefixes, needed), strict=True)
        if is_needed
    )


def _rewrite(shelf: Shelf, pack: File, live: Sequence[Frame], index: Index) -> int:
    """A new pack of the frames that live; its bytes."""
    packs.check(pack)
    writer = PackWriter(shelf.workshop / PACKS)
    try:
        for frame in live:
            writer.copy(frame, packs.packed_frame(pack, frame))
        name, frames = writer.finish()
    except BaseException:
        writer.discard()
        raise
    made = shelf.workshop / PACKS / f"{name}{packs.SUFFIX}"
    size = made.stat().st_size
    shelf.shelve(made)
    index.add(name, frames)
    return size


@contextlib.contextmanager
def indexed(shelf: Shelf, lock: int) -> Iterator[Index]:
    """The index of a shelf that is locked (`fcntl.LOCK_…`) meanwhile. Raises `Conflict`, `BackupDamaged`, `StateError`."""
    with (
        shelf.locked(lock),
        _sqlite_errors(shelf.workshop),
        opened(shelf.workshop, shelf.packs) as index,
    ):
        yield index


@contextlib.contextmanager
def _sqlite_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as cause:
        raise StateError(
            f"{directory}/index.sqlite3 cannot be used ({cause}): delete it, it is made anew."
        ) from cause
