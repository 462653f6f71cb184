"""Usage in SQLite: of the packs, and of the rows that are in none yet: the newest, and those that came late."""

from __future__ import annotations

import sqlite3
from math import isclose
from typing import Any

import msgspec
import numpy as np

from intellirouter.records import questions
from intellirouter.records.conditions import Conditions, statuses
from intellirouter.records.query import EQUAL, By, Query, Usage
from intellirouter.records.row import SHIFT, id_at, time_of
from intellirouter.records.sqlite import packs
from intellirouter.records.sqlite.asking import DIALECT, TOP, is_rare
from intellirouter.records.sqlite.packs import NAMED, Column, Pack
from intellirouter.records.tally import TAKEN, Tally

_BOUNDS = "requests.id >= ? and requests.id < ?"
_LATE = "late cross join requests on requests.id = late.number"
AS_QUICK = 8
"""Rows that are read by an index as quickly as a pack."""
FEW, SPAN = 128, 512
"""Groups of a pack whose durations are counted in it, and more than there are buckets."""
_OTHERS = tuple(name for name in EQUAL if name not in NAMED)


def usage(connection: sqlite3.Connection, by: By, query: Query, zone: int) -> list[Usage]:
    """See `Store.usage`."""
    return _tallied(connection, by, query, zone).usage(by)


def total(connection: sqlite3.Connection, query: Query) -> Usage:
    """See `Store.total`."""
    return questions.in_all(_tallied(connection, None, query, 0))


