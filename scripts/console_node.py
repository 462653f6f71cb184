"""A node with every role, stand-in vendors of different skill and price, and traffic: what the console is looked at with.

`python -m scripts.console_node --port 18080` serves until it is interrupted; `scripts/screenshots` takes its pictures from one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from intellirouter.app.node import Node
from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import Loaded, load
from intellirouter.roles.keys import STATE
from intellirouter.roles.router.console.sessions import setup_link
from tests.servers.ports import free_port
from tests.servers.vendor import Play, Received, Vendor

MODELS = {"swift-mini": (0.15, 0.6), "swift": (2.5, 10.0), "deep": (10.0, 40.0)}
QUESTIONS = (
    "What is the capital of Portugal?", "Summarise this ticket in one sentence: the printer on floor 3 is jammed again.",
    "Prove that the square root of 2 is irrational.", "Write a haiku about routers.", "Translate 'good morning' into Japanese.",
    "Which of these contracts renews automatically?", "Refactor this loop into a comprehension.", "Is 221 a prime number?",
)  # fmt: skip
EASY = (
    "What is the capital of country {}?",
    "Translate the number {} into French.",
    "Say hello to customer {}.",
)
HARD = ("Prove that {} has a unique prime factorisation.", "Derive the complexity of merging {} sorted lists.", "Find the race in this lock-free queue of {} lines and mend it.")  # fmt: skip
PLACES = {
    "ChainEngine": "chain_engine_endpoint",
    "RagManager": "rag_manager_endpoint",
    "PersonaLayer": "persona_layer_endpoint",
}
PEOPLE = (("ada", "research"), ("grace", "support"), ("linus", "platform"))


def answer(received: Received) -> Play:
    """A chat completion of some words, whole or streamed; now and then the vendor is overloaded."""
    if received.path.endswith("/models"):
        return Play.json({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})
    body = received.json
    chance = random.random()
    if body["model"] == "deep" and chance < 0.15:
        return Play.json({"error": {"message": "overloaded", "type": "server_error"}}, 503)
    words = f"An answer of {body['model']} in **a few words**, with `code` and a list:\n\n- first\n- second\n".split(
        " "
    )
    usage = {"prompt_tokens": 40 + int(chance * 900), "completion_tokens": 20 + int(chance * 300)}
    usage["total_tokens"] = sum(usage.values())
    head = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
    if not body.get("stream"):
        message = {"role": "assistant", "content": " ".join(words)}
        return Play.json(
            {
                **head,
                "object": "chat.completion",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": usage,
            }
        )
    chunk = {**head, "object": "chat.completion.chunk"}
    events: list[bytes | float] = [0.05 + chance / 5]
    for word in words:
        delta = {"index": 0, "delta": {"content": word + " "}, "finish_reason": None}
        events += [json.dumps({**chunk, "choices": [delta]}).encode(), 0.01]
    events.append(
        json.dumps({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).encode()
    )
    events += [json.dumps({**chunk, "choices": [], "usage": usage}).encode(), b"[DONE]"]
    return Play.sse(*events)


def configuration(vendor: Vendor, model: Path | None, *, keys: bool, more: int = 0) -> str:
    """The node's TOML: one provider, priced models, a group, and so many `more` models."""
    priced = {**MODELS, **{f"fleet-{number:04}": (0.1, 0.4) for number in range(more)}}
    models = "".join(
        f'\n[[model_registry.models]]\nname = "{name}"\ntargets = ["lab/{name}"]\nprice = {{ input = {price[0]}, output = {price[1]} }}\n'
        for name, price in priced.items()
    )
    embeds = f'\n[rag]\nembedding_model_path = "{model}"\n' if model else ""
    return f"""
[auth]
enabled = {str(keys).lower()}

[[auth.keys]]
name = "boss"
sha256 = "{BOSS_SHA256}"
scopes = ["admin"]

[auth.audit]
level = "standard"

[alerts]
interval_seconds = 1
[alerts.rules.memory]
warning = 0.001
critical = 1.0
for_seconds = 0
[[alerts.channels]]
name = "pager"
kind = "program"
program = ["/bin/true"]
[[alerts.channels]]
name = "night-shift"
kind = "program"
program = ["/bin/false"]
severity = "critical"

[records]
content = "all"

[budgets.tags]
research = {{ day = 0.02 }}
support = {{ day = 0.2, month = 3.0 }}

[budgets.users.linus]
month = 0.01

[budgets.teams.platform]
month = 250.0

[[guards]]
name = "secrets"
kind = "secret"
action = "flag"

[[model_registry.providers]]
name = "lab"
kind = "openai_compatible"
endpoint = "{vendor.url}/v1"
{models}
[[model_registry.models]]
name = "smart"
targets = ["lab/deep", "lab/swift", "lab/swift-mini"]
price = {{ input = 10, output = 40 }}
{embeds}"""


