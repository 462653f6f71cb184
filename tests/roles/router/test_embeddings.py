"""Embeddings through the Router: passed on unread where they are what the client asked for, else written anew."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import aiohttp
import openai
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play

VECTORS = ([0.5, -0.25, 1.0], [0.125, 2.0, -4.0])


def packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def answer(*entries: tuple[int, Any], **more: Any) -> dict[str, Any]:
    rows = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in entries]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return {"object": "list", "data": rows, "model": "vendor-model", "usage": usage, **more}


FLOATS = answer((0, VECTORS[0]), (1, VECTORS[1]), vendor_extra=[1, 2])
CODED = answer((0, packed(VECTORS[0])), (1, packed(VECTORS[1])), vendor_extra=[1, 2])
TURNED = answer((1, VECTORS[1]), (0, VECTORS[0]))
NESTED = answer((0, [VECTORS[0]]), (1, [VECTORS[1]]))


@pytest.mark.parametrize(
    ("kind", "sent", "asked", "asked_upstream", "unread"),
    [
        ("openai_compatible", FLOATS, None, None, True),
        ("openai_compatible", FLOATS, "float", None, True),
        (
            "openai_compatible",
            FLOATS,
            "base64",
            None,
            False,
        ),  # not everybody knows base64: it is written here
        ("openai", CODED, "base64", "base64", True),
        ("openai", FLOATS, "base64", "base64", False),  # asked for, not given
        ("openai_compatible", TURNED, None, None, False),
        ("openai_compatible", NESTED, None, None, False),
    ],
)
async def test_vectors_arrive_in_the_form_and_order_that_were_asked_for(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    kind: str,
    sent: dict[str, Any],
    asked: str | None,
    asked_upstream: str | None,
    unread: bool,
) -> None:
    vendor = await start_vendor(Play.json(sent))
    node = await start_node(provider(vendor, kind=kind))
    body: dict[str, Any] = {"model": "primary/m", "input": ["one", "two"]}
    if asked:
        body["encoding_format"] = asked
    async with http.post(f"{node.listening[0].url}/v1/embeddings", json=body) as reply:
        assert reply.status == 200
        assert reply.headers["x-intellirouter-provider"] == "primary"
        raw = await reply.read()
    assert (raw == json.dumps(sent).encode()) is unread
    got = json.loads(raw)
    rows = [row["embedding"] for row in sorted(got["data"], key=lambda row: row["index"])]
    assert rows == ([packed(vector) for vector in VECTORS] if asked == "base64" else list(VECTORS))
    assert (got["model"], got["usage"]["prompt_tokens"]) == ("vendor-model", 7)
    assert vendor.received[0].json.get("encoding_format") == asked_upstream
    async with http.get(f"{node.listening[0].url}/metrics") as reply:
        text = await reply.text()
    assert 'llm_token_usage_total{kind="input",model="m",provider="primary"} 7.0' in text


async def test_as_many_tokens_as_openai_takes_are_sent_on(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(FLOATS))
    node = await start_node(provider(vendor))
    body = {"model": "primary/m", "input": [[9906] * 150_000, [1917] * 150_000]}  # as LangChain sends texts
    async with http.post(f"{node.listening[0].url}/v1/embeddings", json=body) as reply:
        assert reply.status == 200, await reply.text()
    assert vendor.received[0].json["input"] == body["input"]


@pytest.mark.parametrize(("kind", "sent"), [("openai", CODED), ("openai_compatible", FLOATS)])
async def test_the_openai_client_reads_them(
    start_node: StartNode, start_vendor: StartVendor, kind: str, sent: dict[str, Any]
) -> None:
    vendor = await start_vendor(Play.json(sent))
    node = await start_node(provider(vendor, kind=kind))
    async with openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key="any") as client:
        found = await client.embeddings.create(model="primary/m", input=["one", "two"])
    assert [row.embedding for row in found.data] == list(VECTORS)


@pytest.mark.parametrize(
    "sent",
    [
        answer((0, VECTORS[0])),
        answer((0, VECTORS[0]), (1, "no vector!")),
        {"data": 3},
        answer((0, None), (1, {})),
        answer((0, VECTORS[0]), (1, [])),
        answer((0, []), (1, [])),
    ],
)
async def test_an_answer_that_is_not_what_was_asked_for_is_an_upstream_error(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, sent: dict[str, Any]
) -> None:
    vendor = await start_vendor(Play.json(sent))
    node = await start_node(provider(vendor))
    body = {"model": "primary/m", "input": ["one", "two"]}
    async with http.post(f"{node.listening[0].url}/v1/embeddings", json=body) as reply:
        assert reply.status == 502
        assert (await reply.json())["error"]["code"] == "upstream_protocol_error"


@pytest.mark.parametrize("model", ["offline", "auto", "text-embedding-3-small"])
async def test_the_model_that_stands_in_says_that_it_only_chats(
    start_node: StartNode, http: aiohttp.ClientSession, model: str
) -> None:
    node = await start_node("[model_registry]\ndiscover_environment = false\n")
    url = f"{node.listening[0].url}/v1/embeddings"
    async with http.post(url, json={"model": model, "input": "a"}) as reply:
        error = (await reply.json())["error"]
    assert (reply.status, error["param"]) == (400, "model"), error
    assert "OPENAI_API_KEY" in error["message"]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ({"error": {"message": "Too many", "code": 429}}, 429, "upstream_rate_limited"),
        ({"vectors": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, 502, "upstream_auth_failed"),
        ({"object": "list", "data": [{"index": 0, "embedding": [0.5, None]}], "model": "m"}, 502, "upstream_protocol_error"),
    ],
)  # fmt: skip
async def test_a_success_without_vectors_is_the_failure_it_tells_of(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    answer: dict[str, Any],
    status: int,
    code: str,
) -> None:
    vendor = await start_vendor(Play.json(answer))
    url = (await start_node(provider(vendor))).listening[0].url
    async with http.post(f"{url}/v1/embeddings", json={"model": "primary/m", "input": ["a"]}) as reply:
        told = await reply.json()
        assert (reply.status, told["error"]["code"]) == (status, code), told


async def test_an_index_in_words_is_one(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    data = [{"index": "1", "embedding": [1.0]}, {"index": "0", "embedding": [0.0]}]
    vendor = await start_vendor(Play.json({"data": data, "model": "m"}))
    url = (await start_node(provider(vendor))).listening[0].url
    async with http.post(f"{url}/v1/embeddings", json={"model": "primary/m", "input": ["a", "b"]}) as reply:
        assert [entry["embedding"] for entry in (await reply.json())["data"]] == [[0.0], [1.0]]


@pytest.mark.parametrize(
    "change",
    [
        {"usage": None},
        {"usage": {"total_tokens": 9}},
        {"usage": {"prompt_tokens": "9", "total_tokens": "9"}},
        {"usage": ...},
        {"model": ...},
        {"data": [{"index": 0, "embedding": ["0.5", "1"]}, {"index": 1, "embedding": ["1", "2"]}]},
    ],
)
async def test_what_a_client_reads_unasked_is_there_whatever_the_vendor_leaves_out(
    start_node: StartNode, start_vendor: StartVendor, change: dict[str, Any]
) -> None:
    sent = {name: value for name, value in (FLOATS | change).items() if value is not ...}
    url = (await start_node(provider(await start_vendor(Play.json(sent))))).listening[0].url
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as client:
        found = await client.embeddings.create(
            model="primary/m", input=["one", "two"], encoding_format="float"
        )
    assert found.usage.prompt_tokens == found.usage.total_tokens > 0
    assert found.model
    assert all(type(number) is float for row in found.data for number in row.embedding)


async def test_a_mark_of_byte_order_is_passed_over(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    mark = b"\xef\xbb\xbf"
    vendor = await start_vendor(
        Play([mark + json.dumps(FLOATS).encode()], headers={"content-type": "application/json"})
    )
    url = (await start_node(provider(vendor))).listening[0].url
    body = mark + json.dumps({"model": "primary/m", "input": ["one", "two"]}).encode()
    headers = {"content-type": "application/json"}
    async with http.post(f"{url}/v1/embeddings", data=body, headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        assert len((await reply.json())["data"]) == 2


TEXT: dict[str, Any] = {"content": {"parts": [{"text": "Hi"}]}}
PICTURE: dict[str, Any] = {"inlineData": {"mimeType": "image/png", "data": "AA"}}


def told(vendor: str) -> Play:
    """One vector, in the form of the vendor."""
    match vendor:
        case "google":
            return Play.json({"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 4}})
        case "ollama":
            return Play.json({"model": "m", "embeddings": [[0.5]], "prompt_eval_count": 4})
    return Play.json(answer((0, [0.5])) | {"usage": {"prompt_tokens": 4, "total_tokens": 4}})


GEMINI, OLLAMA, PLAIN = "/v1beta/models/primary/m:embedContent", "/api/embed", "/v1/embeddings"


@pytest.mark.parametrize(
    ("kind", "path", "body", "sent"),
    [
        ("google", GEMINI, {**TEXT, "taskType": "SEMANTIC_SIMILARITY"}, {"taskType": "SEMANTIC_SIMILARITY"}),
        ("google", GEMINI, {**TEXT, "task_type": "CODE_RETRIEVAL_QUERY"}, {"taskType": "CODE_RETRIEVAL_QUERY"}),
        ("google", GEMINI, {**TEXT, "title": "T", "taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 2},
         {"title": "T", "taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 2}),
        ("google", GEMINI, {**TEXT, "embedContentConfig": {"taskType": "CLUSTERING"}}, {"taskType": "CLUSTERING"}),
        ("google", GEMINI, {**TEXT, "outputDimensionality": 0}, {}),
        ("openai_compatible", GEMINI, {**TEXT, "taskType": "QUESTION_ANSWERING"}, {"input_type": "query"}),
        ("openai_compatible", GEMINI, {**TEXT, "taskType": "SEMANTIC_SIMILARITY"}, {}),
        ("google", PLAIN, {"input": "Hi", "input_type": "search_query"}, {"taskType": "RETRIEVAL_QUERY"}),
        ("google", PLAIN, {"input": "Hi", "input_type": "passage"}, {"taskType": "RETRIEVAL_DOCUMENT"}),
        ("google", PLAIN, {"input": "Hi", "input_type": "FACT_VERIFICATION"}, {"taskType": "FACT_VERIFICATION"}),
        ("google", PLAIN, {"input": "Hi", "input_type": "image"}, {}),
        ("ollama", OLLAMA, {"input": "Hi", "truncate": False, "options": {"num_ctx": 9}, "keep_alive": 0},
         {"truncate": False, "options": {"num_ctx": 9}, "keep_alive": 0}),
        ("openai_compatible", OLLAMA, {"input": "Hi", "truncate": False, "options": {"num_ctx": 9}}, {}),
        ("ollama", PLAIN, {"input": "Hi", "late_chunking": True}, {}),
        ("openai_compatible", PLAIN, {"input": "Hi", "late_chunking": True}, {"late_chunking": True}),
    ],
)  # fmt: skip
async def test_what_is_said_of_the_vectors_reaches_whoever_knows_it(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    kind: str,
    path: str,
    body: dict[str, Any],
    sent: dict[str, Any],
) -> None:
    vendor = await start_vendor(told(kind))
    url = (await start_node(provider(vendor, kind=kind))).listening[0].url
    async with http.post(f"{url}{path}", json={"model": "primary/m", **body}) as reply:
        answered = await reply.json()
        assert reply.status == 200, answered
    asked = vendor.received[0].json
    asked = asked["requests"][0] if kind == "google" else asked
    assert {name: asked[name] for name in asked if name not in ("model", "input", "content")} == sent
    used = {GEMINI: ("usageMetadata", "promptTokenCount"), PLAIN: ("usage", "prompt_tokens")}.get(path)
    assert (answered[used[0]][used[1]] if used else answered["prompt_eval_count"]) == 4


async def test_titles_are_guarded_as_texts_are(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(told("google"))
    guard = '[[guards]]\nname = "pii"\nkind = "pii"\naction = "mask"\n'
    url = (await start_node(provider(vendor, kind="google") + guard)).listening[0].url
    body = {"content": {"parts": [{"text": "of b@example.org"}]}, "title": "to a@example.org"}
    async with http.post(f"{url}{GEMINI}", json=body) as reply:
        assert reply.status == 200, await reply.text()
    (asked,) = vendor.received[0].json["requests"]
    assert "example.org" not in json.dumps(asked)
    assert (asked["title"][:3], asked["content"]["parts"][0]["text"][:3]) == ("to ", "of ")


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("embedContent", {**TEXT, "taskType": "bogus"}, 400),
        ("embedContent", {**TEXT, "outputDimensionality": -1}, 400),
        ("embedContent", {**TEXT, "outputDimensionality": "x"}, 400),
        ("embedContent", {"content": {"parts": [{"text": "x"}, PICTURE]}}, 400),
        ("embedContent", {"content": {"parts": [PICTURE]}}, 400),
        ("batchEmbedContents", {"requests": [TEXT, {**TEXT, "outputDimensionality": 2}]}, 400),
        ("batchEmbedContents", {"requests": [{**TEXT, "title": "A"}, {**TEXT, "taskType": "CLUSTERING"}]}, 200),
    ],
)  # fmt: skip
async def test_google_is_asked_for_nothing_else_than_the_client_said(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    method: str,
    body: dict[str, Any],
    status: int,
) -> None:
    vendor = await start_vendor(Play.json({"embeddings": [{"values": [0.5]}, {"values": [0.25]}]}))
    url = (await start_node(provider(vendor, kind="google"))).listening[0].url
    async with http.post(f"{url}/v1beta/models/primary/m:{method}", json=body) as reply:
        assert reply.status == status, await reply.text()
    if status == 200:
        asked = vendor.received[0].json["requests"]
        assert [(one.get("title"), one.get("taskType")) for one in asked] == [
            ("A", None),
            (None, "CLUSTERING"),
        ]
    else:
        assert not vendor.received


@pytest.mark.parametrize("body", [{"input": ""}, {"input": []}, {}, {"keep_alive": 0}])
async def test_an_ollama_client_that_embeds_nothing_only_loads_the_model(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    vendor = await start_vendor(told("ollama"))
    url = (await start_node(provider(vendor, kind="ollama"))).listening[0].url
    for path, nothing in (("/api/embed", "embeddings"), ("/api/embeddings", "embedding")):
        async with http.post(f"{url}{path}", json={"model": "primary/m", **body}) as reply:
            assert (reply.status, (await reply.json())[nothing]) == (200, [])
        async with http.post(f"{url}{path}", json={"model": "nowhere", **body}) as reply:
            assert reply.status == 404
    assert not vendor.received
