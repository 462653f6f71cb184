"""Rows of an edge's record: its centre's record has each once, of the tenants that the edge may speak for, and with what it keeps itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from pydantic import SecretStr

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.chains.runtime.durable.engine import open_engine
from intellirouter.config.load import load
from intellirouter.config.schema.chain_edges import ChainCentre, ChainEdge
from intellirouter.errors import InvalidRequest, PeerUnavailable
from intellirouter.peers.contract import Call
from intellirouter.peers.edges import Batch, Had, Sent, Taken
from intellirouter.records.query import Query
from intellirouter.records.records import Records
from intellirouter.records.redaction import Redaction
from intellirouter.records.row import Detail, Ids, Row, time_of
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.records.store import Store as RecordStore
from intellirouter.roles.chain_engine.edges.adopting import MAX_PART, NO_DETAIL, Adopting, NodeRecord
from intellirouter.roles.chain_engine.edges.arrivals import Arrivals
from intellirouter.roles.chain_engine.edges.forwarding import Forwarding
from intellirouter.roles.chain_engine.edges.rows import AGAIN_SECONDS, Rows, document
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.store import Store
from intellirouter.roles.keys import RECORDS
from intellirouter.roles.router.kept_content import ContentPolicy
from intellirouter.roles.router.recorded import JOTTED
from tests.conftest import StartNode
from tests.roles.chain_engine.edges.test_forwarding import HYBRID, QUICK
from tests.roles.chain_engine.test_api import Client, auth

TOKEN = SecretStr("1d2a0c9e5f7b4a3886d1")
DAY = 86_400.0


def record_of(file: Path, level: Any = "off", keeps: float = 30 * DAY) -> NodeRecord:
    policy = ContentPolicy(level, Redaction((lambda text: text.replace("secret", "***"),), 300))
    return NodeRecord(Records(lambda: SqliteStore(file), JOTTED.rows), policy, lambda: keeps, True)


class There:
    """A centre with a record, but for what it is told to do to a call."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(f"sqlite:///{folder}/centre.db")
        Store(self.engine).prepare()
        self.record: NodeRecord | None = record_of(folder / "centre-requests.db")
        self.edge = ChainEdge(token=TOKEN, tenants=("a",))
        self.sizes: list[int] = []
        self.before: Callable[[Batch], None] = lambda _batch: None
        self.after: Callable[[Taken], Taken] = lambda taken: taken

    async def take(self, batch: Batch, call: Call) -> Taken:
        self.before(batch)
        self.sizes.append(len(batch.rows))
        arrivals = Arrivals(self.engine, {"shop": self.edge}, Adopting(self.record))
        return self.after(await arrivals.take(call.caller, batch, {}))

    async def rows(self) -> list[Row]:
        assert self.record is not None

        def all_of(store: RecordStore) -> list[Row]:
            return store.contents([row for page in store.rows(Query(), 10_000) for row in page])

        return await self.record.records.act(all_of)


class Edge:
    """A record with rows, brought by hand."""

    def __init__(self, file: Path, there: There) -> None:
        self.store = SqliteStore(file)
        self.records = Records(lambda: SqliteStore(file), JOTTED.rows)
        self.now, self._ids = time.time(), Ids()
        self.rows = Rows(self.records)
        section = ChainCentre(url="http://127.0.0.1:9", name="shop", token=TOKEN, batch_items=20)
        self.forwarding = Forwarding(section, [self.rows], there, clock=lambda: self.now, chance=lambda: 0.5)

    def wrote(self, count: int, **facts: Any) -> list[Row]:
        made = []
        for number in range(count):
            ago = facts.get("ago", 60.0) + count - number
            row = Row(ended=time.time() - ago, tenant="a", request_id=f"req_{number}")
            for name, value in facts.items():
                if name != "ago":
                    setattr(row, name, value)
            row.id = self._ids.next(row.ended)
            made.append(row)
        self.store.write(made)
        return made

    async def settle(self, most: int = 200) -> None:
        for _ in range(most):
            pause = await self.forwarding.once()
            self.now += pause
            if not (await self.rows.leaving()).waiting or pause == 1.0:
                return
        raise AssertionError(await self.rows.leaving())


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    made = There(tmp_path)
    record = made.record
    yield made
    made.engine.dispose()
    if record is not None:
        await record.records.aclose()


