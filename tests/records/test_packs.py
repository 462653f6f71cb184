"""Sums of packs are those of the rows, whatever came, went or was killed."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from typer.testing import CliRunner

from intellirouter.cli.main import build
from intellirouter.config.schema.records import RecordsSection
from intellirouter.ops.diagnose.finding import Level
from intellirouter.ops.diagnose.request_record import request_record
from intellirouter.records.held import Batches, list_of
from intellirouter.records.query import By, Query, Usage
from intellirouter.records.row import SHIFT, Ids, Row
from intellirouter.records.sqlite import packs, summing
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.roles.router.recorded import JOTTED
from intellirouter.web.noting import Seen

HOUR = 3600.0
BEGAN = time.time() - 40 * HOUR
MANY = 600
SMALL = 64
"""Rows of a pack in these tests."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "ROWS", SMALL)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with contextlib.closing(SqliteStore(tmp_path / "requests.db")) as opened:
        yield opened


def some_row(ids: Ids, chance: random.Random, ended: float) -> Row:
    """One of many kinds: nameless, failed, free, cached, tagged, rated."""
    tenant = f"t{chance.randrange(3)}"
    row = Row(
        ended=ended,
        seconds=chance.lognormvariate(0, 1),
        first_token=chance.choice((None, chance.random())),
        status=chance.choice((200, 200, 200, 404, 500)),
        error=chance.choice(("", "", "", "cut")),
        tenant=tenant,
        key=f"{tenant}-k{chance.randrange(40)}",
        team=chance.choice(("", "red", "blue")),
        user=chance.choice(("", "zoë", "'; drop table packs; --", "ann")),
        model=chance.choice(("", "a", "b", "c")),
        provider=chance.choice(("", "p", "q")),
        session=chance.choice(("", "s1", "s2")),
        role=chance.choice(("Router", "ChainEngine")),
        endpoint="chat_completions",
        cache=chance.choice(("", "hit", "miss")),
        tags=tuple(chance.sample(("x", "y", "z,ü"), chance.randrange(3))),
        input_tokens=chance.choice((None, 0, 7, 1 << 40)),
        output_tokens=chance.choice((None, 300)),
        cost_usd=chance.choice((None, 0.0, chance.lognormvariate(-7, 2))),
        dearest_usd=chance.choice((None, chance.lognormvariate(-6, 2))),
    )
    row.id = ids.next(ended)
    return row


def filled(store: SqliteStore, seed: int = 1) -> list[Row]:
    """Rows of forty hours, packed as far as they go, some of them written late."""
    chance, ids = random.Random(seed), Ids()
    rows = [some_row(ids, chance, BEGAN + index * 39 * HOUR / MANY) for index in range(MANY)]
    late = set(chance.sample(range(MANY), 30))
    store.write([row for index, row in enumerate(rows) if index not in late])
    assert packed(store) >= 400
    store.write([row for index, row in enumerate(rows) if index in late])
    for row in chance.sample(rows, 20):
        assert store.give_feedback(row.id, {"score": chance.random()})
    return rows


def packed(store: SqliteStore) -> int:
    total = 0
    while rows := store.pack():
        total += rows
    return total


def unpacked(store: SqliteStore) -> None:
    with contextlib.closing(sqlite3.connect(store.path)) as other, other:
        packs.forget_all(other)


QUERIES = [
    Query(),
    Query(asked_a_model=True),
    Query(since=BEGAN + 7.3 * HOUR, until=BEGAN + 20.9 * HOUR),
    Query(since=BEGAN + 30 * HOUR, asked_a_model=True, tenant="t1"),
    Query(until=BEGAN),
    Query(tenant="t0", status="5xx"),
    Query(status="ok", model="a"),
    Query(status="404"),
    Query(status="failed", user="zoë"),
    Query(tag="z,ü", since=BEGAN + 5 * HOUR),
    Query(tag="none"),
    Query(key="t2-k3"),
    Query(team="red", provider="p", session="s1", role="Router"),
    Query(cache="hit"),
    Query(min_latency=1.0),
]


def told(store: SqliteStore) -> list[Any]:
    """Everything that is asked of usage."""
    found: list[Any] = []
    for query in QUERIES:
        found.append(rounded([store.total(query)]))
        found += [rounded(store.usage(by, query, 330)) for by in get_args(By)]
    return found


