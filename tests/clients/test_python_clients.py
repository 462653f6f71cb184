"""Every Python client through the Router to every kind of provider: what a user sees is the same everywhere.

One Router serves all cells. What a vendor does not tell (cached tokens, say) or a client has no word for is named in the
tables beside them (`StandIn`, `Client.tells`), so a cell never asks for less than both can do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.clients import anthropic_sdk, google_sdk, mistral_sdk, ollama_sdk, openai_sdk
from tests.clients.seen import PNG, SYSTEM, Client, expected
from tests.clients.strict import faults
from tests.servers.dialects.anthropic import SIGNATURE as ANTHROPIC_SIGNATURE
from tests.servers.dialects.google import SIGNATURE
from tests.servers.dialects.model import SHAPED, THOUGHT
from tests.servers.dialects.openai_responses import SEALED
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


Begin = Callable[[str, str], Client]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def begin(tap: Recorder) -> AsyncIterator[Begin]:
    """Begin a conversation by a client with the model of a kind of provider."""
    sdks = {module: module.connect(tap.url) for module, _ in CLIENTS.values()}

    def open_(client: str, kind: str) -> Client:
        tap.answers.clear()
        module, conversation = CLIENTS[client]
        return conversation(sdks[module], f"{kind}/{STAND_INS[kind].model}")

    yield open_
    for module, sdk in sdks.items():
        await module.disconnect(sdk)


@pytest.fixture(autouse=True)
def every_answer_is_as_the_sdk_defines_it(tap: Recorder, request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    spec = getattr(request.node, "callspec", None)
    if spec is None or "by" not in spec.params:
        return
    by = spec.params["by"]
    assert tap.answers
    assert [fault for answer in tap.answers for fault in faults(by, answer)] == []


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


THINKERS = ["huggingface", "openai_responses", "mistral", "anthropic", "google", "ollama"]
SEALS = {"anthropic": ANTHROPIC_SIGNATURE, "google": SIGNATURE, "openai_responses": SEALED}


@BY
@pytest.mark.parametrize("kind", THINKERS)
@WHOLE_AND_STREAMED
async def test_thoughts_are_seen_and_come_back_to_who_thought_them(
    begin: Begin, by: str, kind: str, stream: bool
) -> None:
    client = begin(by, kind)
    seen = await client.ask("Think hard.", stream=stream)
    assert seen == expected(client, kind, "Thought so.", thought=THOUGHT)
    seen = await client.ask("And now?", stream=stream)
    sealed = SEALS.get(kind)
    if sealed and (by == "ollama" or (kind == "google" and by != "google")):  # no place for what seals it
        assert seen.text.startswith("Grüezi")
    else:
        assert seen.text == f"Remembered: {THOUGHT}" + (f" {sealed}" if sealed else "")


@pytest.mark.parametrize("by", ["openai", "openai_responses", "anthropic", "google"])
@WHOLE_AND_STREAMED
async def test_the_signature_of_a_call_comes_back_to_the_vendor_who_signed_it(
    begin: Begin, by: str, stream: bool, vendors: dict[str, Vendor]
) -> None:
    client = begin(by, "google")
    await client.ask("How is the weather?", tools=True, stream=stream)
    client.tell("sunny", "rain")
    await client.ask(None, tools=True, stream=stream)
    parts = [part for content in vendors["google"].received[-1].json["contents"] for part in content["parts"]]
    calls = [part for part in parts if "functionCall" in part]
    signed = [part.get("thoughtSignature", "").translate(str.maketrans("-_", "+/")) for part in calls]
    assert signed == [SIGNATURE, ""]


OF_EACH_DIALECT = ["openai", "openai_responses", "mistral", "anthropic", "google", "ollama"]


@BY
@pytest.mark.parametrize("first", OF_EACH_DIALECT)
async def test_a_conversation_with_thoughts_and_calls_goes_on_with_any_vendor(
    begin: Begin, by: str, first: str
) -> None:
    """What one vendor sealed is nothing to another: it is left out, and the rest is understood."""
    for second in OF_EACH_DIALECT:
        client: Any = begin(by, first)
        assert (await client.ask("Think hard.")).text == "Thought so."
        assert (await client.ask("How is the weather?", tools=True)).calls
        client.tell("sunny ☀", "rain")
        client._model = f"{second}/{STAND_INS[second].model}"
        assert (await client.ask(None, tools=True)).text == "Told: sunny ☀; rain"
        client._model = f"{first}/{STAND_INS[first].model}"  # and back again
        assert (await client.ask("And now?")).text == "Told: sunny ☀; rain"


async def test_no_vendor_is_sent_what_only_we_can_read(
    begin: Begin, vendors: dict[str, Vendor], tap: Recorder
) -> None:
    """A conversation that Gemini began goes on with the vendors whose dialects the seals are in."""
    for by, kind in (("anthropic", "anthropic"), ("openai_responses", "openai_responses")):
        client: Any = begin(by, "google")
        await client.ask("How is the weather?", tools=True)
        client.tell("sunny", "rain")
        client._model = f"{kind}/m"
        assert (await client.ask(None, tools=True)).text == "Told: sunny; rain"
        assert b"intellirouter" not in vendors[kind].received[-1].body
