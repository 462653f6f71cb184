"""What the Python clients ask beside chat: models, token counts, embeddings, and how each is told of an error."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import mistralai.client.errors as mistral_errors
import ollama
import openai
import pytest
import pytest_asyncio
from anthropic import types as anthropic_types
from google.genai import errors as google_errors
from google.genai import types as google_types
from mistralai.client import models as mistral_types
from openai import types as openai_types

from tests.clients import anthropic_sdk, google_sdk, mistral_sdk, ollama_sdk, openai_sdk
from tests.clients.strict import NO_FIELD, object_faults
from tests.servers.dialects.model import INPUT_TOKENS, MODEL, OUTPUT_TOKENS, vector_of
from tests.servers.dialects.table import STAND_INS
from tests.servers.recorder import Recorder

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTOMATIC = ("auto", "auto/best", "auto/cheap", "auto/fast")
NAMES = sorted([*AUTOMATIC, *(f"{kind}/{stand_in.model}" for kind, stand_in in STAND_INS.items())])
EMBEDS = [kind for kind in STAND_INS if any("embed" in path.lower() for path in STAND_INS[kind].paths)]
EMBEDS.remove("vertex")  # serves embeddings by another API
TEXTS = ["Grüezi 🌞", "東京", "x" * 50]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sdks(tap: Recorder) -> AsyncIterator[dict[str, Any]]:
    """Every SDK, connected."""
    modules = {
        "openai": openai_sdk,
        "anthropic": anthropic_sdk,
        "google": google_sdk,
        "mistral": mistral_sdk,
        "ollama": ollama_sdk,
    }
    opened: dict[str, Any] = {name: module.connect(tap.url) for name, module in modules.items()}
    yield opened
    for name, module in modules.items():
        await module.disconnect(opened[name])


@pytest.fixture(autouse=True)
def forget(tap: Recorder) -> None:
    tap.answers.clear()


def last_faults(tap: Recorder, model: Any) -> list[str]:
    return object_faults(json.loads(tap.answers[-1].body), model)


async def test_every_client_lists_the_models_in_its_own_form(sdks: dict[str, Any], tap: Recorder) -> None:
    assert sorted([model.id async for model in sdks["anthropic"].models.list()]) == NAMES
    assert sorted([model.name async for model in await sdks["google"].models.list()]) == [
        f"models/{name}" for name in NAMES
    ]
    for model in _listed(tap, "models"):
        _renamed_by_the_sdk(model)
        assert object_faults(model, google_types.Model) == []
    assert sorted(model.id for model in (await sdks["mistral"].models.list_async()).data) == NAMES
    assert [f for one in _listed(tap, "data") for f in object_faults(one, mistral_types.BaseModelCard)] == []
    assert sorted(model.model or "" for model in (await sdks["ollama"].list()).models) == NAMES
    faults = {re.sub(r"\d+", "", fault) for fault in last_faults(tap, ollama.ListResponse)}
    assert faults <= {f"ListResponse.models[].name{NO_FIELD}"}  # Ollama sends it beside `model`
    assert sorted([model.id async for model in sdks["openai"].models.list()]) == NAMES
    faults = [f for one in _listed(tap, "data") for f in object_faults(one, openai_types.Model)]
    assert {f.removesuffix(NO_FIELD) for f in faults} <= {"Model.targets", "Model.capabilities"}  # our own


def _renamed_by_the_sdk(model: Any) -> Any:
    model["supportedActions"] = model.pop("supportedGenerationMethods")
    return model


def _listed(tap: Recorder, key: str) -> list[Any]:
    models: list[Any] = json.loads(tap.answers[-1].body)[key]
    return models


async def test_every_client_is_told_of_one_model(sdks: dict[str, Any], tap: Recorder) -> None:
    assert (await sdks["openai"].models.retrieve("openai/m")).owned_by == "openai"
    assert (await sdks["anthropic"].models.retrieve("openai/m")).display_name == "openai/m"
    assert last_faults(tap, anthropic_types.ModelInfo) == []
    assert (await sdks["google"].models.get(model="models/openai/m")).display_name == "openai/m"
    assert object_faults(_renamed_by_the_sdk(json.loads(tap.answers[-1].body)), google_types.Model) == []
    card = await sdks["mistral"].models.retrieve_async(model_id="openai/m")
    assert (card.id, card.capabilities.completion_chat) == ("openai/m", True)
    shown = await sdks["ollama"].show("openai/m")
    assert "completion" in (shown.capabilities or [])
    assert last_faults(tap, ollama.ShowResponse) == []
    assert (await sdks["ollama"].ps()).models == []
    assert last_faults(tap, ollama.ProcessResponse) == []


async def test_the_ollama_command_is_told_a_version(tap: Recorder) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{tap.url}/api/version") as answer:
        assert set(await answer.json()) == {"version"}


@pytest.mark.parametrize("kind", STAND_INS)
async def test_tokens_are_counted(sdks: dict[str, Any], tap: Recorder, kind: str) -> None:
    """By the vendor where it can be asked, else by estimate: one or the other, never a failure."""
    model = f"{kind}/{STAND_INS[kind].model}"
    said: Any = [{"role": "user", "content": "How is the weather in Zürich?"}]
    counted = await sdks["anthropic"].messages.count_tokens(model=model, messages=said, system="Be brief.")
    assert 5 < counted.input_tokens <= INPUT_TOKENS
    assert last_faults(tap, anthropic_types.MessageTokensCount) == []
    told = await sdks["google"].models.count_tokens(model=model, contents="How is the weather in Zürich?")
    assert 5 < told.total_tokens <= INPUT_TOKENS
    assert last_faults(tap, google_types.CountTokensResponse) == []


@pytest.mark.parametrize("kind", EMBEDS)
async def test_every_client_gets_vectors_of_every_provider(
    sdks: dict[str, Any], tap: Recorder, kind: str
) -> None:
    model, want = f"{kind}/{STAND_INS[kind].model}", [vector_of(text) for text in TEXTS]
    by_openai = await sdks["openai"].embeddings.create(model=model, input=TEXTS)  # asks for base64
    assert [item.embedding for item in by_openai.data] == want
    by_openai = await sdks["openai"].embeddings.create(model=model, input=TEXTS, encoding_format="float")
    assert [item.embedding for item in by_openai.data] == want
    assert last_faults(tap, openai_types.CreateEmbeddingResponse) == []
    short = await sdks["openai"].embeddings.create(model=model, input=TEXTS[0], dimensions=2)
    assert [item.embedding for item in short.data] == [vector_of(TEXTS[0], 2)]
    by_mistral = await sdks["mistral"].embeddings.create_async(model=model, inputs=TEXTS)
    assert [item.embedding for item in by_mistral.data] == want
    assert last_faults(tap, mistral_types.EmbeddingResponse) == []
    by_mistral = await sdks["mistral"].embeddings.create_async(
        model=model, inputs=TEXTS[:1], output_dimension=2
    )
    assert [item.embedding for item in by_mistral.data] == [vector_of(TEXTS[0], 2)]
    by_google = await sdks["google"].models.embed_content(
        model=model,
        contents=[google_types.Content(parts=[google_types.Part(text=text)]) for text in TEXTS],
        config=google_types.EmbedContentConfig(output_dimensionality=3, task_type="RETRIEVAL_QUERY"),
    )
    assert [item.values for item in by_google.embeddings] == [vector_of(text, 3) for text in TEXTS]
    assert last_faults(tap, google_types.EmbedContentResponse) == []
    by_ollama = await sdks["ollama"].embed(model, TEXTS, dimensions=3)
    assert by_ollama.embeddings == [vector_of(text, 3) for text in TEXTS]
    assert last_faults(tap, ollama.EmbedResponse) == []
    older = await sdks["ollama"].embeddings(model, TEXTS[1])
    assert older.embedding == vector_of(TEXTS[1])
    assert last_faults(tap, ollama.EmbeddingsResponse) == []


async def test_gemini_embeds_one_content_under_either_version(tap: Recorder) -> None:
    body = {"content": {"parts": [{"text": TEXTS[0]}]}, "output_dimensionality": 2}
    async with aiohttp.ClientSession() as session:
        for version in ("v1", "v1beta"):
            url = f"{tap.url}/{version}/models/openai/m:embedContent"
            async with session.post(url, json=body) as answer:
                assert (await answer.json())["embedding"] == {"values": vector_of(TEXTS[0], 2)}


HELLO: list[Any] = [{"role": "user", "content": "x"}]


async def test_an_error_reaches_each_client_as_its_own_kind(sdks: dict[str, Any]) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        await sdks["openai"].chat.completions.create(model="nope", messages=HELLO)
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        await sdks["openai"].responses.create(model="nope", input="x")
    with pytest.raises(anthropic.NotFoundError, match="does not exist"):
        await sdks["anthropic"].messages.create(model="nope", max_tokens=5, messages=HELLO)
    with pytest.raises(anthropic.NotFoundError) as refused:
        await sdks["anthropic"].messages.count_tokens(model="nope", messages=HELLO)
    body: Any = refused.value.body
    assert refused.value.request_id is not None
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    assert body["request_id"] == refused.value.request_id
    with pytest.raises(google_errors.ClientError) as missing:
        await sdks["google"].models.generate_content(model="nope", contents="x")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")
    with pytest.raises(mistral_errors.SDKError, match="does not exist") as unknown:
        await sdks["mistral"].chat.complete_async(model="nope", messages=HELLO)
    assert unknown.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="does not exist"):
        await sdks["ollama"].chat("nope", HELLO)


@pytest.mark.parametrize("kind", STAND_INS)
async def test_what_a_vendor_refuses_is_refused_with_its_words(sdks: dict[str, Any], kind: str) -> None:
    """The stand-ins refuse a schema they do not know with 400, each in its own envelope."""
    model = f"{kind}/{STAND_INS[kind].model}"
    odd = {"type": "object", "properties": {"odd": {"type": "null"}}, "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": odd}}
    with pytest.raises(openai.BadRequestError, match="not the schema"):
        await sdks["openai"].chat.completions.create(model=model, messages=HELLO, response_format=wanted)
    text = {"format": {"type": "json_schema", "name": "x", "schema": odd}}
    with pytest.raises(openai.BadRequestError, match="not the schema"):
        await sdks["openai"].responses.create(model=model, input="x", text=text)
    output = {"format": {"type": "json_schema", "schema": odd}}
    with pytest.raises(anthropic.BadRequestError, match="not the schema"):
        await sdks["anthropic"].messages.create(
            model=model, max_tokens=9, messages=HELLO, output_config=output
        )
    shaped = google_types.GenerateContentConfig(
        response_mime_type="application/json", response_json_schema=odd
    )
    with pytest.raises(google_errors.ClientError, match="not the schema") as refused:
        await sdks["google"].models.generate_content(model=model, contents="x", config=shaped)
    assert refused.value.status == "INVALID_ARGUMENT"
    with pytest.raises(mistral_errors.SDKError, match="not the schema"):
        await sdks["mistral"].chat.complete_async(model=model, messages=HELLO, response_format=wanted)
    with pytest.raises(ollama.ResponseError, match="not the schema"):
        await sdks["ollama"].chat(model, HELLO, format=odd)


@pytest.mark.parametrize("kind", STAND_INS)
async def test_a_prompt_is_completed(sdks: dict[str, Any], tap: Recorder, kind: str) -> None:
    """`/v1/completions` and Ollama's generate."""
    model, client = f"{kind}/{STAND_INS[kind].model}", sdks["openai"]
    whole = await client.completions.create(model=model, prompt="Tell.")
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("Grüezi 🌞!  | Tell.", "stop")
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert last_faults(tap, openai_types.Completion) == []
    usage = {"include_usage": True}
    stream = await client.completions.create(model=model, prompt="Tell.", stream=True, stream_options=usage)
    chunks = [chunk async for chunk in stream]
    assert "".join(c.text for chunk in chunks for c in chunk.choices) == "Grüezi 🌞!  | Tell."
    assert (chunks[-2].choices[0].finish_reason, chunks[-1].usage.prompt_tokens) == ("stop", INPUT_TOKENS)
    answer = await sdks["ollama"].generate(model, "Tell.", system="Be brief.")
    assert (answer.response, answer.done_reason, answer.model) == (
        "Grüezi 🌞! Be brief. | Tell.",
        "stop",
        MODEL,
    )
    assert last_faults(tap, ollama.GenerateResponse) == []
    words = [piece.response async for piece in await sdks["ollama"].generate(model, "So?", stream=True)]
    assert "".join(words) == "Grüezi 🌞!  | So?"
    with pytest.raises(openai.BadRequestError, match="suffix"):
        await client.completions.create(model=model, prompt="x", suffix="y")


