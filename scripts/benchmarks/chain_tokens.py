"""How long after the provider sent a token whoever follows the run has it: `python -m scripts.benchmarks.chain_tokens`.

The provider and the follower are this process, the node is one of its own; the provider writes the moment into each token. A step asks
alone, then five beside one another. Then two nodes share a Postgres, and who follows asks the one that does not walk: with a Redis between
the nodes, and without. Exit code 1 when half of the tokens of a step alone take 20 ms, or of one that another node walks, with Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from scripts.benchmarks.load import percentile
from tests.servers.postgres import postgres
from tests.servers.process import node_process
from tests.servers.redis import redis_server

WORDS, PAUSE = 300, 0.02
MOST_MS = 20.0
ALONE = "{id: a, llm: {model: m, prompt: x}}"
BESIDE = (
    "{id: p, parallel: ["
    + ", ".join(f"{{do: [{{id: s{n}, llm: {{model: m, prompt: x}}}}]}}" for n in range(5))
    + "]}"
)


async def streamed(request: web.Request) -> web.StreamResponse:
    """Tokens that say when they were sent."""
    reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await reply.prepare(request)
    for _ in range(WORDS):
        await reply.write(_chunk({"content": f"{time.perf_counter_ns()} "}, None))
        await asyncio.sleep(PAUSE)
    await reply.write(_chunk({}, "stop") + b"data: [DONE]\n\n")
    return reply


def _chunk(delta: dict[str, Any], reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: %b\n\n" % json.dumps(body).encode()


async def followed(http: aiohttp.ClientSession, url: str, steps: str, where: str = "") -> list[float]:
    """Milliseconds of each token, of a run started at `url` and followed `where` (there)."""
    source = f"chain: {{name: talk}}\nsteps: [{{id: ready, wait: {{signal: go}}}}, {steps}]"
    async with http.put(f"{url}/v1/chains/talk", json={"source": source}) as reply:
        assert reply.status < 300, await reply.text()
    async with http.post(f"{url}/v1/chains/talk/runs", json={"mode": "background"}) as reply:
        run = (await reply.json())["id"]
    taken: list[float] = []
    kept: dict[str, str] = {}
    async with http.get(f"{where or url}/v1/runs/{run}/events") as reply:
        name = ""
        async for raw in reply.content:
            now, line = time.perf_counter_ns(), raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and name == "step_tokens":
                facts = json.loads(line.removeprefix("data: "))
                *whole, kept[facts["step"]] = (kept.get(facts["step"], "") + facts["text"]).split(" ")
                taken += [(now - int(word)) / 1e6 for word in whole]
            elif line.startswith("data: ") and name == "run_waiting":
                async with http.post(f"{url}/v1/runs/{run}/signals/go", json={}) as told:
                    assert told.status == 202, await told.text()
            elif name == "run_ended" and line.startswith("data: "):
                break
    return taken


async def measure(folder: Path) -> dict[str, float]:
    """Milliseconds."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", streamed)
    file = folder / "node.toml"
    async with TestServer(app) as vendor, aiohttp.ClientSession() as http:
        file.write_text(
            f'[[model_registry.providers]]\nname = "primary"\nkind = "openai_compatible"\nendpoint = "{vendor.make_url("/v1")}"\n'
            'api_key = "sk-word"\nmodels = ["m"]\n'
        )
        environment = {
            "INTELLIROUTER__PATHS__DATA_DIR": str(folder / "data"),
            "INTELLIROUTER__SERVER__PORT": "0",
        }
        async with node_process("--config", str(file), "--role", "All", environment=environment) as node:
            lines = [await node.event("server.listening", count=count) for count in range(1, 5)]
            (port,) = (line["port"] for line in lines if line["role"] == "ChainEngine")
            figures: dict[str, float] = {}
            for name, steps in (("alone", ALONE), ("five_beside", BESIDE)):
                figures |= told(name, await followed(http, f"http://127.0.0.1:{port}", steps))
        figures |= await elsewhere(http, folder, file.read_text(), with_redis=True)
        return figures | await elsewhere(http, folder, file.read_text(), with_redis=False)


def told(name: str, taken: list[float]) -> dict[str, float]:
    """What is told of the tokens of a run."""
    return {
        f"tokens_{name}": len(taken),
        f"{name}_p50_ms": round(percentile(taken, 50), 2),
        f"{name}_p99_ms": round(percentile(taken, 99), 2),
    }


async def elsewhere(
    http: aiohttp.ClientSession, folder: Path, vendor: str, *, with_redis: bool
) -> dict[str, float]:
    """The same from another node than the one that walks."""
    name = "from_another_node" if with_redis else "from_another_node_without_redis"
    async with contextlib.AsyncExitStack() as stack:
        database = stack.enter_context(postgres())
        table = f'[server]\nport = 0\n[chain_engine]\ndatabase_url = "{database}"\n'
        if with_redis:
            redis = stack.enter_context(redis_server(folder / "redis"))
            vendor += f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n'
        urls = []
        for mode in ("standalone", "api"):  # the second one walks nothing
            file = folder / f"{name}-{mode}.toml"
            place = f'mode = "{mode}"\n[paths]\ndata_dir = "{folder / name / mode}"\n'
            file.write_text(f"{vendor}{table}{place}")
            node = await stack.enter_async_context(node_process("--config", str(file), "--role", "All"))
            lines = [await node.event("server.listening", count=count) for count in range(1, 5)]
            urls += [f"http://127.0.0.1:{line['port']}" for line in lines if line["role"] == "ChainEngine"]
        return told(name, await followed(http, urls[0], ALONE, urls[1]))


def main() -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder)))
    print(json.dumps(figures, indent=2))
    held = ("alone", "from_another_node")
    return int(
        any(figures[f"{name}_p50_ms"] >= MOST_MS or figures[f"tokens_{name}"] < WORDS for name in held)
    )


if __name__ == "__main__":
    sys.exit(main())
