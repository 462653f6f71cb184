"""OpenAI's `file_search` tool through the Router: served from our own vector stores, whatever provider answers."""

from __future__ import annotations

from typing import Any

import aiohttp
import openai
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER
from tests.servers.minilm import minilm
from tests.servers.vendor import Play, Vendor

CLAUDE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "In the day [1]."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 3},
}


async def start(
    start_node: StartNode, start_vendor: StartVendor, kind: str, answer: Play
) -> tuple[Vendor, openai.AsyncOpenAI, str, str]:
    """A vendor, a client of the Router, a vector store with one file, and the file's id."""
    vendor = await start_vendor(answer)
    toml = (
        provider(vendor, kind=kind) + f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n'
    )
    node = await start_node(toml, role="All")
    urls = {each.role: each.url for each in node.listening}
    async with openai.AsyncOpenAI(base_url=f"{urls['RagManager']}/v1", api_key="any") as rag:
        store = await rag.vector_stores.create(name="Animals")
        file = await rag.vector_stores.files.upload_and_poll(
            vector_store_id=store.id,
            file=("cats.md", b"# Cats\n\nA cat sleeps for most of the day."),
            attributes={"kind": "cat"},
            poll_interval_ms=50,
        )
        assert file.status == "completed"
    client = openai.AsyncOpenAI(base_url=f"{urls['Router']}/v1", api_key="any", max_retries=0)
    return vendor, client, store.id, file.id


@pytest.mark.parametrize(
    ("kind", "answer"), [("openai_compatible", Play.json(ANSWER)), ("anthropic", Play.json(CLAUDE))]
)
async def test_responses_with_file_search_are_answered_from_our_stores(
    start_node: StartNode, start_vendor: StartVendor, kind: str, answer: Play
) -> None:
    vendor, client, store, file = await start(start_node, start_vendor, kind, answer)
    search = {"type": "file_search", "vector_store_ids": [store], "max_num_results": 3}
    function = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}
    async with client:
        reply = await client.responses.create(
            model="primary/m",
            input="When do cats sleep?",
            tools=[search, function],  # type: ignore[list-item]
            tool_choice={"type": "file_search"},
        )
    (message,) = [item for item in reply.output if item.type == "message"]
    (text,) = message.content
    assert text.type == "output_text"
    assert [(note.type, note.filename, note.file_id) for note in text.annotations] == [  # type: ignore[union-attr]
        ("file_citation", "cats.md", file)
    ]
    sent = vendor.received[-1].json
    assert "sleeps for most of the day" in str(sent["messages"])
    assert str(sent["tools"]).count("name") == 1  # the function alone
    assert "file_search" not in str(sent)


async def test_filters_narrow_it_and_a_wrong_tool_says_what_is_wrong(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor, client, store, _ = await start(start_node, start_vendor, "openai_compatible", Play.json(ANSWER))
    dogs = {"type": "eq", "key": "kind", "value": "dog"}
    async with client:
        tool = {"type": "file_search", "vector_store_ids": [store], "filters": dogs}
        await client.responses.create(model="primary/m", input="When do cats sleep?", tools=[tool])  # type: ignore[list-item]
        assert "sleeps for most" not in str(vendor.received[-1].json)
        for wrong, named in (
            ({"vector_store_ids": []}, "vector_store_ids"),
            ({"vector_store_ids": [store], "max_num_results": 51}, "max_num_results"),
            ({"vector_store_ids": ["vs_0123456789abcdef01234567"]}, "file_search"),  # nobody's
        ):
            with pytest.raises(openai.BadRequestError, match=named):
                await client.responses.create(
                    model="primary/m", input="Cats?", tools=[{"type": "file_search", **wrong}]
                )
