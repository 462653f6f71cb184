"""Writing the record to SQLite, and keeping its house."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from intellirouter.errors import InvalidRequest, NewerFormat, StateUnavailable
from intellirouter.records import questions
from intellirouter.records.columns import COLUMNS, quoted, values
from intellirouter.records.query import By, Page, Query, Size, Usage, score_of
from intellirouter.records.questions import RESPOKEN
from intellirouter.records.row import SHIFT, Row, id_at, time_of
from intellirouter.records.sqlite import asking, packs, summing
from intellirouter.records.sqlite.adopting import adopt
from intellirouter.records.sqlite.asking import DIALECT
from intellirouter.records.sqlite.held import AGAIN, FORGET, LACKS_UNTIL, UNTIL, SqliteHeld, waiting
from intellirouter.records.sqlite.outgoing import SqliteOutgoing
from intellirouter.records.sqlite.schema import INSERT, SCHEMA, VERSION
from intellirouter.records.store import READ_SECONDS, IdTaken, RowsUnfit, TooSlow

FILE = "requests.db"
BUSY_SECONDS = 5.0
TOGETHER = 100
"""Rows of one statement: SQLite runs it without the interpreter's lock, so that the loop goes on meanwhile."""
PRUNED_AT_ONCE = 1000
PAGES_GIVEN_BACK = 1000
SETTLED_SECONDS = 10.0
"""After so long the other processes have written theirs too, mostly."""
GIVING_SECONDS = 0.3
"""Of one look at the house; what is free until the next is used again, or given back then."""
STEPS = 100_000
"""Of SQLite's machine between two looks at the clock: about a millisecond."""
_LINE = f"({', '.join('?' * len(COLUMNS))})"
_DAMAGED = ("file is not a database", "malformed")

log = structlog.get_logger(__name__)


