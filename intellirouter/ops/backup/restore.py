"""Put a backup back: verified first, staged beside what it replaces, swapped by renames, undone when that fails.

What is replaced stays in `replaced-<time>` in the data directory until the operator deletes it. Files are swapped last: a
restore that is killed earlier has changed none, and one killed between two renames is undone at the next start or restore
(`journal.py`). Servers cannot be renamed: one that was being replaced when the restore was killed keeps the node from
starting until a restore is run again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec
import sqlalchemy as sa

from intellirouter.chains.runtime.durable.rows import check_rows
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import Conflict, InvalidRequest, StateError
from intellirouter.memory.open import FILE
from intellirouter.ops.backup import forms, journal, outside, revocations, seal
from intellirouter.ops.backup.archive import BackupDamaged, Manifest
from intellirouter.ops.backup.make import (
    CATALOG,
    CHAINS,
    CHAINS_SERVER,
    RECORDS,
    RECORDS_TABLES,
    REDIS,
    STATE,
    TABLES,
    VECTORS,
    counts,
    folders,
)
from intellirouter.ops.backup.place import File
from intellirouter.ops.backup.schemas import check_schema
from intellirouter.records.sqlite.store import FILE as RECORDS_FILE
from intellirouter.security.key_names import check, names_in, write_file
from intellirouter.security.sealing import sealer_of

STORES = ("state", "personas", "documents", "rag", "blobs", "chains", "vectors", "redis", "records", "config")
"""What can be restored. The configuration only when it is named, since the node that restores has one."""
SHARED = frozenset({"redis", "chains", "vectors", "records"})
"""Of the stores that are servers for a node, those that others may use too. They are left alone unless they are named."""

ENCRYPTED = frozenset({"state", "rag", "blobs", "chains", "redis", "records"})
"""Those that a `[security] key` encrypts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore would do: the stores that it replaces, the servers that it leaves alone, and whether nobody vouches for the archive."""

    manifest: Manifest
    wanted: list[str]
    left: list[str]
    foreign: bool


def places(settings: Settings) -> dict[str, Path]:
    """Where each store lives on this node."""
    data = settings.paths.data_dir
    found = {
        "state": data / FILE,
        **folders(settings),
        "rag": data / "rag/catalog.sqlite3",
        "chains": data / "chains.db",
        "vectors": data / "rag/chroma",
        "records": data / RECORDS_FILE,
    }
    return {store: place for store, place in found.items() if store not in servers(settings)}


def servers(settings: Settings) -> set[str]:
    """The stores that are servers for this node."""
    used = {
        "redis": settings.memory.backend_type != "embedded",
        "vectors": settings.rag.vector_db_url is not None,
        "chains": settings.chain_engine.database_url is not None,
        "records": settings.records.database_url is not None,
    }
    return {store for store, is_used in used.items() if is_used}


def stored(manifest: Manifest) -> list[str]:
    """The stores that an archive holds."""
    held = {name.partition("/")[0] for name in manifest.files}
    return [store for store in STORES if store in held]


def plan(
    file: File,
    settings: Settings,
    only: Collection[str] = (),
    also: Collection[str] = (),
    identities: Sequence[Any] = (),
) -> Plan:
    """Of a verified archive. `only` names all that is restored, `also` what is restored beside the rest.

    Raises `BackupDamaged`, `InvalidRequest` for what the archive does not hold or this node has another kind of, and `ConfigError` where
    this node lacks a key that the archive's content is encrypted with.
    """
    if unknown := (set(only) | set(also)) - set(STORES):
        raise InvalidRequest(
            f"There is no store '{min(unknown)}'. Stores: {', '.join(STORES)}.", param="only"
        )
    manifest = forms.read(file, identities=identities)
    held = stored(manifest)
    if absent := (set(only) | set(also)) - set(held):
        raise InvalidRequest(
            f"{file} does not hold {', '.join(sorted(absent))}. It holds: {', '.join(held)}.", param="only"
        )
    # a server that a killed restore left half replaced was named then, and must be made whole
    named = {*only, *also, *journal.half_replaced(settings.paths.data_dir)}
    alone = shared(settings) | {"config"}
    wanted = [store for store in held if store in named or (not only and store not in alone)]
    left = [] if only else [store for store in held if store in shared(settings) and store not in wanted]
    _check_kinds(file, manifest, wanted, settings)
    check(_keys(manifest, wanted), sealer_of(settings.security), str(file))
    foreign = not seal.genuine(manifest, [*seal.keys(settings, identities)])
    return Plan(manifest, wanted, left, foreign)


def shared(settings: Settings) -> set[str]:
    """The stores that are servers which other nodes may use. A node that is one of no others writes only its own vectors to a Chroma."""
    found = servers(settings) & SHARED
    return found if settings.rag.nodes else found - {"vectors"}


def refuse_running(settings: Settings) -> None:
    """Raises `Conflict` when a process has a store of this node open: a node is running."""
    data = settings.paths.data_dir
    for file in (data / FILE, data / "rag/catalog.sqlite3", data / "chains.db", data / RECORDS_FILE):
        if file.exists() and _used(file):
            raise Conflict(f"{file} is in use: stop the node first (systemctl stop 'intellirouter-*').")


def _used(file: Path) -> bool:
    connection = sqlite3.connect(file, timeout=0.5, isolation_level=None)
    try:
        connection.execute("pragma locking_mode = exclusive")
        connection.execute("begin exclusive")
        connection.execute("rollback")
    except sqlite3.OperationalError:
        return True
    except sqlite3.DatabaseError:
        return False  # damaged, which may be why it is restored
    finally:
        connection.close()
    return False


def restore(
    file: File,
    settings: Settings,
    only: Collection[str] = (),
    identities: Sequence[Any] = (),
    *,
    also: Collection[str] = (),
    allow: Callable[[Plan], None] = lambda _: None,
    config_dir: Path | None = None,
) -> Path:
    """Replace the stores by those of the archive; returns where the old ones lie. See `plan`.

    `allow` hears what would be done, and raises when it must not be. Raises `BackupDamaged` and `Conflict` before anything is touched,
    `OSError` after the moves were undone. A key that was revoked, rotated or narrowed since stays so.
    """
    data_dir = settings.paths.data_dir
    planned = plan(file, settings, only, also, identities)
    manifest, wanted = planned.manifest, planned.wanted
    allow(planned)
    if "config" in wanted and config_dir is None:
        raise InvalidRequest(
            "This node uses no configuration file: there is no place for that of the archive."
        )
    refuse_running(settings)
    with journal.alone(data_dir, replacing=True):
        aside = data_dir / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        staged = Path(tempfile.mkdtemp(prefix=journal.STAGED, dir=data_dir))
        try:
            _stage(file, staged, wanted, identities)
            _check(staged, manifest)
            if "state" in wanted:
                revocations.carry_over(data_dir, staged / STATE)
            away = sorted(servers(settings) & set(wanted))
            if "vectors" in wanted and "vectors" not in away:
                _build_index(staged, manifest)
            here = [store for store in wanted if store not in away and store != "config"]
            moves = _moves(settings, staged, aside, here)
            if "config" in wanted and config_dir is not None:
                moves += _config_moves(config_dir, staged / "config", aside / "config")
            aside.mkdir(mode=0o700)
            noted = [(str(old), str(new)) for old, new in moves]
            journal.write(staged, journal.Journal(noted, away))
            if keys := _keys(
                manifest, wanted
            ):  # which are configured: said before, it is right whatever comes
                write_file(data_dir, {*names_in(data_dir), *keys})
            _load(settings, staged, away, manifest)
            _swap(moves)
            journal.finish(staged)
        finally:
            # with a journal left a server is half replaced: the next start must know
            if not journal.open_in(staged):
                shutil.rmtree(staged)
    return aside


def _check_kinds(file: File, manifest: Manifest, wanted: Collection[str], settings: Settings) -> None:
    """Raises `InvalidRequest` when the archive is of another kind of store than this node has."""
    here = servers(settings)
    for store, name in (("redis", REDIS), ("chains", CHAINS_SERVER), ("records", "")):
        if store in wanted and (name in manifest.files) != (store in here):
            raise InvalidRequest(
                f"{file} holds another kind of the store '{store}' than this node is configured for: "
                "change [memory], [chain_engine] or [records] database_url, or name the stores to restore with --only.",
                param="only",
            )


def _keys(manifest: Manifest, wanted: Collection[str]) -> list[str]:
    """The ids of the keys that these stores of it are encrypted with."""
    if isinstance(manifest.keys, msgspec.UnsetType) or ENCRYPTED.isdisjoint(wanted):
        return []
    return manifest.keys


def _build_index(staged: Path, manifest: Manifest) -> None:
    """An index of its own from the vectors of the archive, to be swapped in whole."""
    source = staged / VECTORS
    names = sorted({frame[0] for frame in outside.frames(source)})
    _counted("vectors/vectors", outside.vectors_from(source, names, (), staged / "vectors/chroma"), manifest)


def _load(settings: Settings, staged: Path, away: Collection[str], manifest: Manifest) -> None:
    if "redis" in away:
        count = outside.redis_from(staged / REDIS, settings.memory, revocations.SINCE)
        _counted("redis/keys", count, manifest)
        revocations.keep_ended(settings)
    if "chains" in away and settings.chain_engine.database_url is not None:
        outside.postgres_from(staged / CHAINS_SERVER, settings.chain_engine.database_url.get_secret_value())
    if "vectors" in away:
        names = sorted({frame[0] for frame in outside.frames(staged / VECTORS)})
        urls, copies = outside.index_urls(settings.rag), settings.rag.vector_copies
        count = outside.vectors_from(staged / VECTORS, names, urls, Path(), copies)
        _counted("vectors/vectors", count, manifest)


def _counted(store: str, count: int, manifest: Manifest) -> None:
    """Raises `StateError` when a store was given another number of records than the archive says."""
    if count != (said := manifest.counts.get(store, count)):
        raise StateError(f"{store}: {count} were restored, and the archive's manifest says {said}.")


def _stage(file: File, staged: Path, wanted: Collection[str], identities: Sequence[Any]) -> None:
    def sink(name: str, stream: IO[bytes]) -> None:
        parts = Path(name).parts
        if ".." in parts or Path(name).is_absolute():
            raise BackupDamaged(f"{file}: the name {name!r} leads out of the archive.")
        if parts[0] in wanted:
            target = staged / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                shutil.copyfileobj(stream, out, 1 << 20)

    forms.read(file, sink, identities)


def _check(staged: Path, manifest: Manifest) -> None:
    """Every database can be read, and holds the rows its manifest says."""
    for name, tables in ((STATE, TABLES), (CATALOG, ()), (CHAINS, ()), (RECORDS, RECORDS_TABLES)):
        file = staged / name
        if not file.exists():
            continue
        store = name.partition("/")[0]
        prefix = "" if store == "state" else f"{store}/"
        try:
            connection = sqlite3.connect(file)
            try:
                check_schema(connection, store)
                found = {f"{prefix}{table}": count for table, count in counts(connection, tables).items()}
            finally:
                connection.close()
        except sqlite3.Error as cause:
            raise StateError(f"the archive's {store} store cannot be read ({cause}).") from cause
        said = {key: manifest.counts.get(key) for key in found}
        if found != said:
            raise StateError(f"the archive's {store} store holds {found}, and its manifest says {said}.")
    _check_runs(staged)


def _check_runs(staged: Path) -> None:
    """Raises `StrangeRows` when a row of the runs names a reader of its own: it would run what stands in it."""
    if (staged / CHAINS).exists():
        engine = sa.create_engine(f"sqlite:///{staged / CHAINS}")
        try:
            check_rows(engine)
        finally:
            engine.dispose()
    if (staged / CHAINS_SERVER).exists():
        outside.check_postgres_rows(staged / CHAINS_SERVER)


_INSIDE = {"state": STATE, "rag": CATALOG, "chains": CHAINS, "vectors": "vectors/chroma", "records": RECORDS}
"""Where a store that is no folder lies in the staged tree."""


def _moves(settings: Settings, staged: Path, aside: Path, wanted: Collection[str]) -> list[tuple[Path, Path]]:
    """Old ones aside, new ones in."""
    targets = places(settings)
    moves: list[tuple[Path, Path]] = []
    for store in wanted:
        place = targets[store]
        moves.append((place, aside / store))
        if store in {"state", "rag", "chains", "records"}:
            # the log belongs to the file that goes: beside the new one it would be applied to it
            moves += [
                (place.with_name(f"{place.name}{end}"), aside / f"{store}{end}") for end in ("-wal", "-shm")
            ]
        moves.append((staged / _INSIDE.get(store, store), place))
    return [(old, new) for old, new in moves if old.exists()]


def _config_moves(directory: Path, staged: Path, aside: Path) -> list[tuple[Path, Path]]:
    """The files of a configuration, one by one: what the archive does not hold stays."""
    moves = []
    for new in sorted(path for path in staged.rglob("*") if path.is_file()):
        name = new.relative_to(staged)
        if (directory / name).exists():
            # who may read the configuration is the node's matter, not the archive's
            shutil.copymode(directory / name, new)
            facts = (directory / name).stat()
            if os.geteuid() == 0:
                os.chown(new, facts.st_uid, facts.st_gid)
            moves.append((directory / name, aside / name))
        moves.append((new, directory / name))
    return moves


def _swap(moves: Collection[tuple[Path, Path]]) -> None:
    """Every move; all are undone when one fails."""
    done: list[tuple[Path, Path]] = []
    try:
        for old, new in moves:
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(old, new)
            done.append((old, new))
    except OSError:
        for old, new in reversed(done):
            shutil.move(new, old)
        raise
