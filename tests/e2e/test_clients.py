"""The official SDKs, unchanged, through the Router to vendors of either dialect."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import anthropic
import ollama
import openai
import pytest
from google import genai
from google.genai import types as google_types

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play, Received

ARGUMENTS = '{"city": "Zürich"}'


def openai_vendor(request: Received) -> Play:
    """Answers as OpenAI would: a tool call until a tool result is there, then text."""
    body = request.json
    called = any(message["role"] == "tool" for message in body["messages"])
    head = {"id": "chatcmpl-1", "created": 1, "model": "vendor-model"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    wants_tool = bool(body.get("tools")) and not called
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
    finish = "tool_calls" if wants_tool else "stop"
    if not body.get("stream"):
        message: dict[str, Any] = {"role": "assistant", "content": None if wants_tool else "It is sunny."}
        if wants_tool:
            message["tool_calls"] = [call]
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return Play.json({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return json.dumps({**head, "object": "chat.completion.chunk", "choices": [choice]}).encode()

    if wants_tool:
        empty = {**call, "index": 0, "function": {"name": "weather", "arguments": ""}}
        pieces = [chunk({"role": "assistant", "tool_calls": [empty]})]
        pieces += [chunk({"tool_calls": [{"index": 0, "function": {"arguments": c}}]}) for c in ARGUMENTS]
    else:
        pieces = [chunk({"role": "assistant", "content": ""})]
        pieces += [chunk({"content": word}) for word in ("It ", "is ", "sunny.")]
    last = json.dumps({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}).encode()
    return Play.sse(*pieces, chunk({}, finish), last, b"[DONE]")


def anthropic_vendor(request: Received) -> Play:
    """The same as Anthropic would."""
    body = request.json
    assert request.headers["x-api-key"] == "sk-secret-of-primary"
    called = "tool_result" in request.body.decode()
    wants_tool = bool(body.get("tools")) and not called
    reason = "tool_use" if wants_tool else "end_turn"
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "vendor-model"}
    if not body.get("stream"):
        tool = {"type": "tool_use", "id": "call_1", "name": "weather", "input": json.loads(ARGUMENTS)}
        content = [tool if wants_tool else {"type": "text", "text": "It is sunny."}]
        usage = {"input_tokens": 10, "output_tokens": 5}
        return Play.json(
            {**head, "content": content, "stop_reason": reason, "stop_sequence": None, "usage": usage}
        )
    if wants_tool:
        block: dict[str, Any] = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": c} for c in ARGUMENTS]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": word} for word in ("It ", "is ", "sunny.")]
    empty = {"content": [], "stop_reason": None, "stop_sequence": None}
    started = {**head, **empty, "usage": {"input_tokens": 10, "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": started},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    text = b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)
    return Play([text], headers={"content-type": "text/event-stream"})


def ollama_vendor(request: Received) -> Play:
    """The same as Ollama would."""
    body = request.json
    wants_tool = bool(body.get("tools")) and not any(
        message["role"] == "tool" for message in body["messages"]
    )
    head = {"model": "vendor-model", "created_at": "2026-01-01T00:00:00Z"}
    done = {"done": True, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 5}
    call = {"function": {"name": "weather", "arguments": json.loads(ARGUMENTS)}}
    message: dict[str, Any] = {"role": "assistant", "content": "" if wants_tool else "It is sunny."}
    if wants_tool:
        message["tool_calls"] = [call]
    if not body["stream"]:
        return Play.json({**head, "message": message, **done})
    words = [message]
    if not wants_tool:
        words = [{"role": "assistant", "content": word} for word in ("It ", "is ", "sunny.")]
    lines = [{**head, "message": word, "done": False} for word in words]
    lines.append({**head, "message": {"role": "assistant", "content": ""}, **done})
    return Play([json.dumps(line).encode() + b"\n" for line in lines])


def google_vendor(request: Received) -> Play:
    """The same as Google would; the model stands in the path and the body is Gemini's alone."""
    body = request.json
    assert request.headers["x-goog-api-key"] == "sk-secret-of-primary"
    assert "model" not in body
    assert "stream" not in body
    wants_tool = bool(body.get("tools")) and "functionResponse" not in request.body.decode()
    call = {"functionCall": {"name": "weather", "args": json.loads(ARGUMENTS)}, "thoughtSignature": "c2ln"}
    words = [call] if wants_tool else [{"text": word} for word in ("It ", "is ", "sunny.")]
    head = {"modelVersion": "vendor-model", "responseId": "r1"}
    usage = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 15,
    }

    def said(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **more}], **head}

    if ":streamGenerateContent?alt=sse" not in request.path:
        return Play.json(said(*words, finishReason="STOP") | {"usageMetadata": usage})
    last = said({"text": ""}, finishReason="STOP") | {"usageMetadata": usage}
    return Play.sse(*(json.dumps(said(word)).encode() for word in words), json.dumps(last).encode())


