"""An edge that works while its centre is away, and brings each run once when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from intellirouter.chains.runtime.durable.engine import open_engine
from intellirouter.chains.runtime.durable.waits import Waits
from intellirouter.config.schema.chain_edges import ChainEdge
from intellirouter.errors import (
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    PeerUnavailable,
    PermissionDenied,
    RateLimited,
)
from intellirouter.ops.diagnose.finding import Level
from intellirouter.ops.diagnose.runs import runs
from intellirouter.peers.contract import Call
from intellirouter.peers.edges import Batch, Had, Taken
from intellirouter.roles.chain_engine.edges.arrivals import Arrivals
from intellirouter.roles.chain_engine.edges.forwarding import Forwarding
from intellirouter.roles.chain_engine.edges.goods import Runs
from intellirouter.roles.chain_engine.edges.outbox import GIVEN_UP, OUTBOX, Outbox
from intellirouter.roles.chain_engine.edges.telling import Telling
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.line import LINE
from intellirouter.roles.chain_engine.retention import forget_ended
from intellirouter.roles.chain_engine.service import ChainService
from intellirouter.roles.chain_engine.store import RunRow, Store
from tests.conftest import StartNode
from tests.roles.chain_engine.test_api import WAIT, Client, auth

DAY = 86_400.0
QUICK = 'chain: {name: quick}\ninput: {n: {type: integer}}\nsteps: [{id: nap, sleep: 1ms}, {id: s, set: {x: "input.n"}}]\noutput: steps.s.x'
HYBRID = (
    '[chain_engine]\nmode = "hybrid"\n[chain_engine.centre]\nurl = "http://127.0.0.1:9"\nname = "shop"\n'
    'token = "1d2a0c9e5f7b4a3886d1"\n'
)


class There:
    """A centre that is what the real one is, but for what it is told to do to a call."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(f"sqlite:///{folder}/centre.db")
        Store(self.engine).prepare()
        edge = ChainEdge(token=SecretStr("1d2a0c9e5f7b4a3886d1"), tenants=("*",))
        self.arrivals = Arrivals(self.engine, {"shop": edge})
        self.calls = 0
        self.sizes: list[int] = []
        self.before: Callable[[Batch], None] = lambda _batch: None
        self.after: Callable[[Taken], Taken] = lambda taken: taken

    async def take(self, batch: Batch, call: Call) -> Taken:
        self.calls += 1
        self.before(batch)
        self.sizes.append(len(batch.runs))
        return self.after(await self.arrivals.take(call.caller, batch, {}))

    def runs(self, tenant: str = "a") -> dict[str, dict[str, Any]]:
        rows = Store(self.engine).runs(tenant, None, None, 1000)
        return self.arrivals.shown(rows)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    made = There(tmp_path)
    yield made
    made.engine.dispose()


class Edge:
    """A node of mode hybrid, and its forwarding driven by hand: its own one finds nobody at its address."""

    def __init__(self, service: ChainService, ask: Client, there: There, **section: Any) -> None:
        assert service.link is not None
        assert service.section.centre is not None
        self.service, self.ask, self.now = service, ask, time.time()
        self.outbox = service.link.outbox
        wanted = service.section.centre.model_copy(update=section)
        self.runs = Runs(self.outbox, Telling(service))
        self.forwarding = Forwarding(wanted, [self.runs], there, clock=lambda: self.now, chance=lambda: 0.5)

    async def ran(self, count: int, chain: str = "quick") -> list[str]:
        async def one(number: int) -> str:
            _, run = await self.ask("POST", f"/v1/chains/{chain}/runs", {"input": {"n": number}})
            assert run["status"] == "succeeded", run
            return str(run["id"])

        return list(await asyncio.gather(*(one(number) for number in range(count))))

    async def settle(self, most: int = 200) -> None:
        """Forward until nothing is due; the clock goes as it is told to wait."""
        for _ in range(most):
            due = await asyncio.to_thread(self.outbox.due, self.now, 1)
            if not due:
                return
            self.now += await self.forwarding.once()
        raise AssertionError(self.outbox.standing())


@pytest.fixture
async def edge(
    start_node: StartNode, http: aiohttp.ClientSession, there: There
) -> Callable[..., Awaitable[Edge]]:
    async def started(more: str = "", data_dir: Path | None = None, **section: Any) -> Edge:
        node = await start_node(auth(ann="a") + HYBRID + more, role="ChainEngine", data_dir=data_dir)
        ask = Client(http, node.listening[0].url)
        for name, source in (("quick", QUICK), ("approve", WAIT)):
            assert (await ask("PUT", f"/v1/chains/{name}", {"source": source}))[0] in (200, 201)
        return Edge(node.opened[ENGINE], ask, there, **section)

    return started


