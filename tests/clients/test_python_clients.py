"""Every Python client through the Router to every kind of provider: what a user sees is the same everywhere.

One Router serves all cells. What a vendor does not tell (cached tokens, say) or a client has no word for is named in the
tables beside them (`StandIn`, `Client.tells`), so a cell never asks for less than both can do.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from tests.clients import anthropic_sdk, google_sdk, mistral_sdk, ollama_sdk, openai_sdk
from tests.clients.seen import PNG, SYSTEM, Client, Seen, Tokens
from tests.conftest import provider
from tests.servers.dialects.model import CALLS, INPUT_TOKENS, MODEL, OUTPUT_TOKENS, SHAPED
from tests.servers.dialects.table import STAND_INS
from tests.servers.recorder import Recorder
from tests.servers.vendor import Vendor

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS: dict[str, tuple[Any, Callable[[Any, str], Client]]] = {
    "openai": (openai_sdk, openai_sdk.OpenAIChat),
    "openai_responses": (openai_sdk, openai_sdk.OpenAIResponses),
    "anthropic": (anthropic_sdk, anthropic_sdk.Anthropic),
    "google": (google_sdk, google_sdk.Google),
    "mistral": (mistral_sdk, mistral_sdk.Mistral),
    "ollama": (ollama_sdk, ollama_sdk.Ollama),
}
KINDS = pytest.mark.parametrize("kind", STAND_INS)
BY = pytest.mark.parametrize("by", CLIENTS)
WHOLE_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tap(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Recorder]:
    """A Router over a stand-in of every kind, each as the provider of that name, and a tap before it."""
    folder: Path = tmp_path_factory.mktemp("router")
    async with contextlib.AsyncExitStack() as stack:
        vendors = {
            kind: await stack.enter_async_context(Vendor(stand_in.answer).running())
            for kind, stand_in in STAND_INS.items()
        }
        file = folder / "node.toml"
        tables = (provider(vendor, name=kind, kind=kind) for kind, vendor in vendors.items())
        models = (f'models = ["{stand_in.model}"]' for stand_in in STAND_INS.values())
        file.write_text("".join(t.replace('models = ["m"]', m) for t, m in zip(tables, models, strict=True)))
        loaded = load(file, {}, {("server", "port"): 0, ("paths", "data_dir"): folder / "data"})
        node = await stack.enter_async_context(running(loaded, select("Router")))
        yield await stack.enter_async_context(Recorder(node.listening[0].port).running())


Begin = Callable[[str, str], Client]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def begin(tap: Recorder) -> AsyncIterator[Begin]:
    """Begin a conversation by a client with the model of a kind of provider."""
    sdks = {module: module.connect(tap.url) for module, _ in CLIENTS.values()}

    def open_(client: str, kind: str) -> Client:
        module, conversation = CLIENTS[client]
        return conversation(sdks[module], f"{kind}/{STAND_INS[kind].model}")

    yield open_
    for module, sdk in sdks.items():
        await module.disconnect(sdk)


def expected(client: Client, kind: str, text: str, finish: str = "stop", *, calls: bool = False) -> Seen:
    """What must be seen: the model's words, and as much of its usage as vendor and client have words for."""
    vendor = STAND_INS[kind]
    heard = {"cached": vendor.cached, "written": vendor.written, "thought": vendor.thought}
    told = {name: silence if heard[name] is None else heard[name] for name, silence in client.tells.items()}
    return Seen(
        text=text,
        calls=tuple((name, json.loads(arguments)) for _, name, arguments in CALLS) if calls else (),
        finish=client.words[finish],
        model=MODEL,
        tokens=Tokens(INPUT_TOKENS, OUTPUT_TOKENS, **told),
    )


@BY
@KINDS
@WHOLE_AND_STREAMED
async def test_a_chat(begin: Begin, by: str, kind: str, stream: bool) -> None:
    client = begin(by, kind)
    seen = await client.ask("Wie geht's, 東京?", stream=stream)
    assert seen == expected(client, kind, f"Grüezi 🌞! {SYSTEM} | Wie geht's, 東京?")


@BY
@KINDS
@WHOLE_AND_STREAMED
async def test_an_answer_that_was_cut_at_its_limit(begin: Begin, by: str, kind: str, stream: bool) -> None:
    client = begin(by, kind)
    seen = await client.ask("Go on.", max_tokens=5, stream=stream)
    assert seen == expected(client, kind, "Grüezi 🌞! Be", "length")


@BY
@KINDS
@WHOLE_AND_STREAMED
async def test_a_tool_loop_of_two_turns(begin: Begin, by: str, kind: str, stream: bool) -> None:
    client = begin(by, kind)
    seen = await client.ask("How is the weather?", tools=True, stream=stream)
    assert seen == expected(client, kind, "", "tools", calls=True)
    client.tell("sunny ☀", "rain")
    seen = await client.ask(None, tools=True, stream=stream)
    assert seen == expected(client, kind, "Told: sunny ☀; rain")


@BY
@KINDS
@WHOLE_AND_STREAMED
async def test_an_answer_shaped_by_a_schema(begin: Begin, by: str, kind: str, stream: bool) -> None:
    client = begin(by, kind)
    seen = await client.ask("Where?", schema=True, stream=stream)
    assert seen == expected(client, kind, SHAPED)


@BY
@KINDS
@WHOLE_AND_STREAMED
async def test_an_image(begin: Begin, by: str, kind: str, stream: bool) -> None:
    client = begin(by, kind)
    seen = await client.ask("What is this?", image=True, stream=stream)
    assert seen == expected(client, kind, f"I see image/png {PNG}")
