"""Questions that both stores answer with the same SQL. Parameters are `?` here; who asks Postgres writes them its way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from intellirouter.records.columns import READ, quoted, row_of
from intellirouter.records.conditions import Conditions, conditions, words_of
from intellirouter.records.query import EQUAL, By, Page, Query, Usage, score_of
from intellirouter.records.row import SHIFT, Detail, Row
from intellirouter.records.tally import Tally

Ask = Callable[[str, Sequence[Any]], Iterable[Sequence[Any]]]

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
MAX_PARTS = 100
PAGE = 500
"""Rows of one page of an export."""
ROW = quoted(READ, "requests.")


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the stores differ. `tagged` and `said` are conditions, `words` makes the parameter of `said`.

    `content` is what to add to a row's columns, and to its table, for what was asked and answered; `by_tag` is the table of rows by tag,
    and the name of the tag in it; `by_time` the table, to be read in the order of time, `scored` to be read by the index of what has a score.
    """

    tagged: str
    said: str
    words: Callable[[list[str]], str]
    content: tuple[str, str]
    by_tag: tuple[str, str]
    by_time: str = "requests"
    scored: str = "requests"


def all_of(query: Query, dialect: Dialect) -> Conditions:
    """The conditions of a query, with those on tags and words."""
    found = conditions(query)
    if query.tag is not None:
        found.add(dialect.tagged, query.tag)
    if query.text is not None:
        found.add(dialect.said, dialect.words(words_of(query.text)))
    return found


def get(ask: Ask, dialect: Dialect, name: str, tenant: str | None) -> list[Row]:
    """See `Store.get`."""
    number = int(name[:20]) if name.isascii() and name.isdigit() else -1
    which = "requests.id = ?" if 0 <= number < 1 << 63 else "? < 0"
    mine = "" if tenant is None else "and requests.tenant = ?"
    columns, table = dialect.content
    words = (
        f"select {ROW}, {columns} from requests {table} where requests.request_id = ? {mine} "  # noqa: S608
        f"union all select {ROW}, {columns} from requests {table} "
        f"where {which} and requests.request_id <> ? {mine} order by 1 limit {MAX_PARTS}"
    )
    whose = () if tenant is None else (tenant,)
    number = number if which[0] == "r" else 0
    lines = ask(words, (name, *whose, number, name, *whose))
    return [row_of(line[:-2], line[-2], line[-1]) for line in lines]


def contents(ask: Ask, dialect: Dialect, rows: Sequence[Row]) -> list[Row]:
    """See `Store.contents`."""
    columns, table = dialect.content
    marks = ", ".join("?" * len(rows)) or "null"
    words = f"select requests.id, {columns} from requests {table} where requests.id in ({marks})"  # noqa: S608
    said = {line[0]: line[1:] for line in ask(words, [row.id for row in rows])}
    for row in rows:
        row.asked, row.answered = said.get(row.id, (None, None))
    return list(rows)


def those(ask: Ask, dialect: Dialect, ids: Sequence[int]) -> list[Row]:
    """See `Store.those`."""
    columns, table = dialect.content
    marks = ", ".join("?" * len(ids)) or "null"
    words = (
        f"select {ROW}, {columns} from requests {table} where requests.id in ({marks}) order by requests.id"  # noqa: S608
    )
    return [row_of(line[:-2], line[-2], line[-1]) for line in ask(words, ids)]


RATE = "update requests set feedback = ?, score = ? where id = ?"


def ratings(rows: Iterable[Row]) -> list[tuple[str, float | None, int]]:
    """What `RATE` is given for those of the rows that have feedback."""
    return [
        (msgspec.json.encode(row.feedback).decode(), score_of(row.feedback), row.id)
        for row in rows
        if row.feedback is not None
    ]


RESPOKEN = ("id", "tenant", "request_id", "message", "detail", "feedback")


def rewritten(
    lines: Iterable[Sequence[Any]], change: Callable[[Row], Row]
) -> Iterator[tuple[Row, tuple[str | None, str | None]]]:
    """The rows that a change makes other ones of, with their detail and feedback as text. A line: `RESPOKEN`, asked, answered."""
    for id_, tenant, request_id, message, detail, feedback, asked, answered in lines:
        row = Row(
            id=id_,
            ended=0,
            tenant=tenant or "",
            request_id=request_id or "",
            message=message or "",
            detail=msgspec.json.decode(detail, type=Detail) if detail else Detail(),
            feedback=msgspec.json.decode(feedback) if feedback else None,
            asked=asked,
            answered=answered,
        )
        changed = change(row)
        if changed is not row:
            told = None if changed.detail == Detail() else msgspec.json.encode(changed.detail).decode()
            given = None if changed.feedback is None else msgspec.json.encode(changed.feedback).decode()
            yield changed, (told, given)


