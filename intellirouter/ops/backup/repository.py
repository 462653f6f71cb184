"""Incremental backups: snapshots in one directory that share their pieces.

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
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from intellirouter.errors import Conflict, StateError
from intellirouter.ops.backup import packs
from intellirouter.ops.backup.archive import Entry, Manifest
from intellirouter.ops.backup.index import Index, opened
from intellirouter.ops.backup.packs import Frame, PackWriter
from intellirouter.ops.backup.pieces import pieces
from intellirouter.ops.backup.snapshot import SUFFIX, Head, Snapshot, close

PACKS = "packs"
_UNDER_WAY, _PARTIAL = ".snapshot-", ".partial"
WAIT_SECONDS = 900.0
"""For another backup of the same directory."""


@contextlib.contextmanager
def create(
    target: Path,
    manifest: Manifest,
    recipients: Sequence[Any] = (),
    seal: Callable[[Manifest], None] = lambda _: None,
) -> Iterator[Writer]:
    """A snapshot that appears under its name when the block ends well. `seal` vouches for the manifest when it is whole."""
    directory = target.parent
    folder = directory / PACKS
    folder.mkdir(mode=0o700, exist_ok=True)
    with indexed(directory, fcntl.LOCK_EX) as index:
        _clear(directory)
        with tempfile.NamedTemporaryFile(
            dir=directory, prefix=_UNDER_WAY, suffix=_PARTIAL, delete=False
        ) as sums:
            writer = Writer(folder, index, manifest, sums, recipients)
            try:
                yield writer
                writer.flush()
                seal(manifest)
                close(sums, writer.head, recipients)
                Path(sums.name).replace(target)
                packs.sync(directory)
            finally:
                writer.discard()
                Path(sums.name).unlink(missing_ok=True)


def _clear(directory: Path) -> None:
    """Remove what a killed process left half written."""
    for left in (*directory.glob(f"{_UNDER_WAY}*{_PARTIAL}"), *(directory / PACKS).glob(f"*{_PARTIAL}")):
        left.unlink()


class Writer:
    """Adds files to a snapshot under way; `archive.Writer` to who fills it."""

    def __init__(
        self, folder: Path, index: Index, manifest: Manifest, sums: IO[bytes], recipients: Sequence[Any]
    ) -> None:
        self.manifest = manifest
        self.head = Head(manifest)
        self._folder, self._index, self._recipients = folder, index, recipients
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
            self._pack = PackWriter(self._folder, self._recipients)
        self._pack.add(sum_, piece)
        self._fresh.add(sum_)
        if self._pack.size >= packs.PACK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Bring what is held to the disk."""
        if self._pack is not None:
            name, frames = self._pack.finish()
            self._pack = None
            self._index.add(name, frames)
            self._fresh.clear()

    def discard(self) -> None:
        """Leave no half pack."""
        if self._pack is not None:
            self._pack.discard()


def prune(directory: Path, progress: Callable[[str], None] = lambda _: None) -> tuple[int, int]:
    """Drop the pieces that no snapshot needs; bytes before and after. Needs no key. Raises `BackupDamaged`.

    A pack goes when none of its frames is needed, and is written anew without the others when fewer than half of its bytes are.
    """
    folder = directory / PACKS
    with indexed(directory, fcntl.LOCK_EX) as index:
        # eight bytes of a sum: two that share them keep one piece too many, never one too few
        needed = np.empty(0, np.uint64)
        for snapshot in directory.glob(f"*{SUFFIX}"):
            needed = np.union1d(needed, Snapshot(snapshot).prefixes())
        before = _size(folder)
        _clear(directory)
        for pack in sorted(folder.glob(f"*{packs.SUFFIX}")):
            progress(pack.name)
            frames = packs.frames(pack)
            live = [frame for frame in frames if _is_needed(frame, needed, pack.stem, index)]
            kept = sum(frame.length for frame in live)
            if live and kept * 2 >= sum(frame.length for frame in frames):
                continue
            if live:
                _rewrite(folder, pack, live, index)
            index.remove(pack.stem)
            pack.unlink()
        packs.sync(folder)
        return before, _size(folder)


def _is_needed(frame: Frame, needed: NDArray[np.uint64], pack: str, index: Index) -> bool:
    """Some snapshot needs a piece of it, and the piece is looked for here: a killed `prune` may have left it in two packs."""
    prefixes = np.frombuffer(b"".join(sum_[:8] for sum_, _ in frame.pieces), np.uint64)
    return any(
        (place := index.find(sum_)) is not None and place[0] == pack
        for (sum_, _), is_needed in zip(frame.pieces, np.isin(prefixes, needed), strict=True)
        if is_needed
    )


def _rewrite(folder: Path, pack: Path, live: Sequence[Frame], index: Index) -> None:
    packs.check(pack)
    writer = PackWriter(folder)
    try:
        for frame in live:
            writer.copy(frame, packs.packed_frame(pack, frame))
        name, frames = writer.finish()
    except BaseException:
        writer.discard()
        raise
    index.add(name, frames)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


@contextlib.contextmanager
def indexed(directory: Path, lock: int) -> Iterator[Index]:
    """The index of a directory that is locked (`fcntl.LOCK_…`) meanwhile. Raises `Conflict`, `BackupDamaged`, `StateError`."""
    with _locked(directory, lock), _sqlite_errors(directory), opened(directory, directory / PACKS) as index:
        yield index


@contextlib.contextmanager
def _locked(directory: Path, kind: int) -> Iterator[None]:
    """Writers alone, readers together. Raises `Conflict` when the others do not end."""
    try:
        handle = (directory / ".repository.lock").open("a")
    except PermissionError:  # who may only read cannot be in the way
        yield
        return
    with handle:
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                fcntl.flock(handle, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError as cause:
                if time.monotonic() > until:
                    raise Conflict(f"Another backup of {directory} is still under way.") from cause
                time.sleep(0.2)
        yield


@contextlib.contextmanager
def _sqlite_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as cause:
        raise StateError(
            f"{directory}/index.sqlite3 cannot be used ({cause}): delete it, it is made anew."
        ) from cause
