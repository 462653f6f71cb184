"""What a step may take: bytes, money, things at once. The same on both runtimes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from intellirouter.chains.parts import size
from intellirouter.chains.ports import Ports
from intellirouter.chains.runtime.durable.opening import opened
from intellirouter.chains.runtime.in_process import InProcessRuntime
from intellirouter.chains.steps.attempts import Worker
from intellirouter.errors import IntelliRouterError
from tests.chains.offline import Hammer, Model, Shelf, chain

ASK = "llm: {model: m, prompt: q}"
MAP = "map: {over: '[1, 2, 3, 4]', as: x, max_items: 4}"
SPENT, LARGE = "step_cost_exceeded", "result_too_large"
# each call of the model costs half a dollar; what comes of it, how often it was asked, and what is told
CASES: dict[str, tuple[str, str | None, int, str]] = {
    "enough": (f"{{id: a, {ASK}, limits: {{cost: 0.5}}}}", None, 1, ""),
    "too dear": (f"{{id: a, {ASK}, limits: {{cost: 0.3}}, retry: {{attempts: 3, errors: [any], delay: 1ms}}}}", SPENT, 1, "'a' spent 0.5 of the 0.3"),
    "nothing left for a repair": ("{id: a, llm: {model: m, prompt: q, schema: {type: object}}, limits: {cost: 0.5}}", SPENT, 1, "'a' spent 0.5 of the 0.5"),
    "room for a repair": ("{id: a, llm: {model: m, prompt: q, schema: {type: object}}, limits: {cost: 1}}", "bad_model_output", 2, ""),
    "a fallback that asks": (f"{{id: a, {ASK}, limits: {{cost: 0.3}}, fallback: {{{ASK}}}}}", SPENT, 1, "0.5 of the 0.3"),
    "a fallback that does not": (f"{{id: a, {ASK}, limits: {{cost: 0.3}}, fallback: {{tool: {{name: echo}}}}}}", None, 1, ""),
    "a map together": (f"{{id: a, {MAP}, limits: {{cost: 1.2, parallelism: 1}}, do: [{{id: b, {ASK}}}]}}", SPENT, 3, "'a' spent 1.5 of the 1.2"),
    "a loop together": (f"{{id: a, loop: {{max: 4}}, limits: {{cost: 1}}, do: [{{id: b, {ASK}}}]}}", SPENT, 2, "'a' spent 1 of the 1 "),
    "an inner limit first": (f"{{id: a, loop: {{max: 4}}, limits: {{cost: 9}}, do: [{{id: b, limits: {{cost: 0.1}}, {ASK}}}]}}", SPENT, 1, "'a[0].b' spent 0.5 of the 0.1"),
    "a step after it": (f"{{id: z, {ASK}, limits: {{cost: 0.5}}}}, {{id: a, {ASK}}}", None, 2, ""),
    "an agent": ("{id: a, agent: {model: m, prompt: 'call echo {}', tools: [echo], max_rounds: 9}, limits: {cost: 0.9}}", SPENT, 2, "'a' spent 1 of the 0.9"),
    "by default": (f"{{id: a, {ASK}}}]\ndefaults: {{limits: {{cost: 0.3, bytes: 1MB}}}}\nx: [", SPENT, 1, ""),
    "bytes of an answer": (f"{{id: a, {ASK}, limits: {{bytes: 20}}}}", LARGE, 1, "at most 20"),
    "bytes of passages": ("{id: a, rag: {collection: kb, query: q}, limits: {bytes: 1kB}, retry: {attempts: 3, errors: [any], delay: 1ms}}", None, 0, ""),
    "bytes of values": ("{id: a, set: {x: \"'long enough'\"}, limits: {bytes: 8B}}", LARGE, 0, "The step gave 19 bytes; at most 8"),
    "bytes of a body": (f"{{id: a, {MAP}, limits: {{bytes: 10}}, do: [{{id: b, set: {{y: x}}}}]}}", LARGE, 0, "at most 10"),
    "bytes of a fallback": (f"{{id: a, http: {{url: 'http://x'}}, limits: {{bytes: 20}}, fallback: {{{ASK}}}}}", LARGE, 1, ""),
}  # fmt: skip
BRANCHES = [f"{{do: [{{id: b{n}, tool: {{name: echo}}}}]}}" for n in range(4)]
Run = Callable[[str], Any]


def text_of(steps: str) -> str:
    """By default: its defaults stand behind the steps."""
    head = "chain: {name: t}\n"
    return head + f"steps: [{steps}]".replace("\nx: []", "")


@contextlib.asynccontextmanager
async def running(kind: str, folder: Path, ports: Ports) -> AsyncIterator[Run]:
    if kind == "here":
        here = InProcessRuntime(Worker(ports))

        async def run(text: str) -> Any:
            try:
                return {"ok": await here.run(chain(text), {})}
            except IntelliRouterError as error:
                return {"error": {"code": error.code, "message": error.message, **error.details}}

        yield run
        return
    async with opened(f"sqlite:///{folder}/runs.db", Worker(ports)) as durable:

        async def kept(text: str) -> Any:
            return await durable.result(await durable.start(chain(text), {}), 0.02)

        yield kept


@pytest.mark.parametrize("kind", ["here", "durable"])
async def test_each_limit_holds(kind: str, tmp_path: Path) -> None:
    model = Model(
        lambda prompt: prompt if prompt.startswith("call") else "call echo {}" if prompt == "{}" else "no"
    )
    async with running(kind, tmp_path, Ports(models=model, search=Shelf(), tools=Hammer())) as run:
        for name, (steps, cause, asked, words) in CASES.items():
            model.asked.clear()
            outcome = await run(text_of(steps))
            told = outcome.get("error", {})
            assert (told.get("cause"), len(model.asked)) == (cause, asked), (name, outcome)
            assert words in told.get("message", ""), (name, told)


@pytest.mark.parametrize(
    "body",
    [
        f"{{id: a, {MAP}, limits: {{parallelism: 2}}, do: [{{id: b, tool: {{name: echo}}}}]}}",
        f"{{id: a, limits: {{parallelism: 2}}, parallel: [{', '.join(BRANCHES)}]}}",
        "{id: a, limits: {parallelism: 2}, agent: {model: m, prompt: q, tools: [echo]}}",
    ],
)
async def test_no_more_is_done_at_once_than_a_step_may(body: str, tmp_path: Path) -> None:
    now, seen = 0, Counter[int]()

    class Counting(Hammer):
        async def call(self, *_: Any) -> Any:
            nonlocal now
            now += 1
            seen[now] += 1
            for _turn in range(5):
                await asyncio.sleep(0)
            now -= 1

    model = Model(lambda prompt: "call echo {}\n" * 4 if prompt == "q" else "done")
    async with running("here", tmp_path, Ports(models=model, tools=Counting())) as run:
        assert "ok" in await run(text_of(body))
    assert (seen.total(), max(seen)) == (4, 2)


async def test_what_was_spent_is_known_to_a_walk_that_takes_the_run_up(tmp_path: Path) -> None:
    """The second of three calls is cut by a stop, as by a kill; the first is not paid for again, and counts."""
    model, stopped = Model(), asyncio.Event()

    class Once(Model):
        async def complete(self, request: Any, ticket: Any) -> Any:
            if len(self.asked) == 1 and not stopped.is_set():
                stopped.set()
                await asyncio.Event().wait()
            return await super().complete(request, ticket)

    text = text_of(f"{{id: a, loop: {{max: 3}}, limits: {{cost: 1}}, do: [{{id: b, {ASK}}}]}}")
    first = Once()
    async with opened(f"sqlite:///{tmp_path}/runs.db", Worker(Ports(models=first))) as runtime:
        run_id = await runtime.start(chain(text), {})
        async with asyncio.timeout(60):
            await stopped.wait()
    async with opened(f"sqlite:///{tmp_path}/runs.db", Worker(Ports(models=model))) as runtime:
        outcome = await runtime.result(run_id, 0.02)
        steps = [step["outcome"] for step in await runtime.steps(run_id)]
    assert (outcome["error"]["cause"], outcome["error"]["step"], len(model.asked)) == (SPENT, "a[2].b", 1)
    assert [step["about"]["spent_usd"] for step in steps] == [0.5, 0.5, 0.0]


def test_sizes_have_units() -> None:
    assert [size(each) for each in (7, "7B", "2kB", "2KB", "3MB", "1KiB", "1MiB")] == [
        7, 7, 2_000, 2_000, 3_000_000, 1_024, 1_048_576,
    ]  # fmt: skip
