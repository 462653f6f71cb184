"""The catalogue where the node has a key: what documents say, their names and what is noted of them, encrypted.

On a connection of such a node each table of `COLUMNS` is hidden behind a temporary view of its name that opens what it reads; so a
statement that reads is the same with and without a key, and costs nothing without. Statements that write name `main.` and seal their values by
`sealed`. A value that was kept before there was a key is read as it is; `reseal` seals what has another key or none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from intellirouter.roles.rag_manager.hashed_words import HashedWords
from intellirouter.security.sealing import NotOpened, Sealer

PURPOSE = "document"
COLUMNS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "chunks": ("id", ("title", "location", "text", "context")),
    "assisted": ("id", ("text",)),
    "documents": ("id", ("name", "error", "attributes")),
    "jobs": ("id", ("error", "note")),
    "files": ("id", ("filename",)),
    "uploads": ("id", ("filename",)),
    "sources": ("name", ("error", "troubles")),
    "source_items": ("id", ("name", "note", "error")),
    "stores": ("collection", ("name", "description", "metadata")),
}
"""By table: the column that its values are bound to, and those that are sealed."""
PAGE = 500


class SealedConnection(sqlite3.Connection):
    """A connection that knows the keys. `failed` is what could not be opened by the statement that failed last."""

    sealer: Sealer
    words: HashedWords
    failed: NotOpened | None = None

    def opened(self, place: str, id_: str, value: Any) -> Any:
        """What statements call by this name."""
        if not isinstance(value, bytes):
            return value
        try:
            raw = self.sealer.open(PURPOSE, f"{place}:{id_}", value)
        except NotOpened as error:
            self.failed = error
            raise
        return raw.decode("utf-8", "surrogatepass")


def connections(with_: Sealer) -> type[SealedConnection]:
    """What makes such connections."""

    class Keyed(SealedConnection):
        def __init__(self, *words: Any, **more: Any) -> None:
            super().__init__(*words, **more)
            self.sealer, self.words = with_, HashedWords(with_)
            self.execute("pragma temp_store = memory")  # what is sorted is plain
            self.create_function("opened", 3, self.opened, deterministic=True)

    return Keyed


def hide(db: sqlite3.Connection) -> None:
    """Put the views before the tables, once these are what they are to be. Nothing on a connection without a key."""
    if not isinstance(db, SealedConnection):
        return
    (reads_only,) = db.execute("pragma query_only").fetchone()
    db.execute("pragma query_only = off")
    for table, (key, sealed_) in COLUMNS.items():
        names = [row[1] for row in db.execute(f"pragma main.table_info({table})")]
        shown = ", ".join(
            f"opened('{table}.{name}', {key}, {name}) as {name}" if name in sealed_ else name
            for name in names
        )
        number = "" if "row" in names else "rowid as rowid, "
        db.execute(f"create temp view if not exists {table} as select {number}{shown} from main.{table}")  # noqa: S608
    db.execute(f"pragma query_only = {reads_only:d}")


def sealed(db: sqlite3.Connection, column: str, id_: str, value: str | None) -> str | bytes | None:
    """The value as it is written into `column` (`table.column`) of the row that `id_` names."""
    if value is None or not isinstance(db, SealedConnection):
        return value
    return db.sealer.seal(PURPOSE, f"{column}:{id_}", value.encode("utf-8", "surrogatepass"))


def reseal(db: sqlite3.Connection, sealer: Sealer) -> int:
    """Seal with the current key what is not; how many rows. `db` commits by itself and has no views. Raises `NotOpened`.

    A node may run meanwhile: a row that changed under way was written with a current key. Interrupted, it is run again.
    """
    count = 0
    known = {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")}
    for table, (key, columns) in COLUMNS.items():
        if table not in known:
            continue
        after: str | None = ""
        while after is not None:
            after, changed = _page(db, sealer, table, key, columns, after)
            count += changed
    return count


def _page(
    db: sqlite3.Connection, sealer: Sealer, table: str, key: str, columns: tuple[str, ...], after: str
) -> tuple[str | None, int]:
    """The rows behind the key `after`, in one transaction; the key to go on behind, and how many changed."""
    count = 0
    select = f"select {key}, {', '.join(columns)} from {table} where {key} > ? order by {key} limit ?"  # noqa: S608
    same = " and ".join(f"{name} is ?" for name in columns)
    update = f"update {table} set {', '.join(f'{name} = ?' for name in columns)} where {key} = ? and {same}"  # noqa: S608
    db.execute("begin immediate")
    try:
        rows = db.execute(select, (after, PAGE)).fetchall()
        for id_, *values in rows:
            fresh = [
                _fresh(sealer, f"{table}.{name}:{id_}", value)
                for name, value in zip(columns, values, strict=True)
            ]
            if fresh != values:
                count += db.execute(update, (*fresh, id_, *values)).rowcount
        db.execute("commit")
    except BaseException:
        db.execute("rollback")
        raise
    return (rows[-1][0] if len(rows) == PAGE else None), count


def _fresh(sealer: Sealer, place: str, value: str | bytes | None) -> str | bytes | None:
    if value is None or (isinstance(value, bytes) and sealer.is_current(value)):
        return value
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return sealer.seal(PURPOSE, place, sealer.open(PURPOSE, place, raw))
