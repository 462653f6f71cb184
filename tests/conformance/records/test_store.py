"""What every store of the record does."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import psycopg
import pytest

from intellirouter.errors import InvalidRequest, NewerFormat
from intellirouter.records.postgres.schema import SCHEMA_NAME
from intellirouter.records.postgres.store import PostgresStore
from intellirouter.records.query import Page, Query
from intellirouter.records.row import Detail, Ids, Row
from intellirouter.records.sealed import SealedRecords
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.records.store import Store
from intellirouter.security.sealing import NotOpened, Sealer

NOW = time.time()
DAY = 86_400.0


def row(ids: Ids, seconds_ago: float = 0.0, **facts: Any) -> Row:
    made = Row(**{"ended": NOW - seconds_ago, "status": 200, "tenant": "default", "key": "k", **facts})
    made.id = ids.next(made.ended)
    return made


def kept(store: Store, *rows: dict[str, Any]) -> list[Row]:
    """Rows written, the first of them the oldest."""
    ids = Ids()
    made = [row(ids, len(rows) - index, request_id=f"r{index}", **facts) for index, facts in enumerate(rows)]
    store.write(made)
    return made


def names(page: Page | list[Row]) -> list[str]:
    return [found.request_id for found in (page.rows if isinstance(page, Page) else page)]


def test_a_row_comes_back_as_it_was_written(store: Store) -> None:
    ids = Ids()
    whole = row(
        ids,
        seconds=1.25,
        first_token=0.5,
        request_id="req",
        session="s",
        trace_id="t" * 32,
        role="Router",
        stream=True,
        status=200,
        user="Zoë \U0001f600",
        tags=("a", "b"),
        collections=("docs",),
        model="m",
        served_model="m-1",
        provider="p",
        input_tokens=1 << 40,
        output_tokens=0,
        cost_usd=1.5e-7,
        dearest_usd=3.0,
        detail=Detail(
            decision={"order": ["p/m"]}, attempts=[{"target": "p/m", "outcome": "ok"}], notes=["n"]
        ),
        asked="what?",
        answered="that.",
    )
    store.write([whole])
    assert store.get("req", None) == [whole]
    assert store.get(str(whole.id), None) == [whole]
    assert store.get("other", None) == [] == store.get("999", None) == store.get("9" * 40, None)


FILTERED: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["r5", "r4", "r3", "r2", "r1", "r0"]),
    ({"tenant": "acme"}, ["r1"]),
    ({"tenant": ""}, []),
    ({"model": "big"}, ["r4", "r0"]),
    ({"provider": "p"}, ["r0"]),
    ({"key": "mine"}, ["r1"]),
    ({"team": "red"}, ["r1"]),
    ({"user": "ann"}, ["r4", "r2"]),
    ({"session": "s"}, ["r3"]),
    ({"tag": "blue"}, ["r4", "r2"]),
    ({"tag": "blue", "model": "big"}, ["r4"]),
    ({"tag": "%"}, []),
    ({"status": "500"}, ["r3"]),
    ({"status": "4xx"}, ["r2"]),
    ({"status": "2xx"}, ["r5", "r4", "r1", "r0"]),
    ({"status": "failed"}, ["r3", "r2"]),
    ({"status": "ok", "model": "big"}, ["r4", "r0"]),
    ({"error": "upstream_timeout"}, ["r3"]),
    ({"min_cost": 0.5}, ["r4", "r0"]),
    ({"min_cost": 0.0001}, ["r5", "r4", "r0"]),
    ({"min_latency": 3.0}, ["r5", "r3"]),
    ({"min_latency": 30.0}, ["r5"]),
    ({"text": "weather"}, ["r0"]),
    ({"text": "WEATHER in par"}, ["r0"]),
    ({"text": "weather london"}, []),
    ({"text": "sunny"}, ["r0"]),
    ({"text": "slow"}, ["r3"]),
    ({"text": "SLOW_to"}, ["r3"]),
    ({"text": "slow ans"}, ["r3"]),
    ({"text": "zo"}, ["r4"]),
    ({"text": "zoë"}, ["r4"]),
    ({"text": "none_of_these"}, []),
    ({"text": "' OR \" * : & | ! ( weather"}, []),
    ({"asked_a_model": True}, ["r4", "r0"]),
    ({"since": NOW - 3.5, "until": NOW - 1.5}, ["r4", "r3"]),
    ({"since": NOW + 60}, []),
]


def filterable(store: Store) -> list[Row]:
    return kept(
        store,
        {
            "model": "big",
            "provider": "p",
            "cost_usd": 2.0,
            "asked": "What is the weather in Paris?",
            "answered": "Sunny",
        },
        {"tenant": "acme", "key": "mine", "team": "red"},
        {"user": "ann", "tags": ("blue", "green"), "status": 404},
        {
            "session": "s",
            "seconds": 5.0,
            "status": 500,
            "error": "upstream_timeout",
            "message": "too slow to answer",
        },
        {"model": "big", "user": "ann", "tags": ("blue",), "cost_usd": 0.5, "asked": "Is Zoë, zoo"},
        {"seconds": 60.0, "cost_usd": 0.001},
    )


@pytest.mark.parametrize(
    ("query", "found"), FILTERED, ids=["+".join(query) or "all" for query, _ in FILTERED]
)
def test_rows_are_found_by_what_they_say_newest_first_page_by_page(
    store: Store, query: dict[str, Any], found: list[str]
) -> None:
    filterable(store)
    assert names(store.page(Query(**query), 50)) == found
    paged: list[str] = []
    before = None
    for _ in range(len(found) + 1):
        page = store.page(Query(**query), 1, before)
        paged += names(page)
        before = page.before
        if before is None:
            break
    assert paged == found


def test_what_came_after_a_row_is_told_apart(store: Store) -> None:
    rows = filterable(store)
    assert names(store.page(Query(), 50, None, rows[3].id)) == ["r5", "r4"]
    assert names(store.page(Query(), 50, None, rows[-1].id)) == []


def test_a_session_is_its_requests_with_their_parts_and_the_steps_of_their_chains(store: Store) -> None:
    kept(
        store,
        {"session": "run-1", "tenant": "default"},  # a step of the chain
        {"session": "s", "chain_run": "run-1"},
        {"session": "s"},
        {"session": "other"},
        {"session": "s", "tenant": "acme"},
    )
    assert names(store.session("s", "default", 100)) == ["r0", "r1", "r2"]
    assert names(store.session("s", None, 100)) == ["r0", "r1", "r2", "r4"]
    assert names(store.session("run-1", "default", 100)) == ["r0", "r1"]
    assert names(store.session("r3", "default", 100)) == ["r3"]
    assert store.session("nobody", None, 100) == [] == store.session("", None, 100)
    assert len(store.session("s", None, 2)) == 2


def test_usage_adds_up_by_every_name(store: Store) -> None:
    kept(
        store,
        {
            "model": "a",
            "tags": ("x", "y"),
            "input_tokens": 10,
            "output_tokens": 1,
            "cost_usd": 0.5,
            "dearest_usd": 2.0,
            "seconds": 1.0,
        },
        {"model": "a", "tags": ("x",), "input_tokens": 20, "status": 500, "seconds": 3.0},
        {
            "model": "b",
            "cost_usd": 0.25,
            "dearest_usd": 0.25,
            "cache": "hit",
            "first_token": 0.1,
            "seconds": 2.0,
        },
    )
    by_model = {group.name: group for group in store.usage("model", Query())}
    assert (by_model["a"].requests, by_model["a"].errors, by_model["a"].input_tokens) == (2, 1, 30)
    assert by_model["a"].saved_usd == pytest.approx(1.5) and by_model["b"].cache_hits == 1
    assert by_model["b"].p50 == pytest.approx(2.0, rel=0.03)
    assert by_model["b"].first_token_p95 == pytest.approx(0.1, rel=0.03)
    assert [group.name for group in store.usage("model", Query())] == ["a", "b"], "the dearest first"
    assert {group.name: group.requests for group in store.usage("tag", Query())} == {"x": 2, "y": 1}
    assert sum(group.requests for group in store.usage("hour", Query())) == 3
    assert store.usage("user", Query()) == []
    total = store.total(Query())
    assert (total.requests, total.errors) == (3, 1) and total.cost_usd == pytest.approx(0.75)
    assert total.p99 == pytest.approx(3.0, rel=0.03)
    assert store.total(Query(tenant="none")).requests == 0


def test_days_and_hours_are_those_of_the_zone_that_asks(store: Store) -> None:
    moment = 1_764_370_800.0  # 2025-11-28 23:00 in UTC
    ids = Ids()
    store.write([row(ids, ended=moment)])
    query = Query(since=moment - DAY, until=moment + DAY)
    assert [group.name for group in store.usage("day", query)] == ["2025-11-28"]
    assert [group.name for group in store.usage("day", query, 120)] == ["2025-11-29"]
    assert [group.name for group in store.usage("hour", query, -60)] == ["2025-11-28T22:00"]


def test_an_export_is_every_row_once(store: Store) -> None:
    ids = Ids()
    store.write([row(ids, 10 - index / 1000, request_id=f"r{index}") for index in range(1200)])
    pages = list(store.rows(Query(), 1100))
    assert sum(map(len, pages)) == 1100 and max(map(len, pages)) <= 500, "one that looks for long ends short"
    assert names([found for page in pages for found in page]) == [
        f"r{index}" for index in range(1199, 99, -1)
    ]


def test_feedback_stays_with_its_row(store: Store) -> None:
    first, second = kept(store, {}, {})
    assert store.give_feedback(first.id, {"rating": 1})
    assert store.give_feedback(first.id, {"rating": -1})
    assert not store.give_feedback(12, {"rating": 1})
    assert [found.feedback for found in store.page(Query(), 10).rows] == [None, {"rating": -1}]
    assert (store.total(Query()).rated, store.total(Query()).score) == (1, 0.0)
    assert store.give_feedback(second.id, {"score": 0.5})
    assert (store.total(Query()).rated, store.total(Query()).score) == (2, 0.25)


def test_what_is_too_old_goes_with_its_words_and_tags(store: Store) -> None:
    ids = Ids()
    old = [
        row(ids, 40 * DAY - index, request_id=f"old{index}", tags=("t",), asked="ancient")
        for index in range(5)
    ]
    store.write([*old, row(ids, 0, request_id="new", tags=("t",), asked="ancient")])
    removed = 0
    while count := store.prune(NOW - 30 * DAY, 1 << 40):
        removed += count
    assert removed == 5
    assert names(store.page(Query(), 50)) == names(store.page(Query(tag="t"), 50)) == ["new"]
    assert names(store.page(Query(text="ancient"), 50)) == ["new"]
    assert store.size().rows == 1


def test_a_batch_is_kept_whole_or_not_at_all_and_may_be_written_again(store: Store) -> None:
    ids = Ids()
    good = row(ids, request_id="good")
    bad = row(ids, request_id="bad", cost_usd="no number at all")
    with pytest.raises(Exception, match=r".*"):
        store.write([good, bad, row(ids, session=b"\xff\xfe")])
    store.write([good])
    assert names(store.page(Query(), 50)) == ["good"]


def test_a_stranger_s_words_are_only_words(store: Store) -> None:
    nasty = "'; drop table requests; -- \0 \x1b[31m % ? {} \u202e"
    ids = Ids()
    store.write(
        [row(ids, request_id="r", user=nasty.replace("\0", ""), tags=(nasty.replace("\0", ""),), asked=nasty)]
    )
    assert names(store.page(Query(user=nasty.replace("\0", "")), 10)) == ["r"]
    assert names(store.page(Query(tag=nasty.replace("\0", "")), 10)) == ["r"]
    assert names(store.page(Query(text="drop requests"), 10)) == ["r"]


def test_a_newer_version_s_record_is_left_alone(store: Store, request: pytest.FixtureRequest) -> None:
    store = store._store if isinstance(store, SealedRecords) else store
    store.write([row(Ids(), request_id="kept")])
    again: Callable[[], Store]
    if isinstance(store, SqliteStore):
        again = partial(SqliteStore, store.path)
        with contextlib.closing(sqlite3.connect(store.path)) as connection:
            connection.execute("pragma user_version = 99")
    else:
        url = request.getfixturevalue("server")
        again = partial(PostgresStore, url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"insert into {SCHEMA_NAME}.format values (99)")
    with pytest.raises(NewerFormat, match="format 99"):
        again()
    assert names(store.page(Query(), 50)) == ["kept"]


def test_what_was_kept_in_plain_is_sealed_and_what_was_sealed_has_the_new_key(store: Store) -> None:
    kept(
        store,
        {"asked": "planted asking", "answered": "planted answering", "message": "planted Fehlermeldung é"},
        {"message": "planted message", "error": "upstream_error"},
        {"detail": Detail(attempts=[{"message": "planted attempt"}], notes=["planted note"])},
        {"model": "silent"},
    )
    (noted,) = store.get("r3", None)
    store.give_feedback(noted.id, {"score": 1.0, "comment": "planted comment", "demonstration": "planted"})
    first = Sealer((b"1" * 32,))
    inner = store._store if isinstance(store, SealedRecords) else store
    for sealer in (first, Sealer((b"2" * 32, b"1" * 32))):
        sealed, after = SealedRecords(inner, sealer), -1
        while (last := sealed.reseal(after, 2)) is not None:
            after = last
        assert sealed.resealed == (0 if inner is not store and sealer is first else 4)
        assert [
            row for name in ("r0", "r1", "r2", "r3") for row in inner.get(name, None) if "planted" in str(row)
        ] == []
        assert inner.page(Query(text="planted"), 10).rows == [], "nor does the index of words know any"
    only = SealedRecords(inner, Sealer((b"2" * 32,)))
    for text, found in {
        "planted": ["r1", "r0"], "planted ask": ["r0"], "MESS planted": [], "planted mess": ["r1"], "fehlermeldung e": ["r0"], "note": []
    }.items():  # fmt: skip
        assert names(only.page(Query(text=text), 10)) == found, text
    assert names(only.page(Query(text="planted"), 1)) == ["r1"]
    assert names(only.page(Query(text="planted", error="upstream_error"), 9)) == ["r1"]
    (asked,) = only.get("r0", None)
    assert (asked.asked, asked.answered) == ("planted asking", "planted answering")
    assert only.get("r2", None)[0].detail.notes == ["planted note"]
    (noted,) = only.get("r3", None)
    assert noted.feedback == {"score": 1.0, "comment": "planted comment", "demonstration": "planted"}
    assert only.total(Query()).rated == 1
    for asking in (only.total, partial(only.usage, "model")):
        with pytest.raises(InvalidRequest, match="encrypted"):
            asking(Query(text="planted"))

    # a text that is put into another row, or in place of another text, does not open
    def swapped(row: Row) -> Row:
        return msgspec.structs.replace(row, message=asked_raw.message) if row.request_id == "r1" else row

    (asked_raw,) = inner.get("r0", None)
    inner.rewrite(-1, 10, swapped)
    with pytest.raises(NotOpened):
        only.get("r1", None)
