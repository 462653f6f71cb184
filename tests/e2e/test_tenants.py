"""Two tenants and every kind of thing (`security/ownership.py`): what one has, the other cannot see, change, or be told of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData

from intellirouter.peers.edges import FORMAT, Batch, Sent
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.security.caller import Caller
from intellirouter.security.ownership import KINDS
from tests.conftest import StartVendor
from tests.e2e.test_callers import answering, saying, world
from tests.roles.chain_engine.edges.test_arrivals import document as of_a_run
from tests.servers.fault_vendor import whole
from tests.servers.installation import ADMIN, Form, Installation, configured_key, installed
from tests.servers.redis import redis_server
from tests.servers.vendor import Play, Received, Vendor

SECRET = "forty-one-million"
NAMES = [("ta", "ta:x"), ("ta:x", "ta"), ("t*", "t1")]
PASSWORD = "a horse, a battery and a staple"


def telling(request: Received) -> Play:
    """Says what it was told, so that a leak shows."""
    if request.path.endswith("/embeddings"):
        return answering(request)
    if request.path.endswith("/judge"):
        return Play.json({"score": 1})
    return Play.json(whole(str(request.json["messages"])[-400:], request.json["model"]))


@pytest.fixture
async def vendor(start_vendor: StartVendor) -> Vendor:
    return await start_vendor(telling)


@pytest.fixture(params=[(form, names) for form in ("one", "http") for names in NAMES], ids=str)
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, vendor: Vendor
) -> AsyncIterator[Installation]:
    """Embedded state in one process, Redis between four."""
    form: Form = request.param[0]
    ours, theirs = request.param[1]
    scopes = "inference chains personas"
    keys = configured_key("ours", tenant=ours, scopes=scopes) + configured_key(
        "theirs", tenant=theirs, scopes=scopes
    )
    keys += configured_key("narrow", tenant=ours, scopes=scopes, more='models = ["cheap"]')
    more = '[cache]\nenabled = true\n[router.conversation_summary]\nmodel = "cheap"\n'
    more += f'[[rag.sources]]\nname = "merger-folder"\nkind = "folder"\npath = "/{SECRET}"\ncollection = "deals"\ntenant = "{ours}"\n'
    more += f'[chain_engine.hooks.judge]\nkind = "evaluate"\nsecret = "s"\nurl = "{vendor.url}/judge"\n'
    more += '[[rag.assist]]\nmodel = "cheap"\ncollections = ["described"]\ncontexts = true\nsummaries = true\nexpand = ["multi_query", "hyde"]\n'
    more += '[chain_engine.edges.shop]\ntoken = "61c1e7f0a8d14b5e93d2"\ntenants = ["*"]\n'
    with redis_server(tmp_path / "redis") as redis:
        toml = more + world(vendor, redis if form == "http" else None) + keys
        async with installed(form, tmp_path / "nodes", toml) as made:
            yield made


class Other:
    """The other tenant, who tries everything and must hear nothing."""

    def __init__(self, place: Installation, *names: str) -> None:
        self.place = place
        self.names = (SECRET, *names)

    async def gets(self, role: str, method: str, path: str, body: Any = None, **more: Any) -> int:
        status, told = await self.place.ask(role, "theirs", method, path, body, **more)
        said = told if isinstance(told, str) else json.dumps(told)
        for name in self.names:
            echoed = name != SECRET and status >= 400  # what one asked for oneself may be said back
            assert echoed or name not in said, (method, path, said[:500])
        assert status < 500, (path, said)
        return status

    async def finds_nothing(self, role: str, *tries: tuple[str, str] | tuple[str, str, Any]) -> None:
        for method, path, *body in tries:
            status = await self.gets(role, method, path, *body)
            assert status in (400, 404, 409), (method, path, status)


async def _chat(place: Installation, key: str, **more: Any) -> Any:
    status, told = await place.chat(key, "cheap", **more)
    assert status == 200, told
    return told


async def conversation(place: Installation) -> None:
    await _chat(place, "ours", messages=[{"role": "user", "content": SECRET}], conversation="talk-of-ours")
    other = Other(place, "talk-of-ours")
    assert await other.gets("Router", "GET", "/v1/conversations") == 200
    one = "/v1/conversations/talk-of-ours"
    await other.finds_nothing(
        "Router", ("GET", one), ("DELETE", one), ("GET", "/v1/conversations/x:talk-of-ours")
    )
    _, told = await place.chat("theirs", "cheap", conversation="talk-of-ours")
    assert SECRET not in json.dumps(told)
    _, kept = await place.ask("Router", "ours", "GET", one)
    assert SECRET in json.dumps(kept)


async def summary(place: Installation) -> None:
    long = f"{SECRET} " * 6_000
    for _ in range(2):
        await _chat(place, "ours", messages=[{"role": "user", "content": long}], conversation="long")
    await asyncio.sleep(0.5)  # a summary may be written now, or not: neither is theirs
    _, told = await place.chat("theirs", "cheap", conversation="long")
    assert SECRET not in json.dumps(told)


async def response(place: Installation) -> None:
    _, made = await place.ask("Router", "ours", "POST", "/v1/responses", {"model": "cheap", "input": SECRET})
    other, one = Other(place), f"/v1/responses/{made['id']}"
    await other.finds_nothing(
        "Router",
        ("GET", one),
        ("DELETE", one),
        ("GET", f"{one}/input_items"),
        ("POST", "/v1/responses", {"model": "cheap", "input": "x", "previous_response_id": made["id"]}),
    )


async def item(place: Installation) -> None:
    _, made = await place.ask("Router", "ours", "POST", "/v1/responses", {"model": "cheap", "input": SECRET})
    named = [{"type": "item_reference", "id": made["output"][0]["id"]}, {"role": "user", "content": "x"}]
    body = {"model": "cheap", "input": named}
    await Other(place).finds_nothing("Router", ("POST", "/v1/responses", body))
    status, _ = await place.ask("Router", "ours", "POST", "/v1/responses", body)
    assert status == 200


async def cached_answer(place: Installation) -> None:
    body = {"model": "cheap", "messages": [{"role": "user", "content": "the same question"}]}
    heard = []
    for key in ("ours", "ours", "theirs"):
        headers = {"authorization": f"Bearer {key}"}
        url = f"{place.urls['Router']}/v1/chat/completions"
        async with place.http.post(url, json=body, headers=headers) as reply:
            heard.append(reply.headers.get("x-intellirouter-cache"))
    assert heard == ["miss", "hit", "miss"]
    # of a group, a key of the same tenant gets no answer that one which may use more models was given
    for key, how in (("ours", "miss"), ("narrow", "miss"), ("ours", "hit")):
        headers = {"authorization": f"Bearer {key}"}
        url, grouped = f"{place.urls['Router']}/v1/chat/completions", {**body, "model": "auto/best"}
        async with place.http.post(url, json=grouped, headers=headers) as reply:
            assert (reply.status, reply.headers.get("x-intellirouter-cache")) == (200, how), key
            assert key == "ours" or (await reply.json())["model"] == "cheap"


def _with_cache(source: str) -> str:
    return source.replace("max_tokens: 8}}", "max_tokens: 8}, cache: 10m}")


async def cached_step(place: Installation) -> None:
    """The same chain for both tenants; and in one tenant for a key that may not ask the model."""
    find = (
        "chain: {name: find}\nsteps:\n  - id: found\n    cache: 10m\n"
        "    rag: {collection: kb, query: merger price}\noutput: {text: steps.found.text}\n"
    )
    await place.ingest("ours", "kb", "deal.txt", f"The merger price is {SECRET}.")
    await place.ingest("theirs", "kb", "deal.txt", "The merger price is unknown.")
    for key in ("ours", "theirs"):
        await place.put_chain(key, "find", find)
        await place.put_chain(key, "dear", _with_cache(saying("dear", "dear")))
    assert SECRET in (await place.run("ours", "find"))["output"]["text"]
    assert (await place.run("ours", "find"))["status"] == "succeeded"
    run = await place.run("theirs", "find")
    assert (run["status"], SECRET in json.dumps(run)) == ("succeeded", False)
    assert (await place.run("ours", "dear"))["status"] == "succeeded"
    run = await place.run("narrow", "dear")
    assert (run["status"], run["error"]["cause"]) == ("failed", "permission_denied")


async def retrieval(place: Installation) -> None:
    await place.ingest("ours", "facts", "deal.txt", f"The merger price is {SECRET}.")
    for _ in range(2):
        status, found = await place.retrieve("ours", "facts", "merger price")
        assert (status, SECRET in json.dumps(found)) == (200, True)
    body = {"query": "merger price", "collections": ["facts"]}
    await Other(place).finds_nothing("RagManager", ("POST", "/rag/v1/retrieve", body))
    status, _ = await place.retrieve("narrow", "facts", "merger price")
    assert status == 403  # what another key of the tenant has asked does not give it the model


async def chain(place: Installation) -> None:
    await place.put_chain("ours", "secret-chain", saying("cheap", "secret-chain").replace("hi", SECRET))
    other, one = Other(place, "secret-chain"), "/v1/chains/secret-chain"
    assert await other.gets("ChainEngine", "GET", "/v1/chains") == 200
    await other.finds_nothing(
        "ChainEngine", ("GET", one), ("DELETE", one), ("POST", f"{one}/runs", {"input": {}})
    )
    assert (
        await other.gets(
            "Router",
            "POST",
            "/v1/chat/completions",
            {"model": "chain/secret-chain", "messages": [{"role": "user", "content": "x"}]},
        )
        == 404
    )


async def version_of_a_chain(place: Installation) -> None:
    for text in (SECRET, "hi"):
        await place.put_chain("ours", "secret-was", saying("cheap", "secret-was").replace("hi", text))
    other, one = Other(place, "secret-was"), "/v1/chains/secret-was"
    await other.finds_nothing(
        "ChainEngine",
        *(("GET", f"{one}/{what}") for what in ("versions", "versions/1", "diff")),
        ("POST", f"{one}/rollback", {"revision": 1}),
        ("PUT", f"{one}/rollout", {"revision": 1, "share": 50}),
        ("DELETE", f"{one}/rollout"),
    )


async def _a_run(place: Installation, **headers: str) -> Any:
    await place.put_chain("ours", "tell", saying("cheap", "tell"))
    body = {"input": {"question": SECRET}, "mode": "wait"}
    _, run = await place.ask("ChainEngine", "ours", "POST", "/v1/chains/tell/runs", body, headers=headers)
    assert SECRET in json.dumps(run), run
    return run


async def run(place: Installation) -> None:
    made = await _a_run(place)
    other, one = Other(place, made["id"]), f"/v1/runs/{made['id']}"
    assert await other.gets("ChainEngine", "GET", "/v1/runs") == 200
    await other.finds_nothing(
        "ChainEngine",
        ("GET", one),
        ("GET", f"{one}/steps"),
        ("POST", f"{one}/cancel"),
        ("POST", f"{one}/resume"),
        ("POST", f"{one}/signals/go", {}),
        ("POST", f"{one}/fork", {"step": 1}),
        ("GET", f"/v1/runs?after={made['id']}"),
    )


async def run_of_an_edge(place: Installation) -> None:
    engine = place.nodes["ChainEngine"].opened[ENGINE]
    here = await _a_run(place)
    tenant = (await asyncio.to_thread(engine.store.run, here["id"])).tenant
    brought = Sent("run_far", 1, tenant, of_a_run(run={"output": SECRET}))
    (had,) = (await engine.arrivals.take(Caller(key_id="shop"), Batch(FORMAT, (brought,)), {})).runs
    assert had.digest, had
    one = "/v1/runs/shop:run_far"
    _, mine = await place.ask("ChainEngine", "ours", "GET", one)
    assert mine["output"] == SECRET
    other = Other(place, "run_far")
    assert await other.gets("ChainEngine", "GET", "/v1/runs") == 200
    await other.finds_nothing(
        "ChainEngine",
        ("GET", one),
        *(("GET", f"{one}/{what}") for what in ("steps", "events", "timeline", "drawing")),
        ("POST", f"{one}/fork", {"step": 1}),
    )
    assert await other.gets("ChainEngine", "GET", "/v1/edges") == 403


async def hook_delivery(place: Installation) -> None:
    run = await _a_run(place)
    _, mine = await place.ask("ChainEngine", "ours", "GET", "/v1/hooks")
    assert [each["run"] for each in mine["data"]].count(run["id"]) == 1
    other, one = Other(place, run["id"], mine["data"][0]["id"]), mine["data"][0]["id"]
    assert await other.gets("ChainEngine", "GET", "/v1/hooks") == 200
    await other.finds_nothing("ChainEngine", ("POST", f"/v1/hooks/{one}/retry", {}))


async def trigger(place: Installation) -> None:
    await place.put_chain("ours", "tell", saying("cheap", "tell"))
    body = {"kind": "event", "type": "secret.*", "chain": "tell", "input": {"question": SECRET}}
    assert (await place.ask("ChainEngine", "ours", "PUT", "/v1/triggers/on-secret", body))[0] == 201
    other, one = Other(place, "on-secret"), "/v1/triggers/on-secret"
    assert await other.gets("ChainEngine", "GET", "/v1/triggers") == 200
    tries = [("GET", one), ("DELETE", one), *((("POST", f"{one}/{act}")) for act in ("pause", "resume"))]
    await other.finds_nothing("ChainEngine", *tries)
    assert await other.gets("ChainEngine", "POST", "/v1/events", {"type": "secret.told", "data": {}}) == 202


async def schedule(place: Installation) -> None:
    await place.put_chain("ours", "tell", saying("cheap", "tell"))
    body = {"cron": "0 0 1 1 *", "chain": "tell", "input": {"question": SECRET}}
    status, _ = await place.ask("ChainEngine", "ours", "PUT", "/v1/schedules/yearly-secret", body)
    assert status == 201
    other, one = Other(place, "yearly-secret"), "/v1/schedules/yearly-secret"
    assert await other.gets("ChainEngine", "GET", "/v1/schedules") == 200
    tries = [
        ("GET", one),
        ("DELETE", one),
        *((("POST", f"{one}/{act}")) for act in ("pause", "resume", "trigger")),
    ]
    await other.finds_nothing("ChainEngine", *tries)


async def idempotency(place: Installation) -> None:
    made = await _a_run(place, **{"idempotency-key": "once"})
    await place.put_chain("theirs", "tell", saying("cheap", "tell"))
    body = {"input": {"question": SECRET}, "mode": "wait"}
    _, theirs = await place.ask(
        "ChainEngine", "theirs", "POST", "/v1/chains/tell/runs", body, headers={"idempotency-key": "once"}
    )
    assert theirs["id"] != made["id"]


async def collection(place: Installation) -> None:
    await place.ingest("ours", "secret-papers", "deal.txt", f"The merger price is {SECRET}.")
    other, one = Other(place, "secret-papers"), "/rag/v1/collections/secret-papers"
    assert await other.gets("RagManager", "GET", "/rag/v1/collections") == 200
    await other.finds_nothing(
        "RagManager",
        ("DELETE", one),
        *((("POST", f"{one}/{act}")) for act in ("reindex", "verify", "rebuild")),
    )


async def document(place: Installation) -> None:
    await place.ingest("ours", "papers", "deal.txt", f"The merger price is {SECRET}.")
    one = "/rag/v1/collections/papers/documents"
    await Other(place).finds_nothing(
        "RagManager",
        ("GET", one),
        ("GET", f"{one}/deal.txt/chunks"),
        ("DELETE", f"{one}/deal.txt"),
        ("POST", f"{one}?name=deal.txt", b"mine now"),
    )


async def source(place: Installation) -> None:
    status, mine = await place.ask("RagManager", "ours", "GET", "/rag/v1/sources/merger-folder")
    assert (status, mine["collection"]) == (200, "deals")
    other, one = Other(place, "merger-folder"), "/rag/v1/sources/merger-folder"
    assert await other.gets("RagManager", "GET", "/rag/v1/sources") == 200
    await other.finds_nothing("RagManager", ("GET", one), ("POST", f"{one}/sync"))


async def written_about(place: Installation) -> None:
    """Both have the very same document: what was written about one's own is no answer for the other, nor spared them."""
    for key in ("ours", "theirs"):
        job = await place.ingest(key, "described", "deal.txt", "The merger price is fair.")
        assert (job["status"], job["note"]) == ("ready", None), job
    await place.ingest("ours", "described", "mine.txt", f"The merger price is {SECRET}.")
    found = await place.retrieve("ours", "described", "What is the merger price?")
    assert SECRET in json.dumps(found)
    other = Other(place, "mine.txt")
    body = {"query": "summary of the merger price", "collections": ["described"], "top_k": 20}
    assert await other.gets("RagManager", "POST", "/rag/v1/retrieve", body) == 200
    await other.finds_nothing(
        "RagManager", ("GET", "/rag/v1/collections/described/documents/mine.txt/chunks")
    )


