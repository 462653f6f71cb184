"""Rows of a Postgres query as documents: `id` names one, `text` is what it says, `updated` (if there is one) what tells its version.

Without `updated` the server hashes the text. Everything is read in one transaction that can write nothing. Further columns of text go along as
attributes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import InvalidRequest, PayloadTooLarge, StateUnavailable
from intellirouter.roles.rag_manager.sources.source import Entry, Fetched, Known, Trouble, wanted

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 300
_PAGE = 1_000
_OURS = frozenset({"id", "text", "updated"})
_MOST_ATTRIBUTE = 500


@dataclass(slots=True)
class Rows:
    """See `Source`."""

    section: RagSource
    _connection: psycopg.AsyncConnection[Any] | None = None
    _columns: tuple[str, ...] = field(default=())

    async def listed(self, known: Known) -> AsyncIterator[Entry | Trouble]:  # noqa: ARG002  a mark is had for nothing
        """See `Source.listed`."""
        connection = await self._connected()
        mark = "updated::text" if "updated" in self._columns else "md5(text::text)"
        names: set[str] = set()
        async with connection.cursor(name="listing") as cursor:
            cursor.itersize = _PAGE
            try:
                await cursor.execute(self._select(f"id::text, {mark}, octet_length(text::text)"), ())
                async for id_, version, size in cursor:
                    if id_ is None or id_ in names:
                        yield Trouble(str(id_), "is no id: it must be there and be one row's alone")
                    elif wanted(self.section, id_) and size is not None:
                        names.add(id_)
                        yield Entry(id_, f"{version}:{size}", size=size)
            except psycopg.Error as error:
                raise _told(error) from error

    async def fetch(self, entry: Entry, most: int) -> Fetched | None:
        """See `Source.fetch`."""
        if entry.size is not None and entry.size > most:
            raise PayloadTooLarge(
                f"has {entry.size} bytes; at most {most} are taken (rag.max_document_bytes)."
            )
        connection = await self._connected()
        try:
            async with (
                connection.transaction(),
                connection.cursor() as cursor,
            ):  # what fails ends this row alone
                await cursor.execute(self._select("*", "where id::text = %s limit 1"), (entry.name,))
                row = await cursor.fetchone()
        except psycopg.Error as error:
            raise _told(error) from error
        if row is None:
            return None
        told = dict(zip(self._columns, row, strict=True))
        more = {
            name: value[:_MOST_ATTRIBUTE]
            for name, value in told.items()
            if name not in _OURS and isinstance(value, str)
        }
        return Fetched(
            str(told["text"] or "").encode(), {"id": entry.name[:_MOST_ATTRIBUTE], **more, "charset": "utf-8"}
        )

    async def aclose(self) -> None:
        """End the transaction and the connection."""
        if self._connection is not None:
            await self._connection.close()

    def _select(self, columns: str, rest: str = "") -> bytes:
        """A statement over the operator's query; a percent sign of that is no place for a value."""
        query = (self.section.query or "").strip().rstrip(";").replace("%", "%%")
        return f"select {columns} from ({query}) as source {rest}".encode()  # noqa: S608  the operator's own words and ours

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is not None:
            return self._connection
        url = self.section.database_url
        try:
            async with asyncio.timeout(CONNECT_SECONDS + 1):
                made = await psycopg.AsyncConnection.connect(
                    url.get_secret_value() if url else "",
                    connect_timeout=CONNECT_SECONDS,
                    application_name="intellirouter source",
                    options=f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c default_transaction_read_only=on",
                )
        except psycopg.Error as error:
            raise StateUnavailable(f"Postgres does not let us in: {_refused(error)}.") from error
        self._connection = made
        await made.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        try:
            async with made.cursor() as cursor:
                await cursor.execute(self._select("*", "where %s limit 0"), (False,))
                self._columns = tuple(column.name for column in cursor.description or ())
        except psycopg.Error as error:
            raise _told(error) from error
        if lost := {"id", "text"} - set(self._columns):
            raise InvalidRequest(
                f"query: answers no column {' and no '.join(sorted(lost))}; name them with AS."
            )
        return made


def _told(error: psycopg.Error) -> StateUnavailable:
    """What Postgres said first: the operator's own query is at fault, or its server."""
    said = error.diag.message_primary or "the connection ended"
    return StateUnavailable(f"Postgres: {said[:300]}.")


_REASONS = {
    "refused": "nothing listens at that address",
    "translate host name": "there is no host of that name",
    "timeout": "it does not answer in time",
    "No route": "there is no way to that address",
    "SSL": "its certificate or TLS setting does not agree with ours",
    "missing": "database_url is no address of Postgres",
    "invalid": "database_url is no address of Postgres",
}


def _refused(error: psycopg.Error) -> str:
    """Why there is no connection: the server's own words, which name no password; of what the library says only its kind."""
    _, fatal, words = str(error).partition("FATAL:")
    if fatal:
        return words.strip().splitlines()[0].rstrip(".")[:300]
    found = (reason for sign, reason in _REASONS.items() if sign in str(error))
    return next(found, "the connection fails; the log of Postgres may say why")
