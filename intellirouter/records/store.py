"""What a store of the record must do. Its methods block: the recorder's thread writes, readers ask from a thread each.

Every method may raise `StateUnavailable` (the disk, the database), and a question that takes too long `TooSlow`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from intellirouter.errors import IntelliRouterError, Overloaded
from intellirouter.records.held import Held
from intellirouter.records.outgoing import Outgoing
from intellirouter.records.query import By, Page, Query, Size, Usage
from intellirouter.records.row import Row

READ_SECONDS = 20.0
"""How long a question may take."""


class TooSlow(Overloaded):
    """The record could not answer in time: the question covers too much."""

    code = "record_too_slow"


class IdTaken(IntelliRouterError):
    """Another row has one of the ids: draw others."""

    code = "record_id_taken"


class RowsUnfit(IntelliRouterError):
    """One of the rows is none that the store could ever keep."""

    code = "record_rows_unfit"


class Store(Protocol):
    """Rows of requests, and where it can keep them as they came, what is no row yet (`held`)."""

    @property
    def held(self) -> Held | None:
        """None where requests are written as rows alone. Questions tell nothing of what is held, and its size all: see `whole.py`."""

    @property
    def outgoing(self) -> Outgoing | None:
        """The rows that are to go to another node; None for a store that nodes share."""

    def write(self, rows: Sequence[Row]) -> None:
        """Keep all of these rows, or none of them and raise. Their ids are their own."""

    def adopt(self, source: str, rows: Sequence[tuple[int, Row]]) -> int:
        """Keep rows of another node's record, each once, or none of them and raise; how many are new.

        Each comes with its id there, by which it is known, and with an id of this record. Raises `IdTaken`, `RowsUnfit`.
        """

    def those(self, ids: Sequence[int]) -> list[Row]:
        """The rows of these ids with their content, oldest first; of what is not there nothing."""

    def page(self, query: Query, limit: int, before: int | None = None, after: int | None = None) -> Page:
        """The newest `limit` rows that ended before the row `before`, and after the row `after`."""

    def get(self, name: str, tenant: str | None) -> list[Row]:
        """The rows of an id or of a request id, oldest first, with their content: one, or the parts of a request that crossed roles."""

    def session(self, name: str, tenant: str | None, limit: int) -> list[Row]:
        """What belongs to a session, oldest first: its requests, and the parts of the chain runs and requests among them."""

    def usage(self, by: By, query: Query, zone: int = 0) -> list[Usage]:
        """What was used, by group, the dearest first; days and hours in order. `zone` is minutes east of UTC, for days."""

    def total(self, query: Query) -> Usage:
        """The same over all rows."""

    def rows(self, query: Query, limit: int) -> Iterator[list[Row]]:
        """The rows in pages, newest first, for an export."""

    def give_feedback(self, row_id: int, feedback: dict[str, Any]) -> bool:
        """Attach feedback to a row; False where there is none."""

    def contents(self, rows: Sequence[Row]) -> list[Row]:
        """The rows of a page, with what was asked and answered."""

    def rewrite(self, after: int, limit: int, change: Callable[[Row], Row]) -> int | None:
        """Keep what is said in the next `limit` rows after the id `after` as `change` makes it; the last id, None at the end.

        That is `asked`, `answered`, `message`, `detail` and `feedback`; a row that `change` gives back as it is stays so.
        """

    def prune(self, before: float, max_bytes: int) -> int:
        """Forget what ended before `before`, and the oldest while more than `max_bytes` are used; give the room back.

        Does one bounded piece of the work and returns how many rows it removed; 0 when nothing is left to do.
        """

    def pack(self) -> int:
        """Make the next piece of what sums are read from ready; the rows it covers, 0 while there is nothing to do.

        Sums are right without it, and slower.
        """

    def recount(self) -> None:
        """Let go of everything that `pack` made: sums are read from the rows, and packed anew."""

    def check(self, places: int, /) -> int:
        """How many of so many pieces that `pack` made, from the oldest to the newest, tell other sums than their rows."""

    def size(self) -> Size:
        """How much is kept."""

    def close(self) -> None:
        """Let go of files and connections."""