async def wording(place: Installation) -> None:
    """What a model wrote for a question is for those alone who may ask it as much as whoever asked."""
    body = {"query": f"Who pays {SECRET} for it?", "collections": ["described"]}
    for _ in range(2):
        status, found = await place.ask("RagManager", "ours", "POST", "/rag/v1/retrieve", body)
        assert status == 200 and not found.get("notes"), found
    assert await Other(place).gets("RagManager", "POST", "/rag/v1/retrieve", body) == 200


async def job(place: Installation) -> None:
    made = await place.ingest("ours", "jobs", "deal.txt", f"The merger price is {SECRET}.")
    other, one = Other(place, made["id"]), f"/rag/v1/jobs/{made['id']}"
    assert await other.gets("RagManager", "GET", "/rag/v1/jobs") == 200
    await other.finds_nothing("RagManager", ("GET", one), ("GET", f"{one}/events"), ("POST", f"{one}/cancel"))


async def _a_file(place: Installation) -> str:
    name = f"{SECRET}.txt"
    form = FormData()
    form.add_field("purpose", "assistants")
    content = f"The merger price is {SECRET}.".encode()
    form.add_field("file", content, filename=name, content_type="text/plain")
    status, made = await place.ask("RagManager", "ours", "POST", "/v1/files", data=form)
    assert status == 200, made
    return str(made["id"])


