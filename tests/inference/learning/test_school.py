"""Learning across processes and nodes: one learns, all follow, nothing is learnt twice, an outage is survived."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateUnavailable
from intellirouter.inference.evidence import Evidence, Kept, News, evidence
from intellirouter.inference.learned import Learned
from intellirouter.inference.learning import keeping
from intellirouter.inference.learning.features import VERSION
from intellirouter.inference.learning.outcome import FEEDBACK
from intellirouter.inference.school import School
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.open import open_state
from intellirouter.memory.store import StateStore
from tests.inference.learning.test_learning import WORLD
from tests.servers.redis import redis_server, require_redis


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[StateStore]:
    opened = await EmbeddedStore(tmp_path / "state.db").open()
    try:
        yield opened
    finally:
        await opened.aclose()


def kept(number: int, target: str = "a/m") -> Kept:
    features, _ = WORLD[number % len(WORLD)]
    return Kept(
        request_id=f"req_{number}",
        tenant="t",
        group="smart",
        target=target,
        prior=0.7,
        propensity=0.5,
        key="k",
        structure=features.structure.astype("<f2").tobytes(),
        slots=features.slots.astype("<u2").tobytes(),
        response_id=f"chatcmpl-{number}",
    )


def outcome(number: int, score: float = 1.0, target: str = "a/m") -> Evidence:
    return evidence(kept(number, target), FEEDBACK, score, f"req_{number}:feedback")


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def seen(store: StateStore) -> int:
    value = await store.get("learning:state:smart")
    return 0 if value is None else keeping.decode(value).outcomes


async def test_outcomes_are_learnt_once_whoever_learns(store: StateStore) -> None:
    one, two = School(Learned(), store), School(Learned(), store)
    await one.take([outcome(n) for n in range(30)])
    await two.take([outcome(n) for n in range(20, 50)])  # ten of them again, as after an outage
    assert await one.train() == 60
    assert await seen(store) == 50
    assert await two.train() == 0
    await two.take([outcome(99)])
    assert await two.train() == 1
    await one.take([outcome(100)])
    assert await one.train() == 1  # and not from what it remembers of before the other
    assert await seen(store) == 52


async def test_no_name_that_a_tenant_says_leads_to_another_tenants_decisions(store: StateStore) -> None:
    """A client names its requests as it likes, and feedback as well."""
    school = School(Learned(), store)
    theirs = msgspec.structs.replace(kept(5), tenant="ta:x")
    school._waiting.append(News(kept=theirs))
    assert await school.find("ta:x", "req_5", "") == theirs
    for tenant, request_id, response_id in (
        ("ta", "x:req_5", ""),
        ("ta", "", "x:chatcmpl-5"),
        ("ta%3Ax", "req_5", ""),
    ):
        assert await school.find(tenant, request_id, response_id) is None


async def test_a_trainer_that_died_before_it_wrote_has_changed_nothing(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = School(Learned(), store), School(Learned(), store)
    await one.take([outcome(n) for n in range(25)])

    async def killed(*_: object, **__: object) -> None:
        raise StateUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "put_if", killed)
        with pytest.raises(StateUnavailable):
            await one.train()
    lease = await store.acquire("learning:trainer", one._origin, 0.01)
    assert lease is not None
    await store.release(lease)
    assert await two.train() == 25
    assert await one.train() == 0
    assert await seen(store) == 25


async def test_weights_that_their_trainer_died_before_it_published_are_published_by_the_next(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = School(Learned(), store), School(Learned(), store)
    await one.take([outcome(1)])
    assert await one.train() == 1
    await two.train()  # knows what the first wrote

    async def killed(*_: object, **__: object) -> None:
        raise StateUnavailable("gone")

    await one.take([outcome(2)])
    with monkeypatch.context() as patch:
        patch.setattr(store, "set", killed)
        with pytest.raises(StateUnavailable):
            await one.train()
    lease = await store.acquire("learning:trainer", one._origin, 0.01)
    assert lease is not None
    await store.release(lease)
    before = await store.get("learning:weights:smart")
    assert await two.train() == 0
    after = await store.get("learning:weights:smart")
    assert after != before
    await store.delete("learning:weights:smart")
    assert await two.train() == 0
    assert await store.get("learning:weights:smart") is None, "published once"


async def test_every_process_follows_within_moments_and_keeps_what_it_has_in_an_outage(
    store: StateStore,
) -> None:
    learners = [Learned() for _ in range(3)]
    schools = [School(learned, store, every=0.1) for learned in learners]
    async with contextlib.AsyncExitStack() as stack:
        for school in schools:
            await stack.enter_async_context(school.running())
        learners[2].listener(News(evidence=outcome(1)))
        learners[1].listener(News(kept=kept(5)))

        async def all_follow() -> bool:
            return all("smart" in learned.weights for learned in learners)

        await until(all_follow)
        assert {learned.weights["smart"].version for learned in learners} == {1}
        found = await schools[0].find("t", "", "resp_5")
        assert found is None or found.request_id == "req_5"

        async def kept_there() -> bool:
            return await schools[0].find("t", "req_5", "") is not None

        await until(kept_there)
        assert await schools[0].find("other", "req_5", "") is None
        await schools[0].forget("smart")

        async def all_forgot() -> bool:
            return not any("smart" in learned.weights for learned in learners)

        await until(all_forgot)


async def test_what_cannot_be_written_waits(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    learned = Learned()
    school = School(learned, store)
    learned.listener(News(evidence=outcome(1)))

    async def away(*_: object, **__: object) -> None:
        raise StateUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "append", away)
        await school.flush()
    await school.flush()
    assert await school.train() == 1


async def test_feedback_counts_once_and_again_only_where_it_could_not_be_written(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = School(Learned(), store)

    async def away(*_: object, **__: object) -> None:
        raise StateUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "append", away)
        with pytest.raises(StateUnavailable):
            await school.give("t", "req_1", outcome(1))
    assert await school.give("t", "req_1", outcome(1)) is True
    assert await school.give("t", "req_1", outcome(1)) is False
    assert await school.train() == 1


async def test_what_was_learnt_moves_to_another_installation(store: StateStore, tmp_path: Path) -> None:
    school = School(Learned(), store)
    await school.take([outcome(n, n % 2, "a/m" if n % 3 else "b/m") for n in range(40)])
    await school.train()
    data = await school.exported("smart")
    assert data is not None
    other = await EmbeddedStore(tmp_path / "other.db").open()
    try:
        learned = Learned()
        theirs = School(learned, other)
        await theirs.imported("smart", data)
        await theirs.follow_all()
        assert set(learned.weights["smart"].targets) == {"a/m", "b/m"}
        await theirs.take([outcome(500)])
        assert await theirs.train() == 1
        assert await seen(other) == 41
        with pytest.raises(ValueError):
            await theirs.imported("smart", b"PK nothing")
    finally:
        await other.aclose()


async def test_after_an_upgrade_that_counts_otherwise_the_outcomes_of_the_last_day_are_learnt_anew(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = School(Learned(), store)
    await before.take([outcome(n) for n in range(20)])
    assert await before.train() == 20
    for module in ("keeping", "weights"):
        monkeypatch.setattr(f"intellirouter.inference.learning.{module}.VERSION", VERSION + 1)
    learned = Learned()
    after = School(learned, store)
    with capture_logs() as logs:
        for _ in range(3):
            await after.follow_all()
    assert [line["event"] for line in logs] == ["learning.weights_ignored"]
    assert not learned.weights
    await after.take([outcome(20)])
    assert await after.train() == 21
    await after.follow_all()
    assert learned.weights["smart"].outcomes > 0


async def test_outcomes_that_are_damaged_are_passed_over(store: StateStore) -> None:
    school = School(Learned(), store)
    await store.append("learning:log:smart:1", [b"\xc1 rubbish"])
    bad = outcome(3)
    await school.take(
        [outcome(1), Evidence(**{**{f: getattr(bad, f) for f in bad.__struct_fields__}, "structure": b"x"})]
    )
    await school.train()
    assert await seen(store) == 1


STUCK = """
import asyncio, sys
from pathlib import Path
from intellirouter.config.schema.memory import MemorySection
from intellirouter.inference.learned import Learned
from intellirouter.inference.school import School
from intellirouter.memory.open import open_state

