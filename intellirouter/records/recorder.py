"""The recorder: what a request leaves behind, taken on its path in microseconds (`intake.py`) and kept from a thread.

The thread gathers for `GATHER_SECONDS` (what a killed process loses) and keeps what came together as batches; rows are made of them
when a processor has time (`held.py`, `spare.py`), so that a machine that is full of requests pays a fiftieth of a row for each. Where
time is left the thread packs what has settled, so that sums need not read it again, and keeps house: retention, room given back. Its
priority is that of the others: beside busy neighbours a thread of a low one would lose rows of seconds with a kill, and would hold the
interpreter while it waits for the processor. A store that fails is tried again with the same batch; what comes meanwhile waits within
the bounds, and beyond them it is dropped and counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from intellirouter.counts import counted
from intellirouter.errors import StateError
from intellirouter.records.held import Batches, Encoded, Jotting, list_of
from intellirouter.records.intake import TOGETHER, Bounds, Intake, Noted, out_of
from intellirouter.records.row import Ids, Row
from intellirouter.records.spare import Spare
from intellirouter.records.store import Store

GATHER_SECONDS = 0.25
BATCH, KEPT_AT_ONCE = 512, 5120
"""Of one batch of which rows are made together, and of all that is kept together."""
BUILD_AT_ONCE = 25
"""Rows made before the thread offers the interpreter to the requests."""
HOUSE_SECONDS = 60.0
ENOUGH = 0.1
"""Of a processor without anything to do: there is time to make rows."""
PACK_SECONDS, PACK_EACH_SECONDS = 0.1, 2.0
"""Between two pieces of packing where more wait, and until it is looked for again where none did."""
DUE_EACH_SECONDS = 1.0
"""Until it is looked again whether too much is held, where it was not."""
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 10.0
"""How long the end of the process waits for what is still to be written."""
LAST_SECONDS = 2.0
"""At the end, for rows of what is held: the rest is as safe as it is, and whoever waits for the end may not wait for long."""
REMEMBER_SECONDS = 600.0
"""How long a drop is told in /health."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the recorder does. `withheld` are requests of strangers beyond what is recorded of them. `reason` is why rows are not written now, or were not of late; empty when all is well."""

    written: int
    dropped: int
    waiting: int
    failing: bool
    reason: str
    withheld: int


UNDESCRIBED = "some requests could not be described, see the log"