def session(ask: Ask, name: str, tenant: str | None, limit: int) -> list[Row]:
    """See `Store.session`."""
    mine = "" if tenant is None else "and tenant = ?"
    whose = () if tenant is None else (tenant,)

    def kin(column: str, value: str) -> list[Sequence[Any]]:
        words = (
            f"select id, request_id, chain_run from requests where {column} = ? and {column} <> '' {mine} "  # noqa: S608
            "order by id limit ?"
        )
        return list(ask(words, (value, *whose, limit)))

    found = [line for column in ("session", "chain_run", "request_id") for line in kin(column, name)]
    # what a request of it caused elsewhere has its request id; the steps of a run have the run for their session
    for request_id in {line[1] for line in found if line[1]} - {name}:
        found += kin("request_id", request_id)
    for run in {line[2] for line in found if line[2]} - {name}:
        found += kin("session", run)
        found += kin("chain_run", run)
    ids = sorted({line[0] for line in found})[:limit]
    rows: list[Row] = []
    for at in range(0, len(ids), 500):
        some = ids[at : at + 500]
        marks = ", ".join("?" * len(some))
        rows += [row_of(line) for line in ask(f"select {ROW} from requests where id in ({marks})", some)]  # noqa: S608
    return sorted(rows, key=lambda row: row.started)


SUMS = """count(*), sum(case when status >= 400 or error <> '' then 1 else 0 end), sum(input_tokens), sum(output_tokens),
sum(cached_tokens), sum(reasoning_tokens), sum(cost_usd), sum(dearest_usd),
sum(case when dearest_usd > cost_usd then dearest_usd - cost_usd end), sum(case when cache = 'hit' then 1 else 0 end)"""
"""The columns of a tally's `TAKEN`, in order."""


def usage(ask: Ask, dialect: Dialect, by: By, query: Query, zone: int) -> list[Usage]:
    """See `Store.usage`."""
    tally = Tally()
    source, name, found = grouping(dialect, by, query, zone)
    add(ask, tally, source, name, found)
    add_scores(ask, dialect, tally, by, name, found)
    return tally.usage(by)


def total(ask: Ask, dialect: Dialect, query: Query) -> Usage:
    """See `Store.total`."""
    tally, found = Tally(), all_of(query, dialect)
    source = _source(query, dialect)
    add(ask, tally, source, "''", found)
    add_scores(ask, dialect, tally, None, "''", found)
    return in_all(tally)


def in_all(tally: Tally) -> Usage:
    """The one group of a tally, of nothing where it is empty."""
    groups = tally.usage("model")
    return groups[0] if groups else Usage(name="")


def grouping(dialect: Dialect, by: By, query: Query, zone: int) -> tuple[str, str, Conditions]:
    """The table to read, the words that name a row's group, and what must hold."""
    found = all_of(query, dialect)
    source, name = _source(query, dialect), f'requests."{by}"'
    if by == "tag":
        source, name = dialect.by_tag
    elif by in ("day", "hour"):
        name = f"(((requests.id >> {SHIFT}) + {zone * 60_000}) / {width_of(by)})"
    else:
        found.add(f"{name} <> ''")
    return source, name, found


def width_of(by: By) -> int:
    """Milliseconds of a day, or an hour."""
    return DAY_MS if by == "day" else HOUR_MS


def _source(query: Query, dialect: Dialect) -> str:
    """Where nothing but the time narrows the rows, an index of what they are grouped by would lead through all of them."""
    narrow = any(getattr(query, name) is not None for name in (*EQUAL, "status", "tag", "text"))
    return "requests" if narrow else dialect.by_time


def add(ask: Ask, tally: Tally, source: str, name: str, found: Conditions) -> None:
    """Add the rows of a question to a tally: all but what feedback said of them."""
    # grouped by duration as well: each further question would read and sort all the rows again
    words = f"select {name} as name, latency_bucket, {SUMS} from {source} where {found.sql} group by 1, 2"  # noqa: S608
    tally.add_told(ask(words, found.values))
    words = f"select {name}, first_bucket, count(*) from {source} where {found.sql} and first_bucket is not null group by 1, 2"  # noqa: S608
    tally.add_first(ask(words, found.values))


def add_scores(ask: Ask, dialect: Dialect, tally: Tally, by: By | None, name: str, found: Conditions) -> None:
    """Add what feedback said of the rows of a question."""
    source = dialect.scored if by != "tag" else dialect.by_tag[0].replace("requests", dialect.scored, 1)
    words = f"select {name}, count(score), sum(score) from {source} where {found.sql} and score is not null group by 1"  # noqa: S608
    tally.add_scores(ask(words, found.values))


def pages(page: Callable[[Query, int, int | None], Page], query: Query, limit: int) -> Iterator[list[Row]]:
    """See `Store.rows`."""
    before: int | None = None
    while limit > 0:
        found = page(query, min(limit, PAGE), before)
        if found.rows:
            yield found.rows
        limit -= len(found.rows)
        before = found.before
        if before is None:
            return
