"""Encryption of all that a node keeps: nothing of it is in a copy of the data, and it goes on across a change of the key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from intellirouter.chains.runtime.durable.sealing import PLACE, PURPOSE, SealedBytes, reseal
from intellirouter.cli.keys_master import _kept_for
from intellirouter.cli.main import build
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError
from intellirouter.identity.oidc.grants import GRANT
from intellirouter.roles.keys import PEOPLE, STATE
from intellirouter.security.people import new_account
from intellirouter.security.sealing import NotOpened, Sealer
from tests.conftest import StartVendor, provider
from tests.roles.rag_manager.test_provider_embedding import letters
from tests.servers import fault_vendor as faults
from tests.servers.installation import ADMIN, Installation, installed
from tests.servers.postgres import postgres
from tests.servers.vendor import Play, Received, Vendor

ONE, TWO = b"1" * 32, b"2" * 32
CHAIN = """chain: {{name: talk, version: 1, description: "{}"}}
input: {{text: {{type: string}}}}
steps:
  - id: said
    set: {{text: input.text}}
  - id: ask
    wait: {{signal: go}}
output: {{text: steps.said.text, answer: steps.ask}}
"""
KINDS = (
    "definition input signal email grant turn answer stored setting text name attribute original filename part partname "
    "store metadata description failing bad comment shown fault scheduled triggered"
).split()
"""Of what a node keeps; each is planted as a word of its own, which no index of words may hold either."""


def word(kind: str, era: str) -> str:
    """What is planted in a kind of thing, before there was a key ("old") or after ("new"): letters that no stemmer and no base64 hides."""
    return f"qz{kind}xj{era}vk"


def toml(vendor: Vendor, *keys: str) -> str:
    found = f'[security]\nkey = "{keys[0]}"\n' if keys else ""
    if keys[1:]:
        found += f"previous_keys = {list(keys[1:])}\n".replace("'", '"')
    kept = '[records]\ncontent = "all"\n[cache]\nenabled = true\n[rag]\nembedding_model = "primary/letters"\n'
    return f"{provider(vendor)}{found}{kept}[auth]\nenabled = true\n"


def answering(received: Received) -> Play:
    """Vectors, or an answer that says what it was asked."""
    if received.path.endswith("/embeddings"):
        return letters(received)
    era = "new" if "new" in str(received.json) else "old"
    if word("fault", era) in str(received.json):  # some repeat what they were asked
        return Play.json(
            {"error": {"message": f"Not {word('fault', era)}.", "type": "invalid_request_error"}}, 400
        )
    return Play.json(faults.whole(word("answer", era), "m"))


def planted(data: Path) -> dict[str, list[str]]:
    """By file, what of the words can be read in it, in whatever case."""
    words = [word(kind, era) for kind in KINDS for era in ("old", "new")]
    found = {}
    for file in data.rglob("*"):
        if file.is_file():
            raw = file.read_bytes().lower()
            # an index of words leaves out how a word begins like the one before it
            if there := [one for one in words if one.encode() in raw or one[4:].encode() in raw]:
                found[str(file.relative_to(data))] = there
    return found


async def filled(place: Installation, era: str) -> dict[str, str]:
    """Something of every kind; what it is asked for by."""

    def form(field: str, name: str, data: str, **more: str) -> aiohttp.FormData:
        made = aiohttp.FormData(more)
        made.add_field(field, data.encode(), filename=name)
        return made

    async def ask(role: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        status, told = await place.ask(role, ADMIN, method, path, body, **more)
        assert status < 300, told
        return told

    said = {"model": "m", "conversation": f"c-{era}", "temperature": 0}
    turn = [{"role": "user", "content": word("turn", era)}]
    await ask("Router", "POST", "/v1/chat/completions", {**said, "messages": turn})
    odd = {"model": "m", "messages": [{"role": "user", "content": word("fault", era)}]}
    status, _ = await place.ask("Router", ADMIN, "POST", "/v1/chat/completions", odd)
    assert status == 400
    await rated(place, era)
    stored = {"model": "m", "input": word("stored", era), "store": True}
    response = await ask("Router", "POST", "/v1/responses", stored)
    added = {"name": "added", "kind": "openai_compatible", "endpoint": "http://127.0.0.1:1", "models": ["x"]}
    settings = {"model_registry": {"providers": [{**added, "api_key": word("setting", era)}]}}
    await ask("Router", "PUT", "/admin/settings", {"settings": settings})
    text = f"{word('text', era)} is what this page is about. {'Words. ' * 40}"
    name = f"{word('name', era)}.txt&subject={word('attribute', era)}"
    assert (await place.ingest(ADMIN, "docs", name, text))["status"] == "ready"
    bad = await place.ingest(ADMIN, "docs", f"{word('bad', era)}.pdf", f"%PDF-1.7 {word('failing', era)}")
    assert bad["status"] == "failed"
    original = word("original", era) + " Words."
    body = form("file", f"{word('filename', era)}.txt", original, purpose="assistants")
    file = await ask("RagManager", "POST", "/v1/files", data=body)
    upload = {"filename": f"{word('partname', era)}.txt", "purpose": "assistants", "bytes": 99, "mime_type": "text/plain"}  # fmt: skip
    begun = await ask("RagManager", "POST", "/v1/uploads", upload)
    part = form("data", "part", word("part", era).ljust(99, "."))
    part = await ask("RagManager", "POST", f"/v1/uploads/{begun['id']}/parts", data=part)
    store = {"name": word("store", era), "description": word("description", era), "metadata": {"of": word("metadata", era)}}  # fmt: skip
    store = await ask("RagManager", "POST", "/v1/vector_stores", store)
    await ask("RagManager", "POST", f"/v1/vector_stores/{store['id']}/files", {"file_id": file["id"]})
    people, state = place.nodes["Router"].opened[PEOPLE], place.nodes["Router"].opened[STATE]
    await people.create(new_account(f"ann-{era}", email=f"{word('email', era)}@example.com"))
    await state.set(GRANT + era, word("grant", era).encode())
    async with asyncio.timeout(60):
        at = f"/v1/vector_stores/{store['id']}/files/{file['id']}"
        while (await ask("RagManager", "GET", at))["status"] == "in_progress":  # noqa: ASYNC110  asked over HTTP
            await asyncio.sleep(0.1)
    return {
        "response": response["id"],
        "file": file["id"],
        "upload": begun["id"],
        "part": part["id"],
        "store": store["id"],
        "run": await begun_run(place, era),
    }


async def rated(place: Installation, era: str) -> None:
    """Say of the last request that the record knows, and that had an answer, how good that was."""
    async with asyncio.timeout(60):
        while True:
            _, found = await place.ask(
                "Router", ADMIN, "GET", "/admin/requests?status=ok&endpoint=chat_completions"
            )
            if found["data"]:
                break
            await asyncio.sleep(0.1)
    said = {"score": 0.5, "comment": word("comment", era), "demonstration": word("shown", era)}
    body = {"request_id": found["data"][0]["request_id"], **said}
    status, told = await place.ask("Router", ADMIN, "POST", "/v1/feedback", body)
    assert status == 200, told


async def begun_run(place: Installation, era: str) -> str:
    """A run that waits for a signal; its id."""
    await place.put_chain(
        ADMIN, f"talk-{era}", CHAIN.format(word("definition", era)).replace("name: talk", f"name: talk-{era}")
    )
    for kind, name, more in (
        ("schedules", "scheduled", {"cron": "0 0 1 1 *"}),
        ("triggers", "triggered", {"kind": "event", "type": "never.*"}),
    ):
        body = {"chain": f"talk-{era}", "input": {"text": word(name, era)}, **more}
        status, told = await place.ask("ChainEngine", ADMIN, "PUT", f"/v1/{kind}/of-{era}", body)
        assert status == 201, told
    body = {"input": {"text": word("input", era)}, "mode": "background"}
    status, run = await place.ask("ChainEngine", ADMIN, "POST", f"/v1/chains/talk-{era}/runs", body)
    assert status in (200, 202), run
    async with asyncio.timeout(60):
        while (await read(place, run["id"]))["status"] != "waiting":  # noqa: ASYNC110  asked over HTTP
            await asyncio.sleep(0.1)
    return str(run["id"])


async def told(place: Installation, era: str, ids: dict[str, str]) -> None:
    """All of it is still there, and what is looked for by its words is found."""
    heard = ""
    for role, path in (
        ("Router", f"/v1/conversations/c-{era}"),
        ("Router", f"/v1/responses/{ids['response']}/input_items"),
        ("Router", f"/v1/responses/{ids['response']}"),
        ("Router", "/admin/requests?limit=100"),
        ("RagManager", "/rag/v1/collections/docs/documents"),
        ("RagManager", "/rag/v1/jobs"),
        ("RagManager", f"/v1/files/{ids['file']}"),
        ("RagManager", f"/v1/files/{ids['file']}/content"),
        ("RagManager", f"/v1/vector_stores/{ids['store']}"),
        ("RagManager", f"/v1/vector_stores/{ids['store']}/files/{ids['file']}/content"),
        ("ChainEngine", f"/v1/chains/talk-{era}"),
    ):
        status, answer = await place.ask(role, ADMIN, "GET", path)
        assert status == 200, (path, answer)
        heard += str(answer)
    for kind in ("turn", "answer", "stored", "name", "attribute", "bad", "filename", "store", "metadata", "description", "original", "definition"):  # fmt: skip
        assert word(kind, era) in heard, kind
    _, found = await place.retrieve(ADMIN, "docs", f"what about {word('text', era)}?")
    assert word("text", era) in found["passages"][0]["text"], found
    query = {"query": word("original", era), "filters": None}
    _, found = await place.ask("RagManager", ADMIN, "POST", f"/v1/vector_stores/{ids['store']}/search", query)
    assert word("original", era) in str(found["data"][0]), found
    people = place.nodes["Router"].opened[PEOPLE]
    assert (await people.find(f"ann-{era}")).email == f"{word('email', era)}@example.com"


async def read(place: Installation, run: str) -> dict[str, object]:
    status, told = await place.ask("ChainEngine", ADMIN, "GET", f"/v1/runs/{run}")
    assert status == 200, told
    return dict(told)


async def ended(place: Installation, era: str, ids: dict[str, str]) -> None:
    """Answer what the run waits for."""
    run = ids["run"]
    body = {"payload": {"said": word("signal", era)}}
    status, said = await place.ask("ChainEngine", ADMIN, "POST", f"/v1/runs/{run}/signals/go", body)
    assert status in (200, 202), said
    async with asyncio.timeout(60):
        while (said := await read(place, run))["status"] in ("waiting", "running", "queued"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert word("signal", era) in str(said) and word("input", era) in str(said)


async def completed(place: Installation, era: str, ids: dict[str, str]) -> None:
    """Complete the upload."""
    path = f"/v1/uploads/{ids['upload']}/complete"
    status, said = await place.ask("RagManager", ADMIN, "POST", path, {"part_ids": [ids["part"]]})
    assert status == 200, said
    _, content = await place.ask("RagManager", ADMIN, "GET", f"/v1/files/{said['file']['id']}/content")
    assert content == word("part", era).ljust(99, ".")


async def test_all_that_a_node_keeps_across_a_change_of_the_key(
    tmp_path: Path, start_vendor: StartVendor
) -> None:
    vendor = await start_vendor(answering)
    data, old, new = tmp_path / "data-All", "11" * 32, "22" * 32
    async with installed("one", tmp_path, toml(vendor)) as place:  # as it was before there was a key
        first = await filled(place, "old")
    plain = planted(data)
    assert {one for words in plain.values() for one in words} >= {
        word(kind, "old") for kind in KINDS if kind != "signal"
    }

    def command(place: Path, keys: tuple[str, ...], *words: str) -> Any:
        file = tmp_path / "command.toml"
        file.write_text(f'[paths]\ndata_dir = "{place}"\n{toml(vendor, *keys)}')
        return CliRunner().invoke(build(words[0]), [*words, "--config", str(file)])

    def rotated(*keys: str) -> None:
        result = command(data, keys, "keys", "rotate-master")
        assert result.exit_code == 0, result.output

    await asyncio.to_thread(rotated, old)
    assert planted(data) == {}, "nothing is left as it was"
    with pytest.raises(ConfigError, match="encrypted with key"):
        async with installed("one", tmp_path, toml(vendor, new)):
            pass
    async with installed("one", tmp_path, toml(vendor, old)) as place:
        second = await filled(place, "new")
        await told(place, "old", first)
        await ended(place, "old", first)
        await completed(place, "old", first)
    assert planted(data) == {}, "and nothing that was said since"
    for _ in range(2):  # interrupted or not, it is run again
        await asyncio.to_thread(rotated, new, old)
    other, archives = tmp_path / "other", tmp_path / "archives"
    made = await asyncio.to_thread(command, data, (new,), "backup", "--to", str(archives))
    assert made.exit_code == 0, made.output
    (archive,) = map(str, archives.iterdir())
    put_back = ("restore", archive, "--trust-foreign")
    for keys in ((), (old,)):  # on another node, without the key: it is named, and nothing is touched
        refused = await asyncio.to_thread(command, other / "data-All", keys, *put_back)
        named = f"encrypted with key {Sealer((bytes.fromhex(new),)).current_name}"
        assert refused.exit_code != 0 and named in f"{refused.output} {refused.exception}"
        assert not list((other / "data-All").glob("*.db"))
    restored = await asyncio.to_thread(command, other / "data-All", (new,), *put_back)
    assert restored.exit_code == 0, f"{restored.output} {restored.exception}"
    assert "Nothing was there before" in restored.output
    (other / "data-All" / "state.db").rename(
        tmp_path / "aside"
    )  # whatever is there of it, the key is asked for
    with pytest.raises(ConfigError, match="encrypted with key"):
        async with installed("one", other, toml(vendor)):
            pass
    (tmp_path / "aside").rename(other / "data-All" / "state.db")
    async with installed("one", other, toml(vendor, new)) as place:  # nor is the key before needed any more
        await told(place, "new", second)
        await told(place, "old", first)
        await ended(place, "new", second)
    assert planted(tmp_path) == {}


def test_rows_are_sealed_anew_in_postgres() -> None:
    with postgres() as url:
        _rows(url.replace("postgresql://", "postgresql+psycopg://"))


def _rows(url: str) -> None:
    engine, metadata = sa.create_engine(url), sa.MetaData()
    table = sa.Table("kept", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", SealedBytes("kept.body")))  # fmt: skip
    metadata.create_all(engine)
    before, after = Sealer((ONE,)), Sealer((TWO, ONE))
    with engine.begin() as connection:
        connection.execute(sa.text("create schema dbos"))
        connection.execute(
            sa.text(
                "create table dbos.events (id text, key text, value text, serialization text, primary key (id, key))"
            )
        )
        for number in range(450):
            sealed = before.seal(PURPOSE, "kept.body", b"%d" % number) if number % 2 else b"%d" % number
            connection.execute(table.insert().values(id=number, body=sealed))
            value = before.seal_text(PURPOSE, PLACE, f"[{number}]") if number % 2 else f"[{number}]"
            connection.execute(
                sa.text("insert into dbos.events values (:id, 'k', :value, 'portable_json')"),
                {"id": str(number), "value": value},
            )
    assert reseal(engine, after, [table]) == 900
    assert reseal(engine, after, [table]) == 0, "what has the key is left alone"
    only = Sealer((TWO,))
    with engine.connect() as connection:
        for number, body in connection.execute(sa.select(table)):
            assert only.open(PURPOSE, "kept.body", bytes(body)) == b"%d" % number
        for id_, value in connection.execute(sa.text("select id, value from dbos.events")):
            assert only.open_text(PURPOSE, PLACE, value) == f"[{id_}]"
            with pytest.raises(NotOpened):
                only.open_text(PURPOSE, "kept.body", value)
    engine.dispose()


@pytest.mark.parametrize(
    ("key", "ends"),
    [("people:account:user_1", False), ("people:name:user:abc", False), ("people:signing-key", False), ("settings:1", False),
     ("people:session:s", True), ("people:revoked:s", True), ("people:code:c", True), ("grant:g", True), ("conversation:t:c", True)],
)  # fmt: skip
def test_what_ends_by_itself_still_does_when_it_is_sealed_anew(key: str, ends: bool) -> None:
    assert (_kept_for(Settings(), key) is not None) is ends
