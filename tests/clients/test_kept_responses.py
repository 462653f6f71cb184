"""`/v1/responses` over turns, by OpenAI's client: what is kept, for whom, how long, and how a request goes on from it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai.types.responses import Response, ResponseItemList

from tests.clients.seen import PNG, SYSTEM, TOOL
from tests.clients.strict import NO_FIELD, faults, object_faults
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.dialects.model import CALLS, INPUT_TOKENS
from tests.servers.dialects.openai_chat import openai as openai_vendor
from tests.servers.dialects.table import STAND_INS
from tests.servers.recorder import Recorder
from tests.servers.vendor import Vendor

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME, DESCRIPTION, PARAMETERS = TOOL
TOOLS: Any = [
    {"type": "function", "name": NAME, "description": DESCRIPTION, "parameters": PARAMETERS, "strict": True}
]
OUR_OWN = {f"Response.store{NO_FIELD}"}  # OpenAI sends it, its SDK has no field for it
KINDS = pytest.mark.parametrize("kind", STAND_INS)
Ask = Callable[..., Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tap: Recorder) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{tap.url}/v1", api_key="unused", max_retries=0) as opened:
        yield opened


async def ask(client: openai.AsyncOpenAI, stream: bool = False, **request: Any) -> Any:
    if not stream:
        return await client.responses.create(**request)
    return [event async for event in await client.responses.create(**request, stream=True)][-1].response  # type: ignore[union-attr]


def model_of(kind: str) -> str:
    return f"{kind}/{STAND_INS[kind].model}"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@KINDS
async def test_a_tool_loop_sends_only_what_is_new(
    client: openai.AsyncOpenAI, tap: Recorder, kind: str, stream: bool
) -> None:
    tap.answers.clear()
    request: Any = {"model": model_of(kind), "tools": TOOLS, "instructions": SYSTEM}
    first = await ask(client, stream, **request, input="How is the weather?")
    called = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in called] == [json.loads(words) for _, _, words in CALLS]
    results: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": words}
        for call, words in zip(called, ("sunny ☀", "rain"), strict=True)
    ]
    second = await ask(client, stream, **request, input=results, previous_response_id=first.id)
    assert second.output_text == "Told: sunny ☀; rain"
    assert second.previous_response_id == first.id != second.id
    kept = await client.responses.retrieve(second.id)
    assert kept.model_dump() == second.model_dump()
    assert [fault for answer in tap.answers for fault in faults("openai_responses", answer)] == []


async def test_every_turn_of_a_conversation_is_heard_by_the_next_vendor(
    client: openai.AsyncOpenAI, vendors: dict[str, Vendor]
) -> None:
    """Each turn goes to another vendor, and hears all that was said before; instructions are each turn's own."""
    last: str | None = None
    for turn, kind in enumerate(STAND_INS):
        answer = await ask(
            client, turn % 2 == 1, model=model_of(kind), input=f"turn {turn}", previous_response_id=last
        )
        words = " ".join(f"turn {number}" for number in range(turn + 1))
        assert answer.output_text == f"Grüezi 🌞!  | {words}"
        last = answer.id
    told = await client.responses.input_tokens.count(
        model="openai/m", input="And now?", previous_response_id=last
    )
    alone = await client.responses.input_tokens.count(model="openai/m", input="And now?")
    assert told.input_tokens > alone.input_tokens + 5 * len(STAND_INS)


async def test_the_vendor_of_the_same_dialect_keeps_nothing(
    client: openai.AsyncOpenAI, vendors: dict[str, Vendor]
) -> None:
    model, vendor = model_of("openai_responses"), vendors["openai_responses"]
    first = await ask(client, model=model, input="one", store=True, reasoning={"effort": "low"})
    second = await ask(client, True, model=model, input="two", previous_response_id=first.id)
    sent = vendor.received[-1].json
    assert "previous_response_id" not in sent
    assert [item["role"] for item in sent["input"]] == ["user", "assistant", "user"]
    assert not any("id" in item for item in sent["input"])
    assert [received.json["store"] for received in vendor.received[-2:]] == [False, False]
    assert vendor.received[-2].json["include"] == ["reasoning.encrypted_content"]
    assert second.output_text == "Grüezi 🌞!  | one two"


