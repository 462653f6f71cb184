"""Gather what a node holds into an archive, while the node runs."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from intellirouter import __version__
from intellirouter.config.load import Loaded
from intellirouter.config.schema.settings import Settings
from intellirouter.config.shown import secrets
from intellirouter.errors import StateError
from intellirouter.memory.open import FILE
from intellirouter.ops.backup import archive

STATE = f"state/{FILE}"
TABLES = ("entry", "counter", "log", "lease")


def folders(settings: Settings) -> dict[str, Path]:
    """The directories that are copied as they are, by their name in the archive."""
    data = settings.paths.data_dir
    return {
        "personas": settings.persona_layer.personas_path or data / "personas",
        "documents": data / "documents",
    }


def make(loaded: Loaded, directory: Path, progress: Callable[[str], None]) -> tuple[Path, archive.Manifest]:
    """One new archive in `directory`, verified after it was written. Raises `OSError`, `StateError`."""
    now = datetime.now(UTC)
    manifest = archive.Manifest(archive.FORMAT, __version__, now.isoformat(timespec="seconds"))
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"intellirouter-{now:%Y%m%dT%H%M%S.%fZ}{archive.SUFFIX}"
    with archive.create(target, manifest) as writer:
        _config(loaded, writer)
        for name, folder in folders(loaded.settings).items():
            for file in _files(folder):
                relative = f"{name}/{file.relative_to(folder).as_posix()}"
                progress(relative)
                writer.add(relative, file)
        _state(loaded.settings, writer, progress)
        manifest.absent["vectors"] = "not part of a backup yet: ingest the documents again"
        manifest.absent["runs"] = "not part of a backup yet"
    archive.read(target)
    return target, manifest


def _config(loaded: Loaded, writer: archive.Writer) -> None:
    """The configuration file, unless a secret stands in it: an archive is not encrypted."""
    if loaded.file is None:
        writer.manifest.absent["config"] = "no configuration file is used"
        return
    text = loaded.file.read_text(encoding="utf-8")
    if any(secret in text for secret in secrets(loaded.settings) if "://" not in secret or "@" in secret):
        writer.manifest.absent["config"] = (
            "a secret stands in it: use ${VARIABLE}, and keep secrets elsewhere"
        )
        return
    writer.add(f"config/{loaded.file.name}", loaded.file)


def _files(folder: Path) -> Iterator[Path]:
    """Regular files, in order; links are not followed out of the folder."""
    if folder.is_dir():
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _state(settings: Settings, writer: archive.Writer, progress: Callable[[str], None]) -> None:
    manifest = writer.manifest
    manifest.absent["redis"] = (
        "not used" if settings.memory.backend_type == "embedded" else "not part of a backup yet"
    )
    source = settings.paths.data_dir / FILE
    if not source.exists():
        manifest.absent["state"] = "the node has no embedded state yet"
        return
    progress(STATE)
    # beside the store, so that what it holds never lies where others may read
    with tempfile.TemporaryDirectory(prefix=".state-", dir=settings.paths.data_dir) as scratch:
        copy = Path(scratch) / FILE
        manifest.counts |= snapshot(source, copy)
        writer.add(STATE, copy)


def snapshot(source: Path, copy: Path) -> dict[str, int]:
    """A consistent copy of a database in use, by SQLite's backup API, and its rows by table. Raises `StateError`."""
    try:
        live = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        held = sqlite3.connect(copy)
        try:
            # in one step: one snapshot of the log, that writers neither wait for nor make it start again
            live.backup(held)
            # one file: a copy with a log beside it would be two
            held.execute("pragma journal_mode = delete")
            return counts(held)
        finally:
            held.close()
            live.close()
    except sqlite3.Error as cause:
        raise StateError(f"{source}: cannot be copied ({cause}).") from cause


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Rows by table, of a database whose integrity was checked. Raises `sqlite3.Error`."""
    if (said := connection.execute("pragma integrity_check").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(said)
    return {table: connection.execute(f"select count(*) from {table}").fetchone()[0] for table in TABLES}  # noqa: S608  our own names
