"""Whole nodes that are killed and frozen while chains of every kind of step run on them.

It is told here what is said of them afterwards.

world      what lies outside: a model, tools, addresses, hooks; it writes down what it is asked
chain      the chain of every kind of step, those that triggers start, and the configuration of a node
nodes      the nodes: started, killed, frozen, started anew
work       what people do meanwhile: start, deliver, drop files, approve
listener   whoever follows a run and breaks off at every event
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.chains.killing.chain import EFFECTS, OUTPUT, configuration
from tests.chains.killing.nodes import PAUSE, Nodes
from tests.chains.killing.work import Work, prepare_folder
from tests.chains.killing.world import World, world

SETTLE_SECONDS = 150.0
"""For what is still to be told and started when all that people began has ended."""
FROZEN = (5.0, 9.0)
"""Seconds for which a node is frozen: longer than the others wait for its heartbeat."""


@dataclass
class Verdict:
    """`repeated`: effects that ran again before their result was recorded, which a kill may do; `late`: those that
    ran again though it was, which only a node that was frozen may; `breaks`: how often listeners came back."""

    kills: int = 0
    freezes: int = 0
    runs: int = 0
    repeated: int = 0
    late: int = 0
    breaks: int = 0
    deliveries: int = 0
    wrong: list[str] = field(default_factory=list)


async def campaign(
    folder: Path, database: str, *, runs: int, kills: int, nodes: int = 1, seconds: float = 900
) -> Verdict:
    """`kills` of nodes, of which every third is a freeze where there are several, while `runs` of every kind go on."""
    prepare_folder(folder)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
    async with asyncio.timeout(seconds), world() as there, aiohttp.ClientSession(timeout=timeout) as http:
        made = Nodes(http, folder, configuration(there, database, folder), nodes)
        async with made.running():
            work = Work(made, there, folder, runs)
            await work.prepare()
            people = asyncio.create_task(work.people())
            await _strike(made, work, kills, people)
            work.over.set()
            await people
            await made.ask("DELETE", "/v1/schedules/tick")
            listed = await _settled(made, work)
            return await _judged(made, work, there, listed)


async def _strike(nodes: Nodes, work: Work, kills: int, people: asyncio.Task[None]) -> None:
    """At random moments, one after another; it ends where the work is done before.

    Every second time only once all that was under way got a step further: what was under way at three ends of its node, and got no
    further in between, is given up, and is to be here only where it is the reason.
    """
    for number in range(kills):
        if number % 2:
            await asyncio.wait(
                (people, further := asyncio.create_task(_further(nodes, work))), return_when="FIRST_COMPLETED"
            )
            further.cancel()
            await asyncio.gather(further, return_exceptions=True)
        await asyncio.wait((people,), timeout=random.uniform(0.2, 2.5))
        if people.done():
            return
        victim = random.randrange(nodes.count)
        if nodes.count > 1 and number % 3 == 2:
            await nodes.freeze(victim, random.uniform(*FROZEN))
        else:
            await nodes.kill(victim)


async def _further(nodes: Nodes, work: Work) -> None:
    """Return when all runs that are under way now have got a step further, wait or have ended."""
    before = {listener: listener.moved for listener in work.listeners if listener.ended is None}
    going = {run["id"] async for run in _listed(nodes) if not run["ended_at"] and run["chain"] != "all"}
    while True:
        going -= {run["id"] async for run in _listed(nodes) if run["ended_at"]}
        if not going and all(listener.moved > moved for listener, moved in before.items()):
            return
        await asyncio.sleep(PAUSE)


async def _settled(nodes: Nodes, work: Work, seconds: float = SETTLE_SECONDS) -> list[dict[str, Any]]:
    """Every run, once all have ended and all is told that was to be, or the time for that is up."""
    until = time.monotonic() + seconds
    while True:
        listed = [run async for run in _listed(nodes)]
        pending = (await nodes.ask("GET", "/v1/hooks?status=pending"))["data"]
        chains = Counter(run["chain"] for run in listed)
        dropped = len(work.small) + work.count  # files start runs by themselves
        if time.monotonic() > until or (
            all(run["ended_at"] for run in listed)
            and not pending
            and chains["after"] >= len(work.runs)
            and chains["small"] >= dropped
        ):
            return listed
        await asyncio.sleep(5 * PAUSE)


async def _listed(nodes: Nodes) -> Any:
    after = ""
    while True:
        page = await nodes.ask("GET", f"/v1/runs?limit=100{f'&after={after}' if after else ''}")
        for run in page["data"]:
            yield run
        if not page["has_more"]:
            return
        after = page["after"]


async def _judged(nodes: Nodes, work: Work, there: World, listed: list[dict[str, Any]]) -> Verdict:
    found = Verdict(nodes.kills, nodes.freezes, len(listed))
    by_id = {run["id"]: run for run in listed}
    found.wrong += [
        f"{run['id']} of {run['chain']} is {run['status']}: {run['error']}"
        for run in listed
        if run["status"] != "succeeded"
    ]
    for number, run_id in work.runs.items():
        output = (by_id.get(run_id) or {"output": None})["output"] or {}
        if wanted := {
            key: value
            for key, value in (OUTPUT | {"n": number, "inner": number}).items()
            if output.get(key) != value
        }:
            found.wrong.append(f"{run_id}: {output} is not {wanted}")
    found.wrong += [
        f"{what} was taken and started nothing" for what, run in work.small.items() if run not in by_id
    ]
    files = Counter(
        run["id"] for run in listed if run["chain"] == "small" and run["id"] not in work.small.values()
    )
    if len(files) < work.count:
        found.wrong.append(f"{work.count - len(files)} files started nothing")
    followed = Counter(run["output"]["of"] for run in listed if run["chain"] == "after" and run["output"])
    if followed != Counter(work.runs.values()):
        found.wrong.append(f"runs that followed others: {followed}")
    found.wrong += [wrong async for wrong in _told(nodes, work, there, found)]
    found.wrong += list(_hooks(there, listed, work, found))
    found.wrong += [f"given up: {each}" for each in (await nodes.ask("GET", "/v1/hooks?status=dead"))["data"]]
    return found


async def _told(nodes: Nodes, work: Work, there: World, found: Verdict) -> Any:
    """What listeners were told is what stands in the record, and nothing recorded ran again."""
    counts, latest = Counter(key for key, _ in there.calls), dict(there.calls)
    found.repeated = sum(count - 1 for key, count in counts.items())
    for listener in work.listeners:
        found.breaks += listener.breaks
        for wrong in listener.wrong:
            yield f"{listener.run_id}: {wrong}"
        steps = (await nodes.ask("GET", f"/v1/runs/{listener.run_id}/steps"))["data"]
        told = {number: step for number, (step, _) in listener.steps.items()}
        if told != {step["number"]: step for step in steps}:
            missing = [step["path"] for step in steps if told.get(step["number"]) != step]
            yield f"{listener.run_id}: not told, or told otherwise: {missing}"
        for step, when in listener.steps.values():
            again = latest.get(f"{listener.run_id}/{step['path']}", 0.0) > when
            found.late += again
            if again and not found.freezes:
                yield f"{listener.run_id}/{step['path']} ran again though it was recorded"
        for path, text in listener.words.items():
            if not any(said.startswith(text) for said in there.texts):
                yield f"{listener.run_id}: nobody said {text!r} at {path}"
        run = await nodes.ask("GET", f"/v1/runs/{listener.run_id}")
        if run.get("evaluations") != [{"hook": "judge", "result": {"allow": True, "score": 0.8}}]:
            yield f"{listener.run_id}: evaluations {run.get('evaluations')}"


def _hooks(there: World, listed: list[dict[str, Any]], work: Work, found: Verdict) -> Iterator[str]:
    """Everybody was told at least once, under one id."""
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for hook, heard in there.heard.items():
        found.deliveries += len(heard)
        for one in heard:
            if hook == "batch":
                for item in one["items"]:
                    ids[hook, item["run"]["id"]].add(item["id"])
            elif hook == "judge":
                ids[hook, one["data"]["run"]["id"]].add(one["id"])
            elif hook == "inbox":
                ids[f"{hook} {one['type']}", one["data"]["run"]].add(one["id"])
            else:
                ids[hook, f"{one['data']['run']}/{one['data']['step']}"].add(one["id"])
    yield from (
        f"{hook} heard of {what} under {len(names)} ids"
        for (hook, what), names in ids.items()
        if len(names) > 1
    )
    wanted = {("judge", run) for run in work.runs.values()} | {("batch", run["id"]) for run in listed}
    wanted |= {("inbox approval.asked", run) for number, run in work.runs.items() if number % 2}
    for listener in work.listeners:
        paths = [step["path"] for step, _ in listener.steps.values() if step.get("kind") in EFFECTS]
        wanted |= {("gate", f"{listener.run_id}/{path}") for path in paths}
    yield from (f"{hook} never heard of {what}" for hook, what in sorted(wanted - ids.keys()))
