"""Questions that both stores answer with the same SQL. Parameters are `?` here; who asks Postgres writes them its way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from intellirouter.records.columns import READ, quoted, row_of
from intellirouter.records.conditions import Conditions, conditions, words_of
from intellirouter.records.query import EQUAL, MAX_GROUPS, By, Page, Query, Usage, group_name, percentile
from intellirouter.records.row import SHIFT, Row
from intellirouter.records.store import TooSlow

Ask = Callable[[str, Sequence[Any]], Iterable[Sequence[Any]]]

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
MAX_PARTS = 100
MOST_GROUPS = 20 * MAX_GROUPS
"""Groups of a usage report that are counted at all."""
PAGE = 500
"""Rows of one page of an export."""
ROW = quoted(READ, "requests.")


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the stores differ. `tagged` and `said` are conditions, `words` makes the parameter of `said`.

    `content` is what to add to a row's columns, and to its table, for what was asked and answered; `by_tag` is the table of rows by tag,
    and the name of the tag in it; `by_time` the table, to be read in the order of time.
    """

    tagged: str
    said: str
    words: Callable[[list[str]], str]
    content: tuple[str, str]
    by_tag: tuple[str, str]
    by_time: str = "requests"


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


_SUMS = """count(*), sum(case when status >= 400 or error <> '' then 1 else 0 end), sum(input_tokens), sum(output_tokens),
sum(cached_tokens), sum(reasoning_tokens), sum(cost_usd), sum(dearest_usd),
sum(case when dearest_usd > cost_usd then dearest_usd - cost_usd end), sum(case when cache = 'hit' then 1 else 0 end),
count(score), sum(score)"""


def usage(ask: Ask, dialect: Dialect, by: By, query: Query, zone: int) -> list[Usage]:
    """See `Store.usage`."""
    found = all_of(query, dialect)
    source, name = _source(query, dialect), f'requests."{by}"'
    if by == "tag":
        source, name = dialect.by_tag
    elif by in ("day", "hour"):
        width = DAY_MS if by == "day" else HOUR_MS
        name = f"(((requests.id >> {SHIFT}) + {zone * 60_000}) / {width})"
    else:
        found.add(f"{name} <> ''")
    return _grouped(ask, by, source, name, found)


def _source(query: Query, dialect: Dialect) -> str:
    """Where nothing but the time narrows the rows, an index of what they are grouped by would lead through all of them."""
    narrow = any(getattr(query, name) is not None for name in (*EQUAL, "status", "tag", "text"))
    return "requests" if narrow else dialect.by_time


def total(ask: Ask, dialect: Dialect, query: Query) -> Usage:
    """See `Store.total`."""
    groups = _grouped(ask, "model", _source(query, dialect), "''", all_of(query, dialect))
    return groups[0] if groups else Usage(name="")


def _grouped(ask: Ask, by: By, source: str, name: str, found: Conditions) -> list[Usage]:
    groups: dict[Any, Usage] = {}
    slow: dict[Any, dict[int, int]] = defaultdict(dict)
    first: dict[Any, dict[int, int]] = defaultdict(dict)
    # grouped by duration as well: each further question would read and sort all the rows again
    words = f"select {name} as name, latency_bucket, {_SUMS} from {source} where {found.sql} group by 1, 2"  # noqa: S608
    for group, bucket, *sums in ask(words, found.values):
        usage = groups.get(group)
        if usage is None:
            if len(groups) >= MOST_GROUPS:
                raise TooSlow(
                    f"There are more than {MOST_GROUPS:,} groups: ask for less time, or with a filter."
                )
            usage = groups[group] = Usage(name=group_name(by, group))
        _add(usage, sums)
        if bucket is not None:
            slow[group][bucket] = sums[0]
    words = f"select {name}, first_bucket, count(*) from {source} where {found.sql} and first_bucket is not null group by 1, 2"  # noqa: S608
    for group, bucket, count in ask(words, found.values):
        first[group][bucket] = count
    if by in ("day", "hour"):
        shown = sorted(groups.items(), key=lambda item: item[0])
    else:
        shown = sorted(groups.items(), key=lambda item: (-item[1].cost_usd, -item[1].requests, str(item[0])))
    for group, usage in shown[:MAX_GROUPS]:
        usage.p50, usage.p95, usage.p99 = (percentile(slow[group], share) for share in (0.5, 0.95, 0.99))
        usage.first_token_p50, usage.first_token_p95 = (
            percentile(first[group], share) for share in (0.5, 0.95)
        )
        usage.score = usage.score / usage.rated if usage.rated and usage.score is not None else None
    return [usage for _, usage in shown[:MAX_GROUPS]]


def _add(usage: Usage, sums: Sequence[Any]) -> None:
    """More rows of a group: `_SUMS`, in order. Of scores the sum, until all are there."""
    usage.requests += sums[0]
    usage.errors += int(sums[1] or 0)
    usage.input_tokens += int(sums[2] or 0)
    usage.output_tokens += int(sums[3] or 0)
    usage.cached_tokens += int(sums[4] or 0)
    usage.reasoning_tokens += int(sums[5] or 0)
    usage.cost_usd += sums[6] or 0.0
    usage.dearest_usd += sums[7] or 0.0
    usage.saved_usd += sums[8] or 0.0
    usage.cache_hits += int(sums[9] or 0)
    usage.rated += sums[10]
    usage.score = (usage.score or 0.0) + (sums[11] or 0.0)


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
