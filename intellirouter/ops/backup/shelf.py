"""Where a repository lies, and what is on this machine of it.

Of a directory here that is the directory itself. Of any other place it is a working directory in the user's cache: the index,
packs under way, and the snapshots that were read, all of which can be lost. A finished pack is sent at once, so that a backup
that was killed has sent what it has sent: the next one finds those pieces there and goes on behind them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from platformdirs import user_cache_path

from intellirouter.errors import Conflict
from intellirouter.ops.backup import packs, place, snapshot
from intellirouter.ops.backup.locks import far_lock
from intellirouter.ops.backup.place import Directory, File

PACKS = "packs"
WAIT_SECONDS = 900.0
"""For another backup of the same place."""


class Shelf(Protocol):
    """A repository's place, as those who read and write it need it."""

    workshop: Path
    """A directory of this machine for the index and for what is under way."""
    packs: Directory

    def locked(self, kind: int) -> contextlib.AbstractContextManager[None]:
        """Writers (`fcntl.LOCK_EX`) alone, readers (`LOCK_SH`) together. Raises `Conflict` when the others do not end."""

    def shelve(self, pack: Path) -> None:
        """Bring a finished pack, which lies in the workshop's packs, to its place."""

    def show(self, under_way: Path, target: File) -> None:
        """Let a finished snapshot appear under its name."""

    def here(self, file: File) -> Path:
        """A snapshot as a file of this machine."""


def shelf_of(directory: Directory) -> Shelf:
    """The shelf of a place."""
    return Near(directory) if isinstance(directory, Path) else Far(directory)


def holds_packs(directory: Directory) -> bool:
    """Whether there is a repository."""
    return next(iter(place.folder(directory, PACKS).glob(f"*{packs.SUFFIX}")), None) is not None


class Near:
    """A directory of this machine."""

    def __init__(self, directory: Path) -> None:
        self.workshop = directory
        self.packs: Directory = directory / PACKS

    @contextlib.contextmanager
    def locked(self, kind: int) -> Iterator[None]:
        """See `Shelf.locked`."""
        try:
            handle = (self.workshop / ".repository.lock").open("a")
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
                        raise Conflict(f"Another backup of {self.workshop} is still under way.") from cause
                    time.sleep(0.2)
            yield

    def shelve(self, pack: Path) -> None:
        """It lies there already."""

    def show(self, under_way: Path, target: File) -> None:
        """See `Shelf.show`."""
        under_way.replace(place.local(target))
        packs.sync(self.workshop)

    def here(self, file: File) -> Path:
        """It is."""
        return place.local(file)


class Far:
    """Any other place."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.packs = place.folder(directory, PACKS)
        self.workshop = _workshop(str(directory))
        (self.workshop / PACKS).mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def locked(self, kind: int) -> Iterator[None]:
        """See `Shelf.locked`. The workshop is one command's at a time."""
        with Near(self.workshop).locked(fcntl.LOCK_EX), far_lock(self._directory, kind, WAIT_SECONDS):
            yield

    def shelve(self, pack: Path) -> None:
        """See `Shelf.shelve`."""
        place.send(pack, self.packs / pack.name)
        pack.unlink()

    def show(self, under_way: Path, target: File) -> None:
        """See `Shelf.show`."""
        place.send(under_way, target)
        under_way.replace(self.workshop / target.name)

    def here(self, file: File) -> Path:
        """Fetched once: a snapshot never changes. One that was changed there all the same is found by `verify`, which fetches anew."""
        copy = self.workshop / file.name
        if not copy.exists() or copy.stat().st_size != place.size(file):
            with file.open("rb") as source, place.writing(copy) as out:
                while block := source.read(1 << 20):
                    out.write(block)
        return copy

    def forget(self, file: File) -> None:
        """Let what was fetched of a snapshot go."""
        (self.workshop / file.name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Let go what was fetched of snapshots that are there no more."""
        there = {file.name for file in self._directory.glob(f"*{snapshot.SUFFIX}")}
        for copy in self.workshop.glob(f"*{snapshot.SUFFIX}"):
            if copy.name not in there:
                copy.unlink()


def _workshop(address: str) -> Path:
    """Of that address, in the user's cache; where there is no such, in a temporary directory of this process."""
    name = hashlib.sha256(address.encode()).hexdigest()[:16]
    try:
        found = user_cache_path("intellirouter") / "backups" / name
        found.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(found, os.W_OK):
            return found
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="intellirouter-backups-"))
