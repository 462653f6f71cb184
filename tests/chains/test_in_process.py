"""Running in this process: every kind, and what happens when steps fail."""

import asyncio
from typing import Any

import pytest

from intellirouter.chains.interpreter import StepFailed
from intellirouter.chains.model import Retry
from intellirouter.chains.runtime.in_process import InProcessRuntime
from intellirouter.chains.steps.attempts import Worker, backoff, matches
from intellirouter.errors import InvalidRequest, UpstreamRateLimited, UpstreamRejected
from tests.chains.offline import SUPPORT, Hammer, Model, chain, ports, support

HEAD = "chain: {name: t}\ninput: {n: {type: integer, default: 3}}\n"


async def run(text: str, inputs: dict[str, Any] | None = None, **parts: Any) -> Any:
    return await InProcessRuntime(Worker(ports(**parts))).run(chain(text), inputs or {})


async def test_the_chain_of_the_design_runs_and_waits_for_its_approval() -> None:
    runtime, waiting = InProcessRuntime(Worker(ports(Model(support)))), asyncio.Event()

    def hear(event: str, path: str, facts: object) -> None:
        if event == "step_waiting":
            waiting.set()

    task = asyncio.create_task(runtime.run(chain(SUPPORT), {"question": "why?"}, run_id="r", hear=hear))
    async with asyncio.timeout(60):
        await waiting.wait()
        runtime.signal("r", "approval", {"by": "ann"})
        output = await task
    assert output["approved_by"] == "ann"
    assert output["answer"].startswith("[why?")


