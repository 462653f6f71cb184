"""The batches that wait for their rows, in a table of `requests.db`: what holds for its rows, from a full disk to a backup, holds for them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from intellirouter.errors import StateUnavailable
from intellirouter.records.held import RowsOf, Waiting
from intellirouter.records.row import Ids, Row

SCHEMA = """
create table if not exists held (number integer primary key autoincrement, since real, rows integer, batch blob);
"""
"""No number is given out again: one that was put aside comes back as it was."""
AGAIN = "update held set number = -number where number < 0"
FORGET = "delete from held where number < 0 and since < ?"
_OLDEST = "select number, rows, batch from held where number > 0 order by number"
TOGETHER = 2000
"""Rows that are made in one transaction: the more there are, the fewer pages of indexes are written again and again."""
TIMES = 5
"""That ids are drawn for a batch until no row has one of them: of two at one moment every four thousandth pair is the same."""

Connect = Callable[[], contextlib.AbstractContextManager[sqlite3.Connection]]
log = structlog.get_logger(__name__)


class SqliteHeld:
    """See `Held`. `write` inserts rows within a transaction.

    A batch that cannot be read, for want of its key perhaps, is put aside under a number below zero, until the file is opened again,
    and is kept for no longer than rows are.
    """

    def __init__(self, connect: Connect, write: Callable[[sqlite3.Connection, Sequence[Row]], None]) -> None:
        self._connect = connect
        self._write = write
        self._one_at_a_time = threading.Lock()
        self.refused = 0

    def hold(self, batches: Sequence[tuple[int, bytes]], since: float) -> None:
        """See `Held.hold`."""
        with self._connect() as connection:
            connection.execute("begin immediate")
            connection.executemany(
                "insert into held (since, rows, batch) values (?, ?, ?)", [(since, *one) for one in batches]
            )
            connection.execute("commit")

    def waiting(self) -> Waiting:
        """See `Held.waiting`."""
        with self._connect() as connection:
            return waiting(connection)

    def release(self, rows_of: RowsOf) -> int:
        """See `Held.release`."""
        with self._one_at_a_time, self._connect() as connection:
            rows, numbers, many, whole = list[Row](), list[int](), 0, 0
            for number, held, batch in _oldest(connection):
                many += held
                try:
                    made = list(rows_of(batch))  # all of them before one is taken: the rest may fail
                except Exception:
                    self.refused += held
                    log.exception("records.batch_not_read", number=number, rows=held)
                    connection.execute("update held set number = -number where number = ?", (number,))
                    continue
                rows += made
                numbers.append(number)
                whole += held
            for _ in range(TIMES if numbers else 0):
                with contextlib.suppress(sqlite3.IntegrityError):
                    if self._released(connection, numbers, rows):
                        self.refused += whole - len(rows)
                    return many
            if numbers:
                raise StateUnavailable("the record found no ids for its rows")
            return many

    def _released(self, connection: sqlite3.Connection, numbers: list[int], rows: list[Row]) -> bool:
        """Put the rows in their batches' place; False where somebody else did. Raises `sqlite3.IntegrityError` where an id is not new."""
        ids = Ids()
        for row in rows:
            row.id = ids.next(row.ended)
        connection.execute("begin immediate")
        try:
            ended = connection.executemany("delete from held where number = ?", [(one,) for one in numbers])
            ours = ended.rowcount == len(numbers)
            if ours and rows:
                self._written(connection, rows)
            # where another process was quicker, whoever comes next sees what is left
            connection.execute("commit" if ours else "rollback")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise
        return ours

    def _written(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Write them, but for those that no store can take: the others are as good as any."""
        connection.execute("savepoint rows")
        try:
            self._write(connection, rows)
        except sqlite3.Error:
            raise
        except Exception:
            connection.execute("rollback to rows")
            if len(rows) == 1:
                self.refused += 1
                log.exception("records.row_refused", request_id=rows[0].request_id)
            else:
                half = len(rows) // 2
                self._written(connection, rows[:half])
                self._written(connection, rows[half:])
        connection.execute("release rows")

    def change(self, change: Callable[[bytes], bytes]) -> None:
        """See `Held.change`."""
        with self._connect() as connection:
            for (number,) in connection.execute("select number from held").fetchall():
                connection.execute("begin immediate")
                line = connection.execute("select batch from held where number = ?", (number,)).fetchone()
                if line is not None:
                    connection.execute(
                        "update held set batch = ? where number = ?", (change(line[0]), number)
                    )
                connection.execute("commit")


def _oldest(connection: sqlite3.Connection) -> list[tuple[int, int, bytes]]:
    """The oldest batches, `TOGETHER` rows at most or one batch: number, rows, bytes."""
    found, many = list[tuple[int, int, bytes]](), 0
    with contextlib.closing(connection.execute(_OLDEST)) as lines:
        for line in lines:
            many += line[1]
            if found and many > TOGETHER:
                break
            found.append(line)
    return found


def waiting(connection: sqlite3.Connection) -> Waiting:
    """See `Held.waiting`."""
    words = (
        "select ifnull(sum(rows), 0), ifnull(sum(length(batch)), 0), min(since) from held where number > 0"
    )
    rows, size, since = connection.execute(words).fetchone()
    return Waiting(rows, size, time.time() if since is None else since)
