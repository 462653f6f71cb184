"""Rates, budgets, the ledger and the queue, on real stores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.chat.response import Usage
from intellirouter.config.schema.limits import Budget, BudgetsSection, LimitsSection, Rate
from intellirouter.config.schema.model_registry import Price
from intellirouter.errors import BudgetExceeded, Overloaded, RateLimited
from intellirouter.inference.catalog import Candidate, ModelEntry
from intellirouter.inference.job import Job
from intellirouter.inference.limits.gate import Gate
from intellirouter.inference.limits.governor import Governor
from intellirouter.inference.limits.guess import Guesses
from intellirouter.inference.limits.ledger import Ledger, day_name
from intellirouter.inference.limits.purse import Purse
from intellirouter.inference.offline_transport import OFFLINE
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.security.caller import Caller, Quota
from intellirouter.transport.contract import Deadlines
from tests.minutes import room_in_this_minute

PRICE = Price(input=0, output=1_000_000)  # a dollar a token


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[list[EmbeddedStore]]:
    """Three processes of a node on one file."""
    opened = [await EmbeddedStore(tmp_path / "state.db").open() for _ in range(3)]
    yield opened
    for store in opened:
        await store.aclose()


def entry(price: Price | None = None) -> ModelEntry:
    candidate = Candidate("p/m", OFFLINE, OFFLINE.target("m"), Deadlines(), price=price)
    return ModelEntry("chat", (candidate,))


def job(caller: Caller, max_tokens: int = 100) -> Job:
    request = ChatRequest(model="chat", messages=(Message("user", (Text("hi"),)),), max_tokens=max_tokens)
    return Job(request, caller, "r", time.monotonic() + 60)


def governors(stores: list[EmbeddedStore], **sections: Any) -> list[Governor]:
    limits = sections.get("limits", LimitsSection())
    budgets = sections.get("budgets", BudgetsSection())
    return [Governor(store, Ledger(store), limits, budgets) for store in stores]


async def test_processes_together_never_take_more_than_the_limit(stores: list[EmbeddedStore]) -> None:
    await room_in_this_minute()
    purses = [Purse(store, "rate:x", 1000, 60, whole=True) for store in stores]
    outcomes = await asyncio.gather(*(purses[i % 3].take(1) for i in range(2000)))
    granted = sum(outcome is None for outcome in outcomes)
    assert 970 <= granted <= 1000
    assert await stores[0].level("rate:x", window=60) <= 1000
    assert all(0 < wait <= 60 for wait in outcomes if wait is not None)


@pytest.mark.parametrize("window", [0.0, 1e9])
async def test_all_of_a_limit_is_left_at_the_beginning_of_each_window(
    stores: list[EmbeddedStore], window: float
) -> None:
    purse, now = Purse(stores[0], "k", 10.0, window, whole=False), time.time()
    assert purse.remaining(now) == 10.0
    assert await purse.take(4.0) is None
    assert purse.remaining(time.time()) == 6.0
    assert purse.remaining(time.time() + 1e9) == (10.0 if window else 6.0)


async def test_most_takings_touch_only_memory(stores: list[EmbeddedStore], monkeypatch: Any) -> None:
    await room_in_this_minute()
    purse = Purse(stores[0], "rate:x", 10_000, 60, whole=True)
    calls = 0
    reserve = stores[0].reserve

    async def counted(claims: Any) -> Any:
        nonlocal calls
        calls += 1
        return await reserve(claims)

    monkeypatch.setattr(stores[0], "reserve", counted)
    for _ in range(1000):
        assert await purse.take(1) is None
    assert calls == 10


async def test_a_token_limit_admits_what_it_says(stores: list[EmbeddedStore]) -> None:
    await room_in_this_minute()
    limits = LimitsSection(each_key=Rate(tokens_per_minute=10_000))
    used = 0
    routers = governors(stores, limits=limits)
    refused = 0
    while refused < 30:
        router = routers[(used + refused) % 3]
        try:
            grant = await router.admit(job(Caller(), max_tokens=150), entry())
        except RateLimited as error:
            refused += 1
            assert 0 < error.retry_after <= 60
            continue
        router.settle(grant, Usage(input_tokens=10, output_tokens=90), None, "chat")
        used += 100
    assert 9_500 <= used <= 10_000


async def test_two_hundred_at_once_do_not_overspend_a_budget_of_ten(stores: list[EmbeddedStore]) -> None:
    budgets = BudgetsSection(keys={"k": Budget(total=10)})
    routers = governors(stores, budgets=budgets)
    caller = Caller(key_id="k")
    spent = 0.0

    async def ask(router: Governor) -> None:
        nonlocal spent
        try:
            grant = await router.admit(job(caller, max_tokens=1), entry(PRICE))
        except BudgetExceeded:
            return
        await asyncio.sleep(0.01)
        router.settle(grant, Usage(output_tokens=1), 1.0, "chat")
        spent += 1.0

    await asyncio.gather(*(ask(routers[i % 3]) for i in range(200)))
    assert 9 <= spent <= 11
    with pytest.raises(BudgetExceeded, match="total budget of 10"):
        await routers[0].admit(job(caller, max_tokens=2), entry(PRICE))


@pytest.mark.parametrize(
    ("spent", "told"),
    [(9.5, "has 0.500000 left, and this request may cost 2.000000: ask for less"), (10.0, "is used up")],
)
async def test_a_budget_that_a_request_does_not_fit_into_says_what_is_left(
    stores: list[EmbeddedStore], spent: float, told: str
) -> None:
    (router, *_) = governors(stores, budgets=BudgetsSection(keys={"k": Budget(total=10)}))
    caller = Caller(key_id="k")
    grant = await router.admit(job(caller, max_tokens=1), entry(PRICE))
    router.settle(grant, Usage(output_tokens=1), spent, "chat")
    with pytest.raises(BudgetExceeded, match=rf"^The total budget of 10 US dollars of the key k {told}"):
        await router.admit(job(caller, max_tokens=2), entry(PRICE))


async def test_what_failed_is_refunded_and_what_cost_more_is_paid(stores: list[EmbeddedStore]) -> None:
    (router, *_) = governors(stores, budgets=BudgetsSection(teams={"t": Budget(day=10)}))
    caller = Caller(team="t")
    async with router.running():
        for _ in range(50):
            grant = await router.admit(job(caller, max_tokens=9), entry(PRICE))
            router.settle(grant, None, None, "chat")
        grant = await router.admit(job(caller, max_tokens=1), entry(PRICE))
        router.settle(grant, Usage(output_tokens=9), 9.0, "chat")
        router.settle(grant, Usage(output_tokens=9), 9.0, "chat")  # settled once, whoever says so again
        with pytest.raises(BudgetExceeded):
            await router.admit(job(caller, max_tokens=2), entry(PRICE))
    assert await stores[1].level("budget:team:t:day", window=86_400) == pytest.approx(9)


async def test_all_limits_of_a_request_are_taken_or_none(stores: list[EmbeddedStore]) -> None:
    await room_in_this_minute()
    limits = LimitsSection(
        keys={"k": Rate(requests_per_minute=100)}, models={"chat": Rate(requests_per_minute=2)}
    )
    (router, *_) = governors(stores, limits=limits)
    caller = Caller(key_id="k")
    for _ in range(2):
        grant = await router.admit(job(caller), entry())
        router.settle(grant, None, None, "chat")
    for _ in range(20):
        with pytest.raises(RateLimited, match="model chat"):
            await router.admit(job(caller), entry())
    assert grant.headers["x-ratelimit-limit-requests"] == "100"
    assert int(grant.headers["x-ratelimit-remaining-requests"]) == 98


async def test_a_key_brings_its_own_quota(stores: list[EmbeddedStore]) -> None:
    await room_in_this_minute()
    (router, *_) = governors(stores)
    caller = Caller(key_id="v", quota=Quota(requests_per_minute=1, budgets=(("month", 5.0),)))
    await router.admit(job(caller, max_tokens=3), entry(PRICE))
    with pytest.raises(RateLimited):
        await router.admit(job(caller, max_tokens=1), entry(PRICE))
    assert not (await router.admit(job(Caller()), entry())).headers


async def test_the_ledger_tells_spend_by_key_team_model_and_day(stores: list[EmbeddedStore]) -> None:
    ledgers = [Ledger(store) for store in stores]
    usage = Usage(input_tokens=10, output_tokens=5)
    for index, ledger in enumerate(ledgers):
        for _ in range(10):
            ledger.spent(Caller(key_id=f"k{index % 2}", team="t"), "chat", usage, 0.25)
        await ledger.flush()
    today = day_name(time.time())
    assert await ledgers[0].read(today, "team") == [
        {"team": "t", "usd": 7.5, "requests": 30, "input_tokens": 300, "output_tokens": 150}
    ]
    assert [row["key"] for row in await ledgers[1].read(today, "key")] == ["k0", "k1"]
    assert await ledgers[0].read("2001-01-01", "model") == []


async def test_whoever_reads_the_ledger_sees_no_half_of_what_is_being_written(
    stores: list[EmbeddedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, add_all = asyncio.Event(), asyncio.Event(), stores[0].add_all

    async def slow(amounts: Mapping[str, float]) -> list[float]:
        begun.set()
        await go_on.wait()
        return await add_all(amounts)

    monkeypatch.setattr(stores[0], "add_all", slow)
    ledger = Ledger(stores[0])
    ledger.spent(Caller(key_id="k"), "chat", Usage(input_tokens=10, output_tokens=5), 0.25)
    writing = asyncio.create_task(ledger.flush())
    await begun.wait()
    reading = asyncio.create_task(ledger.read(day_name(time.time()), "key"))
    done, _ = await asyncio.wait([reading], timeout=0.05)
    assert not done
    go_on.set()
    await writing
    assert [(row["usd"], row["requests"]) for row in await reading] == [(0.25, 1)]


async def test_a_flooding_key_does_not_hold_up_a_quiet_one() -> None:
    gate = Gate(places=1, length=100, patience=5)
    loop = asyncio.get_running_loop()
    served: list[str] = []

    async def ask(owner: str, priority: int = 0) -> None:
        caller = Caller(key_id=owner, priority=priority)
        await gate.enter(caller, loop.time() + 5)
        served.append(owner)
        await asyncio.sleep(0)
        gate.leave(caller)

    await gate.enter(Caller(key_id="first"), loop.time() + 5)
    waiting = [asyncio.create_task(ask("flood")) for _ in range(50)]
    await asyncio.sleep(0)
    waiting += [asyncio.create_task(ask("quiet")) for _ in range(3)]
    waiting += [asyncio.create_task(ask("urgent", 1))]
    await asyncio.sleep(0)
    assert gate.waiting == 54
    gate.leave(Caller(key_id="first"))
    await asyncio.gather(*waiting)
    assert served[0] == "urgent"
    assert {served.index("quiet")} <= {1, 2}
    assert max(place for place, owner in enumerate(served) if owner == "quiet") <= 7
    assert gate.waiting == 0


async def test_the_queue_is_bounded_and_a_wait_has_an_end() -> None:
    gate = Gate(places=1, length=1, patience=0.05)
    loop = asyncio.get_running_loop()
    await gate.enter(Caller(key_id="a"), loop.time() + 5)
    late = asyncio.create_task(gate.enter(Caller(key_id="b"), loop.time() + 5))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="wait already"):
        await gate.enter(Caller(key_id="c"), loop.time() + 5)
    with pytest.raises(Overloaded, match="too long"):
        await late
    gate.leave(Caller(key_id="a"))
    await gate.enter(Caller(key_id="d"), loop.time() + 5)  # the place of the one who gave up is not lost
    cancelled = asyncio.create_task(gate.enter(Caller(key_id="e"), loop.time() + 5))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    gate.leave(Caller(key_id="d"))
    await gate.enter(Caller(key_id="f"), loop.time() + 5)


async def test_slow_requests_of_one_tenant_leave_places_for_others() -> None:
    gate = Gate(places=20, length=20, patience=60, key_share=0.5, tenant_share=0.75)
    loop = asyncio.get_running_loop()
    keys = [Caller(key_id=f"b{number}", tenant="b") for number in (1, 2)]
    slow = [asyncio.create_task(gate.enter(keys[i % 2], loop.time() + 60)) for i in range(30)]
    await asyncio.sleep(0)
    assert sum(task.done() for task in slow) == 15  # three quarters, whatever the number of keys
    quiet = Caller(key_id="a1", tenant="a")
    for _ in range(5):
        async with asyncio.timeout(1):
            await gate.enter(quiet, loop.time() + 60)
    with pytest.raises(Overloaded, match="as many requests waiting"):
        await gate.enter(keys[0], loop.time() + 60)
    for _ in range(5):
        gate.leave(quiet)
    await asyncio.sleep(0)
    assert sum(task.done() for task in slow) == 15
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


async def test_without_keys_every_place_is_everybodys() -> None:
    gate = Gate(places=4, length=0, patience=1, key_share=0.5, tenant_share=0.5)
    loop = asyncio.get_running_loop()
    for _ in range(4):
        await gate.enter(Caller(), loop.time() + 1)
    with pytest.raises(Overloaded):
        await gate.enter(Caller(), loop.time() + 1)


def test_a_vendors_count_corrects_the_estimate_within_bounds_and_slowly() -> None:
    guesses = Guesses()
    for _ in range(2):  # the first is taken as it is, and the same changes nothing
        guesses.counted("p/m", 100.0, 150)
        assert guesses.ratio("p/m") == pytest.approx(1.5)
    guesses.counted("p/m", 100.0, 100)
    assert guesses.ratio("p/m") == pytest.approx(1.4)
    for target, told, ratio in (("much", 9_000, 4.0), ("little", 1, 0.5), ("nothing", 0, 1.0)):
        guesses.counted(target, 100.0, told)
        assert guesses.ratio(target) == ratio
