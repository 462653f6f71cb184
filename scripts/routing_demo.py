"""Watch a Router learn whom to ask: `python -m scripts.routing_demo`. Offline; half a minute.

Two stand-in models are started on this machine: `small` costs little and knows easy things, `large` costs fifty times as much
and knows everything. A Router is told nothing of this. It is asked, and told of each answer whether it was right.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

ROUNDS, EACH = 10, 40
PRICES = {"small": 0.2, "large": 10.0}
CONFIG = """
[server]
port = 0
[router]
learning_interval = 0.5
[model_registry]
discover_environment = false
{providers}
[[model_registry.models]]
name = "smart"
strategy = "learned"
targets = ["small/m", "large/m"]
[model_registry.models.learning]
explore = 0.15
sticky = false
[paths]
data_dir = "{data}"
"""
PROVIDER = """
[[model_registry.providers]]
name = "{name}"
kind = "openai_compatible"
endpoint = "{url}"
models = ["m"]
"""


def question(chance: random.Random) -> tuple[str, bool]:
    """A prompt, and whether it is hard."""
    a, b = chance.randint(2, 99), chance.randint(2, 99)
    if chance.random() < 0.5:
        return f"What is {a} + {b}?", False
    text = (
        f"A train leaves at {a % 12 + 1} o'clock with {a} passengers; at each of {b % 7 + 3} stops a third leave and "
        f"{b} board. Prove, step by step, how many arrive, and say whether the number can ever be prime."
    )
    return text, True


@asynccontextmanager
async def model(name: str) -> AsyncIterator[str]:
    """A stand-in for a vendor; its address."""
    chance = random.Random(name)

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        hard = "Prove" in body["messages"][-1]["content"]
        right = name == "large" or not hard or chance.random() < 0.15
        message = {"role": "assistant", "content": "right" if right else "wrong"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 40, "completion_tokens": 200, "total_tokens": 240}
        head = {
            "id": f"chatcmpl-{random.getrandbits(64):x}",
            "object": "chat.completion",
            "created": int(time.time()),
        }
        return web.json_response({**head, "model": "m", "choices": [choice], "usage": usage})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def router(config: Path) -> AsyncIterator[str]:
    """A Router in a process of its own; its address."""
    command = (sys.executable, "-m", "intellirouter", "run", "--role", "Router", "--config", str(config))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while line := (await process.stdout.readline()).decode():
                if "http://127.0.0.1:" in line:
                    port = line.partition("http://127.0.0.1:")[2].split()[0].rstrip("/│ ")
                    break
            else:
                raise SystemExit("the Router did not start")
        drain = asyncio.create_task(process.stdout.read())
        yield f"http://127.0.0.1:{port}"
        drain.cancel()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def main() -> None:
    """Ask, give feedback, draw."""
    chance = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="intellirouter-demo-") as name:
        async with model("small") as small, model("large") as large:
            providers = "".join(
                PROVIDER.format(name=one, url=url) for one, url in (("small", small), ("large", large))
            )
            config = Path(name) / "router.toml"
            config.write_text(CONFIG.format(providers=providers, data=name))
            config.chmod(0o600)
            async with router(config) as url, aiohttp.ClientSession() as session:
                await lesson(session, url, chance)


async def lesson(session: aiohttp.ClientSession, url: str, chance: random.Random) -> None:
    """Rounds of questions with feedback; a line of the learning curve for each."""
    dear = PRICES["large"] * EACH
    print("questions   right answers                         cost beside `large` alone")
    for number in range(ROUNDS):
        right = 0
        cost = 0.0
        for _ in range(EACH):
            text, _hard = question(chance)
            body = {"model": "smart", "messages": [{"role": "user", "content": text}]}
            async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
                answer = await reply.json()
                by, request_id = reply.headers["x-intellirouter-provider"], reply.headers["x-request-id"]
            good = answer["choices"][0]["message"]["content"] == "right"
            right += good
            cost += PRICES[by]
            async with session.post(
                f"{url}/v1/feedback", json={"request_id": request_id, "score": good}
            ) as reply:
                reply.raise_for_status()
        bar = "█" * round(30 * right / EACH)
        print(f"{(number + 1) * EACH:>9}   {bar:<30} {right / EACH:>4.0%}   {cost / dear:>5.0%}", flush=True)
        await asyncio.sleep(0.8)  # a round of learning
    for _ in range(20):
        text, _hard = question(chance)
        body = {"model": "smart", "messages": [{"role": "user", "content": text}]}
        headers = {"x-intellirouter-explain": "1"}
        async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
            chosen = json.loads(reply.headers["x-intellirouter-decision"])["selection"]
        if chosen["reason"] == "learned" and "Prove" in text:
            break
    print(f"\n“{text[:60]}…” went to {chosen['targets'][0]['target']} ({chosen['reason']}):")
    for row in chosen["targets"]:
        print(f"  {row['target']:<10} expected success {row['success']:.2f}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
