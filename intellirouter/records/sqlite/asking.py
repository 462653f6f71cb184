"""A page of the record in SQLite, newest first.

Where one of its filters is rare, the index of that filter is read; where all are common, the table is read in the order of time,
which soon finds a page. Which is the case is looked up: counting in an index stops at `RARE`. Words and tags have tables of their own in
the order of time, and are read there.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any, NamedTuple

import msgspec

from intellirouter.records.columns import row_of
from intellirouter.records.conditions import Conditions, words_of
from intellirouter.records.query import Page, Query
from intellirouter.records.questions import ROW, Dialect, all_of
from intellirouter.records.row import Row, id_at
from intellirouter.records.sqlite.schema import PARTIAL

RARE, RARE_AMONG = 2000, 5_000
"""Rows of an index that are read rather than looked for in the order of time: fewer where it is the only filter, since a page is found
soon then, more where another filter must hold as well."""
PAGE_SECONDS = 0.04
"""After so long a page is answered with what was found, and where to look on: nobody waits for one that looks through millions of rows."""
FIRST_PIECE, PIECE = 200, 10_000
"""Rows that are looked at before the clock is: few at first, since a page is mostly found at once, then up to four times as many, as
long as they are likely to take less than `QUICK` seconds."""
QUICK = 0.02
TOP = 1 << 62
MOST_SPELLED = 32
_INDEXED = {
    "model": "by_model", "provider": "by_provider", "key": "by_key", "team": "by_team", "user": "by_user",
    "session": "by_session", "request_id": "by_request_id", "trace_id": "by_trace_id", "chain_run": "by_chain_run",
    "served_model": "by_served_model", "tenant": "by_tenant", "persona": "by_persona", "cache": "by_cache", "error": "by_error",
    "endpoint": "by_endpoint", "role": "by_role", "status": "by_failed", "latency_bucket": "by_latency", "cost_bucket": "by_cost",
}  # fmt: skip
FAILED = 'requests."status" >= 400'
"""That somebody asks for failures alone, as `conditions` says it."""
_BUCKETS = ("by_latency", "by_cost", "by_failed")
"""Indexes that are not in the order of time for what is asked: of use only where all that is found is read."""


def _words(words: list[str]) -> str:
    *first, last = words
    return " ".join([*(f'"{word}"' for word in first), f'"{last}"*'])


DIALECT = Dialect(
    tagged='requests."id" in (select id from tags where tag = ?)',
    said='requests."id" in (select rowid from words where words match ?)',
    words=_words,
    content=("content.asked, content.answered", "left join content on content.id = requests.id"),
    by_tag=("requests cross join tags on tags.id = requests.id", "tags.tag"),
    by_time="requests not indexed",
    scored="requests indexed by by_score",
)


def page(
    connection: sqlite3.Connection,
    query: Query,
    limit: int,
    before: int | None,
    after: int | None,
) -> Page:
    """See `Store.page`."""
    # the time as one pair of bounds: of two pairs SQLite would start with the wide one, and read on to its end
    found = all_of(msgspec.structs.replace(query, since=None, until=None), DIALECT)
    low = max((after or 0) + 1, id_at(query.since) if query.since is not None else 0)
    high = min(before or TOP, id_at(query.until) if query.until is not None else TOP)
    bounds = ("requests.id >= ? and requests.id < ?", low, high)
    if query.text is not None:
        told = _spelled(connection, words_of(query.text))
        found.parts = [(words, (told,) if words == DIALECT.said else values) for words, values in found.parts]
        # cross: the words are read first, whatever the planner thinks of them
        found.swap(DIALECT.said, "words match ?")
        if len(found.parts) == 1:  # each question of these words gathers all that they match: one must do
            found.add("words.rowid >= ? and words.rowid < ?", low, high)
            return _whole(
                connection,
                "words cross join requests on requests.id = words.rowid",
                "words.rowid",
                found,
                limit,
            )
        path = Path(
            "words cross join requests on requests.id = words.rowid",
            "words.rowid",
            "words where words match ?",
            (told,),
        )
        return _in_order(connection, found, path, limit, low, high)
    if query.tag is not None:
        found.swap(DIALECT.tagged, "tags.tag = ?")
        path = Path(
            "tags cross join requests on requests.id = tags.id", "tags.id", "tags where tag = ?", (query.tag,)
        )
        return _in_order(connection, found, path, limit, low, high)
    index, rare = _rarest(connection, found, low, high, RARE if len(found.parts) < 2 else RARE_AMONG)
    if rare:
        found.add(*bounds)
        return _whole(connection, f"requests indexed by {index}", "requests.id", found, limit)
    path = _TABLE
    if query.tenant and any(FAILED in words for words, _ in found.parts):
        path = _failures(query.tenant)
    elif index is not None and index not in _BUCKETS:
        words, given = next(
            _narrowed(words, values) for words, values in found.parts if _index_of(words) == index
        )
        path = Path(
            f"requests indexed by {index}", "requests.id", f"requests indexed by {index} where {words}", given
        )
    return _in_order(connection, found, path, limit, low, high)


def _failures(tenant: str) -> Path:
    source = "requests indexed by by_tenant_failed"
    return Path(source, "requests.id", f'{source} where requests."tenant" = ? and {FAILED}', (tenant,))


def _spelled(connection: sqlite3.Connection, words: list[str]) -> str:
    """What to match. The last word may be a beginning: FTS5 gathers all rows of one before it gives the first of them, and of whole words
    it gives row after row, so the words that begin so are looked up, where they are not too many."""
    *first, last = words
    if not last.isascii():  # FTS5 takes the accents off
        return _words(words)
    known: list[str] = []
    above = last
    while len(known) < MOST_SPELLED:
        line = connection.execute("select term from terms where term >= ? limit 1", (above,)).fetchone()
        if line is None or not line[0].startswith(last):
            whole = " OR ".join(f'"{term}"' for term in known or [last])
            return " AND ".join([*(f'"{word}"' for word in first), f"({whole})"])
        known.append(line[0])
        above = f"{line[0]}\x01"  # below whatever goes on, for no word holds it
    return _words(words)


def is_rare(connection: sqlite3.Connection, query: Query, few: int) -> bool:
    """Whether an index leads to all rows of a query, and they are fewer than `few`."""
    found = all_of(msgspec.structs.replace(query, since=None, until=None), DIALECT)
    low = id_at(query.since) if query.since is not None else 0
    high = id_at(query.until) if query.until is not None else TOP
    return _rarest(connection, found, low, high, few)[1]


def _whole(connection: sqlite3.Connection, source: str, by: str, found: Conditions, limit: int) -> Page:
    words = f"select {ROW} from {source} where {found.sql} order by {by} desc limit ?"  # noqa: S608
    rows = [row_of(line) for line in connection.execute(words, (*found.values, limit))]
    return Page(rows, rows[-1].id if len(rows) == limit else None)


class Path(NamedTuple):
    """A way through the rows in the order of time: the tables, the id among them, and what leads there with its values."""

    source: str
    by: str
    steps: str
    values: tuple[Any, ...] = ()


_TABLE = Path("requests not indexed", "requests.id", "requests where true")


def _in_order(
    connection: sqlite3.Connection, found: Conditions, path: Path, limit: int, low: int, high: int
) -> Page:
    """The page, looked for piece by piece from the newest row on."""
    rows: list[Row] = []
    now = time.monotonic()
    until = now + PAGE_SECONDS
    words = (
        f"select {ROW} from {path.source} where {found.sql} and {path.by} >= ? and {path.by} < ? "  # noqa: S608
        f"order by {path.by} desc limit ?"
    )
    name = path.by.partition(".")[2]
    last = f"select min(n) from (select {name} as n from {path.steps} and {name} < ? and {name} >= ? order by {name} desc limit ?)"  # noqa: S608
    piece = FIRST_PIECE
    while True:
        bottom = connection.execute(last, (*path.values, high, low, piece)).fetchone()[0]
        if bottom is None:
            return Page(rows)
        given = (*found.values, bottom, high, limit - len(rows))
        rows += [row_of(line) for line in connection.execute(words, given)]
        if len(rows) == limit:
            return Page(rows, rows[-1].id)
        high = bottom
        began, now = now, time.monotonic()
        if now > until:
            return Page(rows, bottom)
        likely = int(
            piece * QUICK / max(now - began, 1e-6)
        )  # rows that would take so long, on this machine now
        piece = max(FIRST_PIECE, min(PIECE, 4 * piece, likely))


def _rarest(
    connection: sqlite3.Connection, found: Conditions, low: int, high: int, few: int
) -> tuple[str | None, bool]:
    """The index with the fewest rows of the query, and whether they are few. None: there is no index for it."""
    best: tuple[int, str] | None = None
    for words, values in found.parts:
        index = _index_of(words)
        if index is None:
            continue
        narrowed, given = _narrowed(words, values)
        counted = (
            f"select count(*) from (select 1 from requests indexed by {index} "  # noqa: S608
            f"where {narrowed} and id >= ? and id < ? limit {few})"
        )
        many = connection.execute(counted, (*given, low, high)).fetchone()[0]
        if best is None or many < best[0]:
            best = (many, index)
    return (best[1], best[0] < few) if best is not None else (None, False)


def _index_of(words: str) -> str | None:
    """The index that holds the rows of a condition."""
    name = words.split('"')[1] if words.startswith('requests."') else ""
    if name == "status" and FAILED not in words:
        return None
    if name in PARTIAL and not ("<>" in words and " = ?" in words):  # one value, and one that the index holds
        return None
    return _INDEXED.get(name)


def _narrowed(words: str, values: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """As much of a condition as its index alone can tell."""
    narrow = words.split(' and requests."cost_usd"')[0].split(' and requests."seconds"')[0]
    return narrow, values[: narrow.count("?")]
