"""Questions to the record in SQLite.

A page is read newest first. Where one of its filters is rare, the index of that filter is read; where all are common, the table is
read in the order of time, which soon finds a page. Which is the case is looked up: counting in an index stops at `RARE`.
"""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from typing import Any

from intellirouter.records.columns import READ, quoted, row_of
from intellirouter.records.conditions import Conditions, conditions, words_of
from intellirouter.records.query import MAX_GROUPS, By, Page, Query, Usage, group_name, percentile
from intellirouter.records.row import SHIFT, Row

RARE = 2000
PAGE_SECONDS = 2.0
"""After so long a page is answered with what was found, and where to look on."""
PIECE = 50_000
"""Rows that are looked at between two looks at the clock."""
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
_ROW = quoted(READ, "requests.")
_INDEXED = {
    "model": "by_model", "provider": "by_provider", "key": "by_key", "team": "by_team", "user": "by_user",
    "session": "by_session", "request_id": "by_request_id", "trace_id": "by_trace_id", "chain_run": "by_chain_run",
    "status": "by_failed", "latency_bucket": "by_latency", "cost_bucket": "by_cost",
}  # fmt: skip


def page(
    connection: sqlite3.Connection,
    query: Query,
    limit: int,
    before: int | None,
    after: int | None,
    until: float,
) -> Page:
    """A page. `until`, by `time.monotonic()`, is when it is answered as it stands."""
    found = _all(query)
    if after is not None:
        found.add('requests."id" > ?', after)
    if before is not None:
        found.add('requests."id" < ?', before)
    index, rare = _rarest(connection, found)
    if rare or index is None:
        hint = f"indexed by {index}" if index and rare else "not indexed"
        if query.text is not None or query.tag is not None:
            hint = ""
    else:
        hint = f"indexed by {index}"
    if rare or hint == "":
        words = f"select {_ROW} from requests {hint} where {found.sql} order by id desc limit ?"  # noqa: S608
        rows = [row_of(line) for line in connection.execute(words, (*found.values, limit))]
        return Page(rows, rows[-1].id if len(rows) == limit else None)
    return _in_order(connection, found, hint, limit, before, after, until)


def _in_order(
    connection: sqlite3.Connection,
    found: Conditions,
    hint: str,
    limit: int,
    before: int | None,
    after: int | None,
    until: float,
) -> Page:
    """The page, looked for piece by piece from the newest row on."""
    rows: list[Row] = []
    top = before
    lowest = connection.execute("select min(id) from requests").fetchone()[0]
    if lowest is None:
        return Page(rows)
    lowest = max(lowest, (after or 0) + 1)
    while True:
        bottom = connection.execute(
            f"select min(id) from (select id from requests where id < ? order by id desc limit {PIECE})",  # noqa: S608
            (top if top is not None else 1 << 62,),
        ).fetchone()[0]
        if bottom is None:
            return Page(rows)
        words = (
            f"select {_ROW} from requests {hint} where {found.sql} and id >= ? and id < ? "  # noqa: S608
            "order by id desc limit ?"
        )
        given = (*found.values, bottom, top if top is not None else 1 << 62, limit - len(rows))
        rows += [row_of(line) for line in connection.execute(words, given)]
        if len(rows) == limit:
            return Page(rows, rows[-1].id)
        if bottom <= lowest:
            return Page(rows)
        top = bottom
        if time.monotonic() > until:
            return Page(rows, bottom)


def _all(query: Query) -> Conditions:
    """The conditions, with those on tags and words."""
    found = conditions(query, "?")
    if query.tag is not None:
        found.add('requests."id" in (select id from tags where tag = ?)', query.tag)
    if query.text is not None:
        *words, last = words_of(query.text)
        said = " ".join([*(f'"{word}"' for word in words), f'"{last}"*'])
        found.add('requests."id" in (select rowid from words where words match ?)', said)
    return found


def _rarest(connection: sqlite3.Connection, found: Conditions) -> tuple[str | None, bool]:
    """The index with the fewest rows of the query, and whether they are few. None: there is no index for it."""
    best: tuple[int, str] | None = None
    since = next((values[0] for words, values in found.parts if words == 'requests."id" >= ?'), 0)
    for words, values in found.parts:
        name = words.split('"')[1] if words.startswith('requests."') else ""
        index = _INDEXED.get(name)
        if index is None or (name == "status" and 'requests."status" >= 400' not in words):
            continue
        narrow = words.split(' and requests."cost_usd"')[0].split(' and requests."seconds"')[0]
        given = values[: narrow.count("?")]
        many = connection.execute(
            f"select count(*) from (select 1 from requests indexed by {index} where {narrow} and id >= ? limit {RARE})",  # noqa: S608
            (*given, since),
        ).fetchone()[0]
        if best is None or many < best[0]:
            best = (many, index)
    if best is None:
        return None, False
    few = best[0] < RARE
    # an index of buckets is in the order of the buckets: of use only where all its rows are read
    return (best[1], few) if few or best[1] not in ("by_latency", "by_cost", "by_failed") else (None, False)