async def test_what_was_kept_is_found_listed_and_forgotten(client: openai.AsyncOpenAI, tap: Recorder) -> None:
    link = f"data:image/png;base64,{PNG}"
    picture = {"type": "input_image", "image_url": link, "detail": "low"}
    items: Any = [
        {"role": "user", "content": "One."},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": [{"type": "input_text", "text": "Three."}, picture]},
    ]
    answer = await client.responses.create(model="openai/m", input=items, metadata={"a": "b"})
    tap.answers.clear()
    assert (await client.responses.retrieve(answer.id)).metadata == {"a": "b"}
    assert set(object_faults(json.loads(tap.answers[-1].body), Response)) <= OUR_OWN
    listed = [item async for item in client.responses.input_items.list(answer.id, order="asc")]
    assert [item.role for item in listed] == ["user", "assistant", "user"]  # type: ignore[union-attr]
    assert object_faults(json.loads(tap.answers[-1].body), ResponseItemList) == []
    page = await client.responses.input_items.list(answer.id, limit=2)
    assert [item.id for item in page.data] == [listed[2].id, listed[1].id]
    assert page.has_more
    rest = [item async for item in client.responses.input_items.list(answer.id, limit=1)]
    assert [item.id for item in rest] == [item.id for item in reversed(listed)]
    with pytest.raises(openai.BadRequestError, match="no item"):
        await client.responses.input_items.list(answer.id, after="nope")
    with pytest.raises(openai.BadRequestError, match="between 1 and 100"):
        await client.responses.input_items.list(answer.id, limit=0)
    with pytest.raises(openai.BadRequestError, match="in the background can be cancelled"):
        await client.responses.cancel(answer.id)
    await client.responses.delete(answer.id)
    for gone in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError, match=f"Response with id '{answer.id}' not found"):
            await gone(answer.id)


async def test_one_answer_may_be_gone_on_from_twice(client: openai.AsyncOpenAI) -> None:
    root = await client.responses.create(model="openai/m", input="root")
    left, right = await asyncio.gather(
        *(
            client.responses.create(model="openai/m", input=word, previous_response_id=root.id)
            for word in ("left", "right")
        )
    )
    deep = await client.responses.create(model="openai/m", input="deep", previous_response_id=left.id)
    assert right.output_text == "Grüezi 🌞!  | root right"
    assert deep.output_text == "Grüezi 🌞!  | root left deep"
    await client.responses.delete(root.id)
    with pytest.raises(openai.BadRequestError, match=f"'{root.id}', which '{left.id}' goes on from") as gone:
        await client.responses.create(model="openai/m", input="x", previous_response_id=left.id)
    assert gone.value.param == "previous_response_id"


async def test_what_asks_not_to_be_kept_is_not(client: openai.AsyncOpenAI) -> None:
    first = await client.responses.create(model="openai/m", input="kept")
    for stream in (False, True):
        answer = await ask(
            client, stream, model="openai/m", input="not", store=False, previous_response_id=first.id
        )
        assert answer.output_text == "Grüezi 🌞!  | kept not"
        assert answer.previous_response_id == first.id
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(answer.id)


async def test_what_is_too_long_is_answered_and_says_that_it_was_not_kept(
    client: openai.AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intellirouter.memory.responses.MAX_BYTES", 100)
    for stream in (False, True):
        answer = await ask(client, stream, model="openai/m", input="long")
        assert (answer.output_text, answer.model_dump()["store"]) == ("Grüezi 🌞!  | long", False)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(answer.id)


async def test_what_cannot_be_done_is_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(
        openai.BadRequestError, match="Previous response with id 'resp_1' not found"
    ) as unknown:
        await client.responses.create(model="openai/m", input="x", previous_response_id="resp_1")
    assert unknown.value.param == "previous_response_id"
    with pytest.raises(openai.BadRequestError, match="'background' is not possible"):
        await client.responses.create(model="openai/m", input="x", background=True)
    first = await client.responses.create(model="openai/m", input="x")
    with pytest.raises(openai.BadRequestError, match="not from both"):
        await client.responses.create(
            model="openai/m", input="x", previous_response_id=first.id, conversation="c"
        )
    with pytest.raises(openai.BadRequestError, match="in the background can be streamed"):
        await client.responses.retrieve(first.id, stream=True)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve("resp_../x")


TEXT = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]
ONE_CALL = [
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]


