"""Generated conversations through guards that mask and restore: each client with each kind of provider, whose model repeats what it was shown.

The model's answers come letter by letter, so that every placeholder is cut at each place, as text, as arguments of a tool and as JSON of a
schema. `python -m tests.clients.guarded 500` runs as many as are asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from scripts.benchmarks.guard_texts import KINDS
from tests.clients.test_python_clients import CLIENTS
from tests.conftest import provider
from tests.servers.dialects.model import Asked, Said
from tests.servers.dialects.table import STAND_INS
from tests.servers.vendor import Vendor

GUARDS = "".join(
    f'[[guards]]\nname = "{kind}"\nkind = "{kind}"\naction = "mask-restore"\n' for kind in ("secret", "pii")
)
PROVIDERS = ("openai", "openai_responses", "mistral", "anthropic", "google", "ollama")
PLANTED = ("email", "phone", "card", "iban", "national_id", "ip", "secret")
AT_ONCE = 8


def repeat(asked: Asked) -> Said:
    """What was shown last, in whatever form is asked for."""
    words = asked.user[-1]
    if asked.schema is not None:
        return Said(tuple(json.dumps({"city": words, "days": 1})))
    if asked.tools:
        return Said(calls=(("call_a1", "weather", json.dumps({"city": words, "days": 1})),))
    return Said(tuple(words))


@contextlib.asynccontextmanager
async def node(folder: Path) -> AsyncIterator[tuple[str, dict[str, Vendor]]]:
    """A Router with guards over a provider of each kind."""
    async with contextlib.AsyncExitStack() as stack:
        vendors = {
            kind: await stack.enter_async_context(
                Vendor(partial(STAND_INS[kind].answer, brain=repeat)).running()
            )
            for kind in PROVIDERS
        }
        tables = (
            provider(vendor, name=kind, kind=kind).replace(
                'models = ["m"]', f'models = ["{STAND_INS[kind].model}"]'
            )
            for kind, vendor in vendors.items()
        )
        file = folder / "node.toml"
        file.write_text(GUARDS + "".join(tables))
        loaded = load(file, {}, {("server", "port"): 0, ("paths", "data_dir"): folder / "data"})
        started = await stack.enter_async_context(running(loaded, select("Router")))
        yield started.listening[0].url, vendors


async def conversation(number: int, sdks: dict[Any, Any]) -> list[str]:
    """One of them; what was planted in it. Raises `AssertionError` where the caller does not get it back as it was."""
    draw = random.Random(number)
    client = list(CLIENTS)[number % len(CLIENTS)]
    kind = PROVIDERS[number // len(CLIENTS) % len(PROVIDERS)]
    module, begin = CLIENTS[client]
    talk = begin(sdks[module], f"{kind}/{STAND_INS[kind].model}")
    planted = []
    turns = draw.sample([{}, {"schema": True}, {"tools": True}], 2)  # calls end it: they are told no result
    turns.sort(key=lambda turn: "tools" in turn)
    for turn in turns:
        words = [f"Turn {number}:"]
        for one in draw.sample(PLANTED, draw.randint(1, 3)):
            value, around = KINDS[one][0](draw)
            planted.append(value)
            words.append(draw.choice(("see {};", "{};", "«{}»;")).format(around.format(value)))
        said = " ".join(words)
        seen = await talk.ask(said, stream=draw.random() < 0.7, **turn)
        got = seen.calls[0][1]["city"] if "tools" in turn else seen.text
        got = json.loads(got)["city"] if "schema" in turn else got
        assert got == said, (client, kind, turn, said, got)
    return planted


async def campaign(url: str, vendors: dict[str, Vendor], numbers: range) -> int:
    """Run them, some at once; how many requests the vendors saw. Raises `AssertionError` where one saw what it must not."""
    sdks = {module: module.connect(url) for module, _ in CLIENTS.values()}
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> list[str]:
        async with places:
            return await conversation(number, sdks)

    planted = [value for values in await asyncio.gather(*map(one, numbers)) for value in values]
    for module, sdk in sdks.items():
        await module.disconnect(sdk)
    bodies = [(kind, request.body) for kind, vendor in vendors.items() for request in vendor.received]
    for kind, body in bodies:
        shown = body.decode() + json.dumps(json.loads(body), ensure_ascii=False)
        leaked = [value for value in planted if value in shown]
        assert not leaked, (kind, leaked, shown)
    return len(bodies)


async def _main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with node(Path(folder)) as (url, vendors):
            seen = await campaign(url, vendors, range(count))
    sys.stdout.write(
        f"{count} conversations, {seen} requests, nothing planted was seen, all of it came back\n"
    )


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
