"""The record as it is asked while requests are held: rows are first made of what an answer could tell, and of no more.

A node whose processors are all busy may hold a hundred thousand requests. A page of the newest wants the newest batch alone, a request
by its name the one that it is in, and a sum those of its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from intellirouter.records import questions
from intellirouter.records.held import EVER, Held, RowsOf, Span, release_all, release_these
from intellirouter.records.query import By, Page, Query, Usage
from intellirouter.records.row import Row, time_of
from intellirouter.records.store import Store


def whole(store: Store, rows_of: RowsOf) -> Store:
    """The store, to be asked as if nothing were held."""
    if store.held is None:
        return store
    return cast("Store", Whole(store, store.held, rows_of))


class Whole:
    """See `Store`: what is not here asks for rows by their ids, counts what is held by itself, or changes what there is."""

    def __init__(self, store: Store, held: Held, rows_of: RowsOf) -> None:
        self._store, self._held, self._rows_of = store, held, rows_of

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def page(self, query: Query, limit: int, before: int | None = None, after: int | None = None) -> Page:
        """See `Store.page`."""
        span = Span(
            max(_since(query), EVER.since if after is None else time_of(after)),
            min(_until(query), EVER.until if before is None else time_of(before) + 0.001),
        )
        known = {number for number, _ in self._held.batches(span)}  # what comes meanwhile is not waited for
        many = 1
        while True:
            page = self._store.page(query, limit, before, after)
            if page.before is not None:  # what ended earlier is not on it
                span = Span(max(span.since, time_of(page.before)), span.until)
            there = [number for number, _ in self._held.batches(span) if number in known]
            if not there:
                return page
            release_these(self._held, self._rows_of, set(there[-many:]))
            many *= 2

    def get(self, name: str, tenant: str | None) -> list[Row]:
        """See `Store.get`."""
        release_these(self._held, self._rows_of, self._held.holding(name.encode(errors="ignore")))
        return self._store.get(name, tenant)

    def session(self, name: str, tenant: str | None, limit: int) -> list[Row]:
        """See `Store.session`."""
        release_all(self._held, self._rows_of)
        return self._store.session(name, tenant, limit)

    def usage(self, by: By, query: Query, zone: int = 0) -> list[Usage]:
        """See `Store.usage`."""
        self._of_the_time(query)
        return self._store.usage(by, query, zone)

    def total(self, query: Query) -> Usage:
        """See `Store.total`."""
        self._of_the_time(query)
        return self._store.total(query)

    def rows(self, query: Query, limit: int) -> Iterator[list[Row]]:
        """See `Store.rows`."""
        return questions.pages(self.page, query, limit)

    def _of_the_time(self, query: Query) -> None:
        release_all(self._held, self._rows_of, Span(_since(query), _until(query)))


def _since(query: Query) -> float:
    return EVER.since if query.since is None else query.since


def _until(query: Query) -> float:
    return EVER.until if query.until is None else query.until