StartEdge = Callable[..., Awaitable[Edge]]


def away(_batch: Batch) -> None:
    raise PeerUnavailable("the ChainEngine does not answer")


async def test_the_centre_is_away_for_an_hour_and_then_has_each_run_once(
    edge: StartEdge, there: There
) -> None:
    here = await edge(batch_items=20, longest_pause_seconds=300)
    there.before = away
    left = here.now + 3600
    ids = await here.ran(30)
    while here.now < left:
        here.now += await here.forwarding.once()
    assert 20 <= there.calls <= 30  # five minutes at most between two tries, and not much less
    assert (here.forwarding.away_since is not None, there.sizes) == (True, [])
    ids += await here.ran(30)  # it worked all the while
    there.before = lambda _batch: None
    await here.settle()
    found = there.runs()
    assert sorted(run["edge_run"] for run in found.values()) == sorted(ids)
    assert {(run["status"], run["edge"]) for run in found.values()} == {("succeeded", "shop")}
    assert sorted(run["output"] for run in found.values()) == sorted([*range(30), *range(30)])
    assert (here.forwarding.trouble, here.forwarding.away_since, here.outbox.standing().waiting) == (
        "",
        None,
        0,
    )
    assert max(there.sizes) == 20  # one at first, to find out, and whole batches again
    calls = there.calls
    await here.settle()
    assert there.calls == calls


async def test_answers_that_are_lost_halved_or_of_others_lead_to_each_run_once(
    edge: StartEdge, there: There
) -> None:
    here = await edge(batch_items=10)
    ids = await here.ran(20)

    def lost(_taken: Taken) -> Taken:
        raise PeerUnavailable("the ChainEngine does not answer")

    answers: list[Callable[[Taken], Taken]] = [
        lost,
        lambda taken: Taken(1, taken.runs[:1]),
        lambda _taken: Taken(1),
        lambda taken: Taken(1, (*taken.runs, Had("run_of_nobody", 1, "x"))),
        lambda taken: Taken(1, tuple(Had(had.id) for had in taken.runs)),
        lost,
    ]
    there.after = lambda taken: (answers.pop(0) if answers else lambda same: same)(taken)
    await here.settle()
    here.now += 3600
    await here.settle()
    assert sorted(run["edge_run"] for run in there.runs().values()) == sorted(ids)
    assert (answers, here.outbox.standing().waiting) == ([], 0)


async def test_what_the_centre_never_takes_holds_up_nobody(
    edge: StartEdge, there: There, tmp_path: Path
) -> None:
    here = await edge(batch_items=8)
    ids = await here.ran(12)
    bad = {ids[3]: PayloadTooLarge("too large"), ids[7]: InvalidRequest("no")}

    def refuse(batch: Batch) -> None:
        for one in batch.runs:
            if one.id in bad:
                raise bad[one.id]

    there.before = away
    await here.forwarding.once()
    there.before = refuse
    await here.forwarding.once()
    assert (here.forwarding.away_since, here.forwarding.trouble) == (None, "")  # a refusal is an answer
    await here.settle()
    assert {run["edge_run"] for run in there.runs().values()} == set(ids) - set(bad)
    standing = here.outbox.standing()
    assert (standing.waiting, standing.aside, any(one in standing.why for one in bad)) == (2, 2, True)
    finding = (await runs(here.service.section, tmp_path / "data-1", 10.0))[-1]
    assert (finding.name, finding.level) == ("centre", Level.WARNING)
    assert "2 runs wait for the centre" in finding.message
    assert "2 of them refused" in finding.message
    _, told = await here.ask("GET", "/v1/runs")
    assert len(told["data"]) == 12
    calls = there.calls
    for _ in range(8):  # tried again, seldom
        here.now += 300
        await here.settle()
    assert 2 <= there.calls - calls <= 18
    there.before = lambda _batch: None
    assert here.outbox.again() == 12  # whoever mended the centre need not wait for the hour
    await here.settle()
    assert {run["edge_run"] for run in there.runs().values()} == set(ids)


TAKES_NOTHING: tuple[tuple[Exception, str], ...] = (
    (
        PermissionDenied("This node takes no runs of an edge 'shop' (chain_engine.edges)."),
        "does not take what this edge brings",
    ),
    (NotFound("POST /ipc/v1/edge"), "older version"),
    (
        InvalidRequest("The edge sends runs in format 1, and this node takes format 9.", param="format"),
        "format 9",
    ),
    (PeerUnavailable("the ChainEngine answered 401: Signature has expired"), "clock"),
    (RateLimited("busy", retry_after=45), "busy"),
)


