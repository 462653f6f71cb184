"""OpenAI's `file_search` tool through the Router: served from our own vector stores, whatever provider answers."""

from __future__ import annotations

from typing import Any

import aiohttp
import openai
import pytest

from intellirouter.roles.rag_manager import expiring
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER, STREAM
from tests.servers import fault_vendor as faults
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
            ({"vector_store_ids": [store], "ranking_options": {"ranker": "best"}}, "ranker"),
            ({"vector_store_ids": [store], "ranking_options": {"score_threshold": 3}}, "score_threshold"),
            ({"vector_store_ids": ["vs_0123456789abcdef01234567"]}, "not all here"),  # nobody's
        ):
            with pytest.raises(openai.BadRequestError, match=named):
                await client.responses.create(
                    model="primary/m", input="Cats?", tools=[{"type": "file_search", **wrong}]
                )


async def test_the_search_is_an_item_of_the_answer_and_is_not_told_to_a_vendor(
    start_node: StartNode, start_vendor: StartVendor
) -> None:
    vendor, client, store, file = await start(
        start_node, start_vendor, "openai_compatible", Play.json(ANSWER)
    )
    tools: Any = [{"type": "file_search", "vector_store_ids": [store]}]
    async with client:
        first = await client.responses.create(
            model="primary/m",
            input="When do cats sleep?",
            tools=tools,
            include=["file_search_call.results"],
        )
        search = first.output[0]
        assert search.type == "file_search_call"
        assert (search.status, search.queries) == ("completed", ["When do cats sleep?"])
        assert [(found.file_id, found.filename) for found in search.results or ()] == [(file, "cats.md")]
        assert "most of the day" in str((search.results or [])[0].text)
        assert (search.results or [])[0].attributes == {"kind": "cat"}
        assert first.output_text

        given_back: Any = [item.model_dump(exclude_none=True) for item in first.output]
        again = await client.responses.create(
            model="primary/m",
            input=[*given_back, {"role": "user", "content": "And dogs?"}],
            tools=tools,
            store=False,
        )
        assert "file_search_call" not in str(vendor.received[-1].json)
        search = again.output[0]
        assert search.type == "file_search_call"
        assert (search.queries, search.results) == (["And dogs?"], None)
        unsearched = await client.responses.create(
            model="primary/m", input="Dogs?", tools=tools, tool_choice="none", store=False
        )
        assert [item.type for item in unsearched.output] == ["message"]
        await client.responses.create(model="primary/m", input="Why?", previous_response_id=first.id)
        sent = vendor.received[-1].json
        assert "file_search_call" not in str(sent)
        assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]


async def test_a_store_that_expired_is_not_searched_by_a_model_either(
    start_node: StartNode, start_vendor: StartVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client, store, _ = await start(start_node, start_vendor, "openai_compatible", Play.json(ANSWER))
    tools: Any = [{"type": "file_search", "vector_store_ids": [store]}]
    async with client:
        await client.vector_stores.update(store, expires_after={"anchor": "last_active_at", "days": 1})
        await client.responses.create(model="primary/m", input="When do cats sleep?", tools=tools)
        monkeypatch.setattr(expiring, "DAY", -1e9)
        with pytest.raises(openai.BadRequestError, match="expired"):
            await client.responses.create(model="primary/m", input="When do cats sleep?", tools=tools)


AT_ONCE = (faults.chunk({"role": "assistant", "content": "R-8"}), faults.chunk({"content": "f4."}))


@pytest.mark.parametrize("chunks", [STREAM, (*AT_ONCE, faults.chunk({}, "stop"), b"[DONE]")])
async def test_a_stream_tells_of_the_search_before_the_words(
    start_node: StartNode, start_vendor: StartVendor, chunks: tuple[bytes, ...]
) -> None:
    _, client, store, _ = await start(start_node, start_vendor, "openai_compatible", Play.sse(*chunks))
    tools: Any = [{"type": "file_search", "vector_store_ids": [store]}]
    async with client:
        stream = await client.responses.create(
            model="primary/m", input="When do cats sleep?", tools=tools, stream=True
        )
        events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    begin = kinds.index("response.output_item.added")
    assert kinds[begin : begin + 6] == [
        "response.output_item.added",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.output_item.done",
        "response.output_item.added",
    ]
    last = events[-1]
    assert last.type == "response.completed"
    assert [item.type for item in last.response.output] == ["file_search_call", "message"]