async def file(place: Installation) -> None:
    made = await _a_file(place)
    other, one = Other(place, made), f"/v1/files/{made}"
    assert await other.gets("RagManager", "GET", "/v1/files") == 200
    await other.finds_nothing("RagManager", ("GET", one), ("GET", f"{one}/content"), ("DELETE", one))
    _, mine = await place.ask("RagManager", "theirs", "POST", "/v1/vector_stores", {"name": "mine"})
    attach = ("POST", f"/v1/vector_stores/{mine['id']}/files", {"file_id": made})
    await other.finds_nothing("RagManager", attach)


async def upload(place: Installation) -> None:
    body = {"filename": f"{SECRET}.txt", "purpose": "assistants", "bytes": 4, "mime_type": "text/plain"}
    status, made = await place.ask("RagManager", "ours", "POST", "/v1/uploads", body)
    assert status == 200, made
    one, form = f"/v1/uploads/{made['id']}", FormData()
    form.add_field("data", b"coal", filename="part")
    status, part = await place.ask("RagManager", "ours", "POST", f"{one}/parts", data=form)
    assert status == 200, part
    other = Other(place, made["id"], part["id"])
    theirs = FormData()
    theirs.add_field("data", b"mine", filename="part")
    assert await other.gets("RagManager", "POST", f"{one}/parts", data=theirs) == 404
    complete = ("POST", f"{one}/complete", {"part_ids": [part["id"]]})
    await other.finds_nothing("RagManager", complete, ("POST", f"{one}/cancel"))
    # nor does a part of ours get into an upload of theirs
    _, begun = await place.ask("RagManager", "theirs", "POST", "/v1/uploads", {**body, "filename": "t.txt"})
    stolen = ("POST", f"/v1/uploads/{begun['id']}/complete", {"part_ids": [part["id"]]})
    await other.finds_nothing("RagManager", stolen)
    empty = FormData()
    empty.add_field("data", b"", filename="part")
    assert (await place.ask("RagManager", "ours", "POST", f"{one}/parts", data=empty))[0] == 400
    assert (await place.ask("RagManager", "ours", *complete))[0] == 200