def responses_vendor(request: Received) -> Play:
    """The same as OpenAI would by its Responses API."""
    body = request.json
    assert request.path == "/v1/responses"
    wants_tool = bool(body.get("tools")) and "function_call_output" not in request.body.decode()
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    }
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "vendor-model", "error": None}
    head |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "incomplete_details": None}
    head["instructions"] = body.get("instructions")
    pieces = list(ARGUMENTS) if wants_tool else ["It ", "is ", "sunny."]
    if wants_tool:
        item: dict[str, Any] = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather"}
        item |= {"status": "completed", "arguments": ARGUMENTS}
        begun = {**item, "arguments": ""}
    else:
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        item["content"] = [{"type": "output_text", "text": "It is sunny.", "annotations": []}]
        begun = {**item, "content": []}
    whole = {**head, "status": "completed", "output": [item], "usage": usage}
    if not body.get("stream"):
        return Play.json(whole)
    started = {**head, "status": "in_progress", "output": []}
    events: list[dict[str, Any]] = [
        {"type": f"response.{k}", "response": started} for k in ("created", "in_progress")
    ]
    events.append({"type": "response.output_item.added", "output_index": 0, "item": begun})
    here = {"item_id": item["id"], "output_index": 0}
    if wants_tool:
        kind = "response.function_call_arguments.delta"
    else:
        kind, here = "response.output_text.delta", {**here, "content_index": 0}
        empty = {"type": "output_text", "text": "", "annotations": []}
        events.append({"type": "response.content_part.added", **here, "part": empty})
    events += [{"type": kind, **here, "delta": piece} for piece in pieces]
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": whole})
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    text = b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in numbered)
    return Play([text], headers={"content-type": "text/event-stream"})


VENDORS: dict[str, Callable[[Received], Play]] = {
    "openai": openai_vendor,
    "anthropic": anthropic_vendor,
    "google": google_vendor,
    "mistral": openai_vendor,
    "ollama": ollama_vendor,
    "openai_responses": responses_vendor,
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(params=sorted(VENDORS))
async def url(request: pytest.FixtureRequest, start_node: StartNode, start_vendor: StartVendor) -> str:
    """The Router in front of a vendor of each dialect."""
    vendor = await start_vendor(VENDORS[request.param])
    node = await start_node(provider(vendor, kind=request.param))
    return node.listening[0].url


@pytest.mark.parametrize("stream", [False, True])
async def test_the_openai_client_runs_a_tool_loop(url: str, stream: bool) -> None:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "How is the weather there?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        },
    ]
    for turn in range(2):
        if stream:
            async with client.chat.completions.stream(
                model="primary/m", messages=messages, tools=tools, stream_options={"include_usage": True}
            ) as events:
                async for _ in events:
                    pass
                answer: Any = await events.get_final_completion()
        else:
            answer = await client.chat.completions.create(model="primary/m", messages=messages, tools=tools)
        message = answer.choices[0].message
        assert (answer.model, answer.usage.prompt_tokens, answer.usage.completion_tokens) == (
            "vendor-model",
            10,
            5,
        )
        if turn == 0:
            assert answer.choices[0].finish_reason == "tool_calls"
            call = message.tool_calls[0]
            assert json.loads(call.function.arguments) == json.loads(ARGUMENTS)
            messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
    assert (message.content, answer.choices[0].finish_reason) == ("It is sunny.", "stop")
    await client.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_the_openai_client_runs_a_tool_loop_of_responses(url: str, stream: bool) -> None:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    tools: Any = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    picture = {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"}
    question = {"type": "input_text", "text": "How is the weather there?"}
    items: list[Any] = [{"role": "user", "content": [question, picture]}]
    for turn in range(2):
        ask: Any = {"model": "primary/m", "instructions": "Be brief.", "input": items, "tools": tools}
        if stream:
            async with client.responses.stream(**ask) as events:
                kinds = [event.type async for event in events]
                answer: Any = await events.get_final_response()
            assert (kinds[:2], kinds[-1]) == (
                ["response.created", "response.in_progress"],
                "response.completed",
            )
        else:
            answer = await client.responses.create(**ask)
        assert (answer.model, answer.status, answer.instructions) == (
            "vendor-model",
            "completed",
            "Be brief.",
        )
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 5)
        if turn == 0:
            (call,) = [item for item in answer.output if item.type == "function_call"]
            assert json.loads(call.arguments) == json.loads(ARGUMENTS)
            items += [item.model_dump(exclude_none=True) for item in answer.output]
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    assert answer.output_text == "It is sunny."
    await client.close()


