"""Chains over HTTP: stored, checked, run, signalled, cancelled, kept from other tenants, and gone on with after a restart."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from intellirouter.peers.chain_output import answer, used
from intellirouter.roles.chain_engine.keys import ENGINE
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play

ASK = """
chain: {name: ask}
input: {question: {type: string}}
steps:
  - {id: a, llm: {model: m, prompt: "Say: {{ input.question }}"}}
output: {answer: steps.a.text}
"""
WAIT = """
chain: {name: approve}
steps:
  - {id: nap, sleep: 1ms}
  - {id: ok, wait: {signal: approval, timeout: 1h}}
output: {by: steps.ok.by}
"""
SAID = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
Asked = tuple[int, Any]


def auth(**tenants: str) -> str:
    """Keys `ann` and so on, each of its tenant."""
    keys = "".join(
        f'[[auth.keys]]\nname = "{name}"\ntenant = "{tenant}"\nscopes = ["inference", "chains"]\n'
        f'sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        for name, tenant in tenants.items()
    )
    return f"[auth]\nenabled = true\n{keys}"


class Client:
    """Asks one node with one key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str = "ann") -> None:
        self.http, self.url, self.key = http, url, key

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Asked:
        headers["authorization"] = f"Bearer {self.key}"
        async with self.http.request(method, self.url + path, json=body, headers=headers) as reply:
            return reply.status, await reply.json()

    async def until(self, run_id: str, status: str, waiting_for: str | None = None) -> Any:
        async with asyncio.timeout(60):
            while True:
                _, run = await self("GET", f"/v1/runs/{run_id}")
                if run["status"] == status and waiting_for in (None, run["waiting_for"]):
                    return run
                await asyncio.sleep(0.02)