KINDS = {
    "set and nested values": ("steps: [{id: a, set: {x: input.n, y: {z: ['1 + 1']}}}]\noutput: steps.a", {"x": 3, "y": {"z": [2]}}),
    "when": ("steps: [{id: a, when: input.n > 5, set: {x: '1'}}]\noutput: {a: steps.a, b: steps.a.x}", {"a": None, "b": None}),
    "switch": ("steps: [{id: a, switch: [{when: input.n > 5, do: [{id: b, set: {x: '1'}}]}, {do: [{id: b, set: {x: '2'}}]}]}]\noutput: steps.a.b.x", 2),
    "parallel": ("steps: [{id: a, parallel: [{do: [{id: b, set: {x: '1'}}]}, {do: [{id: c, set: {x: '2'}}]}]}]\noutput: steps.a.b.x + steps.a.c.x", 3),
    "map keeps order": ("steps: [{id: a, map: {over: '[3, 1, 2]', as: m, max_items: 5}, do: [{id: b, set: {x: m * 2 + index}}]}]\noutput: \"steps.a|map(attribute='b.x')|list\"", [6, 3, 6]),
    "loop until": ("steps: [{id: a, loop: {max: 9, until: steps.b.x >= 4}, do: [{id: b, set: {x: index * 2}}]}]\noutput: steps.a.b.x", 4),
    "loop stops at max": ("steps: [{id: a, loop: {max: 3}, do: [{id: b, set: {x: index}}]}]\noutput: steps.a.b.x", 2),
    "tool": ("steps: [{id: a, tool: {name: echo, arguments: {v: '{{ input.n }}'}}}]\noutput: steps.a.v", "3"),
    "rag": ("steps: [{id: a, rag: {collection: kb, query: q, top_k: 2}}]\noutput: steps.a.hits|length", 2),
    "sleep": ("steps: [{id: a, sleep: 1ms}]\noutput: steps.a.slept", 0.001),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
async def test_each_kind(name: str) -> None:
    text, wanted = KINDS[name]
    assert await run(HEAD + text) == wanted


ECHO = "steps: [{id: a, %s tool: {name: echo, arguments: {v: '1'}}}]\noutput: steps.a"
BUSY = UpstreamRateLimited("busy")


async def test_a_retry_uses_the_same_key_and_stops_when_it_succeeds() -> None:
    tools = Hammer(BUSY, BUSY)
    assert await run(HEAD + ECHO % "retry: {attempts: 4, delay: 1ms},", tools=tools) == {"v": "1"}
    assert list(tools.keys.values()) == [3]


async def test_what_retrying_cannot_help_is_not_retried() -> None:
    tools = Hammer(UpstreamRejected("no", upstream_status=400))
    with pytest.raises(StepFailed, match="Step 'a' failed: no") as caught:
        await run(HEAD + ECHO % "retry: {attempts: 4, delay: 1ms},", tools=tools)
    assert (caught.value.details["cause"], tools.keys.total()) == ("upstream_rejected", 1)


async def test_on_error_continue_leaves_the_error_as_the_result() -> None:
    output = await run(HEAD + ECHO % "on_error: continue,", tools=Hammer(BUSY))
    assert output["error"]["message"].endswith("busy")


async def test_a_fallback_answers_with_a_key_of_its_own() -> None:
    tools = Hammer(BUSY)
    text = HEAD + ECHO % "fallback: {tool: {name: echo, arguments: {v: '2'}}},"
    assert await run(text, tools=tools) == {"v": "2"}
    assert len(tools.keys) == 2


async def test_a_step_that_takes_too_long_fails_as_a_timeout() -> None:
    class Slow(Hammer):
        async def call(self, *_: Any) -> Any:
            await asyncio.Event().wait()

    with pytest.raises(StepFailed) as caught:
        await run(HEAD + ECHO % "timeout: 10ms,", tools=Slow())
    assert caught.value.details["cause"] == "timeout"


async def test_a_chain_that_takes_too_long_fails() -> None:
    with pytest.raises(StepFailed, match=r"longer than its 0.01 s"):
        await run("chain: {name: t, timeout: 10ms}\nsteps: [{id: a, sleep: 1h}]")


async def test_cancelling_a_run_reaches_the_call_under_way() -> None:
    started, cut = asyncio.Event(), asyncio.Event()

    class Slow(Hammer):
        async def call(self, *_: Any) -> Any:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cut.set()

    task = asyncio.create_task(run(HEAD + ECHO % "", tools=Slow()))
    async with asyncio.timeout(60):
        await started.wait()
        task.cancel()
        await cut.wait()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_json_is_repaired_once_and_then_refused() -> None:
    text = (
        HEAD
        + "steps: [{id: a, llm: {model: m, prompt: q, schema: {type: object, required: [x]}}}]\noutput: steps.a.x"
    )
    answers = iter(["not json", '{"x": 5}'])
    assert await run(text, model=Model(lambda _: next(answers))) == 5
    with pytest.raises(StepFailed, match="after one repair"):
        await run(text, model=Model(lambda _: "{}"))


async def test_a_cached_step_asks_once() -> None:
    tools = Hammer()
    runtime = InProcessRuntime(Worker(ports(tools=tools)))
    for _ in range(3):
        await runtime.run(chain(HEAD + ECHO % "cache: 1m,"), {})
    assert tools.keys.total() == 1


async def test_no_more_steps_run_at_once_than_the_chain_allows() -> None:
    now = most = 0

    class Counting(Hammer):
        async def call(self, *_: Any) -> Any:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    text = "chain: {name: t, max_parallel_steps: 3}\nsteps: [{id: a, map: {over: '[1,2,3,4,5,6,7,8]', as: m, max_items: 8}, do: [{id: b, tool: {name: echo}}]}]"
    await run(text, tools=Counting())
    assert most == 3


async def test_a_sub_chain_gets_values_and_gives_its_output() -> None:
    inner = chain(
        "chain: {name: inner}\ninput: {v: {type: integer}}\nsteps: [{id: a, set: {x: input.v + 1}}]\noutput: steps.a.x"
    )
    outer = chain(HEAD + "steps: [{id: a, chain: {name: inner, input: {v: input.n}}}]\noutput: steps.a")
    assert await InProcessRuntime(Worker(ports())).run(outer, {}, {"inner": inner}) == 4


@pytest.mark.parametrize("inputs", [{"n": "three"}, {"unknown": 1}])
async def test_inputs_that_do_not_fit_are_refused(inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="do not fit"):
        await run(HEAD + "steps: [{id: a, set: {x: '1'}}]", inputs)


async def test_too_many_items_are_refused() -> None:
    with pytest.raises(StepFailed, match="max_items is 2"):
        await run(
            HEAD + "steps: [{id: a, map: {over: '[1,2,3]', as: m, max_items: 2}, do: [{id: b, set: {x: m}}]}]"
        )


def test_waiting_between_attempts_grows_to_its_cap() -> None:
    retry = Retry(delay=1, factor=2, max=5)
    assert [backoff(retry, n, 1.0) for n in range(1, 5)] == [1, 2, 4, 5]
    assert backoff(retry, 1, 0.0) == 0.5
    assert matches(retry, "upstream_unavailable", 503)
    assert not matches(retry, "upstream_rejected", 400)
