"""Words of a run that another node walks: at once over the bus, and whole from the database, whatever the bus loses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intellirouter.chains.runtime.durable.engine import open_engine
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.store import Event
from intellirouter.roles.chain_engine import live
from intellirouter.roles.chain_engine.live import MAX_TEXT, Live
from intellirouter.roles.chain_engine.passing import CHANNEL, MOST_AT_ONCE, Kept, Passing
from intellirouter.roles.chain_engine.store import METADATA
from intellirouter.security.sealing import Sealer
from tests.conftest import StartVendor, provider
from tests.roles.chain_engine.test_api import Client
from tests.roles.chain_engine.test_live import CHAIN, WORDS, Listener, answer, words
from tests.servers.postgres import postgres
from tests.servers.process import node_process
from tests.servers.redis import redis_server

NEVER = 3600.0


class Bus(EmbeddedStore):
    """The bus of a process, which loses what it is told to and remembers what went over it."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[bytes] = []
        self.loses = False
        self.lost = asyncio.Event()

    async def publish(self, channel: str, payload: bytes) -> None:
        self.passed.append(payload)
        if self.loses:
            self.lost.set()
            return
        await super().publish(channel, payload)


class Counting(EmbeddedStore):
    """A bus that says how many listen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners = 0

    @contextlib.asynccontextmanager
    async def subscribe(self, *channels: str) -> AsyncIterator[AsyncIterator[Event]]:
        async with super().subscribe(*channels) as events:
            self.listeners += 1
            try:
                yield events
            finally:
                self.listeners -= 1

    async def until(self, listeners: int) -> None:
        async with asyncio.timeout(30):
            while self.listeners != listeners:  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0.005)


async def test_nothing_is_listened_to_behind_the_last_who_follows() -> None:
    bus = Counting()
    passing = Passing(bus, linger=0.0)
    for run in ("one", "two"):
        passing.follow(run)
    await bus.until(1)
    passing.leave("one")
    passing.leave("two")
    passing.follow("three")  # in time: the same goes on
    for _ in range(10):
        await asyncio.sleep(0)
    assert bus.listeners == 1
    passing.leave("three")
    await bus.until(0)
    passing.follow("one")
    await bus.until(1)
    await passing.stop()
    assert bus.listeners == 0


class Nodes:
    """One that walks and one that listens, on one database and one bus."""

    def __init__(self, folder: Path, sealer: Sealer | None) -> None:
        self.engine = open_engine(f"sqlite:///{folder}/shared.db")
        METADATA.create_all(self.engine)
        self.bus, self.sealer = Bus(), sealer
        self.news: list[bool] = []
        self.heard = asyncio.Event()
        self.walking, self.listening = self.node(), self.node()
        assert self.listening.passing is not None
        self.listening.passing.heard = self.hear

    def node(self) -> Live:
        return Live(self.engine, shared=True, passing=Passing(self.bus, self.sealer), linger=NEVER)

    def hear(self, _run: str, recorded: bool) -> None:
        self.news.append(recorded)
        self.heard.set()

    def say(self, *told: str, path: str = "say", node: Live | None = None) -> None:
        for word in told:
            (node or self.walking).hear("step_tokens", "r", path, {"text": word})

    async def until(self, wanted: dict[str, tuple[int, str]]) -> None:
        async with asyncio.timeout(30):
            while (found := await self.listening.said("r", walks_here=False)) != wanted:
                assert len(str(found)) <= len(str(wanted)) + MAX_TEXT
                await asyncio.sleep(0.01)


@pytest.fixture(params=["plain", "sealed"])
async def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Nodes]:
    made = Nodes(tmp_path, Sealer((b"1" * 32,)) if request.param == "sealed" else None)
    await made.bus.open()
    async with made.listening.following("r"):
        assert await made.listening.said("r", walks_here=False) == {}  # which says that somebody listens
        assert await made.walking.followed("r")
        yield made
    for one in (made.walking, made.listening):
        await one.stop()
    await made.bus.aclose()
    made.engine.dispose()


async def test_words_are_there_before_the_database_has_them(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WRITE_SECONDS", NEVER)
    for count, word in enumerate(WORDS, start=1):
        nodes.say(word)
        await nodes.until({"say": (1, "".join(WORDS[:count]))})
    nodes.say("x" * (2 * MOST_AT_ONCE + 5), path="long")
    await nodes.until({"say": (1, "".join(WORDS)), "long": (1, "x" * (2 * MOST_AT_ONCE + 5))})
    nodes.walking.hear("step_retry", "r", "say", {})
    nodes.say("again")
    nodes.walking.linger = 0.0
    nodes.walking.hear("step_finished", "r", "long", {})
    await nodes.until({"say": (2, "again")})
    assert (nodes.news[0], nodes.news[-1] or nodes.news[-2]) == (False, True)
    assert all(WORDS[0].encode() not in told for told in nodes.bus.passed) == (nodes.sealer is not None)


async def test_half_a_character_stops_no_words(nodes: Nodes) -> None:
    nodes.say("a \ud83d", " b")
    await nodes.until({"say": (1, "a ? b")})
    nodes.bus.loses = True
    nodes.say(" c \udfff")
    await nodes.until({"say": (1, "a ? b c ?")})  # from the database


async def test_nothing_is_written_after_the_stop(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "WRITE_SECONDS", 0.0)
    await nodes.walking.stop()
    before = asyncio.all_tasks()
    nodes.say("late")
    nodes.walking.ended("r")
    assert asyncio.all_tasks() == before
    await asyncio.sleep(0.05)
    assert await nodes.listening.said("r", walks_here=False, fresh=True) == {}


async def test_what_the_bus_loses_comes_from_the_database(nodes: Nodes) -> None:
    nodes.say(*WORDS[:3])
    await nodes.until({"say": (1, "".join(WORDS[:3]))})
    nodes.bus.loses = True
    nodes.say(*WORDS[3:6])
    await nodes.until({"say": (1, "".join(WORDS[:6]))})
    nodes.bus.lost.clear()
    nodes.say("lost ")
    await nodes.bus.lost.wait()
    nodes.bus.loses = False
    nodes.say("found")
    await nodes.until({"say": (1, "".join(WORDS[:6]) + "lost found")})
    # what nobody could have sent does no harm
    for told in (b"", b"\xc1", b"\x93\xa1a\x90\xc3"):
        await EmbeddedStore.publish(nodes.bus, f"{CHANNEL}r", told)
    nodes.say("!")
    await nodes.until({"say": (1, "".join(WORDS[:6]) + "lost found!")})


async def test_a_node_that_takes_the_run_over_is_heard_anew(nodes: Nodes) -> None:
    nodes.say(*WORDS)
    await nodes.until({"say": (1, "".join(WORDS))})
    other = nodes.node()
    assert await other.followed("r")
    nodes.say("other words", node=other)
    await nodes.until({"say": (1, "other words")})
    nodes.say(" and more", node=other)
    await nodes.until({"say": (1, "other words and more")})
    await other.stop()


MIXED: tuple[tuple[str, Kept | None, tuple[int, str] | None], ...] = (
    ("the same node's words go on", Kept("a", 1, "one "), (1, "one two")),
    ("what the database has and more was not heard", Kept("a", 1, "one two three"), (1, "one two three")),
    ("there is a gap", Kept("a", 1, "o"), (1, "o")),
    ("another node's are not mixed with them", Kept("b", 1, "other "), (1, "other ")),
    ("nor those of another attempt", Kept("a", 2, "anew"), (2, "anew")),
    ("of an older version nobody knows whose", Kept("", 1, "one "), (1, "one ")),
    ("nothing is known of its beginning", None, None),
)


@pytest.mark.parametrize(("kept", "wanted"), [case[1:] for case in MIXED], ids=[case[0] for case in MIXED])
async def test_words_are_joined_with_those_they_follow(
    nodes: Nodes, kept: Kept | None, wanted: tuple[int, str] | None
) -> None:
    passing = nodes.listening.passing
    assert passing is not None
    sender = Passing(nodes.bus, nodes.sealer, source="a", said=lambda _run: {"say": (1, "one two")})
    sender._passed["r"] = {"say": (1, 4)}  # the listener came late
    sender.news("r", recorded=False)
    await nodes.heard.wait()
    found = passing.joined("r", {} if kept is None else {"say": kept})
    assert found == ({} if wanted is None else {"say": wanted})
    await sender.stop()


async def test_a_run_is_followed_from_another_node_with_breaks_at_every_event(
    tmp_path: Path, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(answer)
    with postgres() as url, redis_server(tmp_path / "redis") as redis:
        more = (
            f'[server]\nport = 0\n[chain_engine]\ndatabase_url = "{url}"\n\n'
            f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n'
        )
        async with contextlib.AsyncExitStack() as stack:
            nodes = []
            for name in ("walking", "listening"):
                file = tmp_path / f"{name}.toml"
                place = f'[paths]\ndata_dir = "{tmp_path / name}"\n'
                api = 'mode = "api"\n' if name == "listening" else ""
                table = more.replace("[chain_engine]\n", f"[chain_engine]\n{api}")
                file.write_text(provider(vendor) + table + place)
                process = await stack.enter_async_context(
                    node_process("--role", "All", "--config", str(file))
                )
                lines = [await process.event("server.listening", count=count) for count in range(1, 5)]
                (port,) = (line["port"] for line in lines if line["role"] == "ChainEngine")
                nodes.append(f"http://127.0.0.1:{port}")
            ask, listener = Client(http, nodes[0]), Listener(http, nodes[1])
            assert (await ask("PUT", "/v1/chains/talk", {"source": CHAIN}))[0] == 201
            _, run = await ask("POST", "/v1/chains/talk/runs", {"mode": "background"})
            await ask.until(run["id"], "waiting")
            started, broken = asyncio.Event(), list[Any]()

            async def step_by_step() -> None:
                while not broken or broken[-1][1] != "run_ended":
                    last = next((at for at, _, _ in reversed(broken) if at), "")
                    got = await listener.read(run["id"], last, 1)
                    if got and not got[0][0] and got[0][1] != "run_ended":
                        got = await listener.read(run["id"], last, 2)
                    broken.extend(one for one in got if one[0] or one[1] == "run_ended")

            async with asyncio.TaskGroup() as group:
                whole = group.create_task(listener.read(run["id"], started=started))
                group.create_task(step_by_step())
                await started.wait()
                await ask("POST", f"/v1/runs/{run['id']}/signals/go", {})
    assert words(whole.result()) == "".join(WORDS)
    assert sum(name == "step_tokens" for _, name, _ in whole.result()) > len(WORDS) // 2
    assert "".join(WORDS).startswith(words(broken))
    for events in (whole.result(), broken):
        finished = [facts for _, name, facts in events if name == "step_finished"]
        assert [step["path"] for step in finished] == ["ready", "say", "json"]
        assert finished[1]["outcome"]["ok"]["text"] == "".join(WORDS)