async def test_the_anthropic_client_knows_the_request(sdks: dict[str, Any]) -> None:
    client = sdks["anthropic"]
    answer = await client.messages.create(model="openai/m", max_tokens=50, messages=HELLO)
    assert answer._request_id
    async with client.messages.stream(model="openai/m", max_tokens=50, messages=HELLO) as events:
        assert events.response.headers["request-id"]
        assert await events.get_final_text() == "Grüezi 🌞!  | x"


@pytest.mark.parametrize("kind", STAND_INS)
async def test_claude_code_is_served_as_it_asks(sdks: dict[str, Any], kind: str) -> None:
    answer = await sdks["anthropic"].post(
        "/v1/messages?beta=true",
        cast_to=dict[str, Any],
        options={"headers": {"anthropic-beta": "context-management-2025-06-27"}},
        body={
            "model": f"{kind}/{STAND_INS[kind].model}",
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
    assert answer["content"][0]["text"].startswith("Grüezi 🌞! You code.")


@pytest.mark.parametrize("kind", STAND_INS)
async def test_a_google_stream_without_sse_is_one_json_array(tap: Recorder, kind: str) -> None:
    url = f"{tap.url}/v1beta/models/{kind}/{STAND_INS[kind].model}:streamGenerateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        chunks = json.loads(await answer.read())
    assert [f for chunk in chunks for f in object_faults(chunk, google_types.GenerateContentResponse)] == []
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(part["text"] for part in parts) == "Grüezi 🌞!  | hello"