@pytest.fixture
async def edge(tmp_path: Path, there: There) -> AsyncIterator[Edge]:
    made = Edge(tmp_path / "edge-requests.db", there)
    yield made
    made.store.close()
    await made.records.aclose()


def names(rows: list[Row]) -> list[str]:
    return sorted(row.request_id for row in rows)


def gone(_batch: Batch) -> None:
    raise PeerUnavailable("the ChainEngine does not answer")


async def test_the_centre_has_each_row_once_whatever_happens_on_the_way(edge: Edge, there: There) -> None:
    wrote = edge.wrote(50, cost_usd=0.5, model="m", session="s", user="zoe")
    there.before = gone
    for _ in range(5):
        edge.now += await edge.forwarding.once()
    assert await there.rows() == []
    there.before = lambda _batch: None

    def lost(_taken: Taken) -> Taken:
        raise PeerUnavailable("the ChainEngine does not answer")

    answers: list[Callable[[Taken], Taken]] = [
        lost,
        lambda taken: Taken(1, rows=taken.rows[:1]),
        lambda taken: Taken(1, rows=(*taken.rows, Had("7", 1, "x"))),
        lost,
    ]
    there.after = lambda taken: (answers.pop(0) if answers else lambda same: same)(taken)
    for _ in range(4):
        await edge.settle()
        edge.now += AGAIN_SECONDS + 1
    found = await there.rows()
    assert (names(found), answers) == (names(wrote), [])
    assert {(row.key, row.tenant, row.session, row.user, row.cost_usd) for row in found} == {
        ("", "a", "s", "zoe", 0.5)
    }
    assert there.record is not None
    total = await there.record.records.act(lambda store: store.total(Query(tenant="a")))
    assert (total.requests, total.cost_usd) == (50, 25.0)
    # restored from a backup, or told to: nothing is there twice
    assert await edge.rows.again() == 50
    await edge.settle()
    late = edge.wrote(1, ago=9_000.0, request_id="late")  # its row was made long after its end
    await edge.settle()
    assert names(await there.rows()) == names(wrote + late)


async def test_rows_gather_for_a_moment_and_a_batch_goes_at_once(edge: Edge, there: There) -> None:
    (oldest, *_) = edge.wrote(3, ago=0.0)
    now, edge.now = edge.now, time_of(oldest.id)
    assert await edge.forwarding.once() == 1.0
    edge.now = now
    assert await edge.forwarding.once() == 1.0
    edge.wrote(17, ago=0.0)
    assert await edge.forwarding.once() == 0.0
    edge.wrote(1, ago=0.0)
    edge.now += 20
    assert await edge.forwarding.once() == 0.0
    assert there.sizes == [20, 1]


async def test_an_edge_is_believed_as_far_as_its_tenants_go_and_named_in_what_it_brings(
    edge: Edge, there: There
) -> None:
    run = f"run_{'0' * 24}"
    edge.wrote(1, request_id="mine", key="ann", node="till", chain_run=run, session=run, role="Router")
    edge.wrote(1, request_id="theirs", tenant="b")
    edge.wrote(1, request_id="nobody's", tenant="")  # strangers' stay where they were
    await edge.settle()
    (row,) = await there.rows()
    assert (row.request_id, row.key, row.node, row.chain_run, row.session) == (
        "mine",
        "shop:ann",
        "shop:till",
        f"shop:{run}",
        f"shop:{run}",
    )
    left = await edge.rows.leaving()
    assert (left.waiting, left.refused, "tenant 'b'" in left.why) == (0, 1, True)
    there.edge = ChainEdge(token=TOKEN, tenants=("*",))
    await edge.rows.again()
    await edge.settle()
    assert (names(await there.rows()), (await edge.rows.leaving()).refused) == (["mine", "theirs"], 0)


KEEPS = (
    ("off", 200, None, None),
    ("off", 500, None, None),
    ("errors", 200, None, None),
    ("errors", 500, '{"say":"a ***"}', '"***"'),
    ("all", 200, '{"say":"a ***"}', '"***"'),
)