@KINDS
async def test_every_event_of_a_stream_comes_in_its_order(client: openai.AsyncOpenAI, kind: str) -> None:
    request: Any = {"model": model_of(kind), "stream": True}
    events = [event async for event in await client.responses.create(**request, input="Tell me.")]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert [kind for place, kind in enumerate(kinds) if kind != kinds[place - 1] or not place] == TEXT
    pieces = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[-1].response.output_text == pieces == "Grüezi 🌞!  | Tell me."
    assert len({event.response.id for event in events if hasattr(event, "response")}) == 1
    assert (events[0].response.status, events[0].response.usage) == ("in_progress", None)
    assert events[-1].response.usage.input_tokens == INPUT_TOKENS

    events = [event async for event in await client.responses.create(**request, input="Go.", tools=TOOLS)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    of_item: dict[str, list[str]] = {}
    for event in events:
        if (
            place := getattr(event, "output_index", None)
        ) is not None and event.type not in of_item.setdefault(str(place), []):
            of_item[str(place)].append(event.type)
    calls = [item for item in events[-1].response.output if item.type == "function_call"]
    assert [seen for seen in of_item.values() if len(seen) == 4] == [ONE_CALL, ONE_CALL]
    assert [json.loads(call.arguments) for call in calls] == [json.loads(words) for _, _, words in CALLS]


@pytest.mark.asyncio(loop_scope="function")
async def test_one_tenant_never_sees_anothers_responses(
    start_node: StartNode, start_vendor: StartVendor
) -> None:
    keys = "".join(
        f'[[auth.keys]]\nname = "{name}"\ntenant = "{tenant}"\nscopes = ["inference"]\n'
        f'sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        for name, tenant in (("key-a1", "a"), ("key-a2", "a"), ("key-b", "b"))
    )
    vendor = await start_vendor(openai_vendor)
    node = await start_node(provider(vendor, kind="openai") + "[auth]\nenabled = true\n" + keys)
    first, same, other = (
        openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key=key, max_retries=0)
        for key in ("key-a1", "key-a2", "key-b")
    )
    answer = await first.responses.create(model="primary/m", input="mine")
    assert (await same.responses.retrieve(answer.id)).id == answer.id
    for gone in (other.responses.retrieve, other.responses.delete):
        with pytest.raises(openai.NotFoundError):
            await gone(answer.id)
    with pytest.raises(openai.NotFoundError):
        await other.responses.input_items.list(answer.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        await other.responses.create(model="primary/m", input="x", previous_response_id=answer.id)
    for client in (first, same, other):
        await client.close()


@pytest.mark.asyncio(loop_scope="function")
async def test_a_response_is_forgotten_after_its_time(
    start_node: StartNode, start_vendor: StartVendor
) -> None:
    vendor = await start_vendor(openai_vendor)
    node = await start_node(provider(vendor, kind="openai") + "[router]\nresponse_ttl = 0.4\n")
    async with openai.AsyncOpenAI(
        base_url=f"{node.listening[0].url}/v1", api_key="unused", max_retries=0
    ) as client:
        answer = await client.responses.create(model="primary/m", input="soon gone")
        assert (await client.responses.retrieve(answer.id)).id == answer.id
        async with asyncio.timeout(60):
            while True:
                try:
                    await client.responses.retrieve(answer.id)
                except openai.NotFoundError:
                    break
                await asyncio.sleep(0.05)
