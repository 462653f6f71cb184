"""Encryption of what is kept: nothing planted is in a copy of the data directory, and keys are changed under way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from intellirouter.app.components.sealing import sealed
from intellirouter.cli.main import build
from intellirouter.config.load import load
from intellirouter.config.schema.security import SecuritySection
from intellirouter.errors import ConfigError
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.open import open_state
from intellirouter.memory.sealed import Resealing, SealedStore
from intellirouter.memory.store import StateStore
from intellirouter.security.sealed_files import FRAME, is_current, reading, reseal, writing
from intellirouter.security.sealing import MARK, NotOpened, Sealer, sealer_of
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER
from tests.servers.redis import RedisServer, redis_server
from tests.servers.vendor import Play, Received
from tests.servers.warm.process import started

ONE, TWO = b"1" * 32, b"2" * 32


@given(st.binary(), st.text(max_size=50), st.text(max_size=50), st.text())
def test_what_is_sealed_opens_in_its_place_only(value: bytes, place: str, other: str, text: str) -> None:
    sealer = Sealer((ONE,))
    sealed = sealer.seal("kind", place, value)
    assert sealer.open("kind", place, sealed) == value
    assert Sealer((TWO, ONE)).open("kind", place, sealed) == value
    assert sealer.open_text("kind", place, sealer.seal_text("kind", place, text)) == text
    for opened in (
        lambda: sealer.open("other kind", place, sealed),
        lambda: sealer.open("kind", f"{place}!{other}", sealed),
        lambda: Sealer((TWO,)).open("kind", place, sealed),
        lambda: sealer.open("kind", place, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        lambda: sealer.open("kind", place, sealed[:20]),
    ):
        with pytest.raises(NotOpened):
            opened()


@given(st.binary().filter(lambda value: not value.startswith(MARK)))
def test_what_was_kept_before_there_was_a_key_is_taken_as_it_is(value: bytes) -> None:
    assert Sealer((ONE,)).open("kind", "place", value) == value


def test_a_file_is_sealed_in_frames_and_what_was_done_to_it_is_found(tmp_path: Path) -> None:
    sealer, path = Sealer((ONE,)), tmp_path / "file"
    for size in (0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 2 * FRAME + 5):
        data = os.urandom(size)
        with writing(path, sealer) as sink:
            for start in range(0, size, 700_001):
                sink.write(data[start : start + 700_001])
        assert b"".join(reading(path, sealer)) == data
        assert size < 40 or data[:40] not in path.read_bytes()
    kept = path.read_bytes()
    length = 4 + int.from_bytes(kept[21:25])
    first, second = kept[21 : 21 + length], kept[21 + length : 21 + 2 * length]
    for broken in (
        kept[:-1],
        kept[: 21 + 2 * length],  # the last frame is missing
        kept[:21],
        kept[:21] + second + first + kept[21 + 2 * length :],
        kept[:30] + bytes([kept[30] ^ 1]) + kept[31:],
        kept[:5] + bytes(16) + kept[21:],  # frames of another file
        kept + b"\xff\xff\xff\xff",
    ):
        path.write_bytes(broken)
        with pytest.raises(NotOpened):
            list(reading(path, sealer))
    path.write_bytes(kept)
    both = Sealer((TWO, ONE))
    assert not is_current(path, both)
    assert reseal(path, both)
    assert not reseal(path, both)
    assert b"".join(reading(path, Sealer((TWO,)))) == data
    path.write_bytes(b"plain")
    assert reseal(path, both) and b"".join(reading(path, both)) == b"plain"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("key", ["short", "zz" * 32, "00" * 31, "AAAA", " "])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    if not key.strip():
        return
    with pytest.raises(ValueError, match="32 bytes"):
        SecuritySection.model_validate({"key": key})


def test_a_key_is_written_in_hexadecimal_or_base64() -> None:
    names = {
        sealer.current_name
        for key in ("ab" * 32, "AB" * 32, "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=")
        if (sealer := sealer_of(SecuritySection.model_validate({"key": key}))) is not None
    }
    assert len(names) == 1


SAID = "planted-words-of-a-conversation"
ANSWERED = "planted-words-of-an-answer"


def toml(key: str = "", previous: str = "") -> str:
    keys = f'[security]\nkey = "{key}"\n' if key else ""
    keys += f'previous_keys = ["{previous}"]\n' if previous else ""
    return f'{keys}[records]\ncontent = "all"\n[cache]\nenabled = true\n'


def answer(received: Received) -> Play:
    if not received.path.endswith("/responses"):
        message = {"role": "assistant", "content": ANSWERED}
        return Play.json({**ANSWER, "choices": [{**ANSWER["choices"][0], "message": message}]})
    said = {"type": "output_text", "text": ANSWERED, "annotations": []}
    message = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [said],
    }
    usage = {"input_tokens": 3, "output_tokens": 3, "total_tokens": 6}
    body = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m"}
    return Play.json({**body, "output": [message], "usage": usage})


async def talk(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, data: Path, key: str
) -> None:
    """A conversation, a kept response and their rows in the record."""
    vendor = await start_vendor(answer)
    node = await start_node(provider(vendor) + toml(key), data_dir=data)
    url = node.listening[0].url
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": SAID}],
        "conversation": "c1",
        "temperature": 0,
    }
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.status == 200, await reply.text()
    async with http.post(f"{url}/v1/responses", json={"model": "m", "input": SAID, "store": True}) as reply:
        assert reply.status == 200, await reply.text()
    store = sqlite3.connect(data / "requests.db")
    async with asyncio.timeout(60):
        while _rows(store) < 1:  # noqa: ASYNC110  they are written by a thread of its own
            await asyncio.sleep(0.1)
    store.close()


def _rows(store: sqlite3.Connection) -> int:
    try:
        return int(store.execute("select count(*) from content").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0


def planted(data: Path) -> list[str]:
    """The files that hold what was said, in whatever way."""
    return [
        file.name
        for file in data.rglob("*")
        if file.is_file() and any(word.encode() in file.read_bytes() for word in (SAID, ANSWERED))
    ]


async def test_a_copy_of_the_data_without_the_key_says_nothing(
    start_vendor: StartVendor, start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    plain, data = tmp_path / "plain", tmp_path / "sealed"
    await talk(start_node, start_vendor, http, plain, "")
    await talk(start_node, start_vendor, http, data, "11" * 32)
    assert planted(plain)  # there is something to find
    assert planted(data) == []
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    for wrong in (toml(), toml("22" * 32)):
        with pytest.raises(ConfigError, match=r"encrypted with key [0-9a-f]{8}, and (there is none|it has)"):
            await start_node(wrong, data_dir=copy)
    (copy / "security.json").unlink()  # a copy of the store alone knows it, too
    with pytest.raises(ConfigError, match="encrypted with key"):
        await start_node(toml(), data_dir=copy)
    again = await start_node(toml("22" * 32, "11" * 32), data_dir=copy)
    url = again.listening[0].url
    async with http.get(f"{url}/v1/conversations/c1") as reply:
        assert SAID in await reply.text()


CONVERSATIONS = 60


def configured(tmp_path: Path, redis: RedisServer | None, *keys: bytes) -> Path:
    """A configuration of a node with these keys, whose state is in a file, or in Redis."""
    file = tmp_path / "node.toml"
    memory = f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n' if redis is not None else ""
    file.write_text(
        f'[paths]\ndata_dir = "{tmp_path / "data"}"\n{memory}[security]\nkey = "{keys[0].hex()}"\n'
        f"previous_keys = {[key.hex() for key in keys[1:]]}\n".replace("'", '"')
    )
    return file


@contextlib.asynccontextmanager
async def opened(file: Path) -> AsyncIterator[SealedStore]:
    """Its state, as a node opens it. Raises `ConfigError`."""
    settings = load(file, {}, {}).settings
    async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
        found = await sealed(store, settings.security)
        assert isinstance(found, SealedStore)
        yield found


async def all_there(store: SealedStore) -> None:
    for number in range(CONVERSATIONS):
        turns = await store.slice(f"conversation:t:{number}")
        assert turns == [f"turn {turn} of {number}".encode() for turn in range(5)]
        assert await store.get(f"response:t:{number}") == f"response {number}".encode()


async def has_begun(store: StateStore, name: str) -> None:
    """Wait until something is sealed with the key of that name."""
    new = MARK + bytes.fromhex(name)
    async with asyncio.timeout(60):
        while True:
            for number in range(CONVERSATIONS):
                if any(item.startswith(new) for item in await store.slice(f"conversation:t:{number}")):
                    return


@pytest.mark.parametrize("backend", ["embedded", "redis"])
async def test_a_rotation_that_is_killed_goes_on_and_loses_nothing(tmp_path: Path, backend: str) -> None:
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_server(tmp_path / "redis")) if backend == "redis" else None
        async with opened(configured(tmp_path, redis, ONE)) as store:
            for number in range(CONVERSATIONS):
                turns = [f"turn {turn} of {number}".encode() for turn in range(5)]
                await store.append(f"conversation:t:{number}", turns)
                await store.set(f"response:t:{number}", f"response {number}".encode())
        both = configured(tmp_path, redis, TWO, ONE)
        words = ("keys", "rotate-master", "--config", str(both))
        name = Sealer((TWO,)).current_name
        async with opened(both) as store:  # a node that runs meanwhile
            process = await started(words, folder=tmp_path, environment=os.environ)
            await has_begun(store.inner, name)
            process.kill()
            await process.wait()
            await all_there(store)
            result = await asyncio.to_thread(CliRunner().invoke, build("keys"), words)
            assert result.exit_code == 0, result.output
            await all_there(store)
        async with opened(configured(tmp_path, redis, TWO)) as store:
            await all_there(store)
        with pytest.raises(ConfigError, match=f"encrypted with key {name}"):
            async with opened(configured(tmp_path, redis, ONE)):
                pass


async def test_what_is_said_meanwhile_is_behind_what_was(tmp_path: Path) -> None:
    inner = await EmbeddedStore(tmp_path / "state.db").open()
    await SealedStore(inner, Sealer((ONE,))).append("conversation:t:c", [b"one", b"two"])
    sealer = Sealer((TWO, ONE))
    new, replace = SealedStore(inner, sealer), inner.replace

    async def slow(key: str, *args: Any, **more: Any) -> bool:
        if len(await inner.slice(key)) < 4:
            await new.append(key, [b"more"])
        return await replace(key, *args, **more)

    inner.replace = slow  # type: ignore[method-assign]
    assert await Resealing(new, sealer, lambda _key: None).all(["conversation"]) == 1
    only = SealedStore(inner, Sealer((TWO,)))
    assert await only.slice("conversation:t:c") == [b"one", b"two", b"more", b"more"]
    await inner.aclose()