async def test_a_centre_that_takes_nothing_is_told_and_costs_no_run(edge: StartEdge, there: There) -> None:
    here = await edge()
    ids = set()

    def refusing(error: Exception) -> Callable[[Batch], None]:
        def refuse(_batch: Batch) -> None:
            raise error

        return refuse

    for error, words in TAKES_NOTHING:
        ids |= set(await here.ran(2))
        there.before = refusing(error)
        pauses = [await here.forwarding.once() for _ in range(8)]
        assert words in here.forwarding.trouble
        assert pauses[0] >= (45 if isinstance(error, RateLimited) else 0.5)
        assert pauses[-1] <= 60
        assert (here.outbox.standing().waiting, here.outbox.standing().aside) == (2, 0), words
        there.before = lambda _batch: None
        await here.settle()
        assert {run["edge_run"] for run in there.runs().values()} == ids


async def test_an_edge_that_was_restored_or_whose_clock_is_wrong_does_no_harm(
    edge: StartEdge, there: There
) -> None:
    here = await edge()
    first, second = await here.ran(2)
    for _ in range(3):  # changes that the backup does not know
        here.outbox.again()
        await here.settle()
    with here.outbox.engine.begin() as connection:
        connection.execute(OUTBOX.update().values(change=1, sent=0))
    # what the centre has of the run is another story than the edge's now
    with there.engine.begin() as connection:
        connection.execute(
            sa.text("update intellirouter_chain_edge_runs set digest = 'x' where own_id = :id"), {"id": first}
        )
    await here.settle()
    assert {run["edge_run"]: run["output"] for run in there.runs().values()} == {first: 0, second: 1}
    assert here.outbox.standing().waiting == 0
    here.outbox.put_aside(first, "no", here.now + 365 * DAY)  # by a clock that was a year before
    here.outbox.again()
    calls = there.calls
    await here.settle()
    assert there.calls == calls + 1
    # by another name it brings what it has anew when it is told to, and what stood under the old one stays
    there.arrivals = Arrivals(there.engine, {"kiosk": there.arrivals.edges["shop"]})
    here.forwarding.section = here.forwarding.section.model_copy(update={"name": "kiosk"})
    here.outbox.again()
    await here.settle()
    assert set(there.runs()) == {f"{name}:{run}" for name in ("shop", "kiosk") for run in (first, second)}


async def test_runs_that_go_on_are_forwarded_on_request_and_shown_as_they_stand(
    edge: StartEdge, there: There
) -> None:
    here = await edge("running = true\n", running=True)
    _, run = await here.ask("POST", "/v1/chains/approve/runs", {"mode": "background"})
    await here.ask.until(run["id"], "waiting")
    await here.settle()
    (told,) = there.runs().values()
    assert (told["status"], told["waiting_for"], told["ended_at"]) == ("waiting", "approval", None)
    await here.ask("POST", f"/v1/runs/{run['id']}/signals/approval", {"by": "ann"})
    await here.ask.until(run["id"], "succeeded")
    await here.settle()
    (told,) = there.runs().values()
    assert (told["status"], told["output"]) == ("succeeded", {"by": "ann"})
    # a run that is cancelled, and one that goes on after that
    _, run = await here.ask("POST", "/v1/chains/approve/runs", {"mode": "background"})
    await here.ask.until(run["id"], "waiting")
    for act, status in (("cancel", "cancelled"), ("resume", "waiting"), ("cancel", "cancelled")):
        await here.ask("POST", f"/v1/runs/{run['id']}/{act}", {})
        await here.ask.until(run["id"], status)
        await here.settle()
        assert there.runs()[f"shop:{run['id']}"]["status"] == status, act