BOSS = "sk-boss-of-this-node"
BOSS_SHA256 = hashlib.sha256(BOSS.encode()).hexdigest()


@contextlib.asynccontextmanager
async def console_node(
    folder: Path,
    port: int = 0,
    *,
    model: Path | None = None,
    keys: bool = False,
    more: int = 0,
    apart: bool = False,
) -> AsyncIterator[tuple[Node, Vendor]]:
    """The node and its vendor, running. `more`: so many models more; `apart`: every role but the Router on a node of its own."""
    async with Vendor(answer).running() as vendor, contextlib.AsyncExitStack() as stack:
        toml = configuration(vendor, model, keys=keys, more=more)
        trust = '[ipc.security]\nenabled = true\ntoken = "a-token-of-these-nodes-only"\n'
        endpoints = ""
        if apart:
            port = port or free_port()
            asks = f'[ipc]\nrouter_endpoint = "http://127.0.0.1:{port}"\n{trust}'
            for role, place in PLACES.items():
                node = await stack.enter_async_context(_started(folder / role, f"{toml}\n{asks}", role, 0))
                endpoints += f'{place} = "{_url(node, role)}"\n'
            toml += f"\n[ipc]\n{endpoints}{trust}"
        yield (
            await stack.enter_async_context(_started(folder, toml, "Router" if apart else "All", port)),
            vendor,
        )


@contextlib.asynccontextmanager
async def _started(folder: Path, toml: str, role: str, port: int) -> AsyncIterator[Node]:
    async with running(_loaded(folder, toml, port), select(role)) as node:
        yield node


def _loaded(folder: Path, toml: str, port: int) -> Loaded:
    folder.mkdir(exist_ok=True)
    file = folder / "node.toml"
    file.write_text(toml)
    return load(file, {}, {("server", "port"): port, ("paths", "data_dir"): folder / "data"})


def _url(node: Node, role: str = "Router") -> str:
    return next(listening.url for listening in node.listening if listening.role == role)


async def traffic(url: str, count: int, headers: dict[str, str] | None = None) -> None:
    """So many requests of several people, in two dialects, whole and streamed."""
    chance = random.Random(7)
    async with aiohttp.ClientSession(headers=headers) as session:
        for number in range(count):
            person, project = chance.choice(PEOPLE)
            model = chance.choice(["smart", "swift", "swift-mini", "auto"])
            messages = [{"role": "user", "content": chance.choice(QUESTIONS)}]
            body = {"model": model, "messages": messages, "user": person, "metadata": {"tags": project}}
            path = "/v1/chat/completions"
            if number % 4 == 3:
                path, body = "/v1/messages", {"model": model, "max_tokens": 300, "messages": messages}
            body["stream"] = number % 3 == 0
            more = {"x-session-id": f"{person}-{number // 9}"}
            async with session.post(url + path, json=body, headers=more) as response:
                await response.read()


def lessons() -> str:
    """JSON Lines: outcomes of a team's own evaluation: the cheap model does well on what is easy, the dear one on what is hard."""
    chance = random.Random(11)
    good = {"easy": (0.93, 0.95, 0.96), "hard": (0.25, 0.6, 0.92)}
    lines = []
    for number in range(360):
        kind = "easy" if number % 3 else "hard"
        prompt = chance.choice(EASY if kind == "easy" else HARD).format(chance.randint(2, 999))
        at = number % len(MODELS)
        score = float(chance.random() < good[kind][at])
        lines.append(json.dumps({"prompt": prompt, "target": f"lab/{list(MODELS)[at]}", "score": score}))
    return "\n".join(lines)


async def teach(url: str, headers: dict[str, str]) -> None:
    """Give the node those outcomes to learn from."""
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/admin/routing/import", data=lessons()) as response,
    ):
        response.raise_for_status()


async def _serve(port: int, requests: int, keys: bool) -> None:
    with TemporaryDirectory() as folder:
        async with console_node(Path(folder), port, keys=keys) as (node, _):
            url = _url(node)
            print(f"{url}/console#setup={await setup_link(node.opened[STATE])}", flush=True)
            await teach(url, {"authorization": f"Bearer {BOSS}"})
            await traffic(url, requests, {"authorization": f"Bearer {BOSS}"})
            await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=18080)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--keys", action="store_true", help="ask for keys; the administrator's is printed")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.port, given.requests, given.keys))
