"""What of the rows is summed, once more and packed: thousands of rows a line, column by column, so that a sum need not read the rows.

A pack holds the same facts as its rows and nothing else: whatever is in no pack is read from the rows, and packs can be thrown away
and made anew. Rows are packed in the order of their ids once they have settled; one that comes later than its neighbours were packed
is listed in `late`, in the transaction that writes it, and packed with others of them as soon as they are enough for a pack. So each
row up to `packed_to` is in one pack or in that list, and none beyond it is in either.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from intellirouter.records.row import SHIFT
from intellirouter.records.tally import NO_BUCKET, TAKEN

ROWS = 4096
"""Of a pack."""
FEW_SMALL = 16
"""Small packs that an older version left are packed anew where there are more."""
NAMED = ("tenant", "key", "team", "user", "model", "provider", "session", "role", "endpoint")
"""Columns of words, packed as numbers into a list of the different ones."""
_NUMBERS = {
    "ms": f"id >> {SHIFT}",
    "status": "status",
    "errors": "status >= 400 or error <> ''",
    "cache_hits": "cache = 'hit'",
    "input_tokens": "ifnull(input_tokens, 0)",
    "output_tokens": "ifnull(output_tokens, 0)",
    "cached_tokens": "ifnull(cached_tokens, 0)",
    "reasoning_tokens": "ifnull(reasoning_tokens, 0)",
    "latency": f"ifnull(latency_bucket, {NO_BUCKET})",
    "first": f"ifnull(first_bucket, {NO_BUCKET})",
}
_MONEY = {
    "cost_usd": "ifnull(cost_usd, 0.0)",
    "dearest_usd": "ifnull(dearest_usd, 0.0)",
    "saved_usd": "case when dearest_usd > cost_usd then dearest_usd - cost_usd else 0.0 end",
}
_WORDS = ", ".join(
    [f"json_group_array({words})" for words in (*_NUMBERS.values(), *_MONEY.values())]
    + [f"""json_group_array(ifnull("{name}", ''))""" for name in NAMED]
    + ["json_group_array(tags)"]
)
_SOME = ", ".join(
    f'"{name}"'
    for name in (
        *(
            "id",
            "status",
            "error",
            "cache",
            "input_tokens",
            "output_tokens",
            "cached_tokens",
            "reasoning_tokens",
        ),
        *("latency_bucket", "first_bucket", "cost_usd", "dearest_usd", *NAMED, "tags"),
    )
)
# one step of SQLite's for all of it: it lets go of the interpreter's lock meanwhile, and row by row would ask for it again each time
_COLUMNS = f"select min(id), max(id), count(*), {_WORDS} from (select {_SOME} from requests where {{}})"  # noqa: S608
_NEXT = "id > ? and id < ? order by id limit ?"
_LATE = "id in (select number from late order by number limit ?)"

SCHEMA = f"""
create table if not exists packs (
  number integer primary key, low integer, high integer, rows integer, summary blob, groups blob, numbers blob,
  names blob
);
create index if not exists packs_by_high on packs (high);
create table if not exists late (number integer primary key);
create index if not exists by_score on requests (id) where score is not null;
delete from late where (select count(*) from packs where rows < {ROWS}) > {FEW_SMALL};
delete from packs where (select count(*) from packs where rows < {ROWS}) > {FEW_SMALL};
"""  # noqa: S608  numbers of ours

Column = NDArray[Any]

_names = msgspec.json.Decoder(list[str])
_whole = msgspec.json.Decoder(list[int])
_money = msgspec.json.Decoder(list[float])
_tags = msgspec.json.Decoder(list[str | None])


class Numbers(msgspec.Struct, array_like=True):
    """Columns as they are kept: whole numbers less the smallest of them, each in as many bytes as the largest needs."""

    least: dict[str, int]
    columns: dict[str, bytes]


class Names(msgspec.Struct, array_like=True):
    """The different words of each column with the places of the rows' among them; of tags the rows too."""

    columns: dict[str, tuple[list[str], bytes]]
    tags: tuple[list[str], bytes, bytes]


class Summary(msgspec.Struct, array_like=True):
    """What those rows of a pack come to that asked a model: by quarters of an hour since 1970, or by the words of a column.

    `taken` are sums, one a group; `spans` the group's place, the bucket and the count of durations.
    """

    groups: list[int | str]
    taken: dict[str, list[float]]
    spans: dict[str, tuple[bytes, bytes, bytes]]


QUARTER_MS = 900_000
MOST_QUARTERS, MOST_NAMES = 16, 64
"""Of a summary: a pack of a quiet day, or of many names, would be no longer than one."""
SUMMED = ("model", "provider", "team", "tenant", "role", "endpoint")
"""Columns of which there is a summary, since their names are few."""

