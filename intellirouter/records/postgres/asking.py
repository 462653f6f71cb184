"""A page of the record in Postgres, newest first. Its planner knows how rare a filter is, and partitions narrow the time."""

from __future__ import annotations

from intellirouter.records.columns import row_of
from intellirouter.records.query import Page, Query
from intellirouter.records.questions import ROW, Ask, Dialect, all_of
from intellirouter.records.row import id_at


def _words(words: list[str]) -> str:
    *first, last = words
    return " & ".join([*(f"'{word}'" for word in first), f"'{last}':*"])


DIALECT = Dialect(
    tagged='requests."labels" @> array[?]::text[]',
    said="requests.\"words\" @@ to_tsquery('simple', ?)",
    words=_words,
    content=('requests."asked", requests."answered"', ""),
    by_tag=("requests cross join lateral unnest(requests.labels) as label", "label"),
)


def page(ask: Ask, query: Query, limit: int, before: int | None, after: int | None) -> Page:
    """See `Store.page`."""
    found = all_of(query, DIALECT)
    low = max((after or 0) + 1, id_at(query.since) if query.since is not None else 0)
    found.add('requests."id" >= ?', low)
    if before is not None:
        found.add('requests."id" < ?', before)
    words = f"select {ROW} from requests where {found.sql} order by requests.id desc limit ?"  # noqa: S608
    rows = [row_of(line) for line in ask(words, (*found.values, limit))]
    return Page(rows, rows[-1].id if len(rows) == limit else None)
