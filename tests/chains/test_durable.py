"""Durable runs: the same results as in this process, recorded once, and going on after a kill."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from intellirouter.chains.runtime.durable.engine import open_engine, sole_owner
from intellirouter.chains.runtime.durable.opening import opened
from intellirouter.chains.runtime.durable.runtime import DurableRuntime
from intellirouter.chains.runtime.durable.waits import Waiting
from intellirouter.chains.runtime.in_process import InProcessRuntime
from intellirouter.chains.steps.attempts import Worker
from intellirouter.errors import Conflict, InvalidRequest, NotFound
from tests.chains.crash import ROOT, crash
from tests.chains.offline import SUPPORT, Hammer, Model, chain, ports, support
from tests.chains.scenarios import KINDS


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[DurableRuntime]:
    async with opened(f"sqlite:///{tmp_path}/runs.db", Worker(ports(Model(support)))) as runtime:
        yield runtime


async def test_both_runtimes_give_the_same(runtime: DurableRuntime) -> None:
    made = chain(KINDS.replace("crash", "same"))
    wanted = await InProcessRuntime(Worker(ports())).run(made, {})
    run_id = await runtime.start(made, {})
    assert await runtime.result(run_id) == {"ok": wanted}
    assert len([step for step in await runtime.steps(run_id) if step["path"]]) == 11


async def test_a_signal_may_come_before_the_run_waits_for_it(runtime: DurableRuntime) -> None:
    run_id = await runtime.start(chain(SUPPORT), {"question": "why?"})
    await runtime.signal(run_id, "approval", {"by": "ann"})
    outcome = await runtime.result(run_id)
    assert outcome["ok"]["approved_by"] == "ann"


async def test_a_failed_run_says_why_and_the_same_id_joins_it(runtime: DurableRuntime) -> None:
    made = chain("chain: {name: t}\nsteps: [{id: a, tool: {name: echo}}, {id: b, http: {url: 'http://x'}}]")
    for _ in range(2):
        assert await runtime.start(made, {}, run_id="mine") == "mine"
        outcome = await runtime.result("mine")
        assert (outcome["error"]["cause"], outcome["error"]["step"]) == ("peer_unavailable", "b")


async def test_inputs_and_unknown_runs_are_refused(runtime: DurableRuntime) -> None:
    with pytest.raises(InvalidRequest):
        await runtime.start(chain(SUPPORT), {})
    with pytest.raises(NotFound):
        await runtime.signal("nothing", "s", 1)


def test_a_second_process_on_the_same_file_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    refused = pytest.raises(Conflict, match="many nodes need Postgres")
    with sole_owner(open_engine(url)), refused, sole_owner(open_engine(url)):
        pass


async def test_a_cancel_cuts_the_call_and_a_resume_goes_on(tmp_path: Path) -> None:
    started, cut, slow = asyncio.Event(), asyncio.Event(), True

    class Slow(Hammer):
        async def call(self, name: str, arguments: Any, ticket: Any) -> Any:
            if arguments["v"] == "2" and slow:
                started.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    cut.set()
            return await super().call(name, arguments, ticket)

    tools = Slow()
    step = "{{id: {0}, tool: {{name: echo, arguments: {{v: '{1}'}}}}}}"
    two = f"chain: {{name: t}}\nsteps: [{step.format('a', 1)}, {step.format('b', 2)}]\noutput: steps.b.v"
    async with (
        opened(f"sqlite:///{tmp_path}/runs.db", Worker(ports(tools=tools))) as runtime,
        asyncio.timeout(30),
    ):
        run_id = await runtime.start(chain(two), {})
        await started.wait()
        await runtime.cancel(run_id)
        await cut.wait()
        assert (await runtime.result(run_id))["error"]["code"] == "cancelled"
        slow = False
        await runtime.resume(run_id)
        assert await runtime.result(run_id) == {"ok": "2"}
        assert tools.keys == {f"{run_id}/a": 1, f"{run_id}/b": 1}


@pytest.mark.parametrize("kill_at", [1, 10])
def test_a_killed_run_is_finished_and_no_recorded_step_repeated(tmp_path: Path, kill_at: int) -> None:
    found = crash(f"sqlite:///{tmp_path}/runs.db", tmp_path, kill_at=kill_at)
    assert found.killed
    assert not found.recorded & found.repeats
    assert found.output["ok"]["right"] == "1"
    assert [item["two"]["v"] for item in found.output["ok"]["m"]] == ["31", "21", "11"]


def test_a_later_release_finishes_what_an_earlier_one_started(tmp_path: Path) -> None:
    later = tmp_path / "later"
    shutil.copytree(
        ROOT / "intellirouter", later / "intellirouter", ignore=shutil.ignore_patterns("__pycache__")
    )
    changes = {
        "__init__.py": ('__version__ = "', '__version__ = "9.'),
        "chains/runtime/durable/opening.py": (
            "        return await runtime.walk(document, others, inputs)",
            "        walked = await runtime.walk(document, others, inputs)\n        return walked",
        ),
    }
    for name, (before, after) in changes.items():
        file = later / "intellirouter" / name
        assert before in file.read_text()
        file.write_text(file.read_text().replace(before, after))
    found = crash(f"sqlite:///{tmp_path}/runs.db", tmp_path, kill_at=5, second_tree=later)
    assert found.killed
    assert found.recorded
    assert not found.recorded & found.repeats
    assert found.output["ok"]["z"] == "end"


@pytest.mark.parametrize("name", ["design", "outside", "plan-research-write"])
def test_shipped_chains_survive_a_kill(tmp_path: Path, name: str) -> None:
    found = crash(f"sqlite:///{tmp_path}/runs.db", tmp_path, name, kill_at=3)
    assert found.killed
    assert found.recorded
    assert not found.recorded & found.repeats
    assert found.output["ok"]


async def _waiting(runtime: DurableRuntime, run_id: str, path: str | None = None) -> Waiting:
    """What the run waits for, once it does, at that step."""
    for _ in range(6_000):
        found = (await asyncio.to_thread(runtime.waits.of, [run_id])).get(run_id)
        if found and path in (None, found.path):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"{run_id} waits for nothing")


async def test_a_sleep_goes_on_where_it_was_when_the_node_comes_back(tmp_path: Path) -> None:
    made = chain("chain: {name: nap}\nsteps: [{id: a, sleep: 6s}, {id: b, set: {x: '1'}}]")
    url = f"sqlite:///{tmp_path}/runs.db"
    async with opened(url, Worker(ports())) as runtime:
        run_id = await runtime.start(made, {})
        known = await _waiting(runtime, run_id)
    async with opened(url, Worker(ports())) as runtime:
        again = (await asyncio.to_thread(runtime.waits.of, [run_id]))[run_id]
        assert again == known
        assert "ok" in await runtime.result(run_id)
        (first, *_) = await runtime.steps(run_id)
        assert known.until is not None
        assert (
            abs(first["outcome"]["ok"]["until"] - known.until) < 2
        )  # not six seconds after the second start
        assert not await asyncio.to_thread(runtime.waits.of, [run_id])


async def test_a_wait_is_the_same_one_after_a_restart_that_walks_past_earlier_ones(tmp_path: Path) -> None:
    """Whoever is to be told of it looks for it at any moment: it may not be gone for one."""
    steps = "[{id: nap, sleep: 1ms}, {id: first, wait: {signal: a}}, {id: ok, wait: {signal: b}}]"
    made, url = chain(f"chain: {{name: twice}}\nsteps: {steps}"), f"sqlite:///{tmp_path}/runs.db"
    async with opened(url, Worker(ports())) as runtime:
        run_id = await runtime.start(made, {})
        await runtime.signal(run_id, "a", {})
        known = await _waiting(runtime, run_id, "ok")
    again, waited = asyncio.Event(), list[str]()

    def hear(event: str, path: str, _facts: Any) -> None:
        if event == "step_waiting":
            waited.append(path)
            again.set()

    async with opened(url, Worker(ports()), hear=hear) as runtime, asyncio.timeout(60):
        await again.wait()
        assert waited == ["ok"]
        assert await _waiting(runtime, run_id) == known
        await runtime.signal(run_id, "b", {})
        assert "ok" in await runtime.result(run_id)
        assert not await asyncio.to_thread(runtime.waits.of, [run_id])


async def test_what_was_deleted_goes_back_to_the_disk(tmp_path: Path) -> None:
    made = chain("chain: {name: big}\ninput: {text: {type: string}}\nsteps: [{id: a, set: {x: input.text}}]")
    file = tmp_path / "runs.db"
    async with opened(f"sqlite:///{file}", Worker(ports())) as runtime:
        runs = [await runtime.start(made, {"text": "x" * 100_000}) for _ in range(60)]
        for run_id in runs:
            await runtime.result(run_id)
        whole = file.stat().st_size
        await runtime.forget(runs)
    assert file.stat().st_size < whole / 2