async def test_a_response_that_would_have_to_be_kept_is_refused(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError, match="not kept here yet") as refused:
            await client.responses.create(model="primary/m", input="x", previous_response_id="resp_1")
        assert refused.value.param == "previous_response_id"
        with pytest.raises(openai.BadRequestError, match="not kept here yet"):
            await client.responses.create(model="primary/m", input="x", background=True)
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            await client.responses.create(model="nope", input="x")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_anthropic_client_runs_a_tool_loop(url: str, stream: bool) -> None:
    client = anthropic.AsyncAnthropic(base_url=url, api_key="unused", max_retries=0)
    tools: Any = [{"name": "weather", "input_schema": SCHEMA}]
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Zürich?"}]
    for turn in range(2):
        request: Any = {"model": "primary/m", "max_tokens": 100, "messages": messages, "tools": tools}
        if stream:
            async with client.messages.stream(**request) as events:
                answer = await events.get_final_message()
        else:
            answer = await client.messages.create(**request)
        assert (answer.model, answer.usage.input_tokens, answer.usage.output_tokens) == (
            "vendor-model",
            10,
            5,
        )
        if turn == 0:
            assert answer.stop_reason == "tool_use"
            call: Any = answer.content[0]
            assert call.input == json.loads(ARGUMENTS)
            messages.append(
                {"role": "assistant", "content": [block.model_dump() for block in answer.content]}
            )
            result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
            messages.append({"role": "user", "content": [result]})
    last: Any = answer.content[0]
    assert (last.text, answer.stop_reason) == ("It is sunny.", "end_turn")
    await client.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_the_ollama_client_runs_a_tool_loop(url: str, stream: bool) -> None:
    client = ollama.AsyncClient(host=url)
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    messages: list[Any] = [{"role": "user", "content": "How is the weather?", "images": ["aGk="]}]
    for turn in range(2):
        text, calls, last = "", [], None
        if stream:
            async for last in await client.chat("primary/m", messages, tools=tools, stream=True):
                text += last.message.content or ""
                calls += last.message.tool_calls or []
        else:
            last = await client.chat("primary/m", messages, tools=tools)
            text, calls = last.message.content or "", list(last.message.tool_calls or [])
        assert last is not None
        assert (last.model, last.done, last.prompt_eval_count, last.eval_count) == (
            "vendor-model",
            True,
            10,
            5,
        )
        if turn == 0:
            assert calls[0].function.arguments == json.loads(ARGUMENTS)
            messages.append({"role": "assistant", "tool_calls": [call.model_dump() for call in calls]})
            messages.append({"role": "tool", "tool_name": "weather", "content": "sunny"})
    assert (text, calls) == ("It is sunny.", [])


async def test_what_the_ollama_client_asks_of_models_is_answered(url: str) -> None:
    client = ollama.AsyncClient(host=url)
    assert [model.model for model in (await client.list()).models] == ["primary/m"]
    assert "completion" in ((await client.show("primary/m")).capabilities or [])
    assert (await client.ps()).models == []
    answer = await client.generate("primary/m", "How is the weather?", system="Be brief.")
    assert answer.response == "It is sunny."
    words = [piece.response async for piece in await client.generate("primary/m", "So?", stream=True)]
    assert "".join(words) == "It is sunny."
    with pytest.raises(ollama.ResponseError, match="does not exist"):
        await client.chat("nope", [{"role": "user", "content": "x"}])


