"""A `timeout` of steps that hold others, of waits and sleeps: it ends all that they hold, in this process and in a durable run, and over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from intellirouter.chains.runtime.durable.opening import opened
from intellirouter.chains.runtime.in_process import InProcessRuntime
from intellirouter.chains.source import InvalidChain
from intellirouter.chains.steps.attempts import Worker
from intellirouter.errors import IntelliRouterError
from tests.chains.offline import Hammer, Model, chain, ports

SLOW = "tool: {name: slow}"
QUICK = "tool: {name: quick, arguments: {v: '1'}}"
TIMEOUT = {"code": "step_failed", "cause": "timeout", "step": "a"}


class Slow(Hammer):
    """A tool that never answers, and others that do. `cut` counts the calls of it that were called off."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = self.cut = 0

    async def call(self, name: str, arguments: Mapping[str, Any], ticket: Any) -> Any:
        if name != "slow":
            return await super().call(name, arguments, ticket)
        self.begun += 1
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cut += 1
            raise


async def outcome(kind: str, tmp_path: Path, steps: str, tools: Hammer, **more: str) -> dict[str, Any]:
    """What a chain of these steps comes to."""
    text = f"chain: {{name: t}}\nsteps:\n{steps}\n" + "".join(
        f"{name}: {value}\n" for name, value in more.items()
    )
    worker = Worker(ports(Model(lambda _: "call slow {}"), tools))
    if kind == "here":
        try:
            return {"ok": await InProcessRuntime(worker).run(chain(text), {})}
        except IntelliRouterError as error:
            return {"error": {"code": error.code, "message": error.message, **error.details}}
    async with opened(f"sqlite:///{tmp_path}/runs.db", worker) as runtime, asyncio.timeout(60):
        return dict(await runtime.result(await runtime.start(chain(text), {})))


BODIES = {
    "parallel": f"parallel: [{{do: [{{id: x, {SLOW}}}]}}, {{do: [{{id: y, {SLOW}}}]}}]",
    "map": f"map: {{over: '[1, 2]', as: n, max_items: 2}}, do: [{{id: x, {SLOW}}}]",
    "loop": f"loop: {{max: 3}}, do: [{{id: x, {QUICK}}}, {{id: y, {SLOW}}}]",
    "switch": f"switch: [{{do: [{{id: x, {SLOW}}}]}}]",
    "swallowed": f"loop: {{max: 1000}}, do: [{{id: x, on_error: continue, {SLOW}}}]",
    "fallen back": f"loop: {{max: 1}}, do: [{{id: x, {SLOW}, fallback: {{{SLOW}}}}}]",
    "nested": f"switch: [{{do: [{{id: b, timeout: 20s, loop: {{max: 9}}, do: [{{id: x, {SLOW}}}]}}]}}]",
    "napping": "loop: {max: 9}, do: [{id: x, sleep: 1h}]",
    "sleep": "sleep: 1h",
    "wait": "wait: {signal: go}",
    "waiting": "switch: [{do: [{id: x, wait: {signal: go, timeout: 1h, on_timeout: continue}}]}]",
    "an agent": "loop: {max: 2}, do: [{id: x, agent: {model: m, prompt: q, tools: [slow]}}]",
}


@pytest.mark.parametrize("kind", ["here", "durable"])
@pytest.mark.parametrize("body", BODIES)
async def test_the_time_of_a_step_ends_all_that_it_holds(kind: str, body: str, tmp_path: Path) -> None:
    tools = Slow()
    came = await outcome(kind, tmp_path, f"  - {{id: a, timeout: 300ms, {BODIES[body]}}}", tools)
    assert {name: came["error"][name] for name in TIMEOUT} == TIMEOUT, came
    assert "longer than its 0.3 s" in came["error"]["message"]
    assert tools.cut == tools.begun


@pytest.mark.parametrize("kind", ["here", "durable"])
async def test_a_chain_goes_on_after_a_step_whose_time_was_over(kind: str, tmp_path: Path) -> None:
    steps = (
        f"  - {{id: a, timeout: 200ms, on_error: continue, {BODIES['map']}}}\n"
        f"  - {{id: b, timeout: 200ms, {BODIES['loop']}, fallback: {{tool: {{name: quick, arguments: {{v: instead}}}}}}}}\n"
        f"  - {{id: c, timeout: 1h, loop: {{max: 2}}, do: [{{id: x, {QUICK}}}]}}"
    )
    told = "{a: steps.a.error.code, b: steps.b.v, c: steps.c.x.v}"
    came = await outcome(kind, tmp_path, steps, Slow(), output=told)
    assert came == {"ok": {"a": "timeout", "b": "instead", "c": "1"}}


