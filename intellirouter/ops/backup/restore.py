"""Put a backup back: verified first, staged beside what it replaces, swapped by renames, undone when that fails.

What is replaced stays in `replaced-<time>` in the data directory until the operator deletes it. A process killed between two
renames is not undone by itself: what it had moved lies in that directory, under its own name.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from intellirouter.config.schema.settings import Settings
from intellirouter.errors import Conflict, InvalidRequest, StateError
from intellirouter.memory.open import FILE
from intellirouter.ops.backup import archive
from intellirouter.ops.backup.archive import BackupDamaged, Manifest
from intellirouter.ops.backup.make import STATE, counts, folders

STORES = ("state", "personas", "documents")
"""What can be restored; the configuration is taken out by hand, since the node that restores has one."""


def places(settings: Settings) -> dict[str, Path]:
    """Where each store lives on this node."""
    return {"state": settings.paths.data_dir / FILE, **folders(settings)}


def stored(manifest: Manifest) -> list[str]:
    """The stores that an archive holds."""
    held = {name.partition("/")[0] for name in manifest.files}
    return [store for store in STORES if store in held]


def check(file: Path, only: Collection[str]) -> tuple[Manifest, list[str]]:
    """The manifest of a verified archive, and the stores to restore. Raises `BackupDamaged`, `InvalidRequest`."""
    if unknown := set(only) - set(STORES):
        raise InvalidRequest(
            f"There is no store '{min(unknown)}'. Stores: {', '.join(STORES)}.", param="only"
        )
    manifest = archive.read(file)
    wanted = [store for store in stored(manifest) if not only or store in only]
    if absent := set(only) - set(wanted):
        raise InvalidRequest(f"{file} does not hold {', '.join(sorted(absent))}.", param="only")
    return manifest, wanted


def refuse_running(settings: Settings) -> None:
    """Raises `Conflict` when a process has the embedded store open: a node is running."""
    file = settings.paths.data_dir / FILE
    if not file.exists():
        return
    connection = sqlite3.connect(file, timeout=0.5, isolation_level=None)
    try:
        connection.execute("pragma locking_mode = exclusive")
        connection.execute("begin exclusive")
        connection.execute("rollback")
    except sqlite3.OperationalError as cause:
        raise Conflict(
            f"{file} is in use: stop the node first (systemctl stop 'intellirouter-*')."
        ) from cause
    except sqlite3.DatabaseError:
        return  # damaged, which may be why it is restored
    finally:
        connection.close()


def restore(file: Path, settings: Settings, only: Collection[str] = ()) -> Path:
    """Replace the stores by those of the archive; returns where the old ones lie.

    Raises `BackupDamaged` and `Conflict` before anything is touched, `OSError` after it was undone.
    """
    data_dir = settings.paths.data_dir
    manifest, wanted = check(file, only)
    refuse_running(settings)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = data_dir / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=data_dir) as scratch:
        staged = Path(scratch)
        _stage(file, staged, wanted)
        if "state" in wanted:
            _check_state(staged / STATE, manifest)
        aside.mkdir(mode=0o700)
        _swap(settings, staged, aside, wanted)
    return aside


def _stage(file: Path, staged: Path, wanted: Collection[str]) -> None:
    def sink(name: str, stream: IO[bytes]) -> None:
        parts = Path(name).parts
        if ".." in parts or Path(name).is_absolute():
            raise BackupDamaged(f"{file}: the name {name!r} leads out of the archive.")
        if parts[0] in wanted:
            target = staged / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                shutil.copyfileobj(stream, out, 1 << 20)

    archive.read(file, sink)


def _check_state(file: Path, manifest: Manifest) -> None:
    try:
        connection = sqlite3.connect(file)
        try:
            found = counts(connection)
        finally:
            connection.close()
    except sqlite3.Error as cause:
        raise StateError(f"the archive's state store cannot be read ({cause}).") from cause
    if found != manifest.counts:
        raise StateError(f"the archive's state store holds {found}, and its manifest says {manifest.counts}.")


def _swap(settings: Settings, staged: Path, aside: Path, wanted: Collection[str]) -> None:
    """Old ones aside, new ones in; every move is undone when one fails."""
    targets = places(settings)
    data_dir = settings.paths.data_dir
    moves: list[tuple[Path, Path]] = []
    for store in wanted:
        moves.append((targets[store], aside / store))
        if store == "state":
            # the log belongs to the file that goes: beside the new one it would be applied to it
            moves += [(data_dir / f"{FILE}{end}", aside / f"state{end}") for end in ("-wal", "-shm")]
        moves.append((staged / (STATE if store == "state" else store), targets[store]))
    done: list[tuple[Path, Path]] = []
    try:
        for old, new in moves:
            if old.exists():
                new.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(old, new)
                done.append((old, new))
    except OSError:
        for old, new in reversed(done):
            shutil.move(new, old)
        raise
