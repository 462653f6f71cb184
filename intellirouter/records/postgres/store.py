"""Writing the record to Postgres, and keeping its house."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import psycopg

from intellirouter.errors import NewerFormat, StateUnavailable
from intellirouter.records import questions
from intellirouter.records.columns import quoted, values
from intellirouter.records.held import Held
from intellirouter.records.outgoing import Outgoing
from intellirouter.records.postgres import asking
from intellirouter.records.postgres.asking import DIALECT
from intellirouter.records.postgres.schema import (
    ADOPT,
    DAY,
    FORGET_ADOPTED,
    FORMAT,
    INSERT,
    LOCK,
    SCHEMA,
    SCHEMA_NAME,
    VERSION,
    create_partition,
    day_of,
    partition,
)
from intellirouter.records.query import By, Page, Query, Size, Usage, score_of
from intellirouter.records.questions import RATE, RESPOKEN, Ask, ratings
from intellirouter.records.row import Row, id_at, time_of
from intellirouter.records.store import READ_SECONDS, IdTaken, RowsUnfit, TooSlow

CONNECT_SECONDS = 5
WRITE_SECONDS = 30.0
PRUNED_AT_ONCE = 5000
MOST_SAID = 200_000
"""Characters of a request and its answer that words are looked for in."""


class PostgresStore:
    """See `Store`. Any thread may ask; one writes. A connection that broke is made anew by the next call."""

    def __init__(self, url: str, *, read_seconds: float = READ_SECONDS) -> None:
        self.held: Held | None = None
        self.outgoing: Outgoing | None = None
        self._url = url
        self._read_seconds = read_seconds
        self._readers: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._days: set[int] = set()
        self._writer: psycopg.Connection[Any] | None = None
        with self._writing() as connection, connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
            connection.execute(FORMAT)
            found = connection.execute("select max(version) from format").fetchone()
            if found is not None and (found[0] or 0) > VERSION:
                raise NewerFormat(f"The record in Postgres (schema {SCHEMA_NAME})", found[0], VERSION)
            connection.execute(SCHEMA)
            connection.execute("insert into format values (%s) on conflict do nothing", (VERSION,))

    def _connect(self, seconds: float) -> psycopg.Connection[Any]:
        options = f"-c search_path={SCHEMA_NAME} -c statement_timeout={int(seconds * 1e3)}"
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            options=options,
            application_name="intellirouter record",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            if self._writer is None or self._writer.closed:
                self._writer = self._connect(WRITE_SECONDS)
            yield self._writer
        except psycopg.DataError:
            raise  # the rows' fault, not the server's
        except psycopg.Error as error:
            if self._writer is not None:
                self._writer.close()
            self._writer = None
            raise StateUnavailable(f"the record's Postgres failed: {_reason(error)}") from error

    def write(self, rows: Sequence[Row]) -> None:
        """See `Store.write`."""
        with self._writing() as connection:
            for day in {day_of(time_of(row.id)) for row in rows} - self._days:
                self._make(connection, day)
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(INSERT, [_line(row) for row in rows])

    def adopt(self, source: str, rows: Sequence[tuple[int, Row]]) -> int:
        """See `Store.adopt`."""
        with self._reader() as connection:
            for day in {day_of(time_of(row.id)) for _, row in rows} - self._days:
                self._make(connection, day)
            try:
                with connection.transaction(), connection.cursor() as cursor:
                    given = source, [own for own, _ in rows], [row.id for _, row in rows]
                    fresh = {line[0] for line in cursor.execute(ADOPT, given)}
                    new = [row for own, row in rows if own in fresh]
                    if new:
                        cursor.executemany(INSERT, [_line(row) for row in new])
                        if cursor.rowcount < len(new):
                            raise IdTaken("Another row has the id of one of these.")
                    if rated := ratings(new):
                        cursor.executemany(RATE.replace("?", "%s"), rated)
            except (psycopg.DataError, UnicodeError) as error:
                raise RowsUnfit(f"A row cannot be kept: {error}.") from error
        return len(new)

    def those(self, ids: Sequence[int]) -> list[Row]:
        """See `Store.those`."""
        with self._asking() as ask:
            return questions.those(ask, DIALECT, ids)

    def _make(self, connection: psycopg.Connection[Any], day: int) -> None:
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
            there = connection.execute("select to_regclass(%s)", (partition(day),)).fetchone()
            if there is None or there[0] is None:
                connection.execute(create_partition(day))
        self._days.add(day)

    def page(self, query: Query, limit: int, before: int | None = None, after: int | None = None) -> Page:
        """See `Store.page`."""
        with self._asking() as ask:
            return asking.page(ask, query, limit, before, after)

    def get(self, name: str, tenant: str | None) -> list[Row]:
        """See `Store.get`."""
        with self._asking() as ask:
            return questions.get(ask, DIALECT, name, tenant)

    def session(self, name: str, tenant: str | None, limit: int) -> list[Row]:
        """See `Store.session`."""
        with self._asking() as ask:
            return questions.session(ask, name, tenant, limit)

    def usage(self, by: By, query: Query, zone: int = 0) -> list[Usage]:
        """See `Store.usage`."""
        with self._asking() as ask:
            return questions.usage(ask, DIALECT, by, query, zone)

    def total(self, query: Query) -> Usage:
        """See `Store.total`."""
        with self._asking() as ask:
            return questions.total(ask, DIALECT, query)

    def rows(self, query: Query, limit: int) -> Iterator[list[Row]]:
        """See `Store.rows`."""
        return questions.pages(self.page, query, limit)

    def give_feedback(self, row_id: int, feedback: dict[str, Any]) -> bool:
        """See `Store.give_feedback`."""
        text = msgspec.json.encode(feedback).decode()
        words = "update requests set feedback = ?, score = ? where id = ? returning id"
        with self._asking() as ask:
            return bool(list(ask(words, (text, score_of(feedback), row_id))))

    def contents(self, rows: Sequence[Row]) -> list[Row]:
        """See `Store.contents`."""
        with self._asking() as ask:
            return questions.contents(ask, DIALECT, rows)

    def rewrite(self, after: int, limit: int, change: Callable[[Row], Row]) -> int | None:
        """See `Store.rewrite`."""
        words = (
            f"select {quoted(RESPOKEN)}, asked, answered from requests where id > ? and (asked is not null or "  # noqa: S608
            "answered is not null or detail is not null or feedback is not null or message <> '') order by id limit ?"
        )
        new = (
            "update requests set message = ?, detail = ?, feedback = ?, asked = ?, answered = ?, "
            "words = to_tsvector('simple', ?) where id = ? returning id"
        )
        with self._asking() as ask:
            found = list(ask(words, (after, limit)))
            for row, told in questions.rewritten(found, change):
                ask(new, (row.message, *told, row.asked, row.answered, looked_for(row), row.id))
        return found[-1][0] if found else None

    def prune(self, before: float, max_bytes: int) -> int:
        """See `Store.prune`. Whole days are dropped; of the day in which `before` falls its first part is deleted."""
        with self._writing() as connection:
            days = self._partitions(connection)
            if days and days[0] < day_of(before):
                return self._drop(connection, days[0])
            removed = connection.execute(
                "delete from requests where id in (select id from requests where id < %s order by id limit %s)",
                (id_at(before), PRUNED_AT_ONCE),
            ).rowcount
            connection.execute(FORGET_ADOPTED, (id_at(before),))
            if removed <= 0 and len(days) > 1 and self._bytes(connection) > max_bytes:
                return self._drop(connection, days[0])
            return max(0, removed)

    def _drop(self, connection: psycopg.Connection[Any], day: int) -> int:
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
            gone = connection.execute(
                "select count(*) from requests where id >= %s and id < %s", _span(day)
            ).fetchone()
            connection.execute(f"drop table if exists {partition(day)}")
            connection.execute(FORGET_ADOPTED, _span(day)[1:])
        self._days.discard(day)
        return max(1, gone[0] if gone else 0)

    @staticmethod
    def _partitions(connection: psycopg.Connection[Any]) -> list[int]:
        """The days that have one, oldest first."""
        found = connection.execute(
            "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
            "where i.inhparent = %s::regclass order by 1",
            (f"{SCHEMA_NAME}.requests",),
        )
        return [day_of(time.mktime(time.strptime(line[0][-8:], "%Y%m%d")) - time.timezone) for line in found]

    @staticmethod
    def _bytes(connection: psycopg.Connection[Any]) -> int:
        words = (
            "select coalesce(sum(pg_total_relation_size(i.inhrelid)), 0) from pg_inherits i "
            "where i.inhparent = %s::regclass"
        )
        found = connection.execute(words, (f"{SCHEMA_NAME}.requests",)).fetchone()
        return int(found[0]) if found else 0

    def pack(self) -> int:
        """See `Store.pack`. Partitions by day are all that is done for sums here."""
        return 0

    def recount(self) -> None:
        """See `Store.recount`."""

    def check(self, _places: int, /) -> int:
        """See `Store.check`."""
        return 0

    def size(self) -> Size:
        """See `Store.size`."""
        with self._reader() as connection:
            rows = connection.execute("select count(*), min(id) from requests").fetchone() or (0, None)
            oldest = None if rows[1] is None else time_of(rows[1])
            return Size(int(rows[0]), self._bytes(connection), oldest)

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, []
        for connection in (*readers, self._writer):
            if connection is not None:
                with contextlib.suppress(psycopg.Error):
                    connection.close()

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Ask]:
        with self._reader() as connection:

            def ask(words: str, given: Sequence[Any]) -> list[Sequence[Any]]:
                return connection.execute(words.replace("?", "%s"), given).fetchall()

            yield ask

    @contextlib.contextmanager
    def _reader(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection for one question, that gives up in time."""
        with self._lock:
            if self._closed:
                raise StateUnavailable("the record is closed")
            connection = self._readers.pop() if self._readers else None
        good = False
        try:
            if connection is None or connection.closed:
                connection = self._connect(self._read_seconds)
            yield connection
            good = True
        except psycopg.errors.QueryCanceled as error:
            raise TooSlow(
                f"The record could not answer within {self._read_seconds:g} seconds: ask for less time, or with a filter."
            ) from error
        except psycopg.Error as error:
            raise StateUnavailable(f"the record's Postgres failed: {_reason(error)}") from error
        finally:
            if connection is not None:
                with self._lock:
                    keep = good and not self._closed
                    if keep:
                        self._readers.append(connection)
                if not keep:
                    connection.close()


def _line(row: Row) -> tuple[Any, ...]:
    line = (*values(row), list(row.tags) or None, row.asked, row.answered, looked_for(row))
    return tuple(
        value.replace("\0", "") if isinstance(value, str) and "\0" in value else value for value in line
    )


def looked_for(row: Row) -> str | None:
    """What words are looked for in: an index of more than a megabyte is none that Postgres makes."""
    return " ".join(text for text in (row.asked, row.answered, row.message) if text)[:MOST_SAID] or None


def _span(day: int) -> tuple[int, int]:
    return id_at(day * DAY), id_at((day + 1) * DAY)


def _reason(error: psycopg.Error) -> str:
    """The first line of what went wrong. libpq names host and port, never the password."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
