"""Read a snapshot back: its files, each of pieces that lie in packs."""

from __future__ import annotations

import fcntl
import hashlib
import io
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import packs
from intellirouter.ops.backup.archive import BackupDamaged, Entry, Manifest, Sink
from intellirouter.ops.backup.index import Index
from intellirouter.ops.backup.place import Directory, File
from intellirouter.ops.backup.repository import indexed
from intellirouter.ops.backup.shelf import Far, Shelf, shelf_of
from intellirouter.ops.backup.snapshot import Snapshot

_BLOCK = 1 << 20
_KEPT_FRAMES = 48
_KEPT_PACKS = 16
_MOST_AHEAD, _AHEAD_BYTES = 32, 4 << 20
"""Frames, and bytes of them, that are read at once where they are read in order."""


def verify(snapshot: File, identities: Sequence[Any] = ()) -> Manifest | None:
    """Read everything the snapshot needs, and every byte of the packs it lies in; its manifest, None when it is encrypted and
    no key was given. Raises `BackupDamaged`."""
    shelf = shelf_of(snapshot.parent)
    if isinstance(shelf, Far):
        shelf.forget(snapshot)
    parts = Snapshot(shelf.here(snapshot))
    manifest = None
    if not parts.sealed or identities:
        manifest, used = _read(shelf, parts, snapshot, None, identities)
    else:
        with indexed(shelf, fcntl.LOCK_SH) as index:
            used = {_place(index, sum_)[0] for sum_ in parts.sums()}
    for pack in sorted(used):
        packs.check(shelf.packs / f"{pack}{packs.SUFFIX}")
    return manifest


def read(snapshot: File, sink: Sink | None = None, identities: Sequence[Any] = ()) -> Manifest:
    """Hand each file to `sink`, every piece checked. See `archive.read`."""
    shelf = shelf_of(snapshot.parent)
    return _read(shelf, Snapshot(shelf.here(snapshot)), snapshot, sink, identities)[0]


def _read(
    shelf: Shelf, parts: Snapshot, file: File, sink: Sink | None, identities: Sequence[Any]
) -> tuple[Manifest, set[str]]:
    """The manifest, and the packs that were read."""
    if parts.sealed and not identities:
        raise InvalidRequest(
            f"{file} is encrypted: name the file of its key with --identity, or of its passphrase with --passphrase-file."
        )
    head = parts.head(identities)
    with indexed(shelf, fcntl.LOCK_SH) as index:
        fetch = _Fetch(shelf.packs, index, identities)
        sums = parts.sums()
        found = {}
        for name, count in head.pieces.items():
            stream = _Joined(fetch(next(sums)) for _ in range(count))
            if sink is not None:
                sink(name, stream)  # type: ignore[arg-type]  # it only reads
            while stream.read(_BLOCK):
                pass
            found[name] = Entry(stream.size, stream.sha256.hexdigest())
    if found != head.manifest.files:
        raise BackupDamaged(f"{file}: its files are not those of its manifest.")
    return head.manifest, fetch.used


def _place(index: Index, sum_: bytes) -> tuple[str, int]:
    place = index.find(sum_)
    if place is None:
        raise BackupDamaged("A piece of the backup is missing: a pack was removed.")
    return place


class _Fetch:
    """Pieces by their sums; keeps the frames opened last."""

    def __init__(self, folder: Directory, index: Index, identities: Sequence[Any]) -> None:
        self._folder, self._index, self._identities = folder, index, identities
        self._frames: OrderedDict[tuple[str, int], dict[bytes, bytes]] = OrderedDict()
        self._packs: OrderedDict[str, _Pack] = OrderedDict()
        self.used: set[str] = set()

    def __call__(self, sum_: bytes) -> bytes:
        place = name, number = _place(self._index, sum_)
        opened_ = self._frames.get(place)
        if opened_ is None:
            pack = self._packs.get(name)
            if pack is None:
                pack = self._packs[name] = _Pack(self._folder / f"{name}{packs.SUFFIX}")
                self.used.add(name)
                if len(self._packs) > _KEPT_PACKS:
                    self._packs.popitem(last=False)
            packed = pack.packed(number)
            opened_ = packs.opened_frame(pack.file, pack.frames[number], packed, self._identities)
            self._frames[place] = opened_
            if len(self._frames) > _KEPT_FRAMES:
                self._frames.popitem(last=False)
        piece = opened_.get(sum_)
        if piece is None:
            raise BackupDamaged(
                f"{self._folder}: the index is not that of the packs: delete it, it is made anew."
            )
        return piece


class _Pack:
    """A pack that is read. Who reads its frames in order is brought those that follow too, more and more of them: each question to a far
    place takes its time."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.frames = packs.frames(file)
        self._next, self._many = -1, 1
        self._held: dict[int, bytes] = {}

    def packed(self, number: int) -> bytes:
        """One frame as it lies there. Raises `BackupDamaged`."""
        self._many = min(2 * self._many, _MOST_AHEAD) if number == self._next else 1
        self._next = number + 1
        if number not in self._held:
            wanted = self.frames[number : number + self._many]
            self._held = dict(enumerate(packs.packed_run(self.file, wanted, _AHEAD_BYTES), number))
        return self._held.pop(number)


class _Joined(io.RawIOBase):
    """One file, read piece by piece."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._held = b""
        self.sha256 = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts, left = [], size
        while left:
            if not self._held:
                self._held = next(self._parts, b"")
                if not self._held:
                    break
            part = self._held if left < 0 else self._held[:left]
            self._held = self._held[len(part) :]
            parts.append(part)
            left = left if left < 0 else left - len(part)
        data = b"".join(parts)
        self.sha256.update(data)
        self.size += len(data)
        return data