@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_embeddings_are_split_to_the_providers_limit_and_joined_in_order(
    start_node: StartNode, start_vendor: StartVendor, kind: str
) -> None:
    def vendor(request: Received) -> Play:
        inputs = request.json["input"]
        vectors = [[float(text), 0.5] for text in inputs]
        if kind == "ollama":
            return Play.json({"model": "e", "embeddings": vectors, "prompt_eval_count": len(inputs)})
        data = [
            {"index": i, "object": "embedding", "embedding": v} for i, v in reversed(list(enumerate(vectors)))
        ]
        return Play.json(
            {"model": "e", "data": data, "usage": {"prompt_tokens": len(inputs), "total_tokens": 1}}
        )

    stand_in = await start_vendor(vendor)
    node = await start_node(provider(stand_in, kind=kind))
    texts = [str(number) for number in range(2_500)]
    client = openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key="unused", max_retries=0)
    answer = await client.embeddings.create(model="primary/m", input=texts)  # asks for base64
    assert [item.embedding for item in answer.data] == [[float(text), 0.5] for text in texts]
    assert answer.usage.prompt_tokens == 2_500
    assert len(stand_in.received) == (2 if kind == "openai" else 5)
    await client.close()
    theirs = ollama.AsyncClient(host=node.listening[0].url)
    assert (await theirs.embed("primary/m", ["7", "8"])).embeddings == [[7.0, 0.5], [8.0, 0.5]]


async def test_an_error_reaches_each_client_as_its_own_kind(url: str) -> None:
    ours = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        await ours.chat.completions.create(model="nope", messages=[{"role": "user", "content": "x"}])
    theirs = anthropic.AsyncAnthropic(base_url=url, api_key="unused", max_retries=0)
    with pytest.raises(anthropic.NotFoundError, match="does not exist"):
        await theirs.messages.create(model="nope", max_tokens=5, messages=[{"role": "user", "content": "x"}])
    with pytest.raises(anthropic.NotFoundError) as refused:
        await theirs.messages.count_tokens(model="nope", messages=[{"role": "user", "content": "x"}])
    body: Any = refused.value.body
    assert refused.value.request_id is not None
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    assert body["request_id"] == refused.value.request_id
    await ours.close()
    await theirs.close()


async def test_the_anthropic_client_lists_models_counts_tokens_and_knows_the_request(url: str) -> None:
    client = anthropic.AsyncAnthropic(base_url=url, api_key="unused", max_retries=0)
    assert [(model.id, model.type) async for model in client.models.list()] == [("primary/m", "model")]
    assert (await client.models.retrieve("primary/m")).display_name == "primary/m"
    said: list[Any] = [{"role": "user", "content": "How is the weather in Zürich?"}]
    assert 5 < (await client.messages.count_tokens(model="primary/m", messages=said)).input_tokens < 50
    answer = await client.messages.create(model="primary/m", max_tokens=5, messages=said)
    assert answer._request_id
    async with client.messages.stream(model="primary/m", max_tokens=5, messages=said) as events:
        assert events.response.headers["request-id"]
        assert await events.get_final_text() == "It is sunny."
    await client.close()


PICTURE = "iVBORw0KGgoAAAANSUhEUg=="


def seen_by(kind: str, body: dict[str, Any]) -> tuple[Any, Any]:
    """The picture and the schema as the vendor was sent them."""
    if kind == "google":
        inline = next(p["inlineData"] for p in body["contents"][0]["parts"] if "inlineData" in p)
        return (inline["mimeType"], inline["data"]), body["generationConfig"]["responseJsonSchema"]
    content = body["messages"][0]["content"] if "messages" in body else ()
    match kind:
        case "anthropic":
            source = next(block["source"] for block in content if block["type"] == "image")
            return (source["media_type"], source["data"]), body["output_config"]["format"]["schema"]
        case "ollama":
            return ("image/png", body["messages"][0]["images"][0]), body["format"]
        case "openai_responses":
            link = next(p["image_url"] for p in body["input"][0]["content"] if p["type"] == "input_image")
            kind, _, data = link.removeprefix("data:").partition(";base64,")
            return (kind, data), body["text"]["format"]["schema"]
        case _:
            link = next(part["image_url"]["url"] for part in content if part["type"] == "image_url")
            kind, _, data = link.removeprefix("data:").partition(";base64,")
            return (kind, data), body["response_format"]["json_schema"]["schema"]