def get(connection: sqlite3.Connection, name: str, tenant: str | None) -> list[Row]:
    """See `Store.get`."""
    number = int(name) if name.isascii() and name.isdigit() and int(name[:20]) < 1 << 63 else -1
    mine = "" if tenant is None else "and tenant = ?"
    words = (
        f"select {_ROW}, content.asked, content.answered from requests left join content on content.id = requests.id "  # noqa: S608
        f"where (requests.id = ? or requests.request_id = ?) {mine} order by requests.id limit 100"
    )
    given = (number, name) if tenant is None else (number, name, tenant)
    return [row_of(line[:-2], line[-2], line[-1]) for line in connection.execute(words, given)]


def session(connection: sqlite3.Connection, name: str, tenant: str | None, limit: int) -> list[Row]:
    """See `Store.session`."""
    mine = "" if tenant is None else "and tenant = ?"
    whose = () if tenant is None else (tenant,)
    kin = (
        f"select id, request_id, chain_run from requests where session = ? and session <> '' {mine} "  # noqa: S608
        f"union select id, request_id, chain_run from requests where chain_run = ? and chain_run <> '' {mine} "
        f"union select id, request_id, chain_run from requests where request_id = ? {mine} order by 1 limit ?"
    )
    found = connection.execute(kin, (name, *whose, name, *whose, name, *whose, limit)).fetchall()
    ids = {line[0] for line in found}
    for request_id in {line[1] for line in found if line[1]}:
        ids |= {
            line[0]
            for line in connection.execute(
                f"select id from requests where request_id = ? {mine} limit 100",  # noqa: S608
                (request_id, *whose),
            )
        }
    for run in {line[2] for line in found if line[2]}:
        ids |= {
            line[0]
            for line in connection.execute(
                f"select id from requests where chain_run = ? and chain_run <> '' {mine} limit ?",  # noqa: S608
                (run, *whose, limit),
            )
        }
    rows: list[Row] = []
    for row_id in sorted(ids)[:limit]:
        line = connection.execute(f"select {_ROW} from requests where id = ?", (row_id,)).fetchone()  # noqa: S608
        if line is not None:
            rows.append(row_of(line))
    return rows


_SUMS = """count(*), sum(status >= 400), sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(reasoning_tokens),
sum(cost_usd), sum(dearest_usd), sum(case when dearest_usd > cost_usd then dearest_usd - cost_usd end), sum(cache = 'hit')"""


def usage(connection: sqlite3.Connection, by: By, query: Query, zone: int) -> list[Usage]:
    """See `Store.usage`."""
    found = _all(query)
    source, name = "requests", f'requests."{by}"'
    if by == "tag":
        source, name = "tags join requests on requests.id = tags.id", "tags.tag"
    elif by in ("day", "hour"):
        width = DAY_MS if by == "day" else HOUR_MS
        shift = zone * 60_000
        name = f"(((requests.id >> {SHIFT}) + {shift}) / {width})"
    else:
        found.add(f"{name} <> ''")
    return _grouped(connection, by, source, name, found)


def total(connection: sqlite3.Connection, query: Query) -> Usage:
    """See `Store.total`."""
    groups = _grouped(connection, "model", "requests", "''", _all(query))
    return groups[0] if groups else Usage(name="")


def _grouped(
    connection: sqlite3.Connection, by: By, source: str, name: str, found: Conditions
) -> list[Usage]:
    order = "1" if by in ("day", "hour") else "coalesce(sum(cost_usd), 0) desc, count(*) desc"
    words = f"select {name} as name, {_SUMS} from {source} where {found.sql} group by 1 order by {order} limit {MAX_GROUPS}"  # noqa: S608
    groups = {
        line[0]: Usage(
            name=group_name(by, line[0]),
            requests=line[1],
            errors=line[2] or 0,
            input_tokens=line[3] or 0,
            output_tokens=line[4] or 0,
            cached_tokens=line[5] or 0,
            reasoning_tokens=line[6] or 0,
            cost_usd=line[7] or 0.0,
            dearest_usd=line[8] or 0.0,
            saved_usd=line[9] or 0.0,
            cache_hits=line[10] or 0,
        )
        for line in connection.execute(words, found.values)
    }
    for column, shares in (
        ("latency_bucket", {"p50": 0.5, "p95": 0.95, "p99": 0.99}),
        ("first_bucket", {"first_token_p50": 0.5, "first_token_p95": 0.95}),
    ):
        histograms: dict[Any, dict[int, int]] = defaultdict(dict)
        counted = f"select {name}, {column}, count(*) from {source} where {found.sql} and {column} is not null group by 1, 2"  # noqa: S608
        for group, bucket, count in connection.execute(counted, found.values):
            histograms[group][bucket] = count
        for group, histogram in histograms.items():
            if group in groups:
                for field, share in shares.items():
                    setattr(groups[group], field, percentile(histogram, share))
    return list(groups.values())
