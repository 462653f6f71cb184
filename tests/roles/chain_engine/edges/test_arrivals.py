"""What a centre keeps of what edges bring: each run once, whoever sends it how often and in which order; on SQLite and Postgres."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from intellirouter.chains.runtime.durable.engine import open_engine
from intellirouter.config.schema.chain_edges import ChainEdge
from intellirouter.errors import InvalidRequest, PermissionDenied, RateLimited
from intellirouter.peers.edges import FORMAT, MAX_DOCUMENT, Batch, Had, Sent, batch_of
from intellirouter.roles.chain_engine.edges.arrivals import ARRIVED, Arrivals
from intellirouter.roles.chain_engine.edges.arrivals import EDGES as HEARD
from intellirouter.roles.chain_engine.store import RUNS, Store
from intellirouter.security.caller import Caller
from tests.servers.postgres import postgres

EDGES = {
    "shop": ChainEdge(token=SecretStr("s" * 32), tenants=("acme", "globex")),
    "depot": ChainEdge(token=SecretStr("d" * 32), tenants=("*",)),
}
SHOP = Caller(key_id="shop")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[sa.Engine]:
    if request.param == "sqlite":
        made = open_engine(f"sqlite:///{tmp_path}/chains.db")
    else:
        made = open_engine(request.getfixturevalue("server"))
    Store(made).prepare()
    with made.begin() as connection:
        for table in (ARRIVED, HEARD, RUNS):
            connection.execute(table.delete())
    yield made
    made.dispose()


STEP = {
    "number": 1,
    "path": "a",
    "kind": "llm",
    "outcome": {"ok": {"text": "yes"}},
    "started_at": 1.0,
    "ended_at": 2.0,
}


def document(status: str = "succeeded", **more: Any) -> str:
    run = {
        "chain": "ask",
        "version": 1,
        "revision": 2,
        "status": status,
        "created_at": 1_700_000_000.5,
        "ended_at": 1_700_000_001.5,
        "output": {"answer": "yes"},
        "error": None,
        **more.pop("run", {}),
    }
    told = {
        "run": run,
        "owner": "ann",
        "input": {"question": "?"},
        "usage": {"input_tokens": 3, "output_tokens": 1, "cost_usd": 0.25},
        "steps": [STEP],
        **more,
    }
    return json.dumps(told)


def sent(number: int = 1, version: int = 1, tenant: str = "acme", text: str | None = None) -> Sent:
    return Sent(f"run_{number}", version, tenant, document() if text is None else text)


async def bring(
    there: Arrivals, *runs: Sent, caller: Caller = SHOP, full: dict[str, str] | None = None
) -> list[Had]:
    return list((await there.take(caller, Batch(FORMAT, runs), full or {})).runs)


def listed(engine: sa.Engine, tenant: str = "acme") -> list[str]:
    return sorted(row.run_id for row in Store(engine).runs(tenant, None, None, 1000))


async def test_a_run_is_there_once_however_often_and_in_which_order_it_comes(engine: sa.Engine) -> None:
    there = Arrivals(engine, EDGES)
    running, ended = sent(text=document("running")), sent(version=3)
    assert [had.digest for had in await bring(there, running, sent(2))] == [running.digest, sent(2).digest]
    for _ in range(2):  # the answer was lost
        assert await bring(there, ended) == [Had("run_1", 3, ended.digest)]
    # what was under way for long comes behind what is newer: it is told what is there
    assert await bring(there, running) == [Had("run_1", 3, ended.digest)]
    assert listed(engine) == ["shop:run_1", "shop:run_2"]
    (row,) = [row for row in Store(engine).runs("acme", None, None, 10) if row.run_id == "shop:run_1"]
    told = there.shown([row])["shop:run_1"]
    assert (told["status"], told["edge"], told["edge_run"], told["output"]) == (
        "succeeded",
        "shop",
        "run_1",
        {"answer": "yes"},
    )
    assert there.rest(row.run_id).usage["cost_usd"] == 0.25
    # the same id of another edge is another run
    await bring(there, sent(), caller=Caller(key_id="depot"))
    assert listed(engine) == ["depot:run_1", "shop:run_1", "shop:run_2"]
    assert {edge["id"]: edge["taken"] for edge in there.heard()} == {"depot": 1, "shop": 2}


async def test_two_nodes_that_are_sent_the_same_at_once_keep_it_once(engine: sa.Engine) -> None:
    runs = [sent(number) for number in range(40)]
    nodes = [Arrivals(engine, EDGES) for _ in range(4)]
    said = await asyncio.gather(
        *(bring(there, *(runs if place % 2 else reversed(runs))) for place, there in enumerate(nodes))
    )
    assert all(not had.refused and not had.later and had.digest for answer in said for had in answer)
    assert len(listed(engine)) == 40


async def test_an_edge_is_believed_as_far_as_its_tenants_go(engine: sa.Engine) -> None:
    there = Arrivals(engine, EDGES)
    with pytest.raises(PermissionDenied, match=r"chain_engine\.edges"):
        await bring(there, sent(), caller=Caller(key_id="stranger"))
    mine, other = await bring(there, sent(1), sent(2, tenant="other"))
    assert (mine.digest, "tenant 'other'" in other.refused) == (sent(1).digest, True)
    # a run does not change its tenant, and nobody's spend is moved by it
    (moved,) = await bring(there, sent(1, version=9, tenant="globex"))
    assert "another tenant" in moved.refused
    assert (listed(engine), listed(engine, "other"), listed(engine, "globex")) == (["shop:run_1"], [], [])


NO_RUNS = {
    "no JSON": "{",
    "no object": "[]",
    "no run": "{}",
    "a status that is none": document("done"),
    "a chain without a name": document(run={"chain": ""}),
    "a chain with a line in its name": document(run={"chain": "a\nb"}),
    "a time of no calendar": document(run={"created_at": 1e300}),
    "a time that is none": document(run={"created_at": "now"}),
    "an error without words": document("failed", run={"error": {"code": "failed"}}),
    "steps that are none": document(steps=[1]),
    **{
        f"a step without its {name}": document(steps=[{key: STEP[key] for key in STEP if key != name}])
        for name in STEP
    },
    "a step that ends never": document(steps=[{**STEP, "ended_at": 1e306}]),
    "a number that no event's id holds": document(steps=[{**STEP, "number": 10**30}]),
    "tokens that are words": document(
        steps=[{**STEP, "outcome": {"ok": {"usage": {"input_tokens": "many"}}}}]
    ),
    "an outcome that is a text": document(steps=[{**STEP, "outcome": "x"}]),
    "usage that is a text": document(usage={"cost_usd": "much"}),
    "values without end": document(input={"a": [0] * 2_000_000}),
    "bytes without end": document(input={"a": "x" * MAX_DOCUMENT}),
    "nested as far as it can be read": document(input={"a": None}).replace("null", "[" * 800 + "]" * 800, 1),
    "nested without end": document(input={"a": None}).replace("null", "[" * 100_000 + "]" * 100_000),
}


async def test_what_is_no_run_is_refused_by_itself(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/chains.db")
    Store(engine).prepare()
    there = Arrivals(engine, EDGES)
    for what, text in NO_RUNS.items():
        good, bad, last = await bring(there, sent(1), sent(2, text=text), sent(3))
        assert bad.refused, what
        assert (good.digest, last.digest) == (sent(1).digest, sent(3).digest), what
    assert listed(engine) == ["shop:run_1", "shop:run_3"]
    (shop,) = [edge for edge in there.heard() if edge["id"] == "shop"]
    assert (shop["taken"], shop["refused"], "run_2" in shop["last_refusal"]) == (
        2,  # each once, however often it came
        len(NO_RUNS),
        True,
    )
    engine.dispose()


async def test_a_tenant_that_is_full_holds_up_nobody_and_loses_nothing(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/chains.db")
    Store(engine).prepare()
    there = Arrivals(engine, EDGES)
    await bring(there, sent(1, text=document("running")))
    known, new, other = await bring(
        there, sent(1, version=2), sent(2), sent(3, tenant="globex"), full={"acme": "it is full"}
    )
    assert (known.version, new.later, other.digest) == (2, "it is full", sent(3).digest)
    assert [had.later for had in await bring(there, sent(2))] == [""]
    engine.dispose()


async def test_a_clock_that_goes_before_does_not_stand_above_all_others(engine: sa.Engine) -> None:
    there = Arrivals(engine, EDGES)
    await bring(
        there,
        sent(1, text=document(run={"created_at": 9e9})),
        sent(2, text=document(run={"created_at": 0.0})),
    )
    rows = {row.run_id: row.created for row in Store(engine).runs("acme", None, None, 10)}
    assert rows["shop:run_1"] <= time.time()
    assert there.since(["shop:run_2"], time.time() - 60) == {
        "shop:run_2"
    }  # for retention it is as young as it came


async def test_an_edge_that_brings_too_much_at_once_waits(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/chains.db")
    Store(engine).prepare()
    there = Arrivals(engine, EDGES)
    found = await asyncio.gather(*(bring(there, sent(number)) for number in range(5)), return_exceptions=True)
    assert sum(isinstance(one, RateLimited) for one in found) == 3
    assert [had.later for had in await bring(there, sent(9))] == [""]
    engine.dispose()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[", "no batch"),
        (b"{}", "no batch"),
        (b'{"format":2}', "format 2, and this node takes format 1"),
        (b'{"format":1,"runs":[{"id":"","version":1,"tenant":"a","document":"{}"}]}', "no batch"),
        (b'{"format":1,"runs":[{"id":"a\\u0000","version":1,"tenant":"a","document":"{}"}]}', "no batch"),
        (b'{"format":1,"runs":[{"id":"a\\n","version":1,"tenant":"a","document":"{}"}]}', "no batch"),
        (b'{"format":1,"runs":[{"id":"a","version":1,"tenant":"a\\u0000","document":"{}"}]}', "no batch"),
        (b'{"format":1,"runs":[{"id":"a","version":-1,"tenant":"a","document":"{}"}]}', "no batch"),
        (b'{"format":1,"runs":' + b"[" * 100_000, "no batch"),
        (
            b'{"format":1,"runs":[%s]}'
            % b",".join([b'{"id":"a","version":1,"tenant":"a","document":""}'] * 501),
            "no batch",
        ),
    ],
)
def test_a_batch_that_is_none_is_refused_as_a_whole(body: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        batch_of(body)


def test_what_a_newer_edge_says_beside_is_left_out_of_account() -> None:
    body = json.dumps(
        {
            "format": 1,
            "runs": [{**json.loads('{"id":"a","version":1,"tenant":"t","document":"{}"}'), "new": 1}],
            "other": [],
        }
    )
    assert batch_of(body.encode()).runs == (Sent("a", 1, "t", "{}"),)