async def _a_store(place: Installation) -> tuple[str, str]:
    _, made = await place.ask("RagManager", "ours", "POST", "/v1/vector_stores", {"name": f"store {SECRET}"})
    return str(made["id"]), await _a_file(place)


async def store(place: Installation) -> None:
    made, held = await _a_store(place)
    await place.ask("RagManager", "ours", "POST", f"/v1/vector_stores/{made}/files", {"file_id": held})
    other, one = Other(place, made, held), f"/v1/vector_stores/{made}"
    assert await other.gets("RagManager", "GET", "/v1/vector_stores") == 200
    await other.finds_nothing(
        "RagManager",
        ("GET", one),
        ("POST", one, {"name": "mine"}),
        ("GET", f"{one}/files"),
        ("GET", f"{one}/files/{held}"),
        ("DELETE", f"{one}/files/{held}"),
        ("POST", f"{one}/search", {"query": "price"}),
        ("DELETE", one),
    )


async def batch(place: Installation) -> None:
    made, held = await _a_store(place)
    path = f"/v1/vector_stores/{made}/file_batches"
    _, begun = await place.ask("RagManager", "ours", "POST", path, {"file_ids": [held]})
    one = f"{path}/{begun['id']}"
    other = Other(place, begun["id"], held)
    await other.finds_nothing("RagManager", ("GET", one), ("GET", f"{one}/files"), ("POST", f"{one}/cancel"))