@pytest.mark.parametrize("client_kind", ["openai", "anthropic", "ollama"])
@pytest.mark.parametrize("kind", VENDORS)
async def test_a_picture_and_a_schema_reach_every_vendor_from_every_client(
    start_node: StartNode, start_vendor: StartVendor, kind: str, client_kind: str
) -> None:
    vendor = await start_vendor(VENDORS[kind])
    node = await start_node(provider(vendor, kind=kind))
    url, schema = node.listening[0].url, {**SCHEMA, "additionalProperties": False}
    ask: Any
    match client_kind:
        case "openai":
            picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
            ask = [{"role": "user", "content": [{"type": "text", "text": "What?"}, picture]}]
            wanted: Any = {
                "type": "json_schema",
                "json_schema": {"name": "w", "schema": schema, "strict": True},
            }
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as ours:
                told = await ours.chat.completions.create(
                    model="primary/m", messages=ask, response_format=wanted
                )
            text = told.choices[0].message.content
        case "anthropic":
            source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
            ask = [
                {
                    "role": "user",
                    "content": [{"type": "image", "source": source}, {"type": "text", "text": "?"}],
                }
            ]
            wanted = {"format": {"type": "json_schema", "schema": schema}}
            async with anthropic.AsyncAnthropic(base_url=url, api_key="unused", max_retries=0) as theirs:
                message: Any = await theirs.messages.create(
                    model="primary/m", max_tokens=9, messages=ask, output_config=wanted
                )
            text = message.content[0].text
        case _:
            ask = [{"role": "user", "content": "What?", "images": [PICTURE]}]
            text = (await ollama.AsyncClient(host=url).chat("primary/m", ask, format=schema)).message.content
    assert text == "It is sunny."
    assert seen_by(kind, vendor.received[0].json) == (("image/png", PICTURE), schema)


async def test_claude_code_is_served_as_it_asks(url: str) -> None:
    client = anthropic.AsyncAnthropic(base_url=url, auth_token="unused", max_retries=0)
    answer = await client.post(
        "/v1/messages?beta=true",
        cast_to=dict[str, Any],
        options={"headers": {"anthropic-beta": "context-management-2025-06-27"}},
        body={
            "model": "primary/m",
            "max_tokens": 100,
            "system": [{"type": "text", "text": "You code.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "system", "content": "Keep at it."},
            ],
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "high"},
            "context_management": {"edits": []},
        },
    )
    assert answer["content"][0]["text"] == "It is sunny."
    await client.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_the_google_client_runs_a_tool_loop(url: str, stream: bool) -> None:
    options = google_types.HttpOptions(base_url=url)
    client = genai.Client(api_key="unused", http_options=options, vertexai=False).aio
    weather = google_types.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)
    config = google_types.GenerateContentConfig(
        system_instruction="Be brief.", tools=[google_types.Tool(function_declarations=[weather])]
    )
    contents: Any = [google_types.Content(role="user", parts=[google_types.Part(text="How is the weather?")])]
    for turn in range(2):
        request: Any = {"model": "primary/m", "contents": contents, "config": config}
        if stream:
            chunks = [chunk async for chunk in await client.models.generate_content_stream(**request)]
        else:
            chunks = [await client.models.generate_content(**request)]
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or ()]
        usage: Any = chunks[-1].usage_metadata
        thoughts = usage.thoughts_token_count or 0
        assert (usage.prompt_token_count, usage.candidates_token_count + thoughts) == (10, 5)
        assert chunks[-1].model_version == "vendor-model"
        if turn == 0:
            (call,) = [part.function_call for part in parts if part.function_call]
            assert call.args == json.loads(ARGUMENTS)
            result = google_types.FunctionResponse(id=call.id, name="weather", response={"result": "sunny"})
            contents.append(google_types.Content(role="model", parts=parts))
            contents.append(
                google_types.Content(role="user", parts=[google_types.Part(function_response=result)])
            )
    assert "".join(part.text or "" for part in parts) == "It is sunny."
    assert str(chunks[-1].candidates[0].finish_reason.value) == "STOP"
    await client.aclose()


async def test_a_google_stream_without_sse_is_one_json_array(url: str) -> None:
    body = {"contents": [{"parts": [{"text": "hello"}]}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1beta/models/primary/m:streamGenerateContent", json=body) as answer,
    ):
        chunks = json.loads(await answer.read())
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(part["text"] for part in parts) == "It is sunny."


async def test_the_openai_client_completes_a_prompt(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        whole = await client.completions.create(model="primary/m", prompt="How is the weather?")
        assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("It is sunny.", "stop")
        assert whole.usage is not None
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (10, 5)
        stream = await client.completions.create(
            model="primary/m", prompt="How?", stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(c.text for chunk in chunks for c in chunk.choices) == "It is sunny."
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].usage is not None
        with pytest.raises(openai.BadRequestError, match="suffix"):
            await client.completions.create(model="primary/m", prompt="x", suffix="y")