@pytest.mark.parametrize("kind", ["here", "durable"])
async def test_what_holds_steps_has_a_fallback_too(kind: str, tmp_path: Path) -> None:
    fails = "{id: x, set: {v: '1 / 0'}}"
    steps = (
        f"  - {{id: a, parallel: [{{do: [{fails}]}}], fallback: {{tool: {{name: quick, arguments: {{v: one}}}}}}}}\n"
        f"  - {{id: m, map: {{over: '[1, 2]', as: n, max_items: 2}}, do: [{{id: b, loop: {{max: 1}}, do: [{fails}], fallback: {{{QUICK}}}}}, {{id: c, {QUICK}}}]}}"
    )
    came = await outcome(
        kind, tmp_path, steps, Slow(), output="{a: steps.a.v, b: 'steps.m[1].b.v', c: 'steps.m[1].c.v'}"
    )
    assert came == {"ok": {"a": "one", "b": "1", "c": "1"}}


async def test_a_run_that_is_taken_up_ends_when_it_would_have_ended(tmp_path: Path) -> None:
    """The node is away while the time runs out: what comes after is not begun, however short it was."""
    stopped = asyncio.Event()

    class Stopping(Hammer):
        async def call(self, name: str, arguments: Mapping[str, Any], ticket: Any) -> Any:
            if arguments["v"] == "2":
                stopped.set()
                await asyncio.Event().wait()
            return await super().call(name, arguments, ticket)

    step = "{{id: {0}, tool: {{name: echo, arguments: {{v: '{1}'}}}}}}"
    body = ", ".join(step.format(*pair) for pair in (("x", 1), ("y", 2), ("z", 3)))
    made = chain(f"chain: {{name: t}}\nsteps: [{{id: a, timeout: 1s, switch: [{{do: [{body}]}}]}}]")
    url, after = f"sqlite:///{tmp_path}/runs.db", Hammer()
    async with opened(url, Worker(ports(tools=Stopping()))) as runtime, asyncio.timeout(60):
        run_id = await runtime.start(made, {})
        await stopped.wait()
    await asyncio.sleep(1.1)  # as long as the step may take
    async with opened(url, Worker(ports(tools=after))) as runtime, asyncio.timeout(60):
        came = await runtime.result(run_id)
    assert came["error"]["cause"] == "timeout", came
    assert not after.keys


async def test_a_wait_that_ended_by_itself_is_no_late_one_for_a_run_that_is_taken_up(tmp_path: Path) -> None:
    """The step that held the wait was over in its time; the node went down behind it, and comes back after that."""
    stopped = asyncio.Event()

    class Stopping(Hammer):
        async def call(self, name: str, arguments: Mapping[str, Any], ticket: Any) -> Any:
            if arguments["v"] == "2":
                stopped.set()
                await asyncio.Event().wait()
            return await super().call(name, arguments, ticket)

    step = "{{id: {0}, tool: {{name: echo, arguments: {{v: '{1}'}}}}}}"
    wait = "{id: w, wait: {signal: go, timeout: 10ms, on_timeout: continue}}"
    made = chain(
        f"chain: {{name: t}}\nsteps: [{{id: a, timeout: 2s, switch: [{{do: [{step.format('x', 1)}, {wait}]}}]}}, {step.format('y', 2)}]"
    )
    url, after = f"sqlite:///{tmp_path}/runs.db", Hammer()
    async with opened(url, Worker(ports(tools=Stopping()))) as runtime, asyncio.timeout(60):
        run_id = await runtime.start(made, {})
        await stopped.wait()
    await asyncio.sleep(2.1)  # longer than the step may take
    async with opened(url, Worker(ports(tools=after))) as runtime, asyncio.timeout(60):
        came = await runtime.result(run_id)
    assert "ok" in came, came


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("{id: a, sleep: 1s, retry: {attempts: 3}}", "'sleep' is not tried again as a whole"),
        (
            f"{{id: a, loop: {{max: 2}}, retry: {{attempts: 3}}, do: [{{id: b, {QUICK}}}]}}",
            "'loop' is not tried",
        ),
        ("{id: a, wait: {signal: go}, cache: 1h}", "'wait' has no result of its own to cache"),
    ],
)
def test_what_would_do_nothing_is_refused(step: str, told: str) -> None:
    with pytest.raises(InvalidChain, match=told):
        chain(f"chain: {{name: t}}\nsteps: [{step}]")
