"""How long the end of a run is kept for what is to follow it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from intellirouter.errors import PeerUnavailable
from intellirouter.roles.chain_engine.hooks.outbox import Outbox
from intellirouter.roles.chain_engine.store import Store
from intellirouter.roles.chain_engine.triggers import following
from intellirouter.roles.chain_engine.triggers.following import LONGEST_DELAY, MAX_ATTEMPTS, Following
from intellirouter.roles.chain_engine.triggers.store import Trigger, TriggerStore

RUN = {"chain": "first", "status": "succeeded", "ended_at": 2_000_000_000.0, "output": {}, "error": None}


class Place:
    """A database with a trigger behind a chain, an engine whose runs end when they are told to, and a clock."""

    def __init__(self, engine: sa.Engine) -> None:
        store = Store(engine)
        store.prepare()
        triggers = TriggerStore(engine)
        spec = b'{"of": "first", "status": ["succeeded"]}'
        triggers.put(
            Trigger(
                "a",
                "then",
                "run",
                "second",
                spec,
                None,
                b'{"tenant": "a", "key_id": "k"}',
                "",
                None,
                False,
                1.0,
            )
        )
        self.outbox, self.ended, self.now, self.tried = Outbox(engine), False, time.time(), 0
        authority = SimpleNamespace(caller_of=self.nobody)
        service: Any = SimpleNamespace(store=store, told=self.told, authority=authority)
        firing: Any = SimpleNamespace(fire=self.fire)
        self.following = Following(service, triggers, self.outbox, firing)

    async def told(self, run_ids: list[str]) -> dict[str, Any]:
        return {one: {"run": RUN, "usage": {}} for one in run_ids} if self.ended else {}

    async def nobody(self, *_: object) -> None:
        raise PeerUnavailable("nobody can say who that is")

    async def fire(self, *_: object) -> None:
        self.tried += 1
        raise PeerUnavailable("nobody can say who that is")

    async def look(self) -> str:
        """What the end of the run is after the next look, long after the one before."""
        self.now += LONGEST_DELAY
        await self.following.deliver()
        (delivery,) = self.outbox.listed("a", None, 10)
        return delivery.state


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/runs.db")
    made = Place(engine)
    monkeypatch.setattr(following.time, "time", lambda: made.now)
    yield made
    engine.dispose()


async def test_what_cannot_be_started_is_tried_so_often_and_then_given_up(place: Place) -> None:
    await place.following.refresh()
    await place.following.ended("run_1", "a")
    place.ended = True
    states = [await place.look() for _ in range(MAX_ATTEMPTS + 2)]
    assert states == ["pending"] * (MAX_ATTEMPTS - 1) + ["dead"] * 3
    assert place.tried == MAX_ATTEMPTS


async def test_an_end_that_is_never_recorded_is_given_up_after_an_hour(place: Place) -> None:
    await place.following.refresh()
    await place.following.ended("run_1", "a")
    states = [await place.look() for _ in range(8)]
    assert states == ["pending"] * 6 + ["dead"] * 2
    assert place.tried == 0