def disagreements(connection: sqlite3.Connection, places: int) -> int:
    """Of so many packs, from the first to the last, how many tell another total than the rows from them to the next."""
    lows = [line[0] for line in connection.execute("select low from packs order by low")]
    if not lows:
        return 0
    ends = (*lows[1:], packs.packed_to(connection) + (1 << SHIFT))
    spans = [
        (low >> SHIFT << SHIFT, high >> SHIFT << SHIFT)
        for low, high in zip((0, *lows[1:]), ends, strict=True)
    ]
    looked_at = {*spans[:: len(spans) // places + 1], spans[-1]}
    return sum(not _agrees(connection, *span) for span in looked_at)


def _agrees(connection: sqlite3.Connection, low: int, high: int) -> bool:
    packed, read = Tally(), Tally()
    query = Query(since=time_of(low), until=time_of(high))
    found = Conditions([(_BOUNDS, (low, min(high, packs.packed_to(connection) + 1)))])
    questions.add(connection.execute, read, DIALECT.by_time, "''", found)
    _add_packs(connection, packed, None, query, 0)
    _add_late(connection, packed, None, "''", found)
    one, other = questions.in_all(packed), questions.in_all(read)
    return all(
        isclose(getattr(one, name), getattr(other, name), rel_tol=1e-9, abs_tol=1e-12) for name in TAKEN
    )


def _tallied(connection: sqlite3.Connection, by: By | None, query: Query, zone: int) -> Tally:
    tally = Tally()
    # the time as one pair of bounds: of two SQLite would start with the one that is further back
    timeless = msgspec.structs.replace(query, since=None, until=None)
    if by is None:
        source, name, found = "requests", "''", questions.all_of(timeless, DIALECT)
    else:
        source, name, found = questions.grouping(DIALECT, by, timeless, zone)
    low = id_at(query.since) if query.since is not None else 0
    high = id_at(query.until) if query.until is not None else TOP
    connection.execute("begin")  # packs and rows as of one moment
    try:
        rows_from = low
        if _packed(query) and not is_rare(connection, query, AS_QUICK * packs.count(connection, low, high)):
            _add_packs(connection, tally, by, query, zone)
            beyond = packs.packed_to(connection) + 1
            rows_from = max(low, beyond)
            # the newest rows: in order, whatever index there is
            source = source if by == "tag" else DIALECT.by_time
            _add_late(
                connection, tally, by, name, Conditions([*found.parts, (_BOUNDS, (low, min(high, beyond)))])
            )
        within = Conditions([*found.parts, (_BOUNDS, (rows_from, high))])
        questions.add(connection.execute, tally, source, name, within)
        within.parts[-1] = (_BOUNDS, (low, high))
        questions.add_scores(connection.execute, DIALECT, tally, by, name, within)
    finally:
        connection.execute("rollback")
    return tally


def _add_late(
    connection: sqlite3.Connection, tally: Tally, by: By | None, name: str, found: Conditions
) -> None:
    """Add the rows that came after their neighbours were packed, and are in no pack: fewer than make one."""
    source = DIALECT.by_tag[0].replace("requests", _LATE, 1) if by == "tag" else _LATE
    questions.add(connection.execute, tally, source, name, found)


def _packed(query: Query) -> bool:
    """Whether packs know all that is asked."""
    unknown = (*_OTHERS, "min_cost", "min_latency", "text")
    return all(getattr(query, name) is None for name in unknown)


def _add_packs(connection: sqlite3.Connection, tally: Tally, by: By | None, query: Query, zone: int) -> None:
    oldest = connection.execute("select min(id) from requests").fetchone()[0]
    if oldest is None:
        return
    # whole milliseconds, as rows are forgotten
    low = max(oldest >> SHIFT << SHIFT, id_at(query.since) if query.since is not None else 0)
    high = id_at(query.until) if query.until is not None else TOP
    summed = _summed(by, query, zone)
    for pack in packs.of(connection, low, high):
        if summed and pack.low >= low and pack.high < high:
            summary = pack.summary_by(by) if by in packs.SUMMED else pack.summary
            if summary is not None:
                _add_summary(summary, tally, by, zone)
                continue
        chosen = _chosen(pack, query, low, high)
        if chosen is not None and not chosen.any():
            continue
        names, places, rows = _lines(pack, by, zone)
        if chosen is not None:
            kept = chosen if rows is None else chosen[rows]
            places = places[kept]
            rows = np.flatnonzero(chosen) if rows is None else rows[kept]
        _add(pack, tally, by, names, places, rows)


def _summed(by: By | None, query: Query, zone: int) -> bool:
    """Whether summaries tell what is asked: everything that asked a model, by what they have, in quarters of an hour."""
    others = msgspec.structs.replace(query, since=None, until=None)
    known = (None, "day", "hour", *packs.SUMMED)
    return by in known and zone % 15 == 0 and others == Query(asked_a_model=True)


def _add_summary(summary: packs.Summary, tally: Tally, by: By | None, zone: int) -> None:
    taken = {name: np.array(summary.taken[name]) for name in TAKEN}
    names: list[Any] = list(summary.groups)
    if by is None:
        names = [""] * len(names)
    elif by in ("day", "hour"):
        width = questions.width_of(by)
        names = [(quarter * packs.QUARTER_MS + zone * 60_000) // width for quarter in names]
    counted = taken["requests"] > 0
    if by in NAMED and "" in names:
        counted[names.index("")] = False
    here = np.flatnonzero(counted)
    if not len(here):
        return
    groups = np.full(len(names), -1, dtype=np.int64)
    groups[here] = tally.groups([names[place] for place in here.tolist()])
    tally.add(groups[here], {name: column[here] for name, column in taken.items()})
    for kind, (places, buckets, counts) in summary.spans.items():
        lines = groups[np.frombuffer(places, dtype=np.uint8)]
        told = lines >= 0
        tally.add_span(
            kind,
            lines[told],
            np.frombuffer(buckets, dtype=np.uint16)[told],
            np.frombuffer(counts, dtype=np.uint32)[told],
        )


def _chosen(pack: Pack, query: Query, low: int, high: int) -> Column | None:
    """Which rows of a pack are asked for; None: all."""
    masks: list[Column] = []
    if pack.low < low or pack.high >= high:
        ms = pack.number("ms")
        masks.append((ms >= low >> SHIFT) & (ms < (high >> SHIFT)))
    for name in NAMED:
        if (wanted := getattr(query, name)) is not None:
            names, places = pack.names(name)
            masks.append(places == names.index(wanted) if wanted in names else _none(pack))
    if query.asked_a_model:
        names, places = pack.names("model")
        if "" in names:
            masks.append(places != names.index(""))
    if query.tag is not None:
        names, rows, places = pack.tags()
        tagged = _none(pack)
        if query.tag in names:
            tagged[rows[places == names.index(query.tag)]] = True
        masks.append(tagged)
    if query.status is not None:
        least, most = statuses(query.status)
        status = pack.number("status")
        masks.append((status >= least) & (status < most))
    if not masks:
        return None
    found: Column = np.logical_and.reduce(masks)
    return found


def _none(pack: Pack) -> Column:
    return np.zeros(pack.rows, dtype=bool)


def _lines(pack: Pack, by: By | None, zone: int) -> tuple[list[Any], Column, Column | None]:
    """The names of groups; the place of each line's among them; and its row, None where each row is a line."""
    if by is None:
        return [""], np.zeros(pack.rows, dtype=np.int64), None
    if by in ("day", "hour"):
        width = questions.width_of(by)
        spans, places = np.unique((pack.number("ms") + zone * 60_000) // width, return_inverse=True)
        return spans.tolist(), places, None
    if by == "tag":
        tags, rows, places = pack.tags()
        return list(tags), places, rows
    names, places = pack.names(by)
    return list(names), places, None


def _add(
    pack: Pack, tally: Tally, by: By | None, names: list[Any], places: Column, rows: Column | None
) -> None:
    """Add the lines of a pack, summed by their names: those that have one, and are there, alone become groups."""
    many = len(names)
    counts = np.bincount(places, minlength=many)
    nameless = names.index("") if by in NAMED and "" in names else -1
    here = np.flatnonzero(counts)
    here = here[here != nameless]
    if not len(here):
        return
    groups = tally.groups(names if len(here) == many else [names[place] for place in here.tolist()])
    taken = {"requests": counts[here]}
    for name in TAKEN:
        if name != "requests":
            taken[name] = pack.sums(name, places, rows, counts)[here]
    tally.add(groups, taken)
    numbers = np.full(many, -1, dtype=np.int64)
    numbers[here] = groups
    for kind in ("latency", "first"):
        buckets = pack.number(kind) if rows is None else pack.number(kind)[rows]
        if many <= FEW:
            held = np.bincount(places.astype(np.int64) * SPAN + np.minimum(buckets, SPAN - 1))
            there = np.flatnonzero(held)
            lines, buckets, held = numbers[there // SPAN], there % SPAN, held[there]
            measured = (buckets < SPAN - 1) & (lines >= 0)
            tally.add_span(kind, lines[measured], buckets[measured], held[measured])
        else:
            lines = numbers[places]
            tally.add_span(kind, lines[lines >= 0], buckets[lines >= 0])