def rounded(groups: list[Usage]) -> list[Any]:
    def short(value: Any) -> Any:
        return float(f"{value:.9g}") if isinstance(value, float) else value

    return [{name: short(value) for name, value in msgspec.structs.asdict(group).items()} for group in groups]


def test_sums_of_packs_are_those_of_the_rows_for_every_group_and_filter(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(store)
    # however few rows there are of a kind: here all are to be read from packs
    monkeypatch.setattr(summing, "is_rare", lambda *_: False)
    of_packs = told(store)
    unpacked(store)
    for one, other in zip(of_packs, told(store), strict=True):
        assert one == other


def test_of_what_was_never_measured_nothing_is_told(store: SqliteStore) -> None:
    ids = Ids()
    rows = [Row(ended=BEGAN + index, tenant="t", status=200, model="m") for index in range(2 * SMALL)]
    for row in rows:
        row.id = ids.next(row.ended)
    store.write(rows)
    assert packed(store) == 2 * SMALL
    for query in (Query(), Query(asked_a_model=True), Query(tenant="t"), Query(tag="none")):
        asked = [store.total(query), *store.usage("model", query), *store.usage("day", query)]
        assert {(one.requests, one.first_token_p50) for one in asked} <= {(2 * SMALL, None), (0, None)}
    unpacked(store)
    assert store.total(Query()).requests == 2 * SMALL


def test_what_is_forgotten_is_in_no_sum_any_more(store: SqliteStore) -> None:
    rows = filled(store, 2)
    before = BEGAN + 11.1 * HOUR
    while store.prune(before, 1 << 40):
        pass
    left = [row for row in rows if row.id >> 21 >= int(before * 1e3)]
    total = store.total(Query())
    assert total.requests == len(left) == store.size().rows
    assert total.input_tokens == sum(row.input_tokens or 0 for row in left)
    of_packs = told(store)
    unpacked(store)
    assert of_packs == told(store)


def test_rows_are_packed_once_they_settled_and_never_twice(store: SqliteStore) -> None:
    ids, chance = Ids(), random.Random(3)
    store.write([some_row(ids, chance, time.time()) for _ in range(2 * SMALL)])
    assert store.pack() == 0, "another process may still write older ones"
    ids = Ids()
    store.write([some_row(ids, chance, BEGAN + index) for index in range(SMALL - 1)])
    assert store.pack() == 0, "too few for a pack"
    other = SqliteStore(store.path)
    store.write([some_row(ids, chance, BEGAN + SMALL)])
    assert [other.pack(), store.pack(), other.pack()] == [SMALL, 0, 0]
    other.close()
    assert store.total(Query()).requests == 3 * SMALL


def test_a_wrong_pack_is_noticed_and_a_recount_mends_it(store: SqliteStore) -> None:
    filled(store, 4)
    before = rounded([store.total(Query())])
    assert store.check(8) == 0
    with contextlib.closing(sqlite3.connect(store.path)) as other, other:
        other.execute("delete from packs where number = (select min(number) from packs)")
    assert rounded([store.total(Query())]) != before
    assert store.check(1000) > 0
    store.recount()
    assert rounded([store.total(Query())]) == before, "read from the rows"
    assert packed(store) >= 400
    assert rounded([store.total(Query())]) == before
    assert store.check(1000) == 0


@pytest.mark.parametrize("seed", range(6))
def test_sums_are_those_of_the_rows_whatever_comes_late_and_in_however_small_batches(
    store: SqliteStore, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summing, "is_rare", lambda *_: False)
    chance, ids = random.Random(seed), Ids()
    rows = [some_row(ids, chance, BEGAN + index * 39 * HOUR / MANY) for index in range(MANY)]
    for at in range(0, MANY, 50):  # in order by and large, some of them very late
        few = rows[at : at + 50]
        chance.shuffle(few)
        rows[at : at + 50] = few
    late = [rows.pop(chance.randrange(len(rows))) for _ in range(MANY // 3)]
    written: list[Row] = []
    while rows or late:
        source = chance.choice([one for one in (rows, late) if one])
        some = [source.pop(0) for _ in range(min(len(source), chance.randrange(1, 9)))]
        if written and chance.random() < 0.1:
            with pytest.raises(sqlite3.IntegrityError):
                store.write([*some, chance.choice(written)])
        store.write(some)
        written += some
        if chance.random() < 0.2:
            store.pack()
        if chance.random() < 0.01:
            store.recount()
        if chance.random() < 0.02:
            store.prune(min(row.ended for row in written) + HOUR / 10, 1 << 40)
    assert packed(store) >= 0 and store.check(1000) == 0
    of_packs = told(store)
    unpacked(store)
    assert of_packs == told(store)


def test_rows_that_come_late_fill_whole_packs(store: SqliteStore) -> None:
    ids, chance = Ids(), random.Random(7)
    rows = [some_row(ids, chance, BEGAN + index) for index in range(12 * SMALL)]
    store.write(rows[2::3])
    assert packed(store) == 4 * SMALL
    for row in (*rows[1::3], *rows[::3]):
        store.write([row])
    with contextlib.closing(sqlite3.connect(store.path)) as other:
        assert other.execute("select rows from packs").fetchall() == [(SMALL,)] * 12
    assert store.total(Query()).requests == 12 * SMALL and store.check(1000) == 0


def test_small_packs_that_an_older_version_left_are_packed_anew(store: SqliteStore) -> None:
    filled(store, 6)
    before = rounded([store.total(Query())])
    with contextlib.closing(sqlite3.connect(store.path)) as other, other:
        for _ in range(packs.FEW_SMALL + 1):
            other.execute("insert into packs (low, high, rows) values (1, 2, 1)")
        other.execute("pragma user_version = 4")
    with contextlib.closing(SqliteStore(store.path)) as again:
        assert packed(again) >= 400
        assert rounded([again.total(Query())]) == before and again.check(1000) == 0


async def test_diagnose_tells_of_wrong_sums_and_the_command_makes_them_anew(
    store: SqliteStore, tmp_path: Path
) -> None:
    filled(store, 5)
    (found,) = await request_record(RecordsSection(), tmp_path, 5)
    assert found.level is Level.OK
    with contextlib.closing(sqlite3.connect(store.path)) as other, other:
        other.execute("delete from packs where number = (select min(number) from packs)")
    (found,) = await request_record(RecordsSection(), tmp_path, 5)
    assert found.level is Level.PROBLEM and "usage --recount" in found.advice
    one = Seen(BEGAN + HOUR, 0.1, "Router", "models", "GET", "/v1/models", "held", 200, *[None] * 11)
    held = Batches().of(list_of([(1, JOTTED.encode([one]))]))
    store.held.hold([held], BEGAN + HOUR)  # as a node that was killed leaves it
    file = tmp_path / "node.toml"
    file.write_text(f'[paths]\ndata_dir = "{tmp_path}"\n')
    done = CliRunner().invoke(build("usage"), ["usage", "--recount", "--config", str(file)])
    assert done.exit_code == 0 and "1 sum was wrong" in done.stdout, done.output
    assert store.held.waiting().rows == 0 and len(store.get("held", None)) == 1
    assert store.total(Query()).requests == MANY + 1 and store.check(1000) == 0
    (found,) = await request_record(RecordsSection(), tmp_path, 5)
    assert found.level is Level.OK and "waiting" not in found.message
    store.held.hold([held, (2, b"no batch")], time.time())
    assert store.held.release(JOTTED.rows) == 3
    store.held.hold([held], time.time())
    (found, aside) = await request_record(RecordsSection(), tmp_path, 5)
    assert found.message.endswith("waiting to become rows: 1"), found.message
    assert aside.level is Level.WARNING and aside.message.endswith("be read: 2")
    file.write_text(f'[paths]\ndata_dir = "{tmp_path / "none"}"\n')
    done = CliRunner().invoke(build("usage"), ["usage", "--recount", "--config", str(file)])
    assert done.exit_code != 0 and "has not run" in str(done.exception)


@pytest.mark.parametrize(("many", "wanted"), [(0, 0), (1, 1), (3, 3), (4, 3), (7, 4), (9, 4), (1_000, 5)])
def test_of_many_packs_as_many_are_looked_at_as_is_said_from_the_first_to_the_last(
    many: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def agrees(_: sqlite3.Connection, low: int, _high: int) -> bool:
        seen.append(low >> SHIFT)
        return False

    monkeypatch.setattr(summing, "_agrees", agrees)
    monkeypatch.setattr(packs, "packed_to", lambda _: many << SHIFT)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table packs (low, high)")
        rows = [(n << SHIFT, ((n + 1) << SHIFT) - 1) for n in range(many)]
        connection.executemany("insert into packs values (?, ?)", rows)
        assert summing.disagreements(connection, 4) == len(seen) == wanted
    assert not many or {0, many - 1} <= set(seen)