_encode = msgspec.msgpack.Encoder().encode
_decode_numbers = msgspec.msgpack.Decoder(Numbers).decode
_decode_names = msgspec.msgpack.Decoder(Names).decode
_decode_groups = msgspec.msgpack.Decoder(dict[str, bytes]).decode
_decode_summary = msgspec.msgpack.Decoder(Summary).decode


class Pack:
    """One of them, to be read. What is not asked for is not read from the file."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        number: int,
        low: int,
        high: int,
        rows: int,
        summary: bytes | None,
    ) -> None:
        self.low, self.high, self.rows = low, high, rows
        self.summary = None if summary is None else _decode_summary(summary)
        self._connection, self._number = connection, number

    def summary_by(self, name: str) -> Summary | None:
        """The summary by a column's words; None where there is none."""
        told = _decode_groups(self._read("groups")).get(name)
        return None if told is None else _decode_summary(told)

    @cached_property
    def _numbers(self) -> Numbers:
        return _decode_numbers(self._read("numbers"))

    @cached_property
    def _names(self) -> Names:
        return _decode_names(self._read("names"))

    def _read(self, column: str) -> bytes:
        words = f"select {column} from packs where number = ?"  # noqa: S608  a name of ours
        return bytes(self._connection.execute(words, (self._number,)).fetchone()[0])

    def number(self, name: str) -> Column:
        """A column of whole numbers: `ms` since 1970, `status`, tokens, buckets."""
        raw = self._numbers.columns[name]
        return _read(raw, self.rows).astype(np.int64) + self._numbers.least[name]

    def sums(self, name: str, places: Column, rows: Column | None, counts: Column) -> Column:
        """The sums of a column over lines, each of a `place`; `rows` are the rows of the lines, `counts` how many lines each place has."""
        raw = self._numbers.columns[name]
        money = name in _MONEY
        least = 0 if money else self._numbers.least[name]
        if not raw:
            return counts * least
        column = np.frombuffer(raw, dtype=np.float64) if money else _read(raw, self.rows)
        if rows is not None:
            column = column[rows]
        if len(counts) == 1:
            sums: Column = column.sum(keepdims=True)
        else:
            sums = np.bincount(places, weights=column, minlength=len(counts))
        return sums if money else sums.astype(np.int64) + counts * least

    def names(self, name: str) -> tuple[list[str], Column]:
        """The different words of a column, and the place of each row's among them."""
        names, places = self._names.columns[name]
        return names, _read(places, self.rows)

    def tags(self) -> tuple[list[str], Column, Column]:
        """The different tags; then for each tag of each row the row, and the place of the tag."""
        names, rows, places = self._names.tags
        if not rows:
            return names, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        many = len(rows) // 2
        return names, np.frombuffer(rows, dtype=np.uint16), _read(places, many)


def packed_to(connection: sqlite3.Connection) -> int:
    """The id up to which every row is in a pack; 0 where there is none."""
    found = connection.execute("select max(high) from packs").fetchone()[0]
    return int(found or 0)


def pack_next(connection: sqlite3.Connection, before: int) -> int:
    """Pack the next `ROWS` rows whose id is below `before`; the number packed, 0 while there are fewer. Within a transaction."""
    line = connection.execute(_COLUMNS.format(_NEXT), (packed_to(connection), before, ROWS)).fetchone()
    return _kept(connection, line) if line[2] == ROWS else 0


def waiting(connection: sqlite3.Connection, before: int) -> bool:
    """Whether there are rows enough for the next pack."""
    words = "select 1 from requests where id > ? and id < ? order by id limit 1 offset ?"
    return connection.execute(words, (packed_to(connection), before, ROWS - 1)).fetchone() is not None