class Recorder(Intake):
    """One per process. `open_store` is called in the thread, again until it succeeds; `jotting` knows what is given to `jot`."""

    __slots__ = (
        "_batches",
        "_behind",
        "_drop_reason",
        "_due_at",
        "_failure",
        "_gathered_at",
        "_ids",
        "_kept_house",
        "_lost",
        "_open_store",
        "_pack_at",
        "_spare",
        "_stopping",
        "_store",
        "_thread",
        "_written",
    )

    def __init__(self, open_store: Callable[[], Store], bounds: Bounds, jotting: Jotting) -> None:
        super().__init__(bounds, jotting)
        self._open_store = open_store
        self._batches = Batches()
        self._written = self._lost = 0
        self._failure = ""
        self._drop_reason = ""
        self._ids = Ids()
        self._stopping = threading.Event()
        self._store: Store | None = None
        self._kept_house = self._pack_at = self._due_at = time.monotonic()
        self._behind = True  # there may be more to make rows of, or to pack
        self._spare = Spare()
        self._gathered_at = time.time()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)
        self._thread.start()

    def standing(self) -> Standing:
        """How it does."""
        dropped = self._refused + self._lost
        reason = self._failure
        if not reason and dropped and time.monotonic() - self._dropped_at < REMEMBER_SECONDS:
            reason = self._drop_reason or "more requests came than could be written"
        if reason and dropped:
            reason = (
                f"{reason}; {counted(dropped, 'request is missing', 'requests are missing')} from the record"
            )
        return Standing(self._written, dropped, self._waiting(), bool(self._failure), reason, self._withheld)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what waits, for at most so long, and close the store. Blocks."""
        self._stopping.set()
        self._hurry.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                log.warning("records.not_all_written", waiting=self._waiting())

    def _work(self) -> None:
        until = None
        while True:
            stopping = self._stopping.is_set()
            if stopping and until is None:
                until = time.monotonic() + CLOSE_SECONDS
            if not self._waiting():
                if stopping:
                    break
                self._rest()
            self._spare.look()
            if not stopping:
                self._hurry.wait(GATHER_SECONDS)
                self._hurry.clear()
            spare = self._spare.share()
            while self._waiting() and (until is None or time.monotonic() < until):
                self._keep_some()
            if until is not None and time.monotonic() >= until:
                break
            if until is None:
                self._catch_up(spare)
                self._keep_house()
        if self._store is not None:
            last = time.monotonic() + LAST_SECONDS
            while until is not None and time.monotonic() < min(until, last) and self._release():
                pass
            self._store.close()

    def _rest(self) -> None:
        """Until something comes, or the house is to be kept."""
        self._wake.clear()
        self._idle = True
        if not self._waiting() and not self._stopping.is_set():
            self._gathered_at = time.time()  # before what wakes us ended
            self._wake.wait(PACK_SECONDS if self._behind else HOUSE_SECONDS)
        self._idle = False

    def _keep_some(self) -> None:
        """Keep what waits, or as much of it as is kept at once."""
        since, now = self._gathered_at, time.time()
        noted = out_of(self._noted, KEPT_AT_ONCE)
        jotted = out_of(self._jotted, KEPT_AT_ONCE // TOGETHER)
        fresh = out_of(self._fresh, TOGETHER)
        if not self._jotted:  # or there are more that ended before now, as after a time without the store
            self._gathered_at = now
        self._hold([*jotted, *self._encoded(fresh)], since)
        self._let_go += sum(len(told) for _, told in jotted)
        for at in range(0, len(noted), BATCH):
            some = noted[at : at + BATCH]
            self._write(self._made(some))
            self._let_go += sum(size for _, _, size in some)
            self._settled += len(some)

    def _hold(self, jotted: list[Encoded], since: float) -> None:
        """Keep them, however often it takes; where the store takes only rows, the rows of them."""
        if not jotted:
            return
        each = BATCH // TOGETHER
        lists = [list_of(jotted[at : at + each]) for at in range(0, len(jotted), each)]
        many = sum(count for count, _ in lists)

        def kept(store: Store) -> None:
            if store.held is not None:
                store.held.hold(list(map(self._batches.of, lists)), since)

        if self._kept(kept, many):
            if self._store is not None and self._store.held is not None:
                self._behind = True
                self._written += many
            else:
                for count, told in lists:
                    self._write(self._described(count, told))
        self._settled += many

    def _described(self, count: int, told: bytes) -> list[Row]:
        """The rows of a list of so many requests, with their ids."""
        rows = list(self._jotting.rows(told))
        if len(rows) < count:
            self._lose(count - len(rows), UNDESCRIBED)
        for row in rows:
            row.id = self._ids.next(row.ended)
        return rows

    def _made(self, noted: list[Noted]) -> list[Row]:
        """The rows of what was noted."""
        rows: list[Row] = []
        for index, (make, seen, _) in enumerate(noted):
            try:
                row = make(seen)
            except Exception:  # a request we cannot describe must not cost the others
                self._lose(1, UNDESCRIBED)
                log.exception("records.row_not_made")
                continue
            if row is not None:
                row.id = self._ids.next(row.ended)
                rows.append(row)
            if index % BUILD_AT_ONCE == BUILD_AT_ONCE - 1:
                time.sleep(0)
        return rows

    def _lose(self, count: int, reason: str) -> None:
        self._lost += count
        self._drop_reason = reason
        self._dropped_at = time.monotonic()

    def _write(self, rows: list[Row]) -> None:
        """Keep the rows, however often it takes; give up only at the end of the process."""
        if not rows:
            return
        try:
            if self._kept(lambda store: store.write(rows), len(rows)):
                self._written += len(rows)
        except Exception as error:  # rows that no store can take
            if len(rows) > 1:  # find the bad ones: the others are as good as any
                half = len(rows) // 2
                self._write(rows[:half])
                self._write(rows[half:])
                return
            log.exception("records.row_refused")
            self._lose(1, f"the store refused rows ({type(error).__name__}), see the log")

    def _kept(self, keep: Callable[[Store], None], count: int) -> bool:
        """Do it, however often it takes; False where that was given up at the end of the process, and so many requests with it."""
        while True:
            try:
                if self._store is None:
                    self._store = self._open_store()
                keep(self._store)
            except StateError as error:
                if not self._failure:
                    log.warning("records.not_written", reason=error.message, waiting=self._waiting())
                self._failure = error.message
                if self._stopping.wait(RETRY_SECONDS):
                    self._lose(count, error.message)
                    return False
                continue
            if self._failure:
                log.info("records.written_again")
                self._drop_reason, self._failure = self._failure, ""
            return True

    def _catch_up(self, spare: float) -> None:
        """Make rows of what is held and pack them, for as long as processors had time of late, or until no more is held than may be."""
        until = time.monotonic() + GATHER_SECONDS * min(1.0, spare) * (spare >= ENOUGH)
        due = self._due()
        while not self._stopping.is_set():
            if not due and time.monotonic() >= until:
                return
            if not self._release():
                break
            while self._waiting():  # it is no safer in memory for our being busy
                self._keep_some()
            due = due and self._due()
        if not self._behind or time.monotonic() < until:
            self._pack()

    def _due(self) -> bool:
        held, now = None if self._store is None else self._store.held, time.monotonic()
        if held is None or now < self._due_at:
            return False
        try:
            due = held.waiting().due
        except StateError:
            return False
        if not due:
            self._due_at = now + DUE_EACH_SECONDS
        return due

    def _release(self) -> bool:
        """Make rows of one batch; whether there was one."""
        store = self._store
        if store is None or store.held is None:
            return False
        before = store.held.refused
        try:
            found = store.held.release(self._jotting.rows)
        except StateError as error:
            log.warning("records.rows_not_made", reason=error.message)
            return False
        except Exception:  # they stay held, and the requests that come are kept
            log.exception("records.release_crashed")
            return False
        if refused := store.held.refused - before:
            self._lose(refused, "the store refused rows, see the log")
        return found > 0

    def _pack(self) -> None:
        """One piece at most: rows that wait go first."""
        now = time.monotonic()
        if self._stopping.is_set() or now < self._pack_at:
            return
        try:
            if self._store is None:
                self._store = self._open_store()
            self._behind = self._store.pack() > 0
        except StateError as error:
            self._behind = False
            log.warning("records.not_packed", reason=error.message)
        except Exception:  # sums are right without, and slower
            self._behind = False
            log.exception("records.pack_crashed")
        if not self._behind:
            self._pack_at = now + PACK_EACH_SECONDS

    def _keep_house(self) -> None:
        now = time.monotonic()
        if now - self._kept_house < HOUSE_SECONDS:
            return
        self._kept_house = now
        try:
            if self._store is None:
                self._store = self._open_store()
            before = time.time() - self.bounds.retention_seconds
            while self._store.prune(before, self.bounds.max_bytes):
                if self._waiting() or self._stopping.is_set():  # rows go first: the rest of the work has time
                    self._kept_house = now - HOUSE_SECONDS
                    return
        except StateError as error:
            log.warning("records.not_pruned", reason=error.message)
        except Exception:
            log.exception("records.prune_crashed")
