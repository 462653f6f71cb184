"""The batches that wait for their rows, in a table of `requests.db`: what holds for its rows, from a full disk to a backup, holds for them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from operator import attrgetter

import structlog

from intellirouter.errors import StateUnavailable
from intellirouter.records.held import AT_ONCE, RowsOf, Span, Waiting, list_in
from intellirouter.records.row import Ids, Row

SCHEMA = """
create table if not exists held (number integer primary key autoincrement, since real, until real, rows integer, batch blob);
"""
UNTIL = "alter table held add column until real"
LACKS_UNTIL = (
    "select 1 where exists (select 1 from pragma_table_info('held')) "
    "and not exists (select 1 from pragma_table_info('held') where name = 'until')"
)
"""For a file of an older version."""
AGAIN = "update held set number = -number where number < 0"
FORGET = "delete from held where number < 0 and since < ?"
_OLDEST = "select number, rows, batch from held where number > 0 order by number"
_THESE = "select number, rows, batch from held where number > 0 and number in (select value from json_each(?)) order by number"
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
                "insert into held (since, until, rows, batch) values (?, ?, ?, ?)",
                [(since, time.time(), *one) for one in batches],
            )
            connection.execute("commit")

    def waiting(self) -> Waiting:
        """See `Held.waiting`."""
        with self._connect() as connection:
            return waiting(connection)

    def batches(self, span: Span) -> list[tuple[int, int]]:
        """See `Held.batches`."""
        words = (
            "select number, rows from held where number > 0 and since <= ? and (until is null or until >= ?) "
            "order by number"
        )
        with self._connect() as connection:
            return connection.execute(words, (span.until, span.since)).fetchall()

    def holding(self, name: bytes, told: Callable[[bytes], bytes] = list_in) -> list[int]:
        """See `Held.holding`. `told` is the list of a batch; one that cannot be read may hold anything."""
        found: list[int] = []
        with self._connect() as connection, contextlib.closing(connection.execute(_OLDEST)) as lines:
            for number, _, batch in lines:
                with contextlib.suppress(Exception):  # damaged, or without its key: `release` says so
                    if name not in told(batch):
                        continue
                found.append(number)
        return found

    def release(self, rows_of: RowsOf, numbers: Sequence[int] | None = None) -> int:
        """See `Held.release`."""
        with self._one_at_a_time, self._connect() as connection:
            rows, done, many, whole = list[Row](), list[int](), 0, 0
            found = (
                _oldest(connection) if numbers is None else connection.execute(_THESE, (str(list(numbers)),))
            )
            for number, held, batch in list(found):
                many += held
                try:
                    made = list(rows_of(batch))  # all of them before one is taken: the rest may fail
                except Exception:
                    self.refused += held
                    log.exception("records.batch_not_read", number=number, rows=held)
                    connection.execute("update held set number = -number where number = ?", (number,))
                    continue
                rows += made
                done.append(number)
                whole += held
            for _ in range(TIMES if done else 0):
                with contextlib.suppress(sqlite3.IntegrityError):
                    if self._released(connection, done, rows):
                        self.refused += whole - len(rows)
                    return many
            if done:
                raise StateUnavailable("the record found no ids for its rows")
            return many

    def _released(self, connection: sqlite3.Connection, numbers: list[int], rows: list[Row]) -> bool:
        """Put the rows in their batches' place; False where somebody else did. Raises `sqlite3.IntegrityError` where an id is not new."""
        ids = Ids()
        rows.sort(key=attrgetter("ended"))  # or ids would be those of later moments
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
    """The oldest batches, `AT_ONCE` rows at most or one batch: number, rows, bytes."""
    found, many = list[tuple[int, int, bytes]](), 0
    with contextlib.closing(connection.execute(_OLDEST)) as lines:
        for line in lines:
            many += line[1]
            if found and many > AT_ONCE:
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