async def test_retention_keeps_what_the_centre_does_not_have_and_counts_what_it_gives_up(
    edge: StartEdge, there: There
) -> None:
    here = await edge("max_held = 4\n")
    ids = await here.ran(4)
    later = time.time()
    ids += await here.ran(2)  # young ones take no place of those that are held
    there.before = away
    assert await forget_ended(here.service, later, 100) == 0
    assert await forget_ended(here.service, time.time() + 1, 100) == 2  # the oldest, and no more
    assert here.outbox.standing().given_up == 2
    with here.outbox.engine.begin() as connection:
        connection.execute(GIVEN_UP.delete())
    there.before = lambda _batch: None
    await here.settle()
    assert await forget_ended(here.service, time.time() + 1, 100) == 4
    assert here.outbox.standing().given_up == 0
    assert len(there.runs()) == 4  # those of the centre stay
    kept = await here.ran(3)
    assert (
        await forget_ended(here.service, time.time() + 91 * DAY, 100) == 3
    )  # held for 90 days and no longer
    standing = here.outbox.standing()
    assert (standing.given_up, standing.waiting) == (3, 0)
    assert not set(kept) & {run["edge_run"] for run in there.runs().values()}
    assert set(ids) > {run["edge_run"] for run in there.runs().values()}
    link = here.service.link
    assert link is not None
    link.last = standing
    _, told = await here.ask("GET", "/health")
    assert "3 runs were deleted before the centre had them" in str(told["parts"]["runs"])
    _, told = await here.ask("GET", "/v1/edges")
    assert told["error"]["code"] == "permission_denied"  # what waits is of all tenants


async def test_a_run_that_is_too_large_goes_without_what_its_steps_gave(
    edge: StartEdge, there: There
) -> None:
    here = await edge()
    (run_id,) = await here.ran(1)
    whole = await Telling(here.service).told(run_id, 1)
    assert whole is not None
    found = []
    for most in (len(whole.document), len(whole.document) - 1, 400):
        here.runs.telling = Telling(here.service, most=most)
        here.outbox.again()
        await here.settle()
        (run,) = there.runs().values()
        rest = there.arrivals.rest(run["id"])
        found.append((run["status"], run["output"], rest.input, rest.cut))
    assert found == [
        ("succeeded", 0, {"n": 0}, False),
        ("succeeded", 0, {"n": 0}, True),
        ("succeeded", None, None, True),
    ]


async def test_a_node_that_was_no_edge_for_a_while_forwards_what_it_did_meanwhile(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/chains.db")
    store, outbox = Store(engine), Outbox(engine)
    store.prepare()
    with engine.begin() as connection:
        connection.execute(
            sa.text("create table workflow_status (workflow_uuid text primary key, status text)")
        )

    def ran(name: str, status: str = "SUCCESS") -> None:
        store.add_run(RunRow(name, "a", "c", 1, "", b"{}", 1.0))
        with engine.begin() as connection:
            connection.execute(sa.text("insert into workflow_status values (:id, 'PENDING')"), {"id": name})
            connection.execute(
                sa.text("update workflow_status set status = :s where workflow_uuid = :id"),
                {"id": name, "s": status},
            )

    ran("before")
    ran("going", "ENQUEUED")
    assert outbox.prepare(running=False) == 1
    ran("edge")
    due = outbox.due(time.time(), 10)
    assert sorted(run for run, _ in due) == ["before", "edge"]
    outbox.sent(due)
    assert outbox.prepare(running=False) == 0  # a restart repeats nothing
    outbox.stop()
    ran("meanwhile")
    assert outbox.standing().waiting == 0
    assert outbox.prepare(running=False) == 3  # what changed meanwhile nobody knows: all are compared
    # the change that is noted while another is on its way is not taken for sent
    (change,) = [change for run, change in outbox.due(time.time(), 10) if run == "edge"]
    with engine.begin() as connection:
        connection.execute(
            sa.text("update workflow_status set status = 'PENDING' where workflow_uuid = 'edge'")
        )
        connection.execute(
            sa.text("update workflow_status set status = 'CANCELLED' where workflow_uuid = 'edge'")
        )
    outbox.sent([("edge", change)])
    assert "edge" in [run for run, _ in outbox.due(time.time(), 10)]
    # a change that is rolled back is not noted
    with contextlib.suppress(ZeroDivisionError), engine.begin() as connection:
        connection.execute(
            sa.text("update workflow_status set status = 'SUCCESS' where workflow_uuid = 'going'")
        )
        1 / 0  # noqa: B018
    assert "going" not in [run for run, _ in outbox.due(time.time(), 10)]
    # a run that is only written down may never begin: nobody is told of it before it stands in line
    Waits(engine).prepare()
    outbox.prepare(running=True)
    store.add_run(RunRow("written", "a", "c", 1, "", b"{}", 1.0))
    assert "written" not in [run for run, _ in outbox.due(time.time(), 10)]
    line = {"tenant": "a", "queue": "default", "priority": 0, "created": 1.0, "taken": 0.0, "body": b"{}"}
    with engine.begin() as connection:
        connection.execute(LINE.insert().values(run_id="written", **line))
    assert "written" in [run for run, _ in outbox.due(time.time(), 10)]
    engine.dispose()
