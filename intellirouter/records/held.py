"""What was noted and is no row yet: batches of bytes that lie with the rows and wait until there is time to make rows of them.

To keep a request as it was seen costs a fiftieth of what its row costs, with all the indexes the row is found by. So a batch is kept
the moment it was gathered, which is as safe as a row, and rows are made of it when a processor is free, when somebody asks for what it
may tell (`whole.py`), or when it has waited for too long or is too much.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import zstandard

from intellirouter.records.row import Row

HELD_SECONDS = 300.0
HELD_ROWS, HELD_BYTES = 131_072, 256 * 1024 * 1024
"""What waits is bounded: whoever asks for sums of that time waits for its rows."""
AT_ONCE = 2000
"""Requests of which rows are made together: the more there are, the fewer pages of indexes are written again and again."""

Encoded = tuple[int, bytes]
"""How many requests there are, and a list of them as MessagePack."""
RowsOf = Callable[[bytes], Iterable[Row]]
"""The rows of a batch, without ids; fewer than it holds where of some no row can be had."""


MOST_BYTES = 256 * 1024 * 1024
"""Of a batch as it was before it was compressed: what is damaged may ask for any amount of memory."""
_LIST = b"\xdd"


class Jotting(Protocol):
    """How a request is kept as it was seen."""

    encode: Callable[[list[object]], bytes]
    """A list of them, as MessagePack."""

    def row(self, seen: Any, /) -> Row:
        """The row of one."""

    def rows(self, batch: bytes) -> Iterable[Row]:
        """The rows of a list of them, but for those of which none can be made: they are logged, and cost no other."""


class Waiting(NamedTuple):
    """How many requests are held, in how many bytes, and since when (Unix seconds) the first of them."""

    rows: int
    bytes: int
    since: float

    @property
    def due(self) -> bool:
        """Whether they have waited long enough, or are enough."""
        if self.rows > HELD_ROWS or self.bytes > HELD_BYTES:
            return True
        return self.rows > 0 and time.time() - self.since > HELD_SECONDS


class Span(NamedTuple):
    """The time (Unix seconds) in which requests ended."""

    since: float
    until: float


EVER = Span(-math.inf, math.inf)


class Held(Protocol):
    """The batches of a store. May raise `StateUnavailable`, as it does. `refused` counts requests of which no row can be had."""

    @property
    def refused(self) -> int:
        """See above."""

    def hold(self, batches: Sequence[tuple[int, bytes]], since: float) -> None:
        """Keep batches, each with how many requests it holds, of which the first ended at `since` or later: all of them, or none and raise."""

    def release(self, rows_of: RowsOf, numbers: Sequence[int] | None = None) -> int:
        """Make rows of these batches, or of the oldest, in one transaction with their end: each once. How many requests they held.

        0 where there are none. Where another process makes rows of one of them meanwhile, all the others may stay.
        """

    def batches(self, span: Span) -> list[tuple[int, int]]:
        """The numbers of the batches that may hold requests of that time, each with how many it holds, the oldest first."""

    def holding(self, name: bytes, told: Callable[[bytes], bytes] = ...) -> list[int]:
        """The numbers of the batches in whose lists, as `told` (`list_in`) reads them, these bytes stand."""

    def waiting(self) -> Waiting:
        """What is held."""

    def change(self, change: Callable[[bytes], bytes]) -> None:
        """Keep every batch as `change` makes it."""


class Batches:
    """Makes batches. For one thread.

    Requests of one moment are much alike, so a batch is compressed (Zstandard, RFC 8878): a fifth is written, which saves more time
    than it takes.
    """

    def __init__(self) -> None:
        self._compress = zstandard.ZstdCompressor(level=1).compress

    def of(self, told: Encoded) -> tuple[int, bytes]:
        """The batch of a list of `list_of`."""
        return told[0], self._compress(told[1])


def list_of(lists: Iterable[Encoded]) -> Encoded:
    """The items of lists as one, of the kind of MessagePack's arrays that counts them in four bytes."""
    many, items = 0, list[memoryview]()
    for count, told in lists:
        many += count
        items.append(memoryview(told)[1 if count < 16 else 3 if count < 1 << 16 else 5 :])
    return many, b"".join((_LIST, many.to_bytes(4, "big"), *items))


def list_in(batch: bytes) -> bytes:
    """The list of a batch, or what is one. Raises `zstandard.ZstdError` for what is neither."""
    if batch.startswith(_LIST):  # it was not compressed in a file of an older version
        return batch
    if not 0 <= (size := zstandard.frame_content_size(batch)) <= MOST_BYTES:
        raise zstandard.ZstdError(f"a batch cannot hold {size} bytes")
    return zstandard.decompress(batch)


def release_all(held: Held, rows_of: RowsOf, span: Span = EVER) -> None:
    """Make rows of all of a time that is held now."""
    release_these(held, rows_of, {number for number, _ in held.batches(span)})


def release_these(held: Held, rows_of: RowsOf, numbers: Collection[int]) -> None:
    """Make rows of these batches, leaving whoever writes as much time as it takes."""
    while there := [one for one in held.batches(EVER) if one[0] in numbers] if numbers else []:
        began, many, some = time.perf_counter(), 0, list[int]()
        for number, rows in there:
            many += rows
            if some and many > AT_ONCE:
                break
            some.append(number)
        held.release(rows_of, some)
        if len(some) < len(there):
            time.sleep((time.perf_counter() - began) / 2)
