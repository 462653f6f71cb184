"""A key is the same key wherever its work goes: one process, four roles over HTTP, four roles over gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
import pytest

from intellirouter.peers.grpc import wire
from tests.conftest import StartVendor, provider
from tests.minutes import room_in_this_minute
from tests.roles.rag_manager.test_provider_embedding import letters
from tests.servers import fault_vendor as faults
from tests.servers.installation import ADMIN, Form, Installation, configured_key, installed
from tests.servers.redis import RedisServer, redis_server
from tests.servers.vendor import Play, Received, Vendor

FORMS: tuple[Form, ...] = ("one", "http", "grpc")
CHEAP, DEAR = 1.0, 1000.0  # dollars for a million tokens


def answering(request: Received) -> Play:
    """Vectors, or a few words from the model that was asked."""
    if request.path.endswith("/embeddings"):
        return letters(request)
    if request.path.endswith("/rerank"):
        texts = request.json["documents"]
        return Play.json(
            {"results": [{"index": n, "relevance_score": 1 / (n + 1)} for n in range(len(texts))]}
        )
    model = request.json["model"]
    answer = faults.whole(f"I am {model}.", model)
    if "ruinous" in str(request.json["messages"]):
        answer["usage"] = {"prompt_tokens": 50_000, "completion_tokens": 50_000, "total_tokens": 100_000}
    return Play.json(answer)


def world(vendor: Vendor, redis: RedisServer | None = None) -> str:
    """Two models, one of them dear, and documents that a provider's model embeds."""
    models = "".join(
        f'[[model_registry.models]]\nname = "{name}"\ntargets = ["primary/{name}"]\n'
        f"price = {{ input = {price}, output = {price} }}\n"
        for name, price in (("cheap", CHEAP), ("dear", DEAR))
    )
    memory = f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n' if redis else ""
    rag = (
        f'[rag]\nembedding_model = "primary/letters"\nrerank_url = "{vendor.url}/v2/rerank"\nrerank_model = "judge"\n'
        "rerank_price = { input = 1, request = 0.0005 }\n"
        "[budgets]\nunknown_price = { input = 1, output = 1 }\n"
    )
    return f"{provider(vendor)}{models}{memory}{rag}[auth]\nenabled = true\n"


@pytest.fixture
async def vendor(start_vendor: StartVendor) -> Vendor:
    return await start_vendor(answering)


@pytest.fixture(params=FORMS)
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, vendor: Vendor
) -> AsyncIterator[Installation]:
    with redis_server(tmp_path / "redis") as redis:
        keys = configured_key("author", scopes="inference chains personas")
        async with installed(request.param, tmp_path / "nodes", world(vendor, redis) + keys) as made:
            yield made


def asked(vendor: Vendor, model: str) -> int:
    return sum(received.json.get("model") == model for received in vendor.received if received.body)


