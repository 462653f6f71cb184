"""What an answer rests on, between clients and vendors that cite differently; and tools only Gemini runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from google import genai
from google.genai import errors as google_errors
from google.genai import types as google_types

from tests.clients import anthropic_sdk, google_sdk, openai_sdk
from tests.clients.seen import TOOL
from tests.clients.strict import faults
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.dialects.table import STAND_INS
from tests.servers.recorder import Recorder
from tests.servers.vendor import Play, Received

WORDS = "Grüezi. It is sunny in Zürich."
URL, TITLE, SPAN = "https://weather.example/zh", "Weather", (8, 30)
CITED = {"url": URL, "title": TITLE, "start_index": SPAN[0], "end_index": SPAN[1]}
GROUNDING = {
    "webSearchQueries": ["weather zürich"],
    "groundingChunks": [{"web": {"uri": URL, "title": TITLE}}],
    "groundingSupports": [
        {
            "segment": {"startIndex": 9, "endIndex": 32, "text": WORDS[8:]},  # bytes
            "groundingChunkIndices": [0],
        }
    ],
}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def google_vendor(request: Received) -> Play:
    """Answers with what it found, in two pieces where it streams, and shows the code it ran."""
    ran: list[dict[str, Any]] = []
    if any("codeExecution" in tool for tool in request.json.get("tools") or ()):
        ran.append({"executableCode": {"language": "PYTHON", "code": "print(1)"}})
        ran.append({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}})

    def chunk(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "g", "responseId": "r"}

    end = {"finishReason": "STOP", "groundingMetadata": GROUNDING}
    if "alt=sse" not in request.path:
        return Play.json(chunk(*ran, {"text": WORDS}, **end))
    pieces = [chunk(*ran, {"text": WORDS[:10]}), chunk({"text": WORDS[10:]}), chunk({"text": ""}, **end)]
    return Play.sse(*(json.dumps(piece).encode() for piece in pieces))


def openai_vendor(request: Received) -> Play:
    """A model that searches by itself."""
    note = {"type": "url_citation", "url_citation": CITED}
    head = {"id": "c", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    if not request.json.get("stream"):
        message = {"role": "assistant", "content": WORDS, "refusal": None, "annotations": [note]}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return Play.json({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
    deltas = [{"role": "assistant", "content": ""}, {"content": WORDS[:10]}, {"content": WORDS[10:]}]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": d, "finish_reason": None} for d in deltas]
    choices.append({"index": 0, "delta": {"annotations": [note]}, "finish_reason": None})
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks = [{**head, "object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
    chunks.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    return Play.sse(*(json.dumps(chunk).encode() for chunk in chunks), b"[DONE]")


def anthropic_vendor(request: Received) -> Play:
    """Cites by a block of its own."""
    before, after = WORDS[: SPAN[0]], WORDS[SPAN[0] :]
    found = {"type": "web_search_result_location", "url": URL, "title": TITLE, "cited_text": "sun"}
    citation = {**found, "encrypted_index": "Eo8B"}
    usage = {"input_tokens": 3, "output_tokens": 4}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    if not request.json.get("stream"):
        blocks = [{"type": "text", "text": before}, {"type": "text", "text": after, "citations": [citation]}]
        ended = {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
        return Play.json({**head, "content": blocks, **ended})
    begun = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, text in enumerate((before, after)):
        deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": text}]
        if index:
            deltas.insert(0, {"type": "citations_delta", "citation": citation})
        block = {"type": "text", "text": ""}
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 4}})
    events.append({"type": "message_stop"})
    framed = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
    return Play(framed, headers={"content-type": "text/event-stream"})


VENDORS: dict[str, Callable[[Received], Play]] = {
    "openai": openai_vendor,
    "anthropic": anthropic_vendor,
    "google": google_vendor,
}


async def by_chat(url: str, stream: bool) -> list[dict[str, Any]]:
    client = openai_sdk.connect(url)
    ask: Any = {"model": "primary/m", "messages": [{"role": "user", "content": "x"}]}
    if stream:
        chunks = [chunk async for chunk in await client.chat.completions.create(**ask, stream=True)]
        notes = [
            note for c in chunks for note in c.model_dump()["choices"][0]["delta"].get("annotations") or ()
        ]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    else:
        message = (await client.chat.completions.create(**ask)).choices[0].message
        notes, text = [note.model_dump() for note in message.annotations or ()], message.content or ""
    assert text == WORDS
    await openai_sdk.disconnect(client)
    return [note["url_citation"] for note in notes]


async def by_responses(url: str, stream: bool) -> list[dict[str, Any]]:
    client = openai_sdk.connect(url)
    if stream:
        events = [e async for e in await client.responses.create(model="primary/m", input="x", stream=True)]
        answer: Any = events[-1].response  # type: ignore[union-attr]
        added = [e.annotation for e in events if e.type == "response.output_text.annotation.added"]
        assert len(added) == 1
    else:
        answer = await client.responses.create(model="primary/m", input="x")
    assert answer.output_text == WORDS
    begin, found = 0, []
    for part in answer.output[0].content:
        for note in part.annotations:
            places = {"start_index": note.start_index + begin, "end_index": note.end_index + begin}
            found.append({"url": note.url, "title": note.title, **places})
        begin += len(part.text)
    await openai_sdk.disconnect(client)
    return found


async def by_messages(url: str, stream: bool) -> list[dict[str, Any]]:
    client = anthropic_sdk.connect(url)
    ask: Any = {"model": "primary/m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    if stream:
        async with client.messages.stream(**ask) as events:
            answer: Any = await events.get_final_message()
    else:
        answer = await client.messages.create(**ask)
    assert "".join(block.text for block in answer.content) == WORDS
    found = [citation for block in answer.content for citation in block.citations or ()]
    assert {citation.cited_text for citation in found} <= {WORDS[SPAN[0] :], "sun"}
    # What came back goes out again: no vendor may be sent what it did not seal itself.
    ask["messages"] += [
        {"role": "assistant", "content": [block.model_dump() for block in answer.content]},
        {"role": "user", "content": "y"},
    ]
    await client.messages.create(**ask)
    await anthropic_sdk.disconnect(client)
    return [{**CITED, "url": citation.url, "title": citation.title} for citation in found]


async def by_google(url: str, stream: bool) -> list[dict[str, Any]]:
    client = google_sdk.connect(url)
    if stream:
        stream_of = await client.models.generate_content_stream(model="primary/m", contents="x")
        chunks = [chunk async for chunk in stream_of]
    else:
        chunks = [await client.models.generate_content(model="primary/m", contents="x")]
    text = "".join(part.text or "" for chunk in chunks for part in chunk.candidates[0].content.parts or ())
    assert text == WORDS
    metadata = chunks[-1].candidates[0].grounding_metadata
    await google_sdk.disconnect(client)
    raw, found = WORDS.encode(), []
    for support in metadata.grounding_supports:
        (index,) = support.grounding_chunk_indices
        page, segment = metadata.grounding_chunks[index].web, support.segment
        start = len(raw[: segment.start_index or 0].decode())
        end = len(raw[: segment.end_index].decode())
        found.append({"url": page.uri, "title": page.title, "start_index": start, "end_index": end})
        assert segment.text == WORDS[start:end]
    return found


CLIENTS = {
    "openai": by_chat,
    "openai_responses": by_responses,
    "anthropic": by_messages,
    "google": by_google,
}


@STREAMED
@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize("by", CLIENTS)
async def test_a_page_that_was_cited_is_cited_to_every_client(
    start_node: StartNode, start_vendor: StartVendor, by: str, kind: str, stream: bool
) -> None:
    vendor = await start_vendor(VENDORS[kind])
    node = await start_node(provider(vendor, kind=kind))
    async with Recorder(node.listening[0].port).running() as tap:
        assert await CLIENTS[by](tap.url, stream) == [CITED]
        found = [fault for answer in tap.answers for fault in faults(by, answer)]
    assert not [fault for fault in found if not fault.endswith("delta.annotations: no such field")]
    last = vendor.received[-1].body
    assert b"web_search_result_location" not in last or (by, kind) == ("anthropic", "anthropic")
    assert b'"encrypted_index":""' not in last


def _config(*tools: google_types.Tool) -> google_types.GenerateContentConfig:
    return google_types.GenerateContentConfig(tools=list(tools))


SEARCH = google_types.Tool(google_search=google_types.GoogleSearch())
CODE = google_types.Tool(code_execution=google_types.ToolCodeExecution())


@STREAMED
async def test_what_gemini_runs_itself_reaches_it_and_comes_back_whole(
    start_node: StartNode, start_vendor: StartVendor, stream: bool
) -> None:
    vendor = await start_vendor(google_vendor)
    node = await start_node(provider(vendor, kind="google"))
    client = google_sdk.connect(node.listening[0].url)
    ask: Any = {"model": "primary/m", "contents": "x", "config": _config(SEARCH, CODE)}
    if stream:
        chunks = [chunk async for chunk in await client.models.generate_content_stream(**ask)]
    else:
        chunks = [await client.models.generate_content(**ask)]
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or ()]
    assert (parts[0].executable_code.code, parts[1].code_execution_result.output) == ("print(1)", "1\n")
    assert chunks[-1].candidates[0].grounding_metadata.web_search_queries == ["weather zürich"]
    assert vendor.received[0].json["tools"] == [{"googleSearch": {}}, {"codeExecution": {}}]
    await google_sdk.disconnect(client)


@pytest.mark.parametrize("kind", ["openai", "mistral", "ollama"])
async def test_what_only_gemini_runs_is_refused_elsewhere_or_left_out_with_a_note(
    start_node: StartNode, start_vendor: StartVendor, kind: str
) -> None:
    vendor = await start_vendor(STAND_INS[kind].answer)
    node = await start_node(provider(vendor, kind=kind))
    client: genai.client.AsyncClient = google_sdk.connect(node.listening[0].url)
    with pytest.raises(
        google_errors.ClientError, match="'googleSearch' is run by gemini providers"
    ) as refused:
        await client.models.generate_content(model="primary/m", contents="x", config=_config(SEARCH))
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert vendor.received == []
    name, description, parameters = TOOL
    function = google_types.FunctionDeclaration(
        name=name, description=description, parameters_json_schema=parameters
    )
    both = _config(SEARCH, google_types.Tool(function_declarations=[function]))
    answer: Any = await client.models.generate_content(model="primary/m", contents="x", config=both)
    assert len(answer.function_calls) == 2
    headers = {name.lower(): value for name, value in answer.sdk_http_response.headers.items()}
    assert "The tool 'googleSearch' was left out" in headers["x-intellirouter-notes"]
    await google_sdk.disconnect(client)