def came(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """See to the sums of rows just written whose neighbours are packed already. Within the transaction that wrote them."""
    upto = packed_to(connection)
    late = [(number,) for number in ids if number <= upto]
    if not late:
        return
    connection.executemany("insert into late values (?)", late)
    for _ in range(connection.execute("select count(*) from late").fetchone()[0] // ROWS):
        _kept(connection, connection.execute(_COLUMNS.format(_LATE), (ROWS,)).fetchone())
        connection.execute(
            "delete from late where number in (select number from late order by number limit ?)", (ROWS,)
        )


def forget(connection: sqlite3.Connection, last: int) -> None:
    """Drop the packs of rows that are gone, up to the id `last`. What is left of a pack over the edge is told by the oldest row."""
    connection.execute("delete from packs where high <= ?", (last,))
    connection.execute("delete from late where number <= ?", (last,))


def forget_all(connection: sqlite3.Connection) -> None:
    """Drop them all: every row is packed anew. Within a transaction."""
    connection.execute("delete from packs")
    connection.execute("delete from late")


def of(connection: sqlite3.Connection, low: int, high: int) -> Iterator[Pack]:
    """The packs with rows from the id `low` to below `high`."""
    words = "select number, low, high, rows, summary from packs where high >= ? and low < ?"
    for line in connection.execute(words, (low, high)).fetchall():
        yield Pack(connection, *line)


def count(connection: sqlite3.Connection, low: int, high: int) -> int:
    """How many packs have rows from the id `low` to below `high`."""
    words = "select count(*) from packs where high >= ? and low < ?"
    return int(connection.execute(words, (low, high)).fetchone()[0])


def _kept(connection: sqlite3.Connection, line: Sequence[Any]) -> int:
    low, high, rows, *texts = line
    told = iter(texts)
    numbers = {name: np.array(_whole.decode(next(told)), dtype=np.int64) for name in _NUMBERS}
    money = {name: np.array(_money.decode(next(told)), dtype=np.float64) for name in _MONEY}
    names = {name: _names.decode(next(told)) for name in NAMED}
    rows_of: list[int] = []
    tags: list[str] = []
    for row, text in enumerate(_tags.decode(next(told))):
        if text:
            own = list(dict.fromkeys(_names.decode(text)))
            tags += own
            rows_of += [row] * len(own)
    known, places = _coded(tags)
    asked = np.array([name != "" for name in names["model"]])
    whole = {name: column[asked] for name, column in {**numbers, **money}.items()}
    quarters, at = np.unique(whole["ms"] // QUARTER_MS, return_inverse=True)
    summary = _summed(whole, quarters.tolist(), at) if len(quarters) <= MOST_QUARTERS else None
    groups = {}
    for name in SUMMED:
        different: list[int | str] = list(dict.fromkeys(names[name]))
        if len(different) <= MOST_NAMES:
            place = {word: number for number, word in enumerate(different)}
            at = np.array([place[word] for word in names[name]], dtype=np.int64)[asked]
            groups[name] = _summed(whole, different, at)
    least = {name: int(column.min()) for name, column in numbers.items()}
    columns = {name: _written(column - least[name]) for name, column in numbers.items()}
    columns |= {name: column.tobytes() if column.any() else b"" for name, column in money.items()}
    words = Names(
        {name: _coded(column) for name, column in names.items()},
        (known, np.array(rows_of, dtype=np.uint16).tobytes(), places),
    )
    connection.execute(
        "insert into packs (low, high, rows, summary, groups, numbers, names) values (?, ?, ?, ?, ?, ?, ?)",
        (low, high, rows, summary, _encode(groups), _encode(Numbers(least, columns)), _encode(words)),
    )
    return int(rows)


def _summed(columns: dict[str, Column], groups: list[int | str], places: Column) -> bytes:
    """The summary of rows by the places of their groups."""
    many = len(groups)
    taken = {
        name: np.bincount(places, weights=columns[name], minlength=many).tolist()
        for name in TAKEN
        if name != "requests"
    }
    taken["requests"] = np.bincount(places, minlength=many).tolist()
    spans: dict[str, tuple[bytes, bytes, bytes]] = {}
    for kind in ("latency", "first"):
        buckets = columns[kind]
        there = buckets != NO_BUCKET
        both, held = np.unique(places[there] << 16 | buckets[there], return_counts=True)
        kinds = ((both >> 16, np.uint8), (both & 0xFFFF, np.uint16), (held, np.uint32))
        lines, at, counts = (column.astype(kind).tobytes() for column, kind in kinds)
        spans[kind] = lines, at, counts
    return _encode(Summary(groups, taken, spans))


def _coded(names: list[str]) -> tuple[list[str], bytes]:
    known = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return list(known), _written(np.array([known[name] for name in names], dtype=np.int64))


def _written(column: Column) -> bytes:
    """Whole numbers from 0 on, in as few bytes as they fit; of nothing but zeros nothing."""
    most = int(column.max()) if len(column) else 0
    if not most:
        return b""
    for kind in (np.uint8, np.uint16, np.uint32):
        if most <= np.iinfo(kind).max:
            return column.astype(kind).tobytes()
    return column.tobytes()


def _read(raw: bytes, rows: int) -> Column:
    if not raw:
        return np.zeros(rows, dtype=np.uint8)
    kind = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.int64}[len(raw) // rows]
    return np.frombuffer(raw, dtype=kind)
