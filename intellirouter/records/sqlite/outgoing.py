"""Which rows are still to go to another node, beside the rows in their file.

Triggers name a row in the transaction that writes it, whichever process does so and however late its batch is released: ids are in the
order of the requests' ends, so that no place among them could tell what has gone. What retention deletes first is counted.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence

from intellirouter.records.outgoing import Leaving
from intellirouter.records.row import time_of

_TABLES = (
    "create table if not exists outgoing (id integer primary key)",
    "create table if not exists outgoing_lost (kind text primary key, rows integer, last real, why text)",
)
_COUNT = """insert into outgoing_lost values ('{kind}', {rows}, {last}, {why})
  on conflict (kind) do update set rows = rows + excluded.rows, last = excluded.last, why = excluded.why"""
_DELETED = _COUNT.format(kind="deleted", rows=1, last="cast(strftime('%s', 'now') as real)", why="''")
_TRIGGERS = {
    "outgoing_in": """CREATE TRIGGER outgoing_in after insert on requests when new.tenant <> ''
  begin insert or ignore into outgoing values (new.id); end""",
    "outgoing_out": f"""CREATE TRIGGER outgoing_out after delete on requests when exists (select 1 from outgoing where id = old.id)
  begin delete from outgoing where id = old.id; {_DELETED}; end""",  # noqa: S608  words of ours
}
_ALL = "insert or ignore into outgoing select id from requests where tenant <> ''"
_BUT_ADOPTED = " and id not in (select id from adopted)"
"""What another node brought goes no further, as its runs do not: two that bring each other theirs would never end."""

Connect = Callable[[], contextlib.AbstractContextManager[sqlite3.Connection]]


class SqliteOutgoing:
    """See `Outgoing`."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def begin(self) -> None:
        """See `Outgoing.begin`."""
        with self._connect() as connection:
            _begin(connection)

    def stop(self) -> None:
        """See `Outgoing.stop`."""
        with self._connect() as connection:
            if not _there(connection):
                return
            with _transaction(connection):
                for name in _TRIGGERS:
                    connection.execute(f"drop trigger if exists {name}")
                for table in ("outgoing", "outgoing_lost"):
                    connection.execute(f"drop table if exists {table}")

    def due(self, most: int) -> list[int]:
        """See `Outgoing.due`."""
        with self._connect() as connection:
            _begin(connection)
            return [
                row[0] for row in connection.execute("select id from outgoing order by id limit ?", (most,))
            ]

    def done(self, ids: Sequence[int]) -> None:
        """See `Outgoing.done`."""
        with self._connect() as connection, _transaction(connection):
            _take_out(connection, ids)

    def refuse(self, ids: Sequence[int], why: str, when: float) -> None:
        """See `Outgoing.refuse`."""
        with self._connect() as connection, _transaction(connection):
            _take_out(connection, ids)
            connection.execute(
                _COUNT.format(kind="refused", rows="?", last="?", why="?"), (len(ids), when, why)
            )

    def again(self) -> int:
        """See `Outgoing.again`."""
        with self._connect() as connection:
            _begin(connection)
            with _transaction(connection):
                connection.execute(_all(connection))
                connection.execute("delete from outgoing_lost where kind = 'refused'")
                return int(connection.execute("select count(*) from outgoing").fetchone()[0])

    def leaving(self) -> Leaving:
        """See `Outgoing.leaving`."""
        with self._connect() as connection:
            if not _there(connection):
                return Leaving(0, None, 0, None, "", 0, None)
            waiting, oldest = connection.execute("select count(*), min(id) from outgoing").fetchone()
            lost = {
                kind: rest
                for kind, *rest in connection.execute("select kind, rows, last, why from outgoing_lost")
            }
        refused, refused_at, why = lost.get("refused", (0, None, ""))
        given_up, given_up_at, _ = lost.get("deleted", (0, None, ""))
        since = None if oldest is None else time_of(oldest)
        return Leaving(waiting, since, refused, refused_at, why, given_up, given_up_at)


def _there(connection: sqlite3.Connection) -> dict[str, str]:
    """The triggers that there are, with their words."""
    marks = ", ".join("?" * len(_TRIGGERS))
    words = f"select name, sql from sqlite_master where type = 'trigger' and name in ({marks})"  # noqa: S608
    return dict(connection.execute(words, tuple(_TRIGGERS)).fetchall())


def _begin(connection: sqlite3.Connection) -> None:
    if _there(connection) == _TRIGGERS:
        return
    with _transaction(connection):
        for name in _there(connection):
            connection.execute(f"drop trigger {name}")
        for words in (*_TABLES, *_TRIGGERS.values(), _all(connection)):
            connection.execute(words)


def _all(connection: sqlite3.Connection) -> str:
    return _ALL + (_BUT_ADOPTED if _has(connection, "adopted") else "")


def stay(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """These go nowhere. Within a transaction."""
    if _has(connection, "outgoing"):
        _take_out(connection, ids)


def _has(connection: sqlite3.Connection, table: str) -> bool:
    words = "select 1 from sqlite_master where type = 'table' and name = ?"
    return connection.execute(words, (table,)).fetchone() is not None


def _take_out(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    connection.executemany("delete from outgoing where id = ?", [(one,) for one in ids])


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