async def persona(place: Installation) -> None:
    source = {"source": f'prompt = "The merger price is {SECRET}."\n'}
    status, _ = await place.ask("PersonaLayer", "ours", "PUT", "/v1/personas/secret-one", source)
    assert status == 201
    other, one = Other(place, "secret-one"), "/v1/personas/secret-one"
    assert await other.gets("PersonaLayer", "GET", "/v1/personas") == 200
    await other.finds_nothing(
        "PersonaLayer",
        ("GET", one),
        ("GET", f"{one}/versions"),
        ("POST", f"{one}/render", {}),
        ("POST", f"{one}/rollback", {"version": 1}),
        ("DELETE", one),
    )
    asked = {"model": "cheap", "persona": "secret-one", "messages": [{"role": "user", "content": "x"}]}
    assert await other.gets("Router", "POST", "/v1/chat/completions", asked) == 404


async def record(place: Installation) -> None:
    await _chat(place, "ours", user=f"user-{SECRET}")
    async with asyncio.timeout(60):
        while True:
            _, rows = await place.ask("Router", "ours", "GET", "/admin/requests")
            if mine := [row for row in rows["data"] if row.get("key") == "ours"]:
                break
            await asyncio.sleep(0.1)
    other = Other(place, mine[0]["id"])
    assert await other.gets("Router", "GET", "/admin/requests") == 200
    await other.finds_nothing("Router", ("GET", f"/admin/requests/{mine[0]['id']}"))


