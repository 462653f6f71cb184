"""Processes that lose their store: what all of them see is told by one, and by another where that one went together with the store."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
from prometheus_client import CollectorRegistry

from intellirouter.alerts.board import Board
from intellirouter.alerts.channels.delivery import Delivery
from intellirouter.alerts.channels.sending import Sender
from intellirouter.alerts.notice import Policy, Taker
from intellirouter.alerts.rule import Level, Rule
from intellirouter.alerts.sample import Sample
from intellirouter.alerts.watch import STAND_IN, Watch
from intellirouter.errors import StateUnavailable
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.store import Lease, Versioned
from intellirouter.telemetry.light import LightCounter
from intellirouter.transport.outgoing.door import OutgoingDoor

LOST = Rule("redis_lost", "Redis is away", (Level(1, "critical"),), clear_seconds=0)
BEGAN = 1e9


class Shared(EmbeddedStore):
    """A store that all processes lose at once."""

    away = False

    def _here(self) -> None:
        if self.away:
            raise StateUnavailable("it is away")

    async def acquire(self, name: str, owner: str, ttl: float) -> Lease | None:
        self._here()
        return await super().acquire(name, owner, ttl)

    async def get_versioned(self, key: str) -> Versioned:
        self._here()
        return await super().get_versioned(key)

    async def put_if(self, key: str, value: bytes, version: int, *, ttl: float | None = None) -> int | None:
        self._here()
        return await super().put_if(key, value, version, ttl=ttl)


class Nodes:
    """Three processes on one store, and who of them told."""

    def __init__(self, store: Shared) -> None:
        self.store = store
        self.told: list[str] = []
        self.nodes = {name: self._node(name) for name in "abc"}

    async def _measure(self, now: float) -> Sequence[Sample]:
        return [Sample("redis_lost", float(self.store.away))]

    def _node(self, name: str) -> Watch:
        counter = LightCounter("told", "told", ("severity",), CollectorRegistry(), gauge=True)
        delivery = Delivery(Sender(OutgoingDoor(), "tests"), counter)
        watch = Watch(self.store, Board(self.store), delivery, self._measure, name, name, counter)
        watch.rules, watch.policy = {"redis_lost": LOST}, Policy({"hook": Taker()})
        return watch

    async def look(self, names: str, now: float) -> None:
        for name in names:
            watch = self.nodes[name]
            before = self._fired(watch)
            await watch.look(await self._measure(now), BEGAN + now)
            if self._fired(watch) and not before:
                self.told.append(name)

    @staticmethod
    def _fired(watch: Watch) -> bool:
        return watch.firing.labels("critical").value > 0


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    store = Shared()
    await store.open()
    async with contextlib.aclosing(store):
        yield Nodes(store)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("cab", "abc", ["c"]),  # whoever held the lease, wherever its name stands
        ("cab", "ab", []),  # it went as well: nobody knows yet
        ("abc", "bc", []),
    ],
)
async def test_one_tells(nodes: Nodes, before: str, after: str, expected: list[str]) -> None:
    for now in (0, 15, 30):
        await nodes.look(before, now)
    nodes.store.away = True
    for now in range(45, 300, 15):
        await nodes.look(after, now)
    assert nodes.told == expected


async def test_another_stands_in_for_one_that_went_too(nodes: Nodes) -> None:
    for now in (0, 15, 30):
        await nodes.look("abc", now)
    nodes.store.away = True
    patience = nodes.nodes["a"].patience
    for now in range(45, int(45 + (STAND_IN + 2) * patience), 15):
        await nodes.look("bc", now)
    assert nodes.told == ["b"]


async def test_a_lease_that_ran_out_unnoticed_is_none(nodes: Nodes) -> None:
    await nodes.look("ab", 0)
    held = nodes.nodes["a"]._lease
    assert held is not None
    await nodes.store.release(held)  # as it does by itself while a is held up
    await nodes.look("b", 100)
    nodes.store.away = True
    await nodes.look("ab", 115)
    assert nodes.told == ["b"]


async def test_a_process_that_never_met_the_store_tells(nodes: Nodes) -> None:
    nodes.store.away = True
    await nodes.look("a", 0)
    assert nodes.told == ["a"]
