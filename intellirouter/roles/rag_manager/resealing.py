"""Seal with the key of now what a RagManager keeps, while it runs or not. Interrupted, it is done again from the start, and skips what is done."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from intellirouter.roles.rag_manager import lexical, sealed_catalog, uploads_catalog
from intellirouter.roles.rag_manager.blobs import PARTIAL, Blobs
from intellirouter.security import sealed_files
from intellirouter.security.sealing import Sealer

TIMEOUT = 60.0
"""Seconds to wait for a node that writes."""


def reseal(catalog: Path, blobs: Blobs, sealer: Sealer) -> tuple[int, int]:
    """How many rows of the catalogue and how many files were sealed anew. Raises `NotOpened`, `sqlite3.Error`, `OSError`."""
    if not catalog.exists():
        return 0, 0
    with _connected(catalog, sqlite3.Connection) as db:
        rows = sealed_catalog.reseal(db, sealer)
        parts = _parts(db)
    with _connected(catalog, sealed_catalog.connections(sealer)) as db:
        sealed_catalog.hide(db)
        _together(db, lexical.migrate)
    files = 0
    if blobs.directory.is_dir():
        for file in sorted(blobs.directory.iterdir()):
            # what is not noted yet is being written, with a key of now
            whole = not file.name.endswith(PARTIAL) or file.name.removesuffix(PARTIAL) in parts
            files += whole and sealed_files.reseal(file, sealer)
    return rows, files


def _parts(db: sqlite3.Connection) -> set[str]:
    if not db.execute("select 1 from sqlite_master where name = 'upload_parts'").fetchone():
        return set()
    return uploads_catalog.all_parts(db)


def _together(db: sqlite3.Connection, operation: Callable[[sqlite3.Connection], None]) -> None:
    db.execute("begin immediate")
    try:
        operation(db)
        db.execute("commit")
    except BaseException:
        db.execute("rollback")
        raise


@contextlib.contextmanager
def _connected(file: Path, factory: type[sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(
        sqlite3.connect(file, timeout=TIMEOUT, isolation_level=None, factory=factory)
    ) as db:
        yield db
