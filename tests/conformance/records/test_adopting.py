"""Rows that one record has of another: each once, whole, and forgotten with the rest; and which of a record are still to go."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import pytest

from intellirouter.records.query import Query
from intellirouter.records.row import Detail, Ids, Row
from intellirouter.records.sealed import SealedRecords
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.records.store import IdTaken, Store
from intellirouter.security.sealing import Sealer
from tests.conformance.records.test_store import DAY, NOW, kept, row


def brought(rows: list[Row], ids: Ids) -> list[tuple[int, Row]]:
    """The rows as they come from elsewhere."""
    return [(one.id, msgspec.structs.replace(one, id=ids.next(one.ended))) for one in rows]


def there(count: int, **facts: object) -> list[Row]:
    ids = Ids()
    return [row(ids, count - n, request_id=f"e{n}", cost_usd=0.5, model="m", **facts) for n in range(count)]


def test_a_row_is_adopted_once_whole_and_counted_with_the_others(store: Store) -> None:
    kept(store, {"cost_usd": 1.0, "model": "m"})
    rows = there(3, asked="what?", answered="that", message="odd", tags=("a",), detail=Detail(notes=["n"]))
    rows[1].feedback = {"score": 1, "comment": "good"}
    assert store.adopt("shop", brought(rows, Ids())) == 3
    for _ in range(2):  # the answer was lost
        assert store.adopt("shop", brought(rows, Ids())) == 0
    assert store.adopt("shop", brought(rows[2:] + there(1), Ids())) == 1
    (found,) = store.get("e1", None)
    assert msgspec.structs.replace(found, id=rows[1].id) == rows[1]
    assert [one.request_id for one in store.those([found.id, 1])] == ["e1"]
    assert store.those([found.id]) == [found]
    total = store.total(Query())
    assert (total.requests, total.cost_usd, total.rated) == (5, 3.0, 1)
    assert store.size().rows == 5
    # the same id of another source is another row
    assert store.adopt("depot", brought(rows, Ids())) == 3


def test_an_id_that_is_another_row_s_costs_nothing_but_another_try(store: Store) -> None:
    (mine,) = kept(store, {})
    rows = there(2)
    taken = [(rows[0].id, rows[0]), (rows[1].id, msgspec.structs.replace(rows[1], id=mine.id))]
    with pytest.raises(IdTaken):
        store.adopt("shop", taken)
    assert store.total(Query()).requests == 1  # none of them
    assert store.adopt("shop", brought(rows, Ids())) == 2


def test_what_several_bring_at_once_is_there_once(store: Store) -> None:
    rows, new = there(50), list[int]()

    def bring() -> None:
        new.append(store.adopt("shop", brought(rows, Ids())))

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(new), store.total(Query()).requests) == ([0, 0, 0, 50], 50)


def test_rows_that_retention_removes_are_no_longer_known(store: Store) -> None:
    old, young = [row(Ids(), 9 * DAY, request_id="old")], there(1)
    assert store.adopt("shop", brought(old + young, Ids())) == 2
    while store.prune(NOW - 5 * DAY, 1 << 40):
        pass
    assert store.adopt("shop", brought(old + young, Ids())) == 1
    assert store.total(Query()).requests == 2


@pytest.fixture(params=["plain", "sealed"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    opened = SqliteStore(tmp_path / "requests.db")
    return opened if request.param == "plain" else SealedRecords(opened, Sealer((b"1" * 32,)))


def test_what_was_brought_goes_no_further(file: Store) -> None:
    outgoing = file.outgoing
    assert outgoing is not None
    outgoing.begin()
    brought, own = row(Ids(), 60), row(Ids(), 30)
    assert file.adopt("shop", [(7, brought)]) == 1
    file.write([own])
    assert outgoing.due(10) == [own.id]
    assert outgoing.again() == 1
    outgoing.stop()
    outgoing.begin()
    assert outgoing.due(10) == [own.id]
    file.close()


def test_every_row_with_a_tenant_is_to_go_until_it_has_arrived(file: Store) -> None:
    outgoing = file.outgoing
    assert outgoing is not None
    assert outgoing.leaving().waiting == 0
    (before, *_) = kept(file, {}, {"tenant": ""})
    for _ in range(2):
        outgoing.begin()
    late = [row(Ids(), 900)]  # ended long before, and is written now
    file.write(late)
    assert outgoing.due(10) == [late[0].id, before.id]
    outgoing.done([before.id, 7])
    assert (outgoing.due(10), outgoing.leaving().waiting) == ([late[0].id], 1)
    assert outgoing.leaving().oldest == pytest.approx(NOW - 900, abs=1)
    outgoing.refuse([late[0].id], "not of yours", 5.0)
    left = outgoing.leaving()
    assert (left.waiting, left.refused, left.refused_at, left.why) == (0, 1, 5.0, "not of yours")
    assert (outgoing.again(), outgoing.leaving().refused) == (2, 0)
    # retention goes on, and what it takes is counted
    while file.prune(NOW - 60, 1 << 40):
        pass
    left = outgoing.leaving()
    assert (left.waiting, left.given_up, left.given_up_at) == (1, 1, pytest.approx(time.time(), abs=60))
    outgoing.stop()
    kept(file, {})
    assert outgoing.leaving() == (0, None, 0, None, "", 0, None)
    assert len(outgoing.due(10)) == 2  # whoever asks begins anew: all there are
    file.close()