async def test_a_chain_is_stored_checked_listed_and_removed(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    ask = Client(http, node.listening[0].url)
    assert (await ask("PUT", "/v1/chains/ask", {"source": ASK}))[0] == 201
    assert (await ask("PUT", "/v1/chains/ask", {"source": ASK}))[0] == 200
    assert (await ask("PUT", "/v1/chains/other", {"source": ASK}))[1]["error"]["param"] == "name"
    status, told = await ask("PUT", "/v1/chains/bad", {"source": "chain: {name: bad}\nsteps: [{id: a}]"})
    assert (status, told["error"]["code"]) == (400, "invalid_chain")
    _, told = await ask("POST", "/v1/chains/validate", {"source": ASK.replace("input.q", "inputs.q")})
    assert not told["valid"]
    assert "chain.yaml:5" in told["problems"][0]
    _, told = await ask("POST", "/v1/chains/validate", {"source": ASK})
    assert (told["valid"], told["name"]) == (True, "ask")
    _, told = await ask("GET", "/v1/chains")
    assert [chain["id"] for chain in told["data"]] == ["ask"]
    _, told = await ask("GET", "/v1/chains/ask")
    assert told["definition"]["steps"][0]["id"] == "a"
    assert (await ask("GET", "/v1/nodes"))[1]["data"][0]["alive"]
    assert (await ask("GET", "/health"))[1]["parts"]["runs"]["status"] == "healthy"
    assert (await ask("DELETE", "/v1/chains/ask"))[1]["deleted"]
    assert (await ask("DELETE", "/v1/chains/ask"))[0] == 404


async def test_a_chain_that_cannot_be_read_harms_only_those_that_call_it(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    ask = Client(http, node.listening[0].url)
    outer = "chain: {name: outer}\nsteps: [{id: a, chain: {name: inner}}]\noutput: steps.a"
    inner = "chain: {name: inner}\nsteps: [{id: a, set: {x: 1 + 1}}]\noutput: steps.a.x"
    for name, source in (("inner", inner), ("outer", outer)):
        assert (await ask("PUT", f"/v1/chains/{name}", {"source": source}))[0] == 201
    node.opened[ENGINE].library.history.put(
        "a", "older", {"chain": {"name": "older"}, "steps": [{"id": "a", "gone": {}}]}
    )
    _, run = await ask("POST", "/v1/chains/outer/runs", {"input": {}})
    assert (run["status"], run["output"]) == ("succeeded", 2)
    status, told = await ask("POST", "/v1/chains/older/runs", {"input": {}})
    assert (status, told["error"]["code"]) == (400, "invalid_chain")
    await ask("DELETE", "/v1/chains/inner")
    status, told = await ask("POST", "/v1/chains/outer/runs", {"input": {}})
    assert (status, "'inner'" in told["error"]["message"]) == (400, True)


async def test_a_run_asks_the_router_once_for_an_idempotency_key(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(SAID))
    node = await start_node(auth(ann="a") + provider(vendor), role="All")
    engine = next(each for each in node.listening if each.role == "ChainEngine")
    ask = Client(http, engine.url)
    await ask("PUT", "/v1/chains/ask", {"source": ASK})
    for _ in range(2):
        status, run = await ask(
            "POST", "/v1/chains/ask/runs", {"input": {"question": "hi"}}, **{"idempotency-key": "k"}
        )
        assert (status, run["status"], run["output"]) == (200, "succeeded", {"answer": "hello"})
    assert len(vendor.received) == 1
    assert vendor.received[0].json["messages"][-1]["content"] == "Say: hi"
    other = {"input": {"question": "ho"}}
    assert (await ask("POST", "/v1/chains/ask/runs", other, **{"idempotency-key": "k"}))[0] == 409
    assert (await ask("POST", "/v1/chains/ask/runs", {"input": {}}))[1]["error"]["param"] == "input"
    _, steps = await ask("GET", f"/v1/runs/{run['id']}/steps")
    assert [(step["path"], step["outcome"]["ok"]["text"]) for step in steps["data"]] == [("a", "hello")]
    assert used(steps["data"]) == {"input_tokens": 3, "output_tokens": 1}
    async with http.get(f"{engine.url}/metrics") as reply:
        text = await reply.text()
    for line in (
        'workflow_executions_total{status="succeeded"} 1.0',
        'task_executions_total{kind="llm",status="finished"} 1.0',
        "workflow_active_count 0.0",
    ):
        assert line in text
    async with http.post(
        f"{engine.url}/v1/chains/ask/runs",
        json={**other, "stream": True},
        headers={"authorization": "Bearer ann"},
    ) as reply:
        events = [block.split("\n") for block in (await reply.text()).split("\n\n") if block]
    told = [lines[0].removeprefix("event: ") for lines in events]
    # a step's words are told while it runs, to who is there by then
    assert [name for name in told if name != "step_tokens"] == [
        "run_started",
        "step_started",
        "step_finished",
        "run_ended",
    ]
    assert json.loads(events[-1][1].removeprefix("data: "))["output"] == {"answer": "hello"}


async def test_a_background_run_waits_is_cancelled_resumed_and_signalled(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(
        auth(ann="a", bob="b") + "[chain_engine]\nmax_queued = 1\nmax_waiting = 2\n", role="ChainEngine"
    )
    ask = Client(http, node.listening[0].url)
    await ask("PUT", "/v1/chains/approve", {"source": WAIT})
    status, run = await ask("POST", "/v1/chains/approve/runs", {"mode": "background"})
    assert status == 202
    path = f"/v1/runs/{run['id']}"
    await ask.until(run["id"], "waiting", "approval")
    status, second = await ask("POST", "/v1/chains/approve/runs", {"mode": "background"})
    assert status == 202  # the first one waits and takes no place
    await ask.until(second["id"], "waiting")
    assert (await ask("POST", "/v1/chains/approve/runs", {"mode": "background"}))[0] == 429
    stranger = Client(http, node.listening[0].url, "bob")
    for method, where in (
        ("GET", path),
        ("GET", f"{path}/steps"),
        ("POST", f"{path}/signals/approval"),
        ("POST", f"{path}/cancel"),
        ("GET", "/v1/chains/approve"),
        ("POST", "/v1/chains/approve/runs"),
    ):
        assert (await stranger(method, where, {} if method == "POST" else None))[0] == 404, where
    assert (await stranger("GET", "/v1/runs"))[1]["data"] == []
    assert (await ask("POST", f"{path}/cancel"))[0] == 200
    await ask.until(run["id"], "cancelled")
    assert (await ask("POST", f"{path}/cancel"))[0] == 409
    assert (await ask("POST", f"{path}/resume"))[0] == 202
    assert (await ask("POST", f"{path}/signals/approval", {"by": "ann"}))[0] == 202
    assert (await ask.until(run["id"], "succeeded"))["output"] == {"by": "ann"}
    assert [each["id"] for each in (await ask("GET", "/v1/runs?chain=approve"))[1]["data"]] == [
        second["id"],
        run["id"],
    ]
    third = await begun(ask, "/v1/chains/approve/runs", {"mode": "background"})
    # no way around the bound on runs
    assert (await ask("POST", f"{path}/fork", {"step": 1}))[0] == 429
    await ask("POST", f"/v1/runs/{third}/cancel")
    await ask.until(third, "cancelled")
    await begun(ask, f"{path}/fork", {"step": 1})
    assert (await ask("POST", f"/v1/runs/{third}/resume"))[0] == 429


async def begun(ask: Client, path: str, body: dict[str, Any]) -> str:
    """A run that waits, once one that ended a moment ago has left its place."""
    async with asyncio.timeout(60):
        while True:
            status, run = await ask("POST", path, body)
            if status == 202:
                await ask.until(run["id"], "waiting")
                return str(run["id"])
            await asyncio.sleep(0.02)


async def test_a_run_goes_on_after_a_restart_and_a_change_of_its_chain(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(auth(ann="a"))
    flags = {("server", "port"): 0, ("paths", "data_dir"): tmp_path / "data"}
    async with running(load(file, {}, flags), select("ChainEngine")) as node:
        ask = Client(http, node.listening[0].url)
        await ask("PUT", "/v1/chains/approve", {"source": WAIT})
        _, run = await ask("POST", "/v1/chains/approve/runs", {"mode": "background"})
        await ask.until(run["id"], "waiting")
    async with running(load(file, {}, flags), select("ChainEngine")) as node:
        ask = Client(http, node.listening[0].url)
        await ask.until(run["id"], "waiting")
        changed = WAIT.replace("{by: steps.ok.by}", "{who: steps.ok.by}")
        assert (await ask("PUT", "/v1/chains/approve", {"source": changed}))[0] in (200, 201)
        _, later = await ask("POST", "/v1/chains/approve/runs", {"mode": "background"})
        for each in (run, later):
            await ask.until(each["id"], "waiting")
            await ask("POST", f"/v1/runs/{each['id']}/signals/approval", {"by": "eve"})
        assert (await ask.until(run["id"], "succeeded"))["output"] == {
            "by": "eve"
        }  # as it was when it started
        assert (await ask.until(later["id"], "succeeded"))["output"] == {"who": "eve"}


@pytest.mark.parametrize(
    ("output", "text"), [("a", "a"), ({"answer": "b", "n": 1}, "b"), ({"n": 1}, '{"n":1}')]
)
def test_what_reads_as_one_answer(output: Any, text: str) -> None:
    assert answer(output) == text
