"""Gather what a node holds into an archive, while the node runs."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from intellirouter import __version__
from intellirouter.config.load import Loaded
from intellirouter.config.schema.settings import Settings
from intellirouter.config.shown import secrets
from intellirouter.errors import StateError, StateUnavailable
from intellirouter.memory.open import FILE
from intellirouter.ops.backup import archive, journal, marks, outside, repository, retention, seal
from intellirouter.ops.backup import snapshot as snapshot_form
from intellirouter.ops.backup.place import Directory, File
from intellirouter.records.sqlite.store import FILE as RECORDS_FILE
from intellirouter.security.key_names import names_in
from intellirouter.vectors.chroma import snapshot as chroma

STATE = f"state/{FILE}"
TABLES = ("entry", "counter", "log", "lease")
CATALOG = "rag/catalog.sqlite3"
CHAINS = "chains/chains.db"
RECORDS = f"records/{RECORDS_FILE}"
RECORDS_TABLES = ("requests", "tags", "content")
CHAINS_SERVER = "chains/postgres.dump"
REDIS = "redis/keys"
VECTORS = "vectors/vectors"
CONFIG_FOLDER = "config"
_CONFIG_KINDS = frozenset((".toml", ".yaml", ".yml", ".json", ".md", ".txt", ".tsv", ".pem", ".crt"))
_CONFIG_BYTES = 1 << 20
_PRIVATE = "PRIVATE KEY-----"


class Writer(Protocol):
    """What takes the files of a backup, in whichever form."""

    manifest: archive.Manifest

    def add(self, name: str, file: Path) -> None:
        """Take a file in. Raises `OSError`."""


def folders(settings: Settings) -> dict[str, Path]:
    """The directories that are copied as they are, by their name in the archive."""
    data = settings.paths.data_dir
    return {
        "personas": settings.persona_layer.personas_path or data / "personas",
        "documents": data / "documents",
        "blobs": data / "rag" / "blobs",
    }


def make(
    loaded: Loaded,
    directory: Directory,
    progress: Callable[[str], None],
    recipients: Sequence[Any] = (),
    *,
    incremental: bool = False,
    secrets_: Sequence[Any] = (),
    tags: Sequence[str] = (),
) -> tuple[File, archive.Manifest]:
    """One new backup in `directory`, verified after it was written. Raises `OSError`, `StateError`, `StateUnavailable`.

    An archive, or with `incremental` a snapshot that shares its pieces with those before. Encrypted when `recipients` are given
    (`age.py`). The node vouches for it (`seal.py`), and so does each of `secrets_`, which open it.
    """
    now = datetime.now(UTC)
    manifest = archive.Manifest(
        archive.FORMAT,
        __version__,
        now.isoformat(timespec="seconds"),
        host=socket.gethostname(),
        node=loaded.file.stem if loaded.file else "",
    )
    if isinstance(directory, Path):
        directory.mkdir(parents=True, exist_ok=True)
    suffix = snapshot_form.SUFFIX if incremental else archive.SUFFIX
    target = directory / retention.name_of(now, suffix, tags)
    settings = loaded.settings
    settings.paths.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        journal.alone(settings.paths.data_dir),
        # beside the stores, so that what they hold never lies where others may read
        tempfile.TemporaryDirectory(prefix=journal.SCRATCH, dir=settings.paths.data_dir) as scratch,
        _created(
            target, manifest, recipients, partial(_seal, settings, secrets_), incremental=incremental
        ) as writer,
    ):
        _config(loaded, writer, sealed=bool(recipients))
        if names := names_in(settings.paths.data_dir):
            writer.manifest.keys = names
        gather = _Gather(settings, writer, Path(scratch), progress)
        # the catalogue first: a blob that comes later is harmless, one that is missing is not
        catalog = gather.sqlite(CATALOG, settings.paths.data_dir / "rag/catalog.sqlite3")
        for name, folder in folders(loaded.settings).items():
            for file in _files(folder):
                relative = f"{name}/{file.relative_to(folder).as_posix()}"
                progress(relative)
                # a document that is deleted meanwhile is not part of the node any more
                with contextlib.suppress(FileNotFoundError):
                    writer.add(relative, file)
        gather.sqlite(STATE, settings.paths.data_dir / FILE, TABLES)
        gather.redis()
        gather.chains()
        gather.record()
        gather.vectors(catalog)
    if not incremental:  # a snapshot's pieces were summed as they were written, most of them long ago
        archive.verify(target)
    marks.made(settings.paths.data_dir, str(target))
    return target, manifest


def _created(
    target: File,
    manifest: archive.Manifest,
    recipients: Sequence[Any],
    sign: Callable[[archive.Manifest], None],
    *,
    incremental: bool,
) -> contextlib.AbstractContextManager[Writer]:
    if incremental:
        return repository.create(target, manifest, recipients, sign)
    return archive.create(target, manifest, recipients, sign)


def _seal(settings: Settings, opens: Sequence[Any], manifest: archive.Manifest) -> None:
    seal.sign(manifest, [*seal.keys(settings, opens, make=True)])


def _config(loaded: Loaded, writer: Writer, *, sealed: bool) -> None:
    """The configuration, unless a secret stands in it and the archive is not encrypted.

    In a directory of configurations every file that may be one: the other roles', chains, what `${…}` and paths name.
    """
    if loaded.file is None:
        writer.manifest.absent["config"] = "no configuration file is used"
        return
    known = [secret for secret in secrets(loaded.settings) if "://" not in secret or "@" in secret]
    for file in config_files(loaded.file):
        name = file.relative_to(loaded.file.parent).as_posix()
        text = file.read_text(encoding="utf-8", errors="replace")
        if not sealed and (any(secret in text for secret in known) or _PRIVATE in text):
            key = "config" if file == loaded.file else f"config/{name}"
            writer.manifest.absent[key] = "a secret stands in it: use ${VARIABLE}, and keep secrets elsewhere"
            continue
        writer.add(f"config/{name}", file)


def config_files(file: Path) -> Iterator[Path]:
    """The configuration file, and what lies beside and below it where its directory is one of configurations."""
    yield file
    if file.absolute().parent.name != CONFIG_FOLDER:
        return
    for other in _files(file.parent):
        if (
            other.name != file.name
            and other.suffix in _CONFIG_KINDS
            and other.stat().st_size <= _CONFIG_BYTES
        ):
            yield other


def _files(folder: Path) -> Iterator[Path]:
    """Regular files, in order; links are not followed out of the folder."""
    if folder.is_dir():
        yield from (
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink() and not path.name.endswith(".partial")
        )


@dataclass(frozen=True, slots=True)
class _Gather:
    """Brings each store into the archive by way of one file in `scratch`, which is removed at once."""

    settings: Settings
    writer: Writer
    scratch: Path
    progress: Callable[[str], None]

    def sqlite(self, name: str, source: Path, tables: Sequence[str] = ()) -> list[str]:
        """A snapshot of a database, if there is one; the collections it names."""
        store = name.partition("/")[0]
        if not source.exists():
            self.writer.manifest.absent[store] = "the node has none yet"
            return []
        self.progress(name)
        copy = self.scratch / "copy"
        found = snapshot(source, copy, tables)
        prefix = "" if store == "state" else f"{store}/"
        self.writer.manifest.counts |= {f"{prefix}{table}": count for table, count in found.items()}
        names = outside.collections(copy) if name == CATALOG else []
        self._add(name, copy)
        return names

    def redis(self) -> None:
        """Our keys of Redis."""
        if self.settings.memory.backend_type == "embedded":
            self.writer.manifest.absent["redis"] = "not used"
            return
        self.progress(REDIS)
        copy = self.scratch / "copy"
        self.writer.manifest.counts["redis/keys"] = outside.redis_to(copy, self.settings.memory)
        self._add(REDIS, copy)

    def chains(self) -> None:
        """The run database, wherever it is."""
        url = self.settings.chain_engine.database_url
        if url is None:
            self.sqlite(CHAINS, self.settings.paths.data_dir / "chains.db")
            return
        self.progress(CHAINS_SERVER)
        copy = self.scratch / "copy"
        outside.postgres_to(copy, url.get_secret_value())
        self._add(CHAINS_SERVER, copy)

    def record(self) -> None:
        """The record of requests, where it is a file of this node."""
        if self.settings.records.database_url is not None:
            self.writer.manifest.absent["records"] = "in a Postgres of its own: back that up with its tools"
            return
        self.sqlite(RECORDS, self.settings.paths.data_dir / RECORDS_FILE, RECORDS_TABLES)

    def vectors(self, names: list[str]) -> None:
        """The vectors of the catalogue's collections; those of an embedded index that a running node holds from a copy of it."""
        absent = self.writer.manifest.absent
        if not names:
            absent["vectors"] = "the catalogue has no collection"
            return
        self.progress(VECTORS)
        copy = self.scratch / "copy"
        urls, store = outside.index_urls(self.settings.rag), self.settings.paths.data_dir / "rag/chroma"
        try:
            if not urls and chroma.held(store):
                chroma.copy(store, self.scratch / "chroma")
                store = self.scratch / "chroma"
            count = outside.vectors_to(copy, names, urls, store)
        except StateUnavailable as cause:
            if urls:
                raise
            absent["vectors"] = (
                f"{cause.message} Restored without them: `intellirouter rag rebuild` writes them anew."
            )
            return
        finally:
            shutil.rmtree(self.scratch / "chroma", ignore_errors=True)
        self.writer.manifest.counts["vectors/vectors"] = count
        self._add(VECTORS, copy)

    def _add(self, name: str, copy: Path) -> None:
        self.writer.add(name, copy)
        copy.unlink()


def snapshot(source: Path, copy: Path, tables: Sequence[str] = ()) -> dict[str, int]:
    """A consistent copy of a database in use, by SQLite's backup API, and its rows by table. Raises `StateError`."""
    try:
        live = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        held = sqlite3.connect(copy)
        try:
            # in one step: one snapshot of the log, that writers neither wait for nor make it start again
            live.backup(held)
            # one file: a copy with a log beside it would be two
            held.execute("pragma journal_mode = delete")
            return counts(held, tables)
        finally:
            held.close()
            live.close()
    except sqlite3.Error as cause:
        raise StateError(f"{source}: cannot be copied ({cause}).") from cause


def counts(connection: sqlite3.Connection, tables: Sequence[str] = TABLES) -> dict[str, int]:
    """Rows by table (none named: every one), of a database whose integrity was checked. Raises `sqlite3.Error`."""
    if (said := connection.execute("pragma integrity_check").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(said)
    if not tables:
        words = "select name from sqlite_master where type = 'table' and name not like 'sqlite%' and sql not like 'create virtual%'"
        tables = [row[0] for row in connection.execute(words)]
    return {table: connection.execute(f'select count(*) from "{table}"').fetchone()[0] for table in tables}  # noqa: S608  names of tables