class SqliteStore:
    """See `Store`. Any thread may ask; one writes."""

    def __init__(self, path: Path, *, read_seconds: float = READ_SECONDS) -> None:
        self.path = path
        self._read_seconds = read_seconds
        self._readers: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._writer = self._opened()
        # no question's deadline: a release has a bound in rows, and given up it would have to be done again
        self.held = SqliteHeld(lambda: self._asking(writes=True, seconds=math.inf), _insert)
        self.outgoing = SqliteOutgoing(lambda: self._asking(writes=True, seconds=math.inf))

    def _opened(self) -> sqlite3.Connection:
        try:
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not any(word in str(error) for word in _DAMAGED):
                    raise
                aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
                self.path.rename(aside)
                for end in ("-wal", "-shm"):
                    self.path.with_name(self.path.name + end).unlink(missing_ok=True)
                log.error("records.file_damaged", moved_to=str(aside), reason=str(error))  # noqa: TRY400  said
                return self._connect()
        except (OSError, sqlite3.Error) as error:
            raise StateUnavailable(f"the record {self.path} cannot be opened: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _made(self.path)
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            version = connection.execute("pragma user_version").fetchone()[0]
            if version > VERSION:
                raise NewerFormat(f"The record {self.path}", version, VERSION)
            connection.execute("pragma auto_vacuum = incremental")  # holds for a new file
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma journal_size_limit = 67108864")
            _tune(connection)
            connection.execute("pragma cache_size = -8000")
            connection.execute("pragma secure_delete = off")
            if version < VERSION:
                if connection.execute(LACKS_UNTIL).fetchone():
                    connection.execute(UNTIL)
                connection.executescript(SCHEMA)
            connection.execute(AGAIN)
        except BaseException:
            connection.close()
            raise
        return connection

    def write(self, rows: Sequence[Row]) -> None:
        """See `Store.write`."""
        connection = self._writer
        try:
            connection.execute("begin immediate")
            try:
                _insert(connection, rows)
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
        except sqlite3.OperationalError as error:
            raise StateUnavailable(f"the record {self.path} cannot be written: {error}") from error

    def adopt(self, source: str, rows: Sequence[tuple[int, Row]]) -> int:
        """See `Store.adopt`."""
        with self._asking(writes=True) as connection:
            connection.execute("begin immediate")
            try:
                new = adopt(connection, source, rows, _insert)
            except sqlite3.IntegrityError as error:
                raise IdTaken("Another row has the id of one of these.") from error
            except (OverflowError, UnicodeError) as error:
                raise RowsUnfit(f"A row cannot be kept: {error}.") from error
            connection.execute("commit")
        return new

    def those(self, ids: Sequence[int]) -> list[Row]:
        """See `Store.those`."""
        with self._asking() as connection:
            return questions.those(connection.execute, DIALECT, ids)

    def page(self, query: Query, limit: int, before: int | None = None, after: int | None = None) -> Page:
        """See `Store.page`."""
        with self._asking() as connection:
            return asking.page(connection, query, limit, before, after)

    def get(self, name: str, tenant: str | None) -> list[Row]:
        """See `Store.get`."""
        with self._asking() as connection:
            return questions.get(connection.execute, DIALECT, name, tenant)

    def session(self, name: str, tenant: str | None, limit: int) -> list[Row]:
        """See `Store.session`."""
        with self._asking() as connection:
            return questions.session(connection.execute, name, tenant, limit)

    def usage(self, by: By, query: Query, zone: int = 0) -> list[Usage]:
        """See `Store.usage`."""
        with self._asking() as connection:
            return summing.usage(connection, by, query, zone)

    def total(self, query: Query) -> Usage:
        """See `Store.total`."""
        with self._asking() as connection:
            return summing.total(connection, query)

    def rows(self, query: Query, limit: int) -> Iterator[list[Row]]:
        """See `Store.rows`."""
        return questions.pages(self.page, query, limit)

    def give_feedback(self, row_id: int, feedback: dict[str, Any]) -> bool:
        """See `Store.give_feedback`."""
        text = msgspec.json.encode(feedback).decode()
        with self._asking(writes=True) as connection:
            return (
                connection.execute(
                    "update requests set feedback = ?, score = ? where id = ?",
                    (text, score_of(feedback), row_id),
                ).rowcount
                > 0
            )

    def contents(self, rows: Sequence[Row]) -> list[Row]:
        """See `Store.contents`."""
        with self._asking() as connection:
            return questions.contents(connection.execute, DIALECT, rows)

    def rewrite(self, after: int, limit: int, change: Callable[[Row], Row]) -> int | None:
        """See `Store.rewrite`."""
        # not a row without words: there are far more of those
        words = (
            f"select {quoted(RESPOKEN, 'requests.')}, asked, answered from requests "  # noqa: S608  names of ours
            "left join content on content.id = requests.id where requests.id > ? and "
            "(content.id is not null or detail is not null or feedback is not null or requests.message <> '') "
            "order by requests.id limit ?"
        )
        with self._asking(writes=True) as connection:
            connection.execute("begin immediate")
            found = connection.execute(words, (after, limit)).fetchall()
            for row, (detail, feedback) in questions.rewritten(found, change):
                connection.execute(
                    "update requests set message = ?, detail = ?, feedback = ? where id = ?",
                    (row.message, detail, feedback, row.id),
                )
                # the index of words follows what is taken out and put in
                connection.execute("delete from content where id = ?", (row.id,))
                if said := _said(row):
                    connection.execute("insert into content values (?, ?, ?, ?)", said)
            if not found:  # FTS5 keeps what was taken out until it merges what it has
                connection.execute("insert into words (words) values ('optimize')")
            connection.execute("commit")
        return found[-1][0] if found else None

    def prune(self, before: float, max_bytes: int) -> int:
        """See `Store.prune`."""
        connection = self._writer
        try:
            connection.execute(FORGET, (before,))
            removed = self._remove(connection, "id < ?", id_at(before))
            if not removed and self._used(connection) > max_bytes:
                removed = self._remove(connection, "true")
            if not removed:
                self._give_back(connection)
        except sqlite3.Error as error:
            raise StateUnavailable(f"the record {self.path} cannot be pruned: {error}") from error
        return removed

    @staticmethod
    def _remove(connection: sqlite3.Connection, which: str, *values: Any) -> int:
        words = f"select max(id), count(*) from (select id from requests where {which} order by id limit {PRUNED_AT_ONCE})"  # noqa: S608  words of ours
        last, count = connection.execute(words, values).fetchone()
        if not count:
            return 0
        last |= (1 << SHIFT) - 1  # whole milliseconds: packs are cut no finer
        connection.execute("begin immediate")
        try:
            count = connection.execute("select count(*) from requests where id <= ?", (last,)).fetchone()[0]
            packs.forget(connection, last)
            for table in ("tags", "content", "requests"):
                connection.execute(f"delete from {table} where id <= ?", (last,))  # noqa: S608  names of ours
            connection.execute("update kept set rows = rows - ?", (count,))
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise
        return int(count)

    def pack(self) -> int:
        """See `Store.pack`."""
        connection = self._writer
        try:
            before = id_at(min(time.time() - SETTLED_SECONDS, waiting(connection).since))
            if not packs.waiting(connection, before):
                return 0
            connection.execute("begin immediate")
            try:
                packed = packs.pack_next(connection, before)
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
        except sqlite3.OperationalError as error:
            raise StateUnavailable(f"the record {self.path} cannot be packed: {error}") from error
        return packed

    def recount(self) -> None:
        """See `Store.recount`."""
        with self._asking(writes=True) as connection:
            connection.execute("begin immediate")
            packs.forget_all(connection)
            connection.execute("commit")

    def check(self, places: int, /) -> int:
        """See `Store.check`."""
        with self._asking() as connection:
            return summing.disagreements(connection, places)

    @staticmethod
    def _used(connection: sqlite3.Connection) -> int:
        pages, free, size = (
            int(connection.execute(f"pragma {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    @staticmethod
    def _give_back(connection: sqlite3.Connection) -> None:
        """Shorten the file by what is free beyond what the next rows will need, for a moment: rows wait to be written."""
        until = time.monotonic() + GIVING_SECONDS
        free = int(connection.execute("pragma freelist_count").fetchone()[0])
        while free > 2 * PAGES_GIVEN_BACK:
            connection.execute(f"pragma incremental_vacuum({PAGES_GIVEN_BACK})").fetchall()
            left = int(connection.execute("pragma freelist_count").fetchone()[0])
            if left >= free or time.monotonic() > until:
                return
            free = left
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()

    def size(self) -> Size:
        """See `Store.size`."""
        with self._asking() as connection:
            pages, size = (
                int(connection.execute(f"pragma {name}").fetchone()[0])
                for name in ("page_count", "page_size")
            )
            oldest = connection.execute("select min(id) from requests").fetchone()[0]
            rows = connection.execute("select rows from kept").fetchone()[0] + waiting(connection).rows
        return Size(rows, pages * size, None if oldest is None else time_of(oldest))

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, []
        for connection in (*readers, self._writer):
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    @contextlib.contextmanager
    def _asking(self, *, writes: bool = False, seconds: float | None = None) -> Iterator[sqlite3.Connection]:
        """A connection for one question, that gives up in time: after `seconds`, or those of the store."""
        with self._lock:
            if self._closed:
                raise StateUnavailable("the record is closed")
            connection = self._readers.pop() if self._readers else None
        good, done = False, "written" if writes else "read"
        try:
            if connection is None:
                connection = sqlite3.connect(
                    self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
                )
                _tune(connection)
                connection.execute("pragma cache_size = -16000")
            connection.execute(f"pragma query_only = {'off' if writes else 'on'}")
            until = time.monotonic() + (self._read_seconds if seconds is None else seconds)
            connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
            yield connection
            connection.set_progress_handler(None, 0)
            good = True
        except sqlite3.OperationalError as error:
            if "phrase" in str(error):  # letters that are part of a word for us and none for SQLite
                raise InvalidRequest(
                    "'text' holds a word that cannot be looked for.", param="text"
                ) from error
            if "interrupted" in str(error):
                raise TooSlow(
                    f"The record could not answer within {self._read_seconds:g} seconds: ask for less time, or with a filter."
                ) from error
            raise StateUnavailable(f"the record {self.path} cannot be {done}: {error}") from error
        except sqlite3.Error as error:
            raise StateUnavailable(f"the record {self.path} cannot be {done}: {error}") from error
        finally:
            if connection is not None:
                with self._lock:
                    keep = good and not self._closed
                    if keep:
                        self._readers.append(connection)
                if not keep:
                    connection.close()


def _made(file: Path) -> None:
    """Make it, for its user alone: SQLite itself asks the umask.

    One that is there is not opened: closing any descriptor of a file gives up all locks that this process has on it (fcntl(2)), and
    with them the word to other processes that its log is in use. The next of them to close the file would delete the log.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _tune(connection: sqlite3.Connection) -> None:
    connection.execute("pragma synchronous = normal")
    # pages of many indexes change with every batch: copied into the file once for several of them
    connection.execute("pragma wal_autocheckpoint = 4000")


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Within a transaction."""
    for at in range(0, len(rows), TOGETHER):
        some = rows[at : at + TOGETHER]
        flat: list[Any] = []
        for row in some:
            flat += values(row)
        connection.execute(INSERT + ",".join([_LINE] * len(some)), flat)
    tags = [(tag, row.id) for row in rows if row.tags for tag in dict.fromkeys(row.tags)]
    if tags:
        connection.executemany("insert into tags values (?, ?)", tags)
    said = [line for row in rows if (line := _said(row)) is not None]
    if said:
        connection.executemany("insert into content values (?, ?, ?, ?)", said)
    packs.came(connection, [row.id for row in rows])
    connection.execute("update kept set rows = rows + ?", (len(rows),))


def _said(row: Row) -> tuple[int, str | None, str | None, str | None] | None:
    """The line of `content`, whose words are looked for; None where nothing was said."""
    if not row.message and row.asked is None and row.answered is None:
        return None
    return row.id, row.asked, row.answered, row.message or None