@pytest.mark.parametrize(("level", "status", "asked", "answered"), KEEPS)
async def test_what_was_said_is_kept_as_the_centre_keeps_it(
    edge: Edge, there: There, level: Any, status: int, asked: str | None, answered: str | None
) -> None:
    assert there.record is not None
    there.record.content.level = level
    edge.wrote(
        1, status=status, asked='{"say": "a secret"}', answered='"secret"', message="a secret", tags=("t",)
    )
    cut = "x" * 400 + ' secret"'  # no JSON any more
    edge.wrote(1, status=status, request_id="cut", asked=cut)
    await edge.settle()
    found = {row.request_id: row for row in await there.rows()}
    row = found["req_0"]
    assert (row.asked, row.answered, row.message, row.tags) == (asked, answered, "a ***", ("t",))
    longest = len(found["cut"].asked or "")
    assert longest == 0 if asked is None else 300 <= longest < 320


def sent(text: str, number: str = "5", tenant: str = "a") -> Sent:
    return Sent(number, 1, tenant, text)


def told(**facts: Any) -> str:
    return json.dumps({"ended": time.time() - 5, "tenant": "a", **facts})


NO_ROWS = {
    "no JSON": sent("{"),
    "no object": sent("[]"),
    "no end": sent("{}"),
    "another tenant than it says": sent(told(tenant="b")),
    "a tenant that it may not bring": sent(told(tenant="b"), tenant="b"),
    "an id that is none": sent(told(), "run_1"),
    "an id of more than 63 bits": sent(told(), str(2**63)),
    "money back": sent(told(cost_usd=-1.0)),
    "more money than there is": sent(told(cost_usd=1e300)),
    "more tokens than there are": sent(told(input_tokens=2**62)),
    "no whole tokens": sent(told(input_tokens=1.5)),
    "an end before all time": sent(told(ended=-5.0)),
    "a status that is none": sent(told(status=2**40)),
    "a name that is a number": sent(told(model=5)),
    "a name of half a letter": sent(told(model="\ud800")),
    "more values than a row has": sent(told(detail={"decision": {"a": [[]] * 40_000}})),
    "levels without end": sent(told(detail={"decision": {"a": "_"}}).replace('"_"', "[" * 300 + "]" * 300)),
}


async def test_what_is_no_row_is_refused_by_itself(there: There) -> None:
    adopting = Adopting(there.record)
    rows = [*NO_ROWS.values(), sent(told(request_id="good"), "6")]
    found, _ = await adopting.take("shop", there.edge, rows)
    for name, had in zip(NO_ROWS, found, strict=False):
        assert had.refused, name
        assert not had.later
    assert found[-1] == Had("6", 1, rows[-1].digest)
    assert names(await there.rows()) == ["good"]


async def test_what_is_odd_in_a_row_does_no_harm(there: There) -> None:
    far = time.time() + 9 * DAY
    texts = {
        "ended": far,
        "path": "a\nb\u0000" + "x" * 9_000,
        "tags": ["t\n"] * 99,
        "message": "m" * 99_000,
        "detail": {"notes": ["n"], "sealed": "x"},
        "feedback": {"score": 1, "comment": "c"},
    }
    await Adopting(there.record).take("shop", there.edge, [sent(told(**texts))])
    (row,) = await there.rows()
    assert row.ended <= time.time()
    assert (len(row.path) <= 256, row.path[:2], row.tags, len(row.message)) == (
        True,
        "ab",
        ("t",) * 32,
        4_000,
    )
    assert (row.detail, row.feedback) == (Detail(notes=["n"]), {"score": 1, "comment": "c"})


async def test_megabytes_that_no_node_notes_of_a_request_are_not_kept(there: There) -> None:
    longer = "x" * (MAX_PART + 1)
    texts = {
        "detail": {"notes": [longer]},
        "feedback": {"score": 0.5, "rating": longer, "comment": longer},
        "request_id": "odd",
    }
    rows = [sent(told(**texts)), sent(told(request_id="said", feedback={"comment": longer}), "6")]
    found, new = await Adopting(there.record).take("shop", there.edge, rows)
    assert new == 2 and not any(had.refused or had.later for had in found)
    kept = {row.request_id: (row.detail.notes, row.feedback) for row in await there.rows()}
    assert kept == {"odd": ([NO_DETAIL], {"score": 0.5}), "said": ([], None)}


