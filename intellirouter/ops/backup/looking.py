"""Looking into backups: what one holds, what differs between two, one file of it, and whether a place is whole."""

from __future__ import annotations

import fcntl
import hashlib
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.ops.backup import forms, packs, snapshot
from intellirouter.ops.backup.archive import BackupDamaged, Entry, Manifest
from intellirouter.ops.backup.place import Directory, File
from intellirouter.ops.backup.repository import indexed
from intellirouter.ops.backup.shelf import holds_packs, shelf_of

IN_MEMORY_BYTES = 32 << 20
_SUBSET = re.compile(r"(\d{1,6})/(\d{1,6})|(\d{1,3}(?:\.\d{1,3})?)%")


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is in one of two backups alone, or is another in each; None where it is not."""

    name: str
    old: Entry | None
    new: Entry | None


def manifest_of(file: File, identities: Sequence[Any] = ()) -> Manifest:
    """What a backup says it holds: of a snapshot its head alone is read. Raises `BackupDamaged`, `InvalidRequest` without the key."""
    if file.suffix == snapshot.SUFFIX:
        return snapshot.Snapshot(shelf_of(file.parent).here(file)).head(identities).manifest
    return forms.read(file, identities=identities)


def changes(old: Manifest, new: Manifest) -> list[Change]:
    """What differs, by name."""
    names = sorted(old.files.keys() | new.files.keys())
    found = (Change(name, old.files.get(name), new.files.get(name)) for name in names)
    return [change for change in found if change.old != change.new]


def copied(file: File, name: str, out: IO[bytes], identities: Sequence[Any] = ()) -> None:
    """Write one file of a backup to `out` when all of the backup was found whole. Raises `NotFound`, `BackupDamaged`."""
    found = False
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as held:

        def sink(one: str, stream: IO[bytes]) -> None:
            nonlocal found
            if one == name:
                shutil.copyfileobj(stream, held, 1 << 20)
                found = True

        manifest = forms.read(file, sink, identities)
        if not found:
            near = next((other for other in manifest.files if other.endswith(f"/{name}")), None)
            hint = f" There is {near}." if near else f" `intellirouter backup ls {file}` lists what there is."
            raise NotFound(f"{file} holds no {name}.{hint}")
        held.seek(0)
        shutil.copyfileobj(held, out, 1 << 20)


@dataclass(frozen=True, slots=True)
class Checked:
    """How much of a place was looked at, and what is wrong with it."""

    backups: int
    archives: int
    archives_read: int
    packs: int
    packs_read: int
    problems: list[str]


def check(
    directory: Directory,
    subset: str | None = None,
    identities: Sequence[Any] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Checked:
    """Whether every snapshot has its pieces, every pack its directory, and so many packs and archives their bytes.

    `subset`: `3/7` is the third of seven parts, so that seven checks read everything; `5%` is drawn by lot; None reads no data.
    """
    chosen = _chooser(subset)
    problems: list[str] = []
    files = sorted(forms.backups(directory), key=lambda file: file.name)
    snapshots = [file for file in files if file.suffix == snapshot.SUFFIX]
    archives_read = 0
    for file in files:
        if file.suffix != snapshot.SUFFIX and chosen(file.stem):
            archives_read += 1
            progress(file.name)
            with _noting(problems):
                forms.verify(file, identities)
    count = read = 0
    if snapshots or holds_packs(directory):
        shelf = shelf_of(directory)
        with _noting(problems), indexed(shelf, fcntl.LOCK_SH) as index:
            for file in snapshots:
                progress(file.name)
                with _noting(problems):
                    missing = sum(not index.has(sum_) for sum_ in snapshot.Snapshot(shelf.here(file)).sums())
                    if missing:
                        raise BackupDamaged(f"{file}: {missing} of its pieces are in no pack.")
            for pack in sorted(shelf.packs.glob(f"*{packs.SUFFIX}"), key=lambda pack: pack.name):
                count += 1
                if chosen(pack.stem):
                    progress(pack.name)
                    read += 1
                    with _noting(problems):
                        packs.check(pack)
    return Checked(len(files), len(files) - len(snapshots), archives_read, count, read, problems)


class _noting:  # noqa: N801  a block: what is damaged is written down, and the next is looked at
    def __init__(self, problems: list[str]) -> None:
        self._problems = problems

    def __enter__(self) -> None:
        """Nothing yet."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if isinstance(error, BackupDamaged):
            self._problems.append(error.message)
            return True
        return False


def _chooser(subset: str | None) -> Callable[[str], bool]:
    """Which packs and archives are read, by name. Raises `InvalidRequest`."""
    if subset is None:
        return lambda _: False
    found = _SUBSET.fullmatch(subset.strip())
    if found and found[3]:
        share = float(found[3]) / 100
        if 0 < share <= 1:
            draw = random.Random()  # noqa: S311  a lot, and no secret
            return lambda _: draw.random() < share
    elif found:
        part, parts = int(found[1]), int(found[2])
        if 1 <= part <= parts:
            return lambda name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % parts == part - 1
    raise InvalidRequest(
        f"'{subset}' is no part: 1/7 is the first of seven, 5% a twentieth, 100% all.",
        param="--read-data-subset",
    )


def listing(manifest: Manifest, under: str = "") -> Iterator[tuple[str, Entry]]:
    """The files of a backup whose names begin so, in order."""
    return ((name, entry) for name, entry in sorted(manifest.files.items()) if name.startswith(under))


def newest(directory: Directory) -> File:
    """The last backup of a place. Raises `NotFound`."""
    files = sorted(forms.backups(directory), key=lambda file: file.name)
    if not files:
        raise NotFound(f"{directory} holds no backup.")
    return files[-1]
