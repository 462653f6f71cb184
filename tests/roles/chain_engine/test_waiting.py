"""Waits, sleeps, cancels and deadlines of runs, as whoever asks the node sees them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

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


async def _events(
    http: aiohttp.ClientSession, url: str, last: str = ""
) -> list[tuple[str, str, dict[str, Any]]]:
    """Id, name and data of each event, to the end."""
    headers = {"last-event-id": last} if last else {}
    async with http.get(url, headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        text = await reply.text()
    found = []
    for block in text.split("\n\n"):
        facts = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != ":")
        if facts:
            found.append((facts.get("id", ""), facts["event"], json.loads(facts["data"])))
    return found


def _place(event_id: str) -> str:
    """Where an event lies; behind it stands how far the words of steps under way were told to this listener."""
    return event_id.partition("~")[0]


async def test_a_run_tells_its_events_again_from_where_a_listener_was(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    node = await start_node(provider(await start_vendor(SAID)), role="All")
    url = next(one.url for one in node.listening if one.role == "ChainEngine")
    ask = Client(http, url)
    source = (
        "chain: {name: s}\nsteps:\n  - {id: a, llm: {model: m, prompt: x, options: {seed: 7}}}\n  - {id: w, wait: {signal: go}}\n"
        "  - {id: p, parallel: [{name: l, do: [{id: b, llm: {model: m, prompt: y}}]}, {name: r, do: [{id: c, llm: {model: m, prompt: z}}]}]}\n"
    )
    status, told = await ask("PUT", "/v1/chains/s", {"source": source})
    assert status == 201, told
    _, run = await ask("POST", "/v1/chains/s/runs", {"mode": "background"})
    following = asyncio.create_task(_events(http, f"{url}/v1/runs/{run['id']}/events"))
    await ask.until(run["id"], "waiting")
    await ask("POST", f"/v1/runs/{run['id']}/signals/go", {})
    live = await following
    steps = [(at, data["path"]) for at, event, data in live if event == "step_finished" and at]
    assert [path for _, path in steps][:2] == ["a", "w"]
    assert sorted(path for _, path in steps) == ["a", "p[l].b", "p[r].c", "w"]
    assert live[-1][1] == "run_ended"
    whole = await _events(http, f"{url}/v1/runs/{run['id']}/events")
    assert [(_place(at), data["path"]) for at, event, data in whole if at] == [
        (_place(at), path) for at, path in steps
    ]
    for number, (at, _) in enumerate(steps):
        rest = await _events(http, f"{url}/v1/runs/{run['id']}/events", at)
        assert [_place(here) for here, _, _ in rest if here] == [
            _place(here) for here, _ in steps[number + 1 :]
        ]
        assert rest[-1][1] == "run_ended"
    _, recorded = await ask("GET", f"/v1/runs/{run['id']}/steps")
    first = recorded["data"][0]
    assert (first["kind"], first["attempts"], first["input"]["options"]) == ("llm", 1, {"seed": 7})
    assert "about" not in first["outcome"]


async def test_a_run_says_what_it_cost(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    priced = '[[model_registry.models]]\nname = "dear"\ntargets = ["primary/m"]\nprice = { input = 1000, output = 10000 }\n'
    node = await start_node(provider(await start_vendor(SAID)) + priced, role="All")
    ask = Client(http, next(one.url for one in node.listening if one.role == "ChainEngine"))
    await ask(
        "PUT", "/v1/chains/d", {"source": "chain: {name: d}\nsteps: [{id: a, llm: {model: dear, prompt: x}}]"}
    )
    _, run = await ask("POST", "/v1/chains/d/runs", {"mode": "wait"})
    assert run["usage"]["cost_usd"] == pytest.approx(3 * 0.001 + 1 * 0.01)
    _, again = await ask("GET", f"/v1/runs/{run['id']}")
    assert again["usage"] == run["usage"]


@pytest.mark.parametrize(
    ("method", "path", "body", "names"),
    [
        ("POST", "/v1/chains/w/runs", {"urgency": 3}, "urgency"),
        ("POST", "/v1/chains/w/runs", {"callback_url": "http://x"}, "callback_url"),
        ("POST", "/v1/chains/w/runs", {"mode": "later"}, "mode"),
        ("GET", "/v1/runs?status=lost", None, "status"),
        ("GET", "/v1/runs?colour=red", None, "colour"),
        ("PUT", "/v1/schedules/s", {"chain": "w", "cron": "0 7 * * *", "priority": 1}, "priority"),
        ("PUT", "/v1/chains/w", {"source": "x", "owner": "me"}, "owner"),
    ],
)
async def test_what_nobody_would_read_is_refused_by_its_name(
    start_node: StartNode,
    http: aiohttp.ClientSession,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    names: str,
) -> None:
    ask = Client(http, (await start_node(role="ChainEngine")).listening[0].url)
    await ask("PUT", "/v1/chains/w", {"source": "chain: {name: w}\nsteps: [{id: a, set: {x: '1'}}]"})
    status, told = await ask(method, path, body)
    assert (status, names in told["error"]["message"]) == (400, True)


async def test_runs_are_listed_by_how_they_stand(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    ask = Client(http, (await start_node(role="ChainEngine")).listening[0].url)
    await ask("PUT", "/v1/chains/ok", {"source": "chain: {name: ok}\nsteps: [{id: a, set: {x: '1'}}]"})
    await ask(
        "PUT",
        "/v1/chains/no",
        {
            "source": "chain: {name: no}\nsteps: [{id: m, map: {over: '1', as: x, max_items: 2}, do: [{id: a, set: {x: '1'}}]}]"
        },
    )
    for name in ("ok", "no", "ok", "no", "ok"):
        await ask("POST", f"/v1/chains/{name}/runs", {"mode": "wait"})
    for status, count in (("succeeded", 3), ("failed", 2), ("waiting", 0)):
        _, found = await ask("GET", f"/v1/runs?status={status}&limit=2")
        assert [run["status"] for run in found["data"]] == [status] * min(2, count)
