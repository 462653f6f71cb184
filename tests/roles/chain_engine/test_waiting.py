"""Waits, sleeps, cancels and deadlines of runs, as whoever asks the node sees them."""

from __future__ import annotations

import time

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.roles.chain_engine.test_api import Client
from tests.servers.vendor import Play

SAID = Play.json(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
)
AROUND = """
chain: {name: around}
steps:
  - {id: first, llm: {model: m, prompt: a}}
  - {id: ask, wait: {signal: go}}
  - {id: last, llm: {model: m, prompt: b}}
output: {by: steps.ask.by}
"""


async def test_a_run_that_is_cancelled_and_resumed_at_once_goes_on(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    node = await start_node(provider(await start_vendor(SAID)), role="All")
    ask = Client(http, next(one.url for one in node.listening if one.role == "ChainEngine"))
    await ask("PUT", "/v1/chains/around", {"source": AROUND})
    for _ in range(5):
        _, run = await ask("POST", "/v1/chains/around/runs", {"mode": "background"})
        await ask.until(run["id"], "waiting")
        assert (await ask("POST", f"/v1/runs/{run['id']}/cancel"))[0] == 200
        assert (await ask("POST", f"/v1/runs/{run['id']}/resume"))[0] == 202
        assert (await ask("POST", f"/v1/runs/{run['id']}/signals/go", {"by": "ann"}))[0] == 202
        assert (await ask.until(run["id"], "succeeded"))["output"] == {"by": "ann"}


async def test_a_signal_for_nobody_is_refused(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    ask = Client(http, (await start_node(role="ChainEngine")).listening[0].url)
    await ask("PUT", "/v1/chains/w", {"source": "chain: {name: w}\nsteps: [{id: ask, wait: {signal: go}}]"})
    _, run = await ask("POST", "/v1/chains/w/runs", {"mode": "background"})
    await ask.until(run["id"], "waiting")
    status, told = await ask("POST", f"/v1/runs/{run['id']}/signals/gone", {})
    assert (status, "waits for: go" in told["error"]["message"]) == (404, True)
    assert (await ask("POST", f"/v1/runs/{run['id']}/signals/go", {}))[0] == 202
    await ask.until(run["id"], "succeeded")
    assert (await ask("POST", f"/v1/runs/{run['id']}/signals/go", {}))[0] == 409


async def test_a_chain_that_took_too_long_was_not_cancelled(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    ask = Client(http, (await start_node(role="ChainEngine")).listening[0].url)
    slow = "chain: {name: slow, timeout: 300ms}\nsteps: [{id: a, sleep: 30s}, {id: b, set: {x: '1'}}]"
    await ask("PUT", "/v1/chains/slow", {"source": slow})
    _, run = await ask("POST", "/v1/chains/slow/runs", {"mode": "background"})
    ended = await ask.until(run["id"], "failed")
    assert ended["error"]["code"] == "timeout"
    assert "0.3 s" in ended["error"]["message"]
    _, run = await ask("POST", "/v1/chains/slow/runs", {"mode": "background"})
    status, ended = await ask("POST", f"/v1/runs/{run['id']}/cancel")
    if status == 200:  # else it had come to its deadline
        assert (await ask.until(run["id"], "cancelled"))["error"]["code"] == "cancelled"


@pytest.mark.parametrize(
    ("step", "cause"),
    [
        ("timeout: 100ms, llm: {model: m, prompt: x}", "timeout"),
        ("llm: {model: nobody, prompt: x}", "model_not_found"),
        ("map: {over: input.items, as: i, max_items: 1}, do: [{id: in, set: {x: i}}]", "too_many_items"),
    ],
)
async def test_a_chain_that_goes_on_sees_what_went_wrong(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, step: str, cause: str
) -> None:
    node = await start_node(provider(await start_vendor(Play(before="hang"))), role="All")
    ask = Client(http, next(one.url for one in node.listening if one.role == "ChainEngine"))
    source = (
        "chain: {name: c}\ninput: {items: {type: array, default: [1, 2]}}\n"
        f"steps: [{{id: a, on_error: continue, {step}}}]\noutput: {{code: steps.a.error.code, step: steps.a.error.step}}"
    )
    status, told = await ask("PUT", "/v1/chains/c", {"source": source})
    assert status == 201, told
    _, run = await ask("POST", "/v1/chains/c/runs", {"mode": "wait"})
    assert run["output"] == {"code": cause, "step": "a"}


async def test_a_run_that_sleeps_says_until_when(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    began = time.time()
    ask = Client(http, (await start_node(role="ChainEngine")).listening[0].url)
    source = "chain: {name: nap}\nsteps: [{id: a, sleep: 4s}]\noutput: {slept: steps.a.slept}"
    await ask("PUT", "/v1/chains/nap", {"source": source})
    _, run = await ask("POST", "/v1/chains/nap/runs", {"mode": "background"})
    sleeping = await ask.until(run["id"], "waiting")
    assert sleeping["waiting_for"] is None
    assert began + 3.9 < sleeping["waiting_until"] < time.time() + 4.1
    assert (await ask.until(run["id"], "succeeded"))["output"] == {"slept": 4}
    _, steps = await ask("GET", f"/v1/runs/{run['id']}/steps")
    (step,) = steps["data"]
    assert (step["path"], step["kind"]) == ("a", "sleep")
    assert step["started_at"] >= began - 1
