"""A store of the record that keeps what was said encrypted: content, errors' messages, details, and the words of feedback.

No index knows such words, so that a page that is looked for by them is found by reading rows, from the newest on, and may end short
with where to look on. Sums are not narrowed by words here.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from intellirouter.errors import InvalidRequest
from intellirouter.records.conditions import words_in, words_of
from intellirouter.records.held import Held, RowsOf, Span, Waiting, list_in
from intellirouter.records.query import By, Page, Query, Size, Usage
from intellirouter.records.questions import pages
from intellirouter.records.row import Detail, Row
from intellirouter.records.store import Store

PURPOSE, HELD = "record", "held"
LOOKED_AT = 500
"""Rows that are read together when words are looked for."""
LOOK_SECONDS = 2.0
"""After so long a page is answered with what was found."""
PLAIN_FEEDBACK = frozenset({"score", "rating"})
"""What sums read."""
_detail = msgspec.json.Decoder(Detail).decode


class Sealing(Protocol):
    """See `security.sealing.Sealer`."""

    def seal(self, purpose: str, place: str, value: bytes) -> bytes:
        """Encrypt."""

    def open(self, purpose: str, place: str, value: bytes) -> bytes:
        """Decrypt."""

    def is_current(self, value: bytes) -> bool:
        """Whether the key that seals now sealed it."""

    def seal_text(self, purpose: str, place: str, text: str) -> str:
        """Encrypt."""

    def open_text(self, purpose: str, place: str, text: str) -> str:
        """Decrypt."""

    def is_current_text(self, text: str) -> bool:
        """Whether the key that seals now sealed it."""


class SealedHeld:
    """See `Held`. A batch is sealed as one; `sealed` makes a row of it one that may be kept."""

    def __init__(self, held: Held, sealer: Sealing, sealed: Callable[[Row], Row]) -> None:
        self._held, self._sealer, self._sealed = held, sealer, sealed

    @property
    def refused(self) -> int:
        """See `Held.refused`."""
        return self._held.refused

    def hold(self, batches: Sequence[tuple[int, bytes]], since: float) -> None:
        """See `Held.hold`."""
        self._held.hold([(rows, self._sealer.seal(PURPOSE, HELD, batch)) for rows, batch in batches], since)

    def release(self, rows_of: RowsOf, numbers: Sequence[int] | None = None) -> int:
        """See `Held.release`."""
        return self._held.release(
            lambda batch: map(self._sealed, rows_of(self._sealer.open(PURPOSE, HELD, batch))), numbers
        )

    def batches(self, span: Span) -> list[tuple[int, int]]:
        """See `Held.batches`."""
        return self._held.batches(span)

    def holding(self, name: bytes, told: Callable[[bytes], bytes] = list_in) -> list[int]:
        """See `Held.holding`."""
        return self._held.holding(name, lambda batch: told(self._sealer.open(PURPOSE, HELD, batch)))

    def waiting(self) -> Waiting:
        """See `Held.waiting`."""
        return self._held.waiting()

    def change(self, change: Callable[[bytes], bytes]) -> None:
        """See `Held.change`."""
        self._held.change(change)


class SealedRecords:
    """See `Store`."""

    def __init__(self, store: Store, sealer: Sealing) -> None:
        self._store = store
        self._sealer = sealer
        self.held = None if store.held is None else SealedHeld(store.held, sealer, self._sealed)
        self.outgoing = store.outgoing
        self.resealed = 0

    def write(self, rows: Sequence[Row]) -> None:
        """See `Store.write`."""
        self._store.write([self._sealed(row) for row in rows])

    def adopt(self, source: str, rows: Sequence[tuple[int, Row]]) -> int:
        """See `Store.adopt`."""
        return self._store.adopt(source, [(own, self._sealed(row)) for own, row in rows])

    def those(self, ids: Sequence[int]) -> list[Row]:
        """See `Store.those`. Raises `NotOpened`."""
        return self._opened(self._store.those(ids))

    def page(self, query: Query, limit: int, before: int | None = None, after: int | None = None) -> Page:
        """See `Store.page`."""
        if query.text is not None:
            return self._said(query, words_of(query.text), limit, before, after)
        page = self._store.page(query, limit, before, after)
        return msgspec.structs.replace(page, rows=self._opened(page.rows))

    def _said(
        self, query: Query, words: list[str], limit: int, before: int | None, after: int | None
    ) -> Page:
        """The rows whose content or message holds all words, the last of them perhaps as a beginning."""
        rest, found = msgspec.structs.replace(query, text=None), list[Row]()
        until = time.monotonic() + LOOK_SECONDS
        while True:
            page = self._store.page(rest, LOOKED_AT, before, after)
            for row in self.contents(page.rows):
                if _holds(words, (row.asked, row.answered, row.message)):
                    found.append(msgspec.structs.replace(row, asked=None, answered=None))
                    if len(found) == limit:
                        return Page(found, row.id)
            before = page.before
            if before is None or time.monotonic() > until:
                return Page(found, before)

    def get(self, name: str, tenant: str | None) -> list[Row]:
        """See `Store.get`."""
        return self._opened(self._store.get(name, tenant))

    def session(self, name: str, tenant: str | None, limit: int) -> list[Row]:
        """See `Store.session`."""
        return self._opened(self._store.session(name, tenant, limit))

    def usage(self, by: By, query: Query, zone: int = 0) -> list[Usage]:
        """See `Store.usage`."""
        return self._store.usage(by, _wordless(query), zone)

    def total(self, query: Query) -> Usage:
        """See `Store.total`."""
        return self._store.total(_wordless(query))

    def rows(self, query: Query, limit: int) -> Iterator[list[Row]]:
        """See `Store.rows`."""
        yield from pages(self.page, query, limit)

    def give_feedback(self, row_id: int, feedback: dict[str, Any]) -> bool:
        """See `Store.give_feedback`."""
        return self._store.give_feedback(row_id, self._feedback_sealed(row_id, feedback))

    def contents(self, rows: Sequence[Row]) -> list[Row]:
        """See `Store.contents`."""
        return self._opened(self._store.contents(rows))

    def rewrite(self, after: int, limit: int, change: Callable[[Row], Row]) -> int | None:
        """See `Store.rewrite`."""
        return self._store.rewrite(after, limit, change)

    def reseal(self, after: int, limit: int) -> int | None:
        """Seal what is said in the next rows with the key that seals now. See `Store.rewrite`. Raises `NotOpened`."""

        def sealed(row: Row) -> Row:
            if all(map(self._sealer.is_current_text, _sealed_of(row))):
                return row
            self.resealed += 1
            return self._sealed(self._open(row))

        last = self._store.rewrite(after, limit, sealed)
        if last is None and self.held is not None:
            self.held.change(self._rekeyed)
        return last

    def _rekeyed(self, batch: bytes) -> bytes:
        if self._sealer.is_current(batch):
            return batch
        return self._sealer.seal(PURPOSE, HELD, self._sealer.open(PURPOSE, HELD, batch))

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
        return [self._open(row) for row in rows]

    def _sealed(self, row: Row) -> Row:
        """A row as it is kept. Each text is bound to whose it is, of which request, and which of its texts it is."""
        place = f"{row.tenant}:{row.request_id}"
        detail, feedback = row.detail, row.feedback
        if detail != Detail():
            text = msgspec.json.encode(detail).decode()
            detail = Detail(sealed=self._sealer.seal_text(PURPOSE, f"{place}:detail", text))
        return msgspec.structs.replace(
            self._with(row, place, self._sealer.seal_text),
            detail=detail,
            feedback=None if feedback is None else self._feedback_sealed(row.id, feedback),
        )

    def _open(self, row: Row) -> Row:
        """What `_sealed` was given; what is kept in plain as it is. Raises `NotOpened`."""
        place = f"{row.tenant}:{row.request_id}"
        detail, feedback = row.detail, row.feedback
        if detail.sealed:
            detail = _detail(self._sealer.open_text(PURPOSE, f"{place}:detail", detail.sealed))
        if feedback is not None and isinstance(sealed := feedback.get("sealed"), str):
            said = msgspec.json.decode(self._sealer.open_text(PURPOSE, f"{row.id}:feedback", sealed))
            feedback = {name: value for name, value in feedback.items() if name != "sealed"} | said
        return msgspec.structs.replace(
            self._with(row, place, self._sealer.open_text), detail=detail, feedback=feedback
        )

    def _feedback_sealed(self, row_id: int, feedback: dict[str, Any]) -> dict[str, Any]:
        told = {name: value for name, value in feedback.items() if name in PLAIN_FEEDBACK}
        said = {name: value for name, value in feedback.items() if name not in PLAIN_FEEDBACK}
        if said:
            text = msgspec.json.encode(said).decode()
            told["sealed"] = self._sealer.seal_text(PURPOSE, f"{row_id}:feedback", text)
        return told

    @staticmethod
    def _with(row: Row, place: str, change: Callable[[str, str, str], str]) -> Row:
        if row.asked is None and row.answered is None and not row.message:
            return row
        asked, answered = (
            None if text is None else change(PURPOSE, f"{place}:{name}", text)
            for name, text in (("asked", row.asked), ("answered", row.answered))
        )
        message = change(PURPOSE, f"{place}:message", row.message) if row.message else ""
        return msgspec.structs.replace(row, asked=asked, answered=answered, message=message)


def _sealed_of(row: Row) -> Iterator[str]:
    """Every text of a row as it is kept that ought to be sealed."""
    yield from (text for text in (row.asked, row.answered, row.message) if text)
    if row.detail != Detail():
        yield row.detail.sealed
    if row.feedback is not None and not row.feedback.keys() <= PLAIN_FEEDBACK:
        yield str(row.feedback.get("sealed", ""))


def _wordless(query: Query) -> Query:
    if query.text is not None:
        raise InvalidRequest(
            "Sums cannot be narrowed by 'text' where the record is encrypted: narrow them by model, key, error, …",
            param="text",
        )
    return query


def _holds(words: list[str], texts: Iterable[str | None]) -> bool:
    *whole, beginning = map(_bare, words)
    there = {word for text in texts if text for word in words_in(_bare(text))}
    return there.issuperset(whole) and any(word.startswith(beginning) for word in there)


def _bare(text: str) -> str:
    """In small letters without accents, as the index of a record that is not encrypted reads it."""
    told = text.lower()
    if told.isascii():
        return told
    return "".join(one for one in unicodedata.normalize("NFKD", told) if not unicodedata.combining(one))
