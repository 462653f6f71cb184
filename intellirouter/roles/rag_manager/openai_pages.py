"""Lists of the catalogue in pages, of which only the page is read. Source: OpenAI's API reference, "List vector stores"."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager import catalog
from intellirouter.roles.rag_manager.catalog import Row

Within = Callable[[Sequence[Row]], Sequence[Row]]
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Listing:
    """What is listed: the parts of a select. `place` are the columns that order it, oldest first.

    `one` picks what a cursor names: its first `?` is `owner`, each other the id. It may be of the same owner and not, or no longer,
    in this list: a file that is done is still a place among those that are not.
    """

    columns: str
    tables: str
    where: str
    values: tuple[Any, ...]
    place: tuple[str, ...]
    one: str
    owner: str


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of it: `after` and `before` are ids of items, the order is that in which they are shown."""

    limit: int
    descending: bool
    after: str | None = None
    before: str | None = None


def page_of(request: web.Request, most: int = 100, usual: int = 20) -> Page:
    """`limit`, `order`, `after` and `before` of the query. Raises `InvalidRequest`."""
    query = request.query
    limit, order = query.get("limit", str(usual)), query.get("order", "desc")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 10 and 1 <= int(limit) <= most):
        raise InvalidRequest(f"'limit' is 1 to {most}.", param="limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("'order' is asc or desc.", param="order")
    return Page(int(limit), order == "desc", query.get("after"), query.get("before"))


def read_page(
    db: sqlite3.Connection, listing: Listing, page: Page, within: Within | None = None
) -> tuple[list[Row], bool]:
    """The rows, and whether there are more. Raises `InvalidRequest` for a cursor that is not in the list.

    `within` picks those that the caller may see: of these a page is full, since clients end at one that is empty.
    """
    where, values = [listing.where], [*listing.values]
    cursors = (("after", page.after, page.descending), ("before", page.before, not page.descending))
    for name, id_, older in cursors:
        if id_ is not None:
            place = _place(db, listing, id_)
            if place is None:
                raise InvalidRequest(f"'{name}' names nothing in this list.", param=name)
            columns, marks = ", ".join(listing.place), ", ".join("?" for _ in place)
            where.append(f"({columns}) {'<' if older else '>'} ({marks})")
            values += place
    backwards = page.before is not None and page.after is None  # those just before it
    direction = "desc" if page.descending != backwards else "asc"
    order = ", ".join(f"{column} {direction}" for column in listing.place)
    words = (
        f"select {listing.columns} from {listing.tables} where {' and '.join(where)} order by {order} limit ?"  # noqa: S608  parts are constants
    )
    cursor = db.execute(words, (*values, page.limit + 1 if within is None else -1))
    found: list[Row] = []
    while len(found) <= page.limit and (part := catalog.next_rows(cursor, max(page.limit + 1, _AT_ONCE))):
        found += part if within is None else within(part)
    shown = found[: page.limit]
    return shown[::-1] if backwards else shown, len(found) > page.limit


def _place(db: sqlite3.Connection, listing: Listing, id_: str) -> Sequence[Any] | None:
    words = f"select {', '.join(listing.place)} from {listing.tables} where {listing.one}"  # noqa: S608
    ids = [id_] * (listing.one.count("?") - 1)
    found: Sequence[Any] | None = db.execute(words, (listing.owner, *ids)).fetchone()
    return found


def page_body(items: Sequence[Row], more: bool) -> Row:
    """The page as it is answered."""
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": more,
    }
