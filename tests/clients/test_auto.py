"""The vendors' own SDKs ask `auto`, whole and streamed, and say by the answer's id or its request's how it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from mistralai.client import Mistral
from ollama import AsyncClient

from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Play, Received

WORDS = "forty-two"


async def openai_chat(url: str, model: str, stream: bool) -> tuple[str, dict[str, str]]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0) as client:
        asked: Any = {"model": model, "messages": [{"role": "user", "content": "What is 6 times 7?"}]}
        if not stream:
            answer = await client.chat.completions.create(**asked)
            return answer.choices[0].message.content or "", {"response_id": answer.id}
        chunks = [chunk async for chunk in await client.chat.completions.create(**asked, stream=True)]
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        return text, {"response_id": chunks[0].id}


async def openai_responses(url: str, model: str, stream: bool) -> tuple[str, dict[str, str]]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0) as client:
        if not stream:
            answer = await client.responses.create(model=model, input="What is 6 times 7?")
            return answer.output_text, {"response_id": answer.id}
        events = [e async for e in await client.responses.create(model=model, input="6 x 7?", stream=True)]
        done: Any = events[-1]
        return done.response.output_text, {"response_id": done.response.id}


async def anthropic_messages(url: str, model: str, stream: bool) -> tuple[str, dict[str, str]]:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="-", max_retries=0) as client:
        asked: Any = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "6 x 7?"}]}
        if not stream:
            answer = await client.messages.create(**asked)
            return answer.content[0].text, {"response_id": answer.id}  # type: ignore[union-attr]
        async with client.messages.stream(**asked) as events:
            whole = await events.get_final_message()
            return whole.content[0].text, {"response_id": whole.id}  # type: ignore[union-attr]


async def google(url: str, model: str, stream: bool) -> tuple[str, dict[str, str]]:
    options = types.HttpOptions(base_url=url)
    client = genai.Client(api_key="unused", http_options=options, vertexai=False).aio
    try:
        if not stream:
            answer = await client.models.generate_content(model=model, contents="6 x 7?")
            return answer.text or "", {"response_id": answer.response_id or ""}
        said, found = "", ""
        async for chunk in await client.models.generate_content_stream(model=model, contents="6 x 7?"):
            said, found = said + (chunk.text or ""), chunk.response_id or found
        return said, {"response_id": found}
    finally:
        await client.aclose()


async def mistral(url: str, model: str, stream: bool) -> tuple[str, dict[str, str]]:
    asked: Any = {"model": model, "messages": [{"role": "user", "content": "6 x 7?"}]}
    async with Mistral(api_key="unused", server_url=url) as client:
        if not stream:
            answer = await client.chat.complete_async(**asked)
            return str(answer.choices[0].message.content), {"response_id": answer.id}
        said, found = "", ""
        async for event in await client.chat.stream_async(**asked):
            said, found = said + str(event.data.choices[0].delta.content or ""), event.data.id
        return said, {"response_id": found}


async def ollama(url: str, model: str, stream: bool) -> tuple[str, dict[str, str]]:
    client = AsyncClient(host=url, headers={"x-request-id": f"by-ollama-{stream}"})  # its answers have no id
    asked: Any = {"model": model, "messages": [{"role": "user", "content": "6 x 7?"}]}
    if not stream:
        said = (await client.chat(**asked)).message.content or ""
    else:
        said = "".join([part.message.content or "" async for part in await client.chat(**asked, stream=True)])
    await client.close()
    return said, {"request_id": f"by-ollama-{stream}"}


Ask = Callable[[str, str, bool], Awaitable[tuple[str, dict[str, str]]]]


def answer(request: Received) -> Play:
    """An answer of the vendor, each with an id of its own."""
    answer.count += 1  # type: ignore[attr-defined]
    name = f"chatcmpl-auto{answer.count}"  # type: ignore[attr-defined]
    if request.json.get("stream"):
        events = [event.replace(b"chatcmpl-fault", name.encode()) for event in faults.events([WORDS])]
        return Play.sse(*events)
    return Play.json({**faults.whole(WORDS), "id": name})


answer.count = 0  # type: ignore[attr-defined]


@pytest.fixture
async def router(start_node: StartNode, start_vendor: StartVendor) -> AsyncIterator[str]:
    one, two = await start_vendor(answer), await start_vendor(answer)
    yield (await start_node(provider(one, name="one") + provider(two, name="two"))).listening[0].url


@pytest.mark.parametrize("ask", [openai_chat, openai_responses, anthropic_messages, google, mistral, ollama])
async def test_an_sdk_asks_auto_and_its_user_says_how_it_was(
    ask: Ask, router: str, http: aiohttp.ClientSession
) -> None:
    for stream in (False, True):
        for model in ("auto", "auto/best"):
            said, named = await ask(router, model, stream)
            assert said == WORDS
            if model == "auto/best" and "request_id" in named:
                continue  # the same id again: it was rated already
            async with http.post(f"{router}/v1/feedback", json={**named, "score": True}) as reply:
                told = await reply.json()
                assert (reply.status, told.get("learnt"), told.get("model")) == (200, True, "auto"), told
