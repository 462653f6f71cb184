"""The words of models as they come, complete after a break at every event, and from another node."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intellirouter.chains.runtime.durable.engine import open_engine
from intellirouter.roles.chain_engine.live import Live
from intellirouter.roles.chain_engine.store import METADATA
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.chain_engine.test_api import Client
from tests.servers.vendor import Play, Received

WORDS = [f"word{number} " for number in range(12)]
CHAIN = """
chain: {name: talk}
steps:
  - {id: ready, wait: {signal: go}}
  - {id: say, llm: {model: m, prompt: hello}}
  - {id: json, llm: {model: m, prompt: hello, json: true}}
output: steps.say.text
"""


def chunk(**delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return json.dumps(
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    ).encode()


def answer(request: Received) -> Play:
    """Streams where it is asked to, with pauses between the words."""
    usage = {"prompt_tokens": 3, "completion_tokens": 12, "total_tokens": 15}
    if not request.json.get("stream"):
        message = {"role": "assistant", "content": "{}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Play.json(
            {
                "id": "c",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [choice],
                "usage": usage,
            }
        )
    end = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
           "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}  # fmt: skip
    pieces: list[bytes | float] = []
    for word in WORDS:
        pieces += [chunk(content=word), 0.05]
    return Play.sse(*pieces, json.dumps(end).encode(), b"[DONE]")


class Listener:
    """Reads events and may stop after a number of them."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url = http, url

    async def read(
        self, run_id: str, last: str = "", most: int = 10_000, started: asyncio.Event | None = None
    ) -> list[Any]:
        headers = {"last-event-id": last} if last else {}
        found: list[Any] = []
        event: dict[str, str] = {}
        async with self.http.get(f"{self.url}/v1/runs/{run_id}/events", headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            async for raw in reply.content:
                line = raw.decode().rstrip("\n")
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                elif "event" in event:
                    found.append((event.get("id", ""), event["event"], json.loads(event["data"])))
                    event = {}
                    if started is not None:
                        started.set()
                    if len(found) == most:
                        return found
        return found


def words(events: list[Any]) -> str:
    """What was told of the step's words; every piece must begin where the last one ended."""
    text = ""
    for _, name, facts in events:
        if name == "step_tokens":
            assert facts["offset"] == len(text), facts
            text += facts["text"]
    return text


async def test_words_come_as_they_are_said_and_go_on_after_a_break_at_every_event(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    price = (
        '[[model_registry.models]]\nname = "m"\ntargets = ["primary/m"]\nprice = { input = 1, output = 1 }\n'
    )
    vendor = await start_vendor(answer)
    node = await start_node(provider(vendor) + price, role="All")
    url = next(one.url for one in node.listening if one.role == "ChainEngine")
    ask, listener = Client(http, url), Listener(http, url)
    assert (await ask("PUT", "/v1/chains/talk", {"source": CHAIN}))[0] == 201
    _, run = await ask("POST", "/v1/chains/talk/runs", {"mode": "background"})
    whole_started, steps_started = asyncio.Event(), asyncio.Event()
    await ask.until(run["id"], "waiting")

    async def step_by_step() -> list[Any]:
        """Breaks off after each single event."""
        found: list[Any] = []
        while not found or found[-1][1] != "run_ended":
            last = next((at for at, _, _ in reversed(found) if at), "")
            got = await listener.read(run["id"], last, 1, steps_started)
            if got and not got[0][0] and got[0][1] != "run_ended":  # without an id: it may come twice
                got = await listener.read(run["id"], last, 2)
            found += [one for one in got if one[0] or one[1] == "run_ended"]
        return found

    async with asyncio.TaskGroup() as group:
        whole = group.create_task(listener.read(run["id"], started=whole_started))
        broken = group.create_task(step_by_step())
        await whole_started.wait()
        await steps_started.wait()
        await ask("POST", f"/v1/runs/{run['id']}/signals/go", {})
    assert words(whole.result()) == "".join(WORDS)
    assert sum(name == "step_tokens" for _, name, _ in whole.result()) > 3
    told = words(broken.result())
    assert "".join(WORDS).startswith(told)
    for events in (whole.result(), broken.result()):
        finished = [facts for _, name, facts in events if name == "step_finished"]
        assert [step["path"] for step in finished] == ["ready", "say", "json"]
        assert finished[1]["outcome"]["ok"]["text"] == "".join(WORDS)
        assert finished[1]["outcome"]["ok"]["cost_usd"] == pytest.approx(15e-6)
        assert finished[1]["outcome"]["ok"]["usage"] == {"input_tokens": 3, "output_tokens": 12}
    again = await listener.read(run["id"])
    assert [name for _, name, _ in again] == ["step_finished"] * 3 + ["run_ended"]
    assert [json.loads(each.body).get("stream", False) for each in vendor.received] == [True, False]
    assert (await ask("GET", "/v1/runs/none/events"))[0] == 404
    quiet = "chain: {name: q}\nsteps: [{id: a, llm: {model: m, prompt: x}}]"
    await ask("PUT", "/v1/chains/q", {"source": quiet})
    await ask("POST", "/v1/chains/q/runs", {"mode": "wait"})  # nobody listens: nothing is streamed
    assert not vendor.received[2].json.get("stream")


async def test_words_reach_a_follower_on_another_node(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/shared.db")
    METADATA.create_all(engine)
    walking, listening = Live(engine, shared=True, linger=3600.0), Live(engine, shared=True)
    assert not await walking.followed("r")
    assert await listening.said("r", walks_here=False) == {}  # which says that somebody listens
    assert await walking.followed("r")
    for word in WORDS[:3]:
        walking.hear("step_tokens", "r", "say", {"text": word})

    async def until(wanted: Any) -> None:
        for _ in range(1_200):
            if await listening.said("r", walks_here=False) == wanted:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(wanted)

    await until({"say": (1, "".join(WORDS[:3]))})
    walking.hear("step_retry", "r", "say", {})
    walking.hear("step_tokens", "r", "say", {"text": "again"})
    await until({"say": (2, "again")})
    walking.hear("step_tokens", "r", "say", {"text": " and last"})
    walking.hear("step_finished", "r", "say", {})
    await until({"say": (2, "again and last")})  # also where the step ends at once
    walking.linger = 0.0
    walking.hear("step_finished", "r", "say", {})
    await until({})
    await walking.stop()
    await listening.stop()
    engine.dispose()