async def _person(place: Installation, key: str, name: str) -> Any:
    """Somebody of a key's tenant, who may what a developer may."""
    _, me = await place.ask("Router", key, "GET", "/auth/whoami")
    body = {"name": name, "tenant": me["tenant"], "roles": ["developer"], "email": f"{SECRET}@example.com"}
    status, made = await place.ask("Router", ADMIN, "POST", "/admin/users", body)
    assert status == 201, made
    return made


async def account(place: Installation) -> None:
    made = await _person(place, "ours", f"ann-{SECRET}")
    other, one = Other(place, made["id"]), f"/admin/users/{made['id']}"
    for method, path, body in (
        ("GET", "/admin/users", None),
        ("GET", one, None),
        ("PATCH", one, {"roles": []}),
        ("PUT", f"{one}/password", {"password": PASSWORD}),
        ("POST", f"{one}/block", None),
        ("DELETE", one, None),
        ("POST", "/admin/users", {"name": "mine"}),
        ("POST", "/admin/keys", {"name": "mine", "owner": made["id"]}),
    ):
        assert await other.gets("Router", method, path, body) == 403, (method, path)
    assert await other.gets("Router", "GET", "/auth/whoami") == 200
    _, theirs = await place.ask("Router", "theirs", "GET", "/auth/whoami")
    body = {"name": "stolen", "tenant": theirs["tenant"], "owner": made["id"]}
    assert (await place.ask("Router", ADMIN, "POST", "/admin/keys", body))[0] == 409, "nobody's of elsewhere"
    _, kept = await place.ask("Router", ADMIN, "GET", one)
    assert kept["status"] == "live" and kept["roles"] == ["developer"]


