"""Where each piece of a repository lies. A cache: the packs themselves say it, and it is made anew from them when it is lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from intellirouter.ops.backup import packs
from intellirouter.ops.backup.packs import Frame
from intellirouter.ops.backup.place import Directory

FILE = "index.sqlite3"
_SCHEMA = """
create table if not exists packs (number integer primary key, name text not null unique);
create table if not exists pieces (sum blob primary key, pack integer not null, frame integer not null) without rowid;
"""


class Index:
    """See `opened`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def find(self, sum_: bytes) -> tuple[str, int] | None:
        """The pack that holds a piece, and the number of the frame in it."""
        words = "select k.name, p.frame from pieces p join packs k on k.number = p.pack where p.sum = ?"
        found: tuple[str, int] | None = self._db.execute(words, (sum_,)).fetchone()
        return found

    def has(self, sum_: bytes) -> bool:
        """True when some pack holds the piece."""
        return self._db.execute("select 1 from pieces where sum = ?", (sum_,)).fetchone() is not None

    def add(self, pack: str, frames: Sequence[Frame]) -> None:
        """A pack has come; a piece that is in two is looked for in the later."""
        with self._db:
            number = self._db.execute("insert into packs (name) values (?)", (pack,)).lastrowid
            self._db.executemany(
                "insert or replace into pieces values (?, ?, ?)",
                ((sum_, number, place) for place, frame in enumerate(frames) for sum_, _ in frame.pieces),
            )

    def remove(self, pack: str) -> None:
        """A pack goes."""
        with self._db:
            self._db.execute(
                "delete from pieces where pack = (select number from packs where name = ?)", (pack,)
            )
            self._db.execute("delete from packs where name = ?", (pack,))

    def match(self, folder: Directory) -> None:
        """Bring it to what the folder holds. Raises `BackupDamaged`."""
        there = {file.stem: file for file in folder.glob(f"*{packs.SUFFIX}")}
        known = {name for (name,) in self._db.execute("select name from packs")}
        if known - there.keys():
            with self._db:
                self._db.execute("delete from pieces")
                self._db.execute("delete from packs")
            known = set()
        for name in sorted(there.keys() - known):
            self.add(name, packs.frames(there[name]))


@contextlib.contextmanager
def opened(repository: Path, folder: Directory) -> Iterator[Index]:
    """The index of the packs in `folder`; in a file of its own where the repository cannot be written."""
    with tempfile.TemporaryDirectory(prefix="intellirouter-index-") as scratch:
        writable = os.access(repository, os.W_OK)
        connection = _connected((repository if writable else Path(scratch)) / FILE)
        try:
            index = Index(connection)
            index.match(folder)
            yield index
        finally:
            connection.close()


def _connected(file: Path) -> sqlite3.Connection:
    try:
        return _open(file)
    except sqlite3.DatabaseError:  # a damaged cache is no cache
        file.unlink(missing_ok=True)
        return _open(file)


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=30)
    try:
        connection.execute("pragma cache_size = -32768")  # 32 MiB
        connection.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection
