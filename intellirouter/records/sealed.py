"""A store of the record that keeps what was asked and answered encrypted. What is searched in their words is not found then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from intellirouter.records.query import By, Page, Query, Size, Usage
from intellirouter.records.row import Row
from intellirouter.records.store import Store

PURPOSE = "record"


class Sealing(Protocol):
    """See `security.sealing.Sealer`."""

    def seal_text(self, purpose: str, place: str, text: str) -> str:
        """Encrypt."""

    def open_text(self, purpose: str, place: str, text: str) -> str:
        """Decrypt."""


class SealedRecords:
    """See `Store`."""

    def __init__(self, store: Store, sealer: Sealing) -> None:
        self._store = store
        self._sealer = sealer
        self.resealed = 0

    def write(self, rows: Sequence[Row]) -> None:
        """See `Store.write`."""
        self._store.write([self._with(row, self._sealer.seal_text) for row in rows])

    def page(self, query: Query, limit: int, before: int | None = None, after: int | None = None) -> Page:
        """See `Store.page`."""
        page = self._store.page(query, limit, before, after)
        return msgspec.structs.replace(page, rows=self._opened(page.rows))

    def get(self, name: str, tenant: str | None) -> list[Row]:
        """See `Store.get`."""
        return self._opened(self._store.get(name, tenant))

    def session(self, name: str, tenant: str | None, limit: int) -> list[Row]:
        """See `Store.session`."""
        return self._opened(self._store.session(name, tenant, limit))

    def usage(self, by: By, query: Query, zone: int = 0) -> list[Usage]:
        """See `Store.usage`."""
        return self._store.usage(by, query, zone)

    def total(self, query: Query) -> Usage:
        """See `Store.total`."""
        return self._store.total(query)

    def rows(self, query: Query, limit: int) -> Iterator[list[Row]]:
        """See `Store.rows`."""
        for rows in self._store.rows(query, limit):
            yield self._opened(rows)

    def give_feedback(self, row_id: int, feedback: dict[str, Any]) -> bool:
        """See `Store.give_feedback`."""
        return self._store.give_feedback(row_id, feedback)

    def rewrite(self, after: int, limit: int, change: Callable[[Row], Row]) -> int | None:
        """See `Store.rewrite`."""
        return self._store.rewrite(after, limit, change)

    def reseal(self, after: int, limit: int) -> int | None:
        """Seal the content of the next rows with the key that seals now. See `Store.rewrite`. Raises `NotOpened`."""

        def sealed(row: Row) -> Row:
            self.resealed += 1
            return self._with(self._with(row, self._sealer.open_text), self._sealer.seal_text)

        return self._store.rewrite(after, limit, sealed)

    def prune(self, before: float, max_bytes: int) -> int:
        """See `Store.prune`."""
        return self._store.prune(before, max_bytes)

    def pack(self) -> int:
        """See `Store.pack`."""
        return self._store.pack()

    def recount(self) -> None:
        """See `Store.recount`."""
        self._store.recount()

    def check(self, places: int, /) -> int:
        """See `Store.check`."""
        return self._store.check(places)

    def size(self) -> Size:
        """See `Store.size`."""
        return self._store.size()

    def close(self) -> None:
        """See `Store.close`."""
        self._store.close()

    def _opened(self, rows: Iterable[Row]) -> list[Row]:
        return [self._with(row, self._sealer.open_text) for row in rows]

    def _with(self, row: Row, change: Any) -> Row:
        if row.asked is None and row.answered is None:
            return row
        place = f"{row.tenant}:{row.request_id}"
        asked, answered = (
            None if text is None else change(PURPOSE, f"{place}:{name}", text)
            for name, text in (("asked", row.asked), ("answered", row.answered))
        )
        return msgspec.structs.replace(row, asked=asked, answered=answered)