async def sign_in(place: Installation) -> None:
    made = await _person(place, "ours", "bob")
    one, said = f"/admin/users/{made['id']}/password", {"username": "bob", "password": PASSWORD}
    assert (await place.ask("Router", ADMIN, "PUT", one, {"password": PASSWORD}))[0] == 200
    _, mine = await place.ask("Router", "", "POST", "/auth/login", said)
    token = mine["access_token"]
    status, me = await place.ask("Router", token, "GET", "/auth/whoami")
    assert status == 200 and me["id"] == made["id"] and me["tenant"] == made["tenant"], me
    other, session = Other(place, made["id"]), mine["refresh_token"].partition(".")[0]
    for guess in (session, f"{session}.", f"{session}.{'A' * 43}", token):
        assert await other.gets("Router", "POST", "/auth/refresh", {"refresh_token": guess}) == 401
    assert await other.gets("Router", "POST", "/auth/logout") == 400, "a key signs nobody out"
    assert (await place.ask("Router", token, "GET", "/auth/whoami"))[0] == 200
    await _chat(place, token, messages=[{"role": "user", "content": SECRET}], conversation="talk-of-bob")
    await other.finds_nothing("Router", ("GET", "/v1/conversations/talk-of-bob"))
    _, kept = await place.ask("Router", "ours", "GET", "/v1/conversations/talk-of-bob")
    assert SECRET in json.dumps(kept), "a person's talks are their tenant's"


async def console_session(place: Installation) -> None:
    await _chat(place, "ours", messages=[{"role": "user", "content": SECRET}], conversation="talk-in-console")
    router, began, visitor = place.urls["Router"], {}, {"x-console-token": "visitor"}
    for key in ("ours", "theirs"):
        opened = place.http.post(f"{router}/console/api/session", json={"key": key}, headers=visitor)
        async with opened as reply:
            assert reply.status == 201, await reply.text()
            began[key] = reply.cookies["intellirouter_console"].value, (await reply.json())["token"]
    talk = "/console/api/router/v1/conversations/talk-in-console"

    async def through(cookie: str, token: str, method: str) -> tuple[int, str]:
        headers = {"cookie": f"intellirouter_console={cookie}", "x-console-token": token}
        async with place.http.request(method, router + talk, headers=headers) as reply:
            return reply.status, await reply.text()

    (cookie, token), (other, others) = began["ours"], began["theirs"]
    for method in ("GET", "DELETE"):
        status, said = await through(other, others, method)
        assert status == 404 and SECRET not in said, (method, status, said)
    assert (await through(cookie, others, "DELETE"))[0] == 403, "the token of another session"
    status, said = await through(cookie, token, "GET")
    assert status == 200 and SECRET in said


ATTACKS: dict[str, Callable[[Installation], Awaitable[None]]] = {
    "conversation": conversation,
    "conversation summary": summary,
    "kept response": response,
    "item of a kept response": item,
    "cached answer": cached_answer,
    "cached step": cached_step,
    "retrieval": retrieval,
    "chain": chain,
    "version of a chain": version_of_a_chain,
    "run": run,
    "run of an edge": run_of_an_edge,
    "hook delivery": hook_delivery,
    "schedule": schedule,
    "trigger": trigger,
    "idempotency key": idempotency,
    "collection": collection,
    "document": document,
    "source": source,
    "what a model wrote about a document": written_about,
    "wording of a question": wording,
    "ingestion job": job,
    "file": file,
    "part of a file": upload,
    "vector store": store,
    "file batch": batch,
    "persona": persona,
    "request record": record,
    "account": account,
    "sign-in": sign_in,
    "console session": console_session,
}


def test_every_kind_is_attacked() -> None:
    assert [kind.name for kind in KINDS] == list(ATTACKS)


async def test_each_kind_of_thing_is_its_tenants_alone(place: Installation) -> None:
    failures = {}
    for name, attack in ATTACKS.items():
        try:
            await attack(place)
        except AssertionError as failure:
            failures[name] = str(failure)[:800]
    assert not failures
