"""Encryption of chains and people: nothing they say is in a copy of the data, and runs go on across a change of the key."""

from __future__ import annotations

import asyncio
from pathlib import Path

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
from tests.servers.installation import ADMIN, Installation, installed
from tests.servers.postgres import postgres

ONE, TWO = b"1" * 32, b"2" * 32
WORDS = (
    "planted-in-a-definition",
    "planted-in-an-input",
    "planted-in-a-signal",
    "planted@example.com",
    "planted-grant",
)
CHAIN = """chain: {{name: talk, version: 1, description: "{}"}}
input: {{text: {{type: string}}}}
steps:
  - id: said
    set: {{text: input.text}}
  - id: ask
    wait: {{signal: go}}
output: {{text: steps.said.text, answer: steps.ask}}
"""


def toml(*keys: str) -> str:
    found = f'[security]\nkey = "{keys[0]}"\n' if keys else ""
    if keys[1:]:
        found += f"previous_keys = {list(keys[1:])}\n".replace("'", '"')
    return found + "[auth]\nenabled = true\n"


def planted(data: Path) -> dict[str, list[str]]:
    """By file, what of the words can be read in it."""
    files = [file for file in data.rglob("*") if file.is_file()]
    found = {file.name: [word for word in WORDS if word.encode() in file.read_bytes()] for file in files}
    return {name: words for name, words in found.items() if words}


async def begun(place: Installation) -> str:
    """A run that waits for a signal; its id."""
    await place.put_chain(ADMIN, "talk", CHAIN.format(WORDS[0]))
    body = {"input": {"text": WORDS[1]}, "mode": "background"}
    status, run = await place.ask("ChainEngine", ADMIN, "POST", "/v1/chains/talk/runs", body)
    assert status in (200, 202), run
    async with asyncio.timeout(60):
        while (await read(place, run["id"]))["status"] != "waiting":  # noqa: ASYNC110  asked over HTTP
            await asyncio.sleep(0.1)
    return str(run["id"])


async def read(place: Installation, run: str) -> dict[str, object]:
    status, told = await place.ask("ChainEngine", ADMIN, "GET", f"/v1/runs/{run}")
    assert status == 200, told
    return dict(told)


async def ended(place: Installation, run: str) -> str:
    """Answer what it waits for; all that is told of it at its end, and of its chain."""
    body = {"payload": {"said": WORDS[2]}}
    status, told = await place.ask("ChainEngine", ADMIN, "POST", f"/v1/runs/{run}/signals/go", body)
    assert status in (200, 202), told
    async with asyncio.timeout(60):
        while (told := await read(place, run))["status"] in ("waiting", "running", "queued"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    _, chain = await place.ask("ChainEngine", ADMIN, "GET", "/v1/chains/talk")
    return f"{told} {chain}"


async def test_chains_and_people_across_a_change_of_the_key(tmp_path: Path) -> None:
    data, old, new = tmp_path / "data-All", "11" * 32, "22" * 32
    async with installed("one", tmp_path, toml()) as place:  # as it was before there was a key
        node = place.nodes["Router"]
        await node.opened[PEOPLE].create(new_account("ann", email=WORDS[3]))
        await node.opened[STATE].set(GRANT + "g", WORDS[4].encode())
        first = await begun(place)
    assert set(planted(data)) >= {"state.db", "chains.db"}, "there is something to find"
    file = tmp_path / "rotate.toml"

    def rotated(*keys: str) -> str:
        file.write_text(f'[paths]\ndata_dir = "{data}"\n{toml(*keys)}')
        result = CliRunner().invoke(build("keys"), ["keys", "rotate-master", "--config", str(file)])
        assert result.exit_code == 0, result.output
        return result.output

    await asyncio.to_thread(rotated, old)
    assert planted(data) == {}, "nothing is left as it was"
    with pytest.raises(ConfigError, match="encrypted with key"):
        async with installed("one", tmp_path, toml(new)):
            pass
    async with installed("one", tmp_path, toml(old)) as place:
        second = await begun(place)
        told = await ended(place, first)
        assert all(word in told for word in WORDS[:3]), told
        assert (await place.nodes["Router"].opened[PEOPLE].find("ann")).email == WORDS[3]
    assert planted(data) == {}, "and nothing that was said since"
    for _ in range(2):  # interrupted or not, it is run again
        await asyncio.to_thread(rotated, new, old)
    async with installed("one", tmp_path, toml(new)) as place:  # the key before is not needed any more
        told = await ended(place, second)
        assert all(word in told for word in WORDS[:3]), told
        assert WORDS[1] in str(await read(place, first))
    assert planted(data) == {}


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