async def eventually(holds: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(60):
        while True:
            if holds():
                return
            await asyncio.sleep(0.05)


def saying(model: str, name: str = "say", more: str = "") -> str:
    return (
        f"chain: {{name: {name}}}\ninput: {{question: {{type: string, default: hi}}}}\nsteps:\n"
        f'  - {{id: said, llm: {{model: {model}, prompt: "{{{{ input.question }}}}", max_tokens: 8}}{more}}}\n'
        "output: {answer: steps.said.text}\n"
    )


ASKING = """
chain: {name: find}
input: {question: {type: string}}
steps:
  - {id: found, rag: {collection: kb, query: "{{ input.question }}"}}
output: {text: steps.found.text}
"""


def word(run: Any) -> str:
    """What became of a run: `succeeded`, or the code of its error's cause."""
    error = run.get("error")
    if isinstance(run.get("status"), str) and error:
        return str(error.get("cause") or error["code"])
    return str(run.get("status") or error["code"])


RANKED = {"query": "coal", "documents": ["Coal is black.", "Snow is white."]}


async def errands(place: Installation) -> list[Any]:
    """The same work of one key, and what was answered. Its budget runs out on the way."""
    admin = {
        "models": ["cheap", "primary/letters", "judge"],
        "scopes": ["inference", "chains"],
        "tenant": "acme",
    }
    key = await place.make_key("app", budgets={"total": 0.01}, **admin)
    heard: list[Any] = []
    heard += [(await place.chat(key, "cheap"))[0], (await place.chat(key, "dear"))[0]]
    for name in ("cheap", "dear"):
        await place.put_chain(key, f"say-{name}", saying(name, f"say-{name}"))
        heard.append(word(await place.run(key, f"say-{name}")))
    fallback = ", fallback: {llm: {model: dear, prompt: x}}"
    await place.put_chain(key, "fallback", saying("nothing/here", "fallback", fallback))
    heard.append(word(await place.run(key, "fallback")))
    await place.put_chain(key, "find", ASKING)
    job = await place.ingest(key, "kb", "coal.txt", "Coal is black.")
    heard += [job["status"], (await place.retrieve(key, "kb", "coal"))[0]]
    heard.append(word(await place.run(key, "find", question="black")))
    for role, model in (("RagManager", "judge"), ("Router", "judge"), ("Router", "other")):
        body = {"model": model, **RANKED}
        heard.append((await place.ask(role, key, "POST", "/v1/rerank", body))[0])
    wanted = {"query": "coal", "collections": ["kb"], "rerank": "default"}
    heard.append((await place.ask("RagManager", key, "POST", "/rag/v1/retrieve", wanted))[0])
    for question in ("small", "ruinous", "small", "small"):
        heard.append(word(await place.run(key, "say-cheap", question=question)))
    status, said = await place.chat(key, "cheap")
    heard += [status, said["error"]["code"]]
    poor = await place.make_key("poor", budgets={"total": 0.0001}, **admin)  # less than one request costs
    heard.append((await place.ask("Router", poor, "POST", "/v1/rerank", RANKED))[0])
    return heard


async def ledger(place: Installation, calls: int) -> Any:
    """Requests, tokens and dollars by key and model, once so many calls are in it."""
    async with asyncio.timeout(60):
        while True:
            rows = []
            for by in ("key", "model"):
                _, spend = await place.ask("Router", ADMIN, "GET", f"/admin/spend?by={by}")
                rows += [
                    (
                        by,
                        row[by],
                        row["requests"],
                        row["input_tokens"],
                        row["output_tokens"],
                        round(row["usd"], 9),
                    )
                    for day in spend["days"].values()
                    for row in day
                ]
            if sum(row[2] for row in rows if row[0] == "key") == calls:
                return sorted(rows)
            await asyncio.sleep(0.2)


async def test_the_same_refusals_and_the_same_ledger(tmp_path: Path, start_vendor: StartVendor) -> None:
    found = {}
    for form in FORMS:
        vendor = await start_vendor(answering)
        with redis_server(tmp_path / f"redis-{form}") as redis:
            async with installed(form, tmp_path / form, world(vendor, redis)) as place:
                heard = await errands(place)
                calls = len(
                    [
                        one
                        for one in vendor.received
                        if one.path.endswith(("completions", "embeddings", "rerank"))
                    ]
                )
                rows = await ledger(place, calls)
        found[form] = (heard, rows, calls, asked(vendor, "dear"))
    heard, rows, _, dear = found["one"]
    assert heard[:8] == [
        200,
        403,
        "succeeded",
        "permission_denied",
        "permission_denied",
        "ready",
        200,
        "succeeded",
    ]
    assert heard[8:12] == [200, 200, 404, 200]
    assert heard[12:] == [
        "succeeded",
        "succeeded",
        "budget_exceeded",
        "budget_exceeded",
        402,
        "budget_exceeded",
        402,
    ]
    judged = [row for row in rows if row[:2] == ("model", "judge")]
    assert [row[2] for row in judged] == [3]
    assert judged[0][5] > 3 * 0.0005
    assert dear == 0
    assert {row[1] for row in rows if row[0] == "key"} == {"app"}  # nothing in a role's own name
    assert found["http"] == found["one"]
    assert found["grpc"] == found["one"]


async def test_a_keys_own_rate_travels(place: Installation, vendor: Vendor) -> None:
    key = await place.make_key("few", requests_per_minute=4, scopes=["inference", "chains"])
    often = (
        "chain: {name: often}\nsteps:\n  - id: round\n    loop: {max: 7}\n    do:\n"
        "      - {id: said, llm: {model: cheap, prompt: again}}\n"
    )
    await place.put_chain("author", "often", often)
    await room_in_this_minute(30)
    assert word(await place.run(key, "often")) == "rate_limit_exceeded"
    status, _ = await place.ask(
        "RagManager", key, "POST", "/rag/v1/embed", {"model": "primary/letters", "texts": ["a"]}
    )
    assert status == 429
    assert len(vendor.received) == 4


async def test_only_the_models_of_the_key_whatever_the_way(place: Installation, vendor: Vendor) -> None:
    key = await place.make_key("cheap-only", models=["cheap"], scopes=["inference", "chains", "personas"])
    inside = {
        "plain": saying("dear", "c1"),
        "template": saying("'{{ input.question }}'", "c2"),
        "target of the group": saying("primary/cheap", "c3"),
        "auto": saying("auto", "c4"),
        "persona's": "chain: {name: c5}\nsteps:\n  - {id: said, llm: {model: auto, persona: mine, prompt: x}}\n",
    }
    await place.ask(
        "PersonaLayer", key, "PUT", "/v1/personas/mine", {"source": 'prompt = "x"\nmodel = "dear"\n'}
    )
    for number, (what, source) in enumerate(inside.items(), 1):
        await place.put_chain(key, f"c{number}", source)
        run = await place.run(key, f"c{number}", **({"question": "dear"} if number == 2 else {}))
        if what == "auto":  # the first model of the node, which this key may use
            assert word(run) == "succeeded"
            continue
        assert word(run) == "permission_denied", what
        assert "may not use the model" in run["error"]["message"]
    await place.ask("RagManager", key, "POST", "/rag/v1/collections", {"name": "kb"})
    job = await place.ingest(key, "kb", "a.txt", "Coal is black.")
    assert (job["status"], "may not use the model" in job["error"]) == ("failed", True)
    assert (await place.retrieve(key, "kb", "coal"))[0] == 403
    status, _ = await place.ask(
        "RagManager", key, "POST", "/rag/v1/embed", {"model": "primary/letters", "texts": ["a"]}
    )
    assert status == 403
    assert {received.json.get("model") for received in vendor.received} <= {"cheap"}
    for model in ("dear", "primary/dear", "primary/letters", "primary/cheap"):
        for method, path, body in (
            ("GET", f"/v1/models/{model}", None),
            ("GET", f"/v1beta/models/{model}", None),
            ("POST", "/api/show", {"model": model}),
        ):
            status, told = await place.ask("Router", key, method, path, body)
            assert (status, "price" in json.dumps(told)) == (404, False), path
    for path in ("/v1/models", "/v1beta/models", "/api/tags"):
        _, listed = await place.ask("Router", key, "GET", path)
        assert "cheap" in json.dumps(listed)
        assert "dear" not in json.dumps(listed)
    for model in ("auto", "auto/cheap"):
        _, shown = await place.ask("Router", key, "GET", f"/v1/models/{model}")
        assert "dear" not in json.dumps(shown)
    _, missing = await place.chat(key, "dea")
    assert "dear" not in json.dumps(missing)


async def test_a_key_itself_over_grpc(tmp_path: Path, vendor: Vendor) -> None:
    keys = configured_key("few", more='models = ["cheap"]') + configured_key("twice")
    keys += configured_key("none", more="max_parallel = 0")
    limits = "[limits.keys.twice]\nrequests_per_minute = 2\n"
    async with installed("grpc", tmp_path, limits + world(vendor) + keys) as place:
        port = place.nodes["Router"].opened.settings.server.grpc_port
        body = {"model": "dear", "messages": [{"role": "user", "content": "Hi"}]}
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(
                wire.method("Router", "Complete"),
                request_serializer=wire.encode,
                response_deserializer=wire.decode,
            )
            metadata = (("authorization", "Bearer few"),)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(msgspec.json.encode(body), metadata=metadata, timeout=30)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
            answer = await call(
                msgspec.json.encode({**body, "model": "cheap"}), metadata=metadata, timeout=30
            )
            assert b"I am cheap" in answer
        assert asked(vendor, "dear") == 0
        # and what holds at the doors of the other roles holds here
        port = place.nodes["RagManager"].opened.settings.server.grpc_port
        await room_in_this_minute(20)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            retrieve: Any = channel.unary_unary(
                wire.method("RagManager", "Retrieve"), request_serializer=wire.encode
            )
            codes = []
            for key in ("twice", "twice", "twice", "none"):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    sent = (("authorization", f"Bearer {key}"),)
                    await retrieve(b'{"query": "x", "collections": ["kb"]}', metadata=sent, timeout=30)
                codes.append(refused.value.code())
            with pytest.raises(grpc.aio.AioRpcError) as refused:  # a role's errand, never a key's
                head = b'{"method": "GET", "path": "/v1/files", "headers": {}}\n'
                hand_on: Any = channel.unary_stream(
                    wire.method("RagManager", wire.HAND_ON), request_serializer=wire.encode
                )
                await hand_on(head, metadata=(("authorization", "Bearer few"),), timeout=30).read()
        assert codes[2:] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2, codes
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


TICKING = {"cron": "* * * * * *", "chain": "say"}


async def test_the_work_of_a_key_ends_with_it(place: Installation, vendor: Vendor) -> None:
    scopes = ["inference", "chains"]
    key, other = await place.make_key("gone", scopes=scopes), await place.make_key("stays", scopes=scopes)
    await place.put_chain(key, "say", saying("cheap"))
    forever = (
        "chain: {name: forever}\nsteps:\n  - id: round\n    loop: {max: 50}\n    do:\n"
        "      - {id: said, llm: {model: cheap, prompt: again}, on_error: continue}\n"
        "      - {id: pause, sleep: 300ms}\n"
    )
    await place.put_chain(key, "forever", forever)
    status, _ = await place.ask("ChainEngine", key, "PUT", "/v1/schedules/tick", TICKING)
    assert status == 201
    body = {"mode": "background"}
    _, run = await place.ask("ChainEngine", key, "POST", "/v1/chains/forever/runs", body)
    assert run["status"] in ("running", "queued"), run
    await eventually(lambda: asked(vendor, "cheap") >= 4)
    await place.put_chain(other, "rest", "chain: {name: rest}\nsteps:\n  - {id: a, sleep: 1h}\n")
    _, resting = await place.ask("ChainEngine", other, "POST", "/v1/chains/rest/runs", body)
    less = await place.make_key("less", scopes=scopes)
    async with contextlib.AsyncExitStack() as stack:
        following = []
        for role, path in (
            ("Router", "/admin/requests/stream"),
            ("ChainEngine", f"/v1/runs/{resting['id']}/events"),
        ):
            for who, why in ((key, "'gone' was revoked"), (less, "changed since it began")):
                asked_for = place.http.get(
                    place.urls[role] + path, headers={"authorization": f"Bearer {who}"}
                )
                reply = await stack.enter_async_context(asked_for)  # it has begun
                assert reply.status == 200
                following.append((reply, why))
        status, _ = await place.ask("Router", ADMIN, "PATCH", "/admin/keys/less", {"scopes": ["audit"]})
        assert status == 200
        status, _ = await place.ask("Router", ADMIN, "DELETE", "/admin/keys/gone")
        assert status == 200
        for reply, why in following:  # who follows is told why it ends
            heard = await reply.text()
            assert why in heard.rpartition("event: error")[2], heard
    await place.until("ChainEngine", key, known=False)
    async with asyncio.timeout(60):
        while run["status"] in ("running", "waiting", "queued"):
            await asyncio.sleep(0.05)
            _, run = await place.ask("ChainEngine", other, "GET", f"/v1/runs/{run['id']}")
    assert run["status"] == "failed"
    assert run["error"]["code"] == "key_ended"
    assert "'gone' was revoked" in run["error"]["message"]
    before = len(vendor.received)
    async with asyncio.timeout(60):
        while True:
            _, schedule = await place.ask("ChainEngine", other, "GET", "/v1/schedules/tick")
            if schedule["status"] == "stopped" and await ticked(place, other):
                break
            await asyncio.sleep(0.1)
    assert "was revoked" in schedule["message"]
    assert schedule["next_at"] is None
    assert len(vendor.received) == before
    # whoever triggers it acts in their own name
    status, run = await place.ask("ChainEngine", other, "POST", "/v1/schedules/tick/trigger", {})
    assert status == 202
    await eventually(lambda: asked(vendor, "cheap") > before)
    # and a new key of the old name is somebody else
    again = await place.make_key("gone", tenant="globex", scopes=scopes)
    assert (await place.ask("ChainEngine", again, "GET", "/v1/schedules/tick"))[0] == 404
    _, schedule = await place.ask("ChainEngine", other, "GET", "/v1/schedules/tick")
    assert schedule["status"] == "stopped"


async def ticked(place: Installation, key: str) -> bool:
    """Whether a second has passed in which the schedule was due."""
    _, first = await place.ask("ChainEngine", key, "GET", "/v1/runs?limit=100")
    await asyncio.sleep(2.5)
    _, second = await place.ask("ChainEngine", key, "GET", "/v1/runs?limit=100")
    return [run["id"] for run in first["data"]] == [run["id"] for run in second["data"]]
