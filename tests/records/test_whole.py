"""Whoever asks is told of what is held as of everything else, and waits for no more of it to become rows than the answer could tell of."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from intellirouter.records import held as holding
from intellirouter.records.held import Batches, list_of, release_all
from intellirouter.records.query import By, Query
from intellirouter.records.row import Row
from intellirouter.records.sealed import SealedRecords
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.records.store import Store
from intellirouter.records.whole import whole
from intellirouter.roles.router.recorded import JOTTED
from intellirouter.security.sealing import Sealer
from intellirouter.web.noting import Failure, Seen

NOW = time.time()
HOUR = 3600.0


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[SqliteStore, SqliteStore]]:
    with (
        contextlib.closing(SqliteStore(tmp_path / "held.db")) as one,
        contextlib.closing(SqliteStore(tmp_path / "rows.db")) as other,
    ):
        yield one, other


def seen(name: str, ended: float, chance: random.Random) -> Seen[Any]:
    status = chance.choice((200, 200, 404))
    tenant, key = chance.choice((("acme", "k1"), ("acme", "k2"), ("globex", "k3")))
    facts = (chance.random(), "Router", chance.choice(("models", "files")), "GET", "/v1/models", name)
    session = chance.choice((None, "s1", "s2"))
    error = Failure("not_found", "no such model, zebra") if status == 404 else None
    return Seen(ended, *facts, status, key, tenant, None, session, None, ["x"], None, None, None, None, error)


def hold(store: Store, requests: list[Seen[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """As a recorder holds them, at their time."""
    assert store.held is not None
    with monkeypatch.context() as then:
        then.setattr(
            "intellirouter.records.sqlite.held.time.time", lambda: max(one.ended for one in requests)
        )
        store.held.hold(
            [Batches().of(list_of([(len(requests), JOTTED.encode(requests))]))],
            min(one.ended for one in requests),
        )


def spells(chance: random.Random, many: int = 12) -> list[list[Seen[Any]]]:
    """Batches of two processes, whose times overlap, over some hours."""
    found = []
    for number in range(many):
        began = NOW - 6 * HOUR + number * HOUR / 4 + chance.random() * HOUR / 3
        times = sorted(began + chance.random() * HOUR / 8 for _ in range(chance.randrange(1, 9)))
        found.append([seen(f"req-{number}-{n}", ended, chance) for n, ended in enumerate(times)])
    return found


QUERIES = [
    Query(),
    Query(tenant="globex"),
    Query(status="failed"),
    Query(tag="x", key="k1"),
    Query(session="s1"),
    Query(text="zebra", tenant="acme"),
    Query(since=NOW - 5 * HOUR, until=NOW - 4 * HOUR),
    Query(until=NOW - 3.7 * HOUR, endpoint="files"),
    Query(model="none"),
]


def pages(store: Store, query: Query, limit: int) -> list[str]:
    """All pages, one after the other."""
    found: list[str] = []
    before = None
    while True:
        page = store.page(query, limit, before)
        found += [row.request_id for row in page.rows]
        before = page.before
        if before is None:
            return found


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("sealed", [False, True])
def test_answers_are_those_of_a_record_of_rows_alone(
    stores: tuple[SqliteStore, SqliteStore], seed: int, sealed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "AT_ONCE", 10)
    chance, sealer = random.Random(seed), Sealer((b"1" * 32,))
    one, other = (SealedRecords(store, sealer) if sealed else store for store in stores)
    for number, spell in enumerate(spells(chance)):
        for store in (one, other):
            hold(store, spell, monkeypatch)
        if number in (3, 7):
            release_all(one.held, JOTTED.rows)  # type: ignore[arg-type]
    release_all(other.held, JOTTED.rows)  # type: ignore[arg-type]
    asked = whole(one, JOTTED.rows)
    for _ in range(6):
        query, limit = chance.choice(QUERIES), chance.randrange(1, 30)
        if chance.random() < 0.3 and not (sealed and query.text):
            assert asked.total(query) == other.total(query)
            by: By = chance.choice(get_args(By))
            assert asked.usage(by, query) == other.usage(by, query)
        assert pages(asked, query, limit) == pages(other, query, limit), query
        name = f"req-{chance.randrange(12)}-0"
        assert [row.request_id for row in asked.get(name, "acme")] == [
            row.request_id for row in other.get(name, "acme")
        ]
    assert sum(len(rows) for rows in asked.rows(Query(), 10_000)) == other.size().rows == asked.size().rows
    assert [row.request_id for row in asked.session("s1", None, 100)] == [
        row.request_id for row in other.session("s1", None, 100)
    ]


def test_what_an_answer_cannot_tell_of_stays_held(
    stores: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, chance = stores[0], random.Random(1)
    for number in range(10):
        began = NOW - HOUR + 60 * number
        hold(store, [seen(f"req-{number}-{n}", began + n, chance) for n in range(20)], monkeypatch)
    asked = whole(store, JOTTED.rows)

    def left() -> int:
        return store.held.waiting().rows // 20

    assert [row.request_id for row in asked.page(Query(), 5).rows] == [
        f"req-9-{n}" for n in range(19, 14, -1)
    ]
    assert left() == 9
    assert len(asked.get("req-2-7", None)) == 1 and not asked.get("req-2-99", None) and left() == 8
    assert asked.total(Query(since=NOW - HOUR + 4.5 * 60, until=NOW - HOUR + 5.5 * 60)).requests == 20
    assert left() == 7
    assert not asked.page(Query(since=NOW), 5).rows and asked.size().rows == 200 and left() == 7
    (newest,) = asked.page(Query(), 1).rows
    assert asked.give_feedback(newest.id, {"score": 1.0}) and left() == 7
    assert not asked.page(Query(model="none"), 5).rows and left() == 0


def test_a_file_whose_batches_do_not_say_when_they_ended_is_read_whole(
    stores: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, chance = stores[0], random.Random(1)
    hold(store, [seen("old", NOW - 9, chance)], monkeypatch)
    with contextlib.closing(sqlite3.connect(store.path)) as plain, plain:
        plain.execute("alter table held drop column until")
        plain.execute("pragma user_version = 5")
    with contextlib.closing(SqliteStore(store.path)) as again:
        hold(again, [seen("new", NOW, chance)], monkeypatch)
        rows: list[Row] = whole(again, JOTTED.rows).page(Query(since=NOW - 10), 10).rows
        assert [row.request_id for row in rows] == ["new", "old"]


def test_a_batch_that_cannot_be_read_hides_no_request_of_another(
    stores: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is damaged, the key of another is gone."""
    gone, here = (SealedRecords(stores[0], Sealer((digit * 32,))) for digit in (b"1", b"2"))
    chance = random.Random(2)
    for store, name in ((gone, "lost"), (here, "well")):
        hold(store, [seen(name, NOW, chance)], monkeypatch)
    stores[0].held.hold([(3, b"no batch")], NOW)
    found: list[Row] = whole(here, JOTTED.rows).get("well", None)
    assert [row.request_id for row in found] == ["well"]
    assert stores[0].held.waiting().rows == 0
