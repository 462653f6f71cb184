"""Runs that wait in line: priorities, fairness between tenants, queues, a full line, and a restart with a line."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.chains.runtime.durable.engine import open_engine
from intellirouter.config.load import load
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.line import HEADS, Line, Waiting
from intellirouter.roles.chain_engine.store import Store
from tests.conftest import StartNode
from tests.roles.chain_engine.test_api import Client, auth

NAP = "chain: {name: nap}\ninput: {n: {type: integer, default: 0}}\nsteps: [{id: a, map: {over: '[1]', as: x, max_items: 1}, do: [{id: b, sleep: 60ms}]}]\noutput: input.n"
HOLD = (
    "chain: {name: hold}\nsteps: [{id: a, map: {over: '[1]', as: x, max_items: 1}, do: [{id: b, sleep: 1h}]}]"
)


async def placed(ask: Client) -> None:
    for name, source in (("nap", NAP), ("hold", HOLD)):
        assert (await ask("PUT", f"/v1/chains/{name}", {"source": source}))[0] == 201


async def begin(ask: Client, chain: str, **more: Any) -> str:
    status, run = await ask("POST", f"/v1/chains/{chain}/runs", {"mode": "background", **more})
    assert status == 202, run
    return str(run["id"])


async def started(ask: Client, run: str) -> float:
    """When a run that has succeeded began."""
    await ask.until(run, "succeeded")
    _, steps = await ask("GET", f"/v1/runs/{run}/steps")
    return float(steps["data"][0]["started_at"])


async def in_order(ask: Client, runs: list[str]) -> list[str]:
    """The runs in the order in which they began."""
    times = {run: await started(ask, run) for run in runs}
    return sorted(times, key=lambda run: times[run])


async def test_what_is_urgent_goes_first_and_no_tenant_keeps_the_others_waiting(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    bounds = "[keeping]\nruns = 14\n[chain_engine]\nmax_running = 1\n"
    node = await start_node(bounds + auth(ann="a", bob="b"), role="ChainEngine")
    url = node.listening[0].url
    ann, bob = Client(http, url), Client(http, url, "bob")
    await placed(ann)
    await placed(bob)
    first = await begin(ann, "hold")
    await ann.until(first, "running")
    flood = [await begin(ann, "nap") for _ in range(12)]
    urgent = await begin(ann, "nap", priority=10)
    other = await begin(bob, "nap")
    assert (await ann("GET", f"/v1/runs/{other}"))[0] == 404
    refused, told = await ann("POST", "/v1/chains/nap/runs", {"mode": "background"})
    assert (refused, "keeping.runs" in told["error"]["message"]) == (413, True)  # what waits is kept too
    _, queue = await ann("GET", "/v1/queue")
    assert [(each["queue"], each["waiting"], each["running_here"]) for each in queue["data"]] == [
        ("default", 13, 1)
    ]
    assert [each["waiting"] for each in (await bob("GET", "/v1/queue"))[1]["data"]] == [1]
    # one that waits can be cancelled, and was never begun
    assert (await ann("POST", f"/v1/runs/{flood[-1]}/cancel"))[1]["status"] == "cancelled"
    assert (await ann("GET", f"/v1/runs/{flood[-1]}"))[1]["error"]["code"] == "cancelled"
    await ann("POST", f"/v1/runs/{first}/cancel")
    order = await in_order(ann, [*flood[:-1], urgent])
    assert order[0] == urgent
    assert order[1:] == flood[:-1]
    assert await started(bob, other) < await started(ann, order[2])
    for wrong in ({"priority": 101}, {"priority": "high"}, {"queue": "none"}):
        assert (await ann("POST", "/v1/chains/nap/runs", wrong))[0] == 400


async def test_queues_have_limits_of_their_own(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    toml = "[chain_engine.queues.slow]\nconcurrency = 1\n[chain_engine.queues.rare]\nstarts_per_minute = 2\n[chain_engine]\nmax_line = 5\n"
    ask = Client(http, (await start_node(toml, role="ChainEngine")).listening[0].url)
    await placed(ask)
    held = [await begin(ask, "hold", queue="slow") for _ in range(2)]
    await ask.until(held[0], "running")
    rare = [await begin(ask, "nap", queue="rare") for _ in range(3)]
    await in_order(ask, rare[:2])
    status, run = await ask("POST", "/v1/chains/nap/runs", {"mode": "wait"})  # nobody's limits
    assert (status, run["status"]) == (200, "succeeded")
    waits: dict[str, tuple[int, int]] = {}
    async with asyncio.timeout(60):  # a place is free a moment after its run has ended
        while waits != {"default": (0, 0), "rare": (1, 0), "slow": (1, 1)}:
            _, queue = await ask("GET", "/v1/queue")
            waits = {each["queue"]: (each["waiting"], each["running_here"]) for each in queue["data"]}
    # the same key finds the run that waits; a full line says so
    key = {"idempotency-key": "once"}
    for _ in range(2):
        _, same = await ask("POST", "/v1/chains/hold/runs", {"mode": "background", "queue": "slow"}, **key)
        assert same["status"] == "queued"
    await begin(ask, "hold", queue="slow")
    async with http.post(
        f"{ask.url}/v1/chains/hold/runs", json={"mode": "background", "queue": "slow"}
    ) as reply:
        assert reply.status == 429
        assert int(reply.headers["retry-after"]) >= 1
        assert "max_line" in (await reply.json())["error"]["message"]


async def test_a_flood_is_seen_by_its_heads_alone_and_goes_by_priority(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/chains.db")
    Store(engine).prepare()
    begun: list[tuple[str, bytes]] = []

    async def start(row: Waiting, body: bytes) -> None:
        begun.append((row.run_id, body))

    line = Line(ChainEngineSection(max_running=1), engine, lambda: 0, start)
    for number in range(2 * HEADS):
        await line.add(f"run_{number}", "a", "default", number, {"n": number})
    assert len(line._seen) == HEADS
    while await line.next():
        pass
    assert begun == [(f"run_{number}", b'{"n":%d}' % number) for number in reversed(range(2 * HEADS))]
    engine.dispose()


async def test_a_line_outlives_its_node(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("[chain_engine]\nmax_running = 2\n")
    loaded = load(file, {}, {("server", "port"): 0, ("paths", "data_dir"): tmp_path / "data"})
    async with running(loaded, select("ChainEngine")) as node:
        ask = Client(http, node.listening[0].url)
        await placed(ask)
        held = [await begin(ask, "hold") for _ in range(2)]
        for run in held:
            await ask.until(run, "running")
        runs = [await begin(ask, "nap", input={"n": number}) for number in range(5)]
        store = node.opened[ENGINE].store
        one = store.run(runs[0])
        assert one is not None
        store.add_run(replace(one, run_id="run_unstarted"))  # as a node leaves it that dies at this moment
        assert (await ask("GET", "/v1/runs/run_unstarted"))[1]["status"] == "queued"
    async with running(loaded, select("ChainEngine")) as node:
        ask = Client(http, node.listening[0].url)
        assert [(await ask("GET", f"/v1/runs/{run}"))[1]["status"] for run in runs] == ["queued"] * 5
        assert (await ask("GET", "/v1/runs/run_unstarted"))[0] == 404
        for run in held:
            await ask("POST", f"/v1/runs/{run}/cancel")
        assert [(await ask.until(run, "succeeded"))["output"] for run in runs] == list(range(5))
        assert (await ask("GET", "/v1/queue"))[1]["data"][0]["waiting"] == 0