async def test_a_centre_that_takes_no_rows_is_told_and_holds_up_nobody(edge: Edge, there: There) -> None:
    edge.wrote(4)
    record, there.record = there.record, None
    await edge.settle()
    assert "keeps no record" in edge.rows.trouble
    assert (edge.forwarding.away_since, (await edge.rows.leaving()).waiting) == (None, 4)
    calls = len(there.sizes)
    await edge.settle()
    assert len(there.sizes) == calls  # not until a while has passed
    there.record = record
    there.after = lambda taken: Taken(1, taken.runs)  # of a version that knows no rows
    edge.now += AGAIN_SECONDS + 1
    await edge.settle()
    assert "older version" in edge.rows.trouble
    there.after = lambda taken: taken
    edge.now += AGAIN_SECONDS + 1
    await edge.settle()
    assert (edge.rows.trouble, len(await there.rows())) == ("", 4)


async def test_one_row_that_is_never_taken_holds_up_no_other(edge: Edge, there: There) -> None:
    wrote = edge.wrote(9)

    def refuse(batch: Batch) -> None:
        if any(one.id == str(wrote[4].id) for one in batch.rows):
            raise InvalidRequest("no")

    there.before = refuse
    await edge.settle()
    left = await edge.rows.leaving()
    assert (left.waiting, left.refused, left.why) == (0, 1, "no")
    assert len(await there.rows()) == 8


async def test_what_is_older_than_the_centre_keeps_is_not_brought_back(edge: Edge, there: There) -> None:
    edge.wrote(1, ago=40 * DAY, request_id="old")
    edge.wrote(1, request_id="young")
    await edge.settle()
    assert ((await edge.rows.leaving()).waiting, names(await there.rows())) == (0, ["young"])


def test_a_row_that_is_too_long_travels_without_what_was_said() -> None:
    row = Row(ended=1.0, asked="x" * 7_000_000, detail=Detail(notes=["n"]))
    short = msgspec.json.decode(document(row), type=Row)
    assert (short.asked, short.detail.notes) == (None, ["n"])
    row.detail.notes = ["n" * 7_000_000]
    assert len(document(row)) < 10_000


async def test_a_node_without_a_chain_engine_that_was_an_edge_names_no_rows(tmp_path: Path) -> None:
    def names_rows() -> bool:
        with contextlib.closing(sqlite3.connect(tmp_path / "data/requests.db", timeout=30)) as db:
            found = db.execute("select count(*) from sqlite_master where name like 'outgoing%'")
            return bool(found.fetchone()[0])

    async def until(*, named: bool) -> None:
        async with asyncio.timeout(60):
            while names_rows() != named:  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0.05)

    file, flags = tmp_path / "node.toml", {("paths", "data_dir"): tmp_path / "data"}
    for toml, role, named in (
        (HYBRID, "ChainEngine", True),
        (HYBRID, "Router", True),  # its ChainEngine may run in another process, today or tomorrow
        ("", "Router", False),
    ):
        file.write_text(f"[server]\nport = 0\n{toml}")
        async with running(load(file, {}, flags), select(role)):
            await until(named=named)


async def test_an_edge_tells_of_its_rows_and_a_node_that_is_none_names_none(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    operator = f'[[auth.keys]]\nname = "root"\nscopes = ["admin"]\nsha256 = "{sha256(b"root").hexdigest()}"\n'
    node = await start_node(auth(ann="a") + operator + HYBRID, role="ChainEngine")
    ask, root = (Client(http, node.listening[0].url, key) for key in ("ann", "root"))
    assert (await ask("PUT", "/v1/chains/quick", {"source": QUICK}))[0] == 201
    records = node.opened[RECORDS]
    assert records is not None
    async with asyncio.timeout(30):
        while True:
            await records.ask(lambda store: store.total(Query()))  # rows of what is held
            _, told = await root("GET", "/v1/edges")
            rows = told["centre"]["records"]
            if rows["waiting"]:
                break
            await asyncio.sleep(0.1)
    assert (rows["refused"], rows["given_up"], rows["forwarded_here"], rows["trouble"]) == (0, 0, 0, None)
    link: Any = node.opened[ENGINE].link
    link.leaving = (await link.rows.leaving())._replace(refused=3, refused_at=time.time(), why="no")
    _, health = await ask("GET", "/health")
    assert "refused 3 rows of the record (no)" in str(health["parts"]["runs"])
    async with http.get(f"{node.listening[0].url}/metrics") as reply:
        assert "chain_centre_rows_refused 3.0" in await reply.text()
    await records.name_none()
    assert (await link.rows.leaving()).waiting == 0
