"""What is held and no row yet: each request becomes one row, once, whoever makes it, and none waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import zstandard

from intellirouter.errors import StateUnavailable
from intellirouter.records import held as bounds
from intellirouter.records import recorder as recording
from intellirouter.records.held import Batches, Span, list_in, list_of, release_all
from intellirouter.records.intake import TOGETHER, Bounds
from intellirouter.records.query import Query
from intellirouter.records.recorder import Recorder
from intellirouter.records.row import Ids, Row
from intellirouter.records.sealed import SealedRecords
from intellirouter.records.sqlite import held as batches
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.roles.router.recorded import JOTTED
from intellirouter.security.sealing import Sealer
from intellirouter.web.noting import Failure, Seen

NAMED = "zebra-crossing"


def seen(name: str, status: int = 200, ended: float | None = None) -> Seen[None]:
    """A request as the frame notes it."""
    facts = (0.2, "Router", "models", "GET", "/v1/models", name, status, "key-1", "acme", None)
    error = Failure("not_found", NAMED) if status >= 400 else None
    return Seen(
        time.time() if ended is None else ended, *facts, None, None, None, None, None, None, None, error
    )


def written_row(ids: Ids, ended: float, request_id: str = "") -> Row:
    """A row as it was always written."""
    return Row(id=ids.next(ended), ended=ended, request_id=request_id, status=200)


def batch(*names: str) -> tuple[int, bytes]:
    return Batches().of(list_of([(len(names), JOTTED.encode(list(map(seen, names))))]))


def names_of(store: SqliteStore | SealedRecords) -> list[str]:
    return sorted(row.request_id for row in store.page(Query(), 1000).rows)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(tmp_path / "requests.db")) as opened:
        yield opened


def test_what_is_held_is_counted_and_becomes_rows_once_however_many_make_them(store: SqliteStore) -> None:
    parts = [tuple(f"r{at + n:04}" for n in range(50)) for at in range(0, 5000, 50)]
    store.held.hold([batch(*names) for names in parts], time.time())
    assert store.size().rows == 5000 and not names_of(store)
    others = [SqliteStore(store.path) for _ in range(2)]
    try:
        threads = [
            threading.Thread(target=release_all, args=(one.held, JOTTED.rows)) for one in (store, *others)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        for one in others:
            one.close()
    release_all(store.held, JOTTED.rows)
    rows = [row for page in store.rows(Query(), 10_000) for row in page]
    assert sorted(row.request_id for row in rows) == [name for names in parts for name in names]
    assert store.held.waiting().rows == 0 and store.size().rows == 5000
    assert store.total(Query()).requests == 5000


def test_ids_that_somebody_has_are_drawn_anew(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = written_row(Ids(), time.time(), request_id="first")
    store.write([taken])

    class Same(Ids):
        tries = 0

        def next(self, when: float | None = None) -> int:
            Same.tries += 1
            return taken.id if Same.tries == 1 else super().next(when)

    monkeypatch.setattr(batches, "Ids", Same)
    store.held.hold([batch("second")], time.time())
    release_all(store.held, JOTTED.rows)
    assert names_of(store) == ["first", "second"] and Same.tries == 2


def test_a_batch_that_cannot_be_read_is_put_aside_and_tried_at_the_next_start(store: SqliteStore) -> None:
    def locked(told: bytes) -> Iterator[Row]:
        yield from JOTTED.rows(told)  # the rows before the failure are no rows yet either
        if b"kept-back" in list_in(told):
            raise ValueError("no key")

    store.held.hold([batch("kept-back")], time.time())
    release_all(store.held, locked)
    assert names_of(store) == [] and store.held.refused == 1 and store.held.waiting().rows == 0
    for name in ("well", "later"):
        store.held.hold([batch(name)], time.time())
        assert store.held.waiting().rows == 1
        release_all(store.held, locked)
    assert names_of(store) == ["later", "well"] and store.held.refused == 1
    store.held.hold([batch("last")], time.time())
    with contextlib.closing(SqliteStore(store.path)) as again:
        release_all(again.held, JOTTED.rows)
        assert names_of(again) == ["kept-back", "last", "later", "well"]


def test_a_batch_that_was_put_aside_is_kept_no_longer_than_rows_are(store: SqliteStore) -> None:
    store.held.hold([batch("a")], time.time() - 100)
    store.held.release(lambda _: [][0])
    assert store.prune(time.time() - 1000, 1 << 40) == 0
    with contextlib.closing(SqliteStore(store.path)) as again:
        assert again.held.waiting().rows == 1
        again.held.release(lambda _: [][0])
        assert again.prune(time.time() - 10, 1 << 40) == 0
    with contextlib.closing(SqliteStore(store.path)) as again:
        assert again.held.waiting().rows == 0


@pytest.mark.parametrize("holds", [True, False])
def test_a_request_that_cannot_be_described_costs_no_other(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, holds: bool
) -> None:
    def opened() -> SqliteStore:
        one = SqliteStore(store.path)
        if not holds:  # as a store in Postgres
            monkeypatch.setattr(one, "held", None)
        return one

    recorder = Recorder(opened, Bounds(), JOTTED)
    odd = seen("odd")
    odd.tags = [3]  # type: ignore[list-item]  # what nobody would read
    for one in (seen("a"), odd, seen("b")):
        recorder.jot(one)
    recorder.start()
    recorder.close()
    assert names_of(store) == ["a", "b"] and recorder.standing().dropped == 1
    assert "described" in recorder.standing().reason or holds
    assert store.held.waiting().rows == 0 and store.size().rows == 2


def test_a_release_that_fails_whatever_is_wrong_ends_no_recording(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(recording, "Spare", lambda: Busy(1.0))
    recorder = Recorder(partial(SqliteStore, store.path), Bounds(), JOTTED)
    with monkeypatch.context() as then:
        then.setattr(batches.SqliteHeld, "release", broken)
        recorder.start()
        for count, name in enumerate("ab", 1):
            recorder.jot(seen(name))
            until(lambda count=count: recorder.standing().written == count)  # type: ignore[misc]
    recorder.close()
    assert names_of(store) == ["a", "b"] and recorder.standing().dropped == 0


def test_a_row_that_no_store_can_take_costs_no_other(store: SqliteStore) -> None:
    def odd(told: bytes) -> list[Row]:
        rows = list(JOTTED.rows(told))
        rows[2].input_tokens = 1 << 80
        return rows

    store.held.hold([batch(*"abcde")], time.time())
    release_all(store.held, odd)
    assert names_of(store) == ["a", "b", "d", "e"] and store.held.refused == 1
    assert store.size().rows == 4


def test_a_batch_of_a_version_that_did_not_compress_them_is_read(store: SqliteStore) -> None:
    count, told = batch("old", "older")
    assert len(list_in(told)) > len(told)
    store.held.hold([(count, list_in(told)), batch("new")], time.time())
    release_all(store.held, JOTTED.rows)
    assert names_of(store) == ["new", "old", "older"] and store.held.refused == 0


def test_a_batch_is_sealed_and_changes_its_key_with_the_rows(store: SqliteStore) -> None:
    old, both, new = Sealer((b"1" * 32,)), Sealer((b"2" * 32, b"1" * 32)), Sealer((b"2" * 32,))
    told = Batches().of(list_of([(1, JOTTED.encode([seen("a", 404)]))]))
    first = SealedRecords(store, old)
    assert first.held is not None
    first.held.hold([told], time.time())
    with contextlib.closing(sqlite3.connect(store.path)) as plain:
        kept = plain.execute("select batch from held").fetchone()[0]
    assert NAMED.encode() not in kept and NAMED.encode() in list_in(told[1])
    with pytest.raises(zstandard.ZstdError):
        list_in(kept)
    turned = SealedRecords(store, both)
    after = -1
    while (last := turned.reseal(after, 100)) is not None:
        after = last
    last_key = SealedRecords(store, new)
    assert last_key.held is not None
    release_all(last_key.held, JOTTED.rows)
    (found,) = last_key.page(Query(), 10).rows
    assert found.message == NAMED
    assert store.page(Query(), 10).rows[0].message.startswith("irs1:")


def test_nothing_is_packed_past_what_is_held(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intellirouter.records.sqlite.packs.ROWS", 2)
    then, ids = time.time() - 1000, Ids()
    store.write([written_row(ids, then + 10 * n) for n in range(8)])
    store.held.hold([batch("held")], then + 35)
    packed = [store.pack() for _ in range(4)]
    assert packed == [2, 2, 0, 0]
    store.held.change(lambda told: told)
    release_all(store.held, JOTTED.rows)
    assert [store.pack() for _ in range(3)] == [2, 2, 0]


def test_the_end_waits_for_no_rows_that_the_next_start_can_make(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "LAST_SECONDS", 0.0)
    monkeypatch.setattr(recording, "Spare", lambda: Busy(0.0))
    recorder = Recorder(partial(SqliteStore, store.path), Bounds(), JOTTED)
    for name in "abc":
        recorder.jot(seen(name))
    recorder.start()
    recorder.close()
    assert store.held.waiting().rows == 3 and recorder.standing().written == 3
    release_all(store.held, JOTTED.rows)
    assert names_of(store) == ["a", "b", "c"]


@pytest.mark.parametrize("reason", ["age", "rows", "bytes", "a question", "time to do it", "the end"])
def test_rows_are_made_when_there_is_a_reason(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    spare = 1.0 if reason == "time to do it" else 0.0
    monkeypatch.setattr(recording, "Spare", lambda: Busy(spare))
    monkeypatch.setattr(bounds, "HELD_SECONDS", 0.0 if reason == "age" else 1e9)
    monkeypatch.setattr(bounds, "HELD_ROWS", 2 if reason == "rows" else 1 << 60)
    monkeypatch.setattr(bounds, "HELD_BYTES", 2 if reason == "bytes" else 1 << 60)
    recorder = Recorder(partial(SqliteStore, store.path), Bounds(), JOTTED)
    recorder.start()
    try:
        for name in "abc":
            recorder.jot(seen(name))
        until(lambda: recorder.standing().written == 3)
        if reason == "a question":
            assert store.held.waiting().rows == 3
            release_all(store.held, JOTTED.rows)
        elif reason == "the end":
            assert store.held.waiting().rows == 3
            recorder.close()
        until(lambda: names_of(store) == ["a", "b", "c"])
    finally:
        recorder.close()
    assert recorder.standing().dropped == 0 and names_of(store) == ["a", "b", "c"]


class Busy:
    """A machine of which so much has nothing to do."""

    def __init__(self, share: float) -> None:
        self._share = share

    def look(self) -> None:
        """See `Spare.look`."""

    def share(self) -> float:
        """See `Spare.share`."""
        return self._share


def test_letters_that_are_none_hide_no_request_and_what_is_none_is_told(store: SqliteStore) -> None:
    recorder = Recorder(partial(SqliteStore, store.path), Bounds(), JOTTED)
    odd = seen("odd")
    odd.user_agent, odd.path = "agent \udcff", "/v1/\udcff"  # as aiohttp tells bytes that are no UTF-8
    for one in (odd, object(), seen("well")):
        recorder.jot(one)
    recorder.start()
    recorder.close()
    standing = recorder.standing()
    assert (standing.written, standing.dropped) == (2, 1) and "described" in standing.reason
    assert names_of(store) == ["odd", "well"]


def test_what_waits_in_memory_is_bounded_in_rows_and_bytes(store: SqliteStore) -> None:
    few = Recorder(partial(SqliteStore, store.path), Bounds(max_rows=2), JOTTED)
    small = Recorder(partial(SqliteStore, store.path), Bounds(max_held_bytes=10_000), JOTTED)
    for number in range(20):
        few.jot(seen(f"r{number}"))
    for number in range(10 * TOGETHER):
        small.jot(seen(f"r{number}"))
    assert few.standing().dropped == 18 and few.standing().waiting == 2
    kept = small.standing().waiting
    assert TOGETHER <= kept <= 3 * TOGETHER and small.standing().dropped == 10 * TOGETHER - kept
    for recorder in (few, small):
        recorder.start()
        recorder.close()
    assert store.size().rows == 2 + kept


def test_what_is_noted_waits_within_the_same_bounds(store: SqliteStore) -> None:
    few = Recorder(partial(SqliteStore, store.path), Bounds(max_rows=2), JOTTED)
    small = Recorder(partial(SqliteStore, store.path), Bounds(max_held_bytes=10), JOTTED)
    for _ in range(5):
        few.note(lambda _: None, None, 4)
        small.note(lambda _: None, None, 4)
    for recorder, dropped in ((few, 3), (small, 3)):
        assert (recorder.standing().waiting, recorder.standing().dropped) == (2, dropped)


class Away:
    """A store that is away until it is let."""

    def __init__(self, store: SqliteStore) -> None:
        self.back = threading.Event()
        self._path = store.path

    def open(self) -> SqliteStore:
        """It, or `StateUnavailable`."""
        if not self.back.is_set():
            raise StateUnavailable("the disk is away")
        return SqliteStore(self._path)


def test_every_batch_is_found_by_the_time_in_which_its_requests_ended(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one after a rest, and all that came while the store was away and are more than are kept at once."""
    monkeypatch.setattr(recording, "Spare", lambda: Busy(0.0))
    monkeypatch.setattr(recording, "KEPT_AT_ONCE", TOGETHER)
    monkeypatch.setattr(recording, "RETRY_SECONDS", 0.01)
    away, many = Away(store), 3 * TOGETHER
    recorder = Recorder(away.open, Bounds(), JOTTED)
    recorder.start()
    try:
        until(lambda: recorder._idle)
        for number in range(many):
            recorder.jot(seen(f"r{number}"))
        ended = time.time()
        away.back.set()
        until(lambda: recorder.standing().written == many)
        assert sum(rows for _, rows in store.held.batches(Span(0.0, ended))) == many
        first = time.time()
        until(lambda: recorder._idle)
        recorder.jot(seen("rested", ended=first))
        until(lambda: recorder.standing().written == many + 1)
        assert sum(rows for _, rows in store.held.batches(Span(0.0, first))) == many + 1
    finally:
        recorder.close()


async def test_nobody_waits_for_requests_that_were_refused(store: SqliteStore) -> None:
    """What lies together is measured when it is encoded: who waited for it till then waits no longer."""
    small = Recorder(partial(SqliteStore, store.path), Bounds(max_held_bytes=10), JOTTED)
    small.jot(seen("first"))
    waits = asyncio.create_task(small.caught_up(1.0))
    await asyncio.sleep(0)
    for number in range(TOGETHER - 1):
        small.jot(seen(f"r{number}"))
    assert small.standing().dropped == TOGETHER
    assert await waits


def test_a_batch_that_claims_to_hold_gigabytes_is_not_unpacked() -> None:
    claims = zstandard.ZstdCompressor().compress(bytes(100))
    assert claims[4] == 0x20  # one byte of size
    damaged = claims[:4] + bytes((0xE0,)) + (1 << 45).to_bytes(8, "little") + claims[6:]
    assert zstandard.frame_content_size(damaged) == 1 << 45
    with pytest.raises(zstandard.ZstdError, match="cannot hold"):
        list_in(damaged)
