"""Runs by the clock, runs anew from a step, and runs that are forgotten."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import UTC, datetime

import aiohttp
import pytest

from intellirouter.roles.chain_engine.keeper import DAY, Keeper
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.schedules import Schedule
from tests.conftest import StartNode
from tests.roles.chain_engine.test_api import WAIT, Client, auth

SET = """
chain: {name: double}
input: {n: {type: integer}}
steps:
  - {id: nap, sleep: 1ms}
  - {id: twice, set: {n: input.n * 2}}
  - {id: rest, sleep: 2ms}
output: steps.twice.n
"""


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def schedule(
    cron: str, seen: str, *, zone: str = "UTC", catch_up: bool = False, paused: bool = False
) -> Schedule:
    return Schedule("t", "s", "c", cron, zone, b"{}", b"{}", catch_up, paused, at(seen))


@pytest.mark.parametrize(
    ("made", "now", "due"),
    [
        (schedule("0 7 * * *", "2026-03-01 06:59"), "2026-03-01 06:59:59", []),
        (schedule("0 7 * * *", "2026-03-01 06:59"), "2026-03-01 07:00:00", ["2026-03-01 07:00"]),
        (schedule("0 7 * * *", "2026-03-01 07:00"), "2026-03-01 07:00:30", []),
        (schedule("0 7 * * *", "2026-02-01 00:00"), "2026-03-01 09:00", []),
        (schedule("0 7 * * *", "2026-02-27 08:00", catch_up=True), "2026-03-01 09:00", ["2026-02-28 07:00", "2026-03-01 07:00"]),
        (schedule("0 7 * * *", "2026-03-01 06:59", paused=True), "2026-03-01 07:00", []),
        (schedule("0 7 * * *", "2026-07-01 04:59", zone="Europe/Berlin"), "2026-07-01 05:00", ["2026-07-01 05:00"]),
        (schedule("30 2 * * *", "2026-10-24 22:00", zone="Europe/Berlin", catch_up=True), "2026-10-25 09:00", ["2026-10-25 00:30"]),
        (schedule("30 * * * *", "2026-10-25 00:00", zone="Europe/Berlin", catch_up=True), "2026-10-25 02:00", ["2026-10-25 00:30", "2026-10-25 01:30"]),
        (schedule("30 2 * * *", "2026-03-28 22:00", zone="Europe/Berlin", catch_up=True), "2026-03-29 09:00", ["2026-03-29 01:00"]),
    ],
)  # fmt: skip
def test_what_is_due(made: Schedule, now: str, due: list[str]) -> None:
    assert made.due(at(now)) == [at(text) for text in due]


def test_the_next_time_is_none_that_clocks_had_already() -> None:
    made = schedule("30 2 * * *", "2026-10-24 22:00", zone="Europe/Berlin")
    assert made.next(at("2026-10-25 00:30")) == at("2026-10-26 01:30")


def test_a_schedule_that_catches_up_starts_no_more_than_the_latest_hundred() -> None:
    made = schedule("* * * * *", "2026-01-01 00:00", catch_up=True)
    times = made.due(at("2026-03-01 00:00"))
    assert len(times) == 100
    assert times[-1] == at("2026-03-01 00:00")
    assert len({made.run_id(time) for time in times}) == 100


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"cron": "sometimes"}, "cron"),
        ({"cron": "* * *"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),  # never comes
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../etc"}, "timezone"),
    ],
)
async def test_times_that_are_none_are_refused(
    start_node: StartNode, http: aiohttp.ClientSession, change: dict[str, str], param: str
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    ask = Client(http, node.listening[0].url)
    body = {"chain": "double", "cron": "* * * * *", "input": {"n": 2}}
    status, told = await ask("PUT", "/v1/schedules/often", body | change)
    assert (status, told["error"]["param"]) == (400, param)


async def test_a_schedule_starts_one_run_a_time_and_keeps_to_its_tenant(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth(ann="a", bob="b"), role="ChainEngine")
    ask, stranger = Client(http, node.listening[0].url), Client(http, node.listening[0].url, "bob")
    await ask("PUT", "/v1/chains/double", {"source": SET})
    body = {"chain": "double", "cron": "* * * * * */1", "input": {"n": 2}}
    assert (await ask("PUT", "/v1/schedules/often", body | {"input": {"n": "two"}}))[0] == 400
    status, made = await ask("PUT", "/v1/schedules/often", body)
    assert (status, made["paused"]) == (201, False)
    assert (await stranger("GET", "/v1/schedules"))[1]["data"] == []
    assert (await stranger("DELETE", "/v1/schedules/often"))[0] == 404
    service = node.opened[ENGINE]
    async with asyncio.timeout(20):
        _, runs = await ask("GET", "/v1/runs")
        while not runs["data"]:
            await asyncio.sleep(0.05)
            _, runs = await ask("GET", "/v1/runs")
    assert (await ask("POST", "/v1/schedules/often/pause"))[1]["next_at"] is None
    (found,) = await asyncio.to_thread(service.schedules.all, "a")
    _, runs = await ask("GET", "/v1/runs?limit=100")
    late = Schedule(**{**asdict(found), "paused": False, "seen": found.seen - 5, "catch_up": True})
    await asyncio.to_thread(service.schedules.put, late)
    await Keeper(service, service.schedules).start_due(found.seen)  # a node that had seen none of it
    await ask("POST", "/v1/schedules/often/pause")
    _, again = await ask("GET", "/v1/runs?limit=100")
    ids = [run["id"] for run in again["data"]]
    assert len(set(ids)) == len(ids)
    assert {run["id"] for run in runs["data"]} <= set(ids)
    _, run = await ask("POST", "/v1/schedules/often/trigger")
    assert (await ask.until(run["id"], "succeeded"))["output"] == 4
    paused, resumed = [
        (await ask("POST", f"/v1/schedules/often/{how}"))[1]["paused"] for how in ("pause", "resume")
    ]
    assert (paused, resumed) == (True, False)
    assert (await ask("GET", "/v1/schedules/often"))[1]["next_at"] is not None
    assert (await ask("DELETE", "/v1/schedules/often"))[0] == 200
    assert (await ask("GET", "/v1/schedules/often"))[0] == 404


async def test_a_fork_takes_over_what_was_recorded_before_its_step(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    ask = Client(http, node.listening[0].url)
    await ask("PUT", "/v1/chains/approve", {"source": WAIT})
    _, run = await ask("POST", "/v1/chains/approve/runs", {"mode": "background"})
    path = f"/v1/runs/{run['id']}"
    await ask.until(run["id"], "waiting")
    assert (await ask("POST", f"{path}/fork", {"step": 1}))[0] == 409
    await ask("POST", f"{path}/signals/approval", {"by": "ann"})
    await ask.until(run["id"], "succeeded")
    _, steps = await ask("GET", f"{path}/steps")
    (waited,) = [step["number"] for step in steps["data"] if step["outcome"] == {"by": "ann"}]
    assert (await ask("POST", f"{path}/fork", {"step": 10_000}))[0] == 400
    status, forked = await ask("POST", f"{path}/fork", {"step": waited})
    assert status == 202
    await ask("POST", f"/v1/runs/{forked['id']}/signals/approval", {"by": "bob"})
    assert (await ask.until(forked["id"], "succeeded"))["output"] == {"by": "bob"}
    assert (await ask.until(run["id"], "succeeded"))["output"] == {"by": "ann"}


async def test_old_runs_that_ended_are_forgotten_and_no_others(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth(ann="a") + "[chain_engine]\nretention_days = 7\n", role="ChainEngine")
    ask = Client(http, node.listening[0].url)
    await ask("PUT", "/v1/chains/approve", {"source": WAIT})
    await ask("PUT", "/v1/chains/double", {"source": SET})
    _, waiting = await ask("POST", "/v1/chains/approve/runs", {"mode": "background"})
    _, ended = await ask("POST", "/v1/chains/double/runs", {"input": {"n": 1}})
    assert ended["status"] == "succeeded"
    await ask.until(waiting["id"], "waiting")
    keeper = Keeper(node.opened[ENGINE], node.opened[ENGINE].schedules)
    assert await keeper.forget_old(time.time()) == 0
    assert await keeper.forget_old(time.time() + 8 * DAY) == 1
    assert (await ask("GET", f"/v1/runs/{ended['id']}"))[0] == 404
    assert (await ask("GET", f"/v1/runs/{waiting['id']}"))[1]["status"] == "waiting"