async def main():
    async with open_state(MemorySection(backend_type="redis", redis_url=sys.argv[1]), Path(sys.argv[2])) as store:
        school = School(Learned(), store)

        async def never(*_, **__):
            print("learnt", flush=True)
            await asyncio.sleep(3600)

        store.put_if = never
        await school.train()

asyncio.run(main())
"""


async def test_a_trainer_killed_between_learning_and_writing_on_another_node(tmp_path: Path) -> None:
    require_redis()
    with redis_server(tmp_path / "redis") as server:
        (tmp_path / "ours").mkdir()
        (tmp_path / "theirs").mkdir()
        async with open_state(
            MemorySection(backend_type="redis", redis_url=server.url), tmp_path / "ours"
        ) as store:
            learned = Learned()
            school = School(learned, store, every=0.2)
            await school.take([outcome(n) for n in range(25)])
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                STUCK,
                server.url,
                str(tmp_path / "theirs"),
                stdout=asyncio.subprocess.PIPE,
            )
            assert process.stdout is not None
            async with asyncio.timeout(60):
                assert await process.stdout.readline() == b"learnt\n"
            process.kill()
            await process.wait()
            async with school.running():

                async def learnt() -> bool:
                    return "smart" in learned.weights

                await until(learnt)
                assert await seen(store) == 25
                server.kill()  # an outage: what was learnt stays in force
                await asyncio.sleep(0)
                assert learned.weights["smart"].version == 25
