"""What every StateStore does, whichever engine is underneath."""

from __future__ import annotations

import asyncio
import time

import pytest

from intellirouter.errors import LeaseLost
from intellirouter.memory.store import Claim, StateStore

TTL = 0.15


async def eventually(condition, deadline: float = 60.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + deadline
    while not await condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.02)


async def test_a_value_is_read_back_and_replaced(store: StateStore) -> None:
    assert await store.get("a:b") is None
    assert await store.set("a:b", b"\x00one\xff")
    assert await store.get("a:b") == b"\x00one\xff"
    assert await store.set("a:b", b"")
    assert await store.get("a:b") == b""


async def test_many_values_come_in_the_order_asked(store: StateStore) -> None:
    await store.set("x", b"1")
    await store.set("y", b"2")
    assert await store.get_many(["y", "missing", "x", "y"]) == [b"2", None, b"1", b"2"]
    assert await store.get_many([]) == []


async def test_only_if_absent_writes_once(store: StateStore) -> None:
    outcomes = await asyncio.gather(*(store.set("once", b"%d" % i, only_if_absent=True) for i in range(20)))
    assert outcomes.count(True) == 1
    assert await store.get("once") == b"%d" % outcomes.index(True)


async def test_a_value_expires_and_may_then_be_written_anew(store: StateStore) -> None:
    await store.set("short", b"x", ttl=TTL)
    assert await store.get("short") == b"x"

    async def gone() -> bool:
        return await store.get("short") is None

    await eventually(gone)
    assert (await store.get_versioned("short")).version == 0
    assert await store.set("short", b"y", only_if_absent=True)


async def test_writing_without_a_ttl_ends_the_old_one(store: StateStore) -> None:
    await store.set("kept", b"x", ttl=TTL)
    await store.set("kept", b"y")
    await asyncio.sleep(TTL * 2)
    assert await store.get("kept") == b"y"


async def test_delete_counts_what_existed(store: StateStore) -> None:
    await store.set("v", b"1")
    await store.append("l", [b"1"])
    assert await store.delete("v", "l", "never") == 2
    assert await store.get("v") is None
    assert await store.slice("l") == []


async def test_a_conditional_write_names_the_version_it_read(store: StateStore) -> None:
    assert (await store.get_versioned("doc")).version == 0
    first = await store.put_if("doc", b"1", 0)
    assert first is not None
    assert await store.put_if("doc", b"other", 0) is None
    read = await store.get_versioned("doc")
    assert (read.value, read.version) == (b"1", first)
    second = await store.put_if("doc", b"2", first)
    assert second is not None
    assert second > first
    assert await store.put_if("doc", b"late", first) is None
    await store.set("doc", b"3")
    assert await store.put_if("doc", b"late", second) is None
    assert await store.get("doc") == b"3"


async def test_a_version_is_never_used_twice_even_after_a_deletion(store: StateStore) -> None:
    first = await store.put_if("doc", b"1", 0)
    assert first is not None
    await store.delete("doc")
    again = await store.put_if("doc", b"2", 0)
    assert again is not None
    assert again > first
    assert await store.put_if("doc", b"3", first) is None


async def test_concurrent_conditional_writes_lose_nothing(store: StateStore) -> None:
    async def increment() -> None:
        while True:
            read = await store.get_versioned("n")
            if await store.put_if("n", b"%d" % (int(read.value or 0) + 1), read.version) is not None:
                return

    await asyncio.gather(*(increment() for _ in range(15)))
    assert await store.get("n") == b"15"


async def test_scan_finds_values_and_logs_by_prefix(store: StateStore) -> None:
    names = {f"scan:{i}" for i in range(30)} | {"scan:*[x]?"}
    for name in names:
        await store.set(name, b"1")
    await store.append("scan:log", [b"1"])
    await store.set("scan:log", b"both")
    await store.set("other:1", b"1")
    found = [key async for key in store.scan("scan:")]
    assert sorted(found) == sorted(names | {"scan:log"})
    assert [key async for key in store.scan("scan:*")] == ["scan:*[x]?"]
    assert [key async for key in store.scan("nothing")] == []


async def test_a_counter_adds_up_under_concurrency(store: StateStore) -> None:
    await asyncio.gather(*(store.add("c:total", 1.5) for _ in range(40)))
    assert await store.level("c:total") == pytest.approx(60)
    assert await store.add("c:total", -10) == pytest.approx(50)
    assert await store.level("c:never") == 0


async def test_counters_of_a_family_are_added_to_together(store: StateStore) -> None:
    await store.add("f:b", 1)
    assert await store.add_all({"f:a": 2.5, "f:b": 3}) == [2.5, 4]
    await asyncio.gather(*(store.add_all({"f:a": 1, "f:b": -1}) for _ in range(20)))
    assert [await store.level("f:a"), await store.level("f:b")] == [22.5, -16]
    assert await store.add_all({}) == []
    with pytest.raises(ValueError, match="family"):
        await store.add_all({"f:a": 1, "g:a": 1})
    assert await store.level("f:a") == 22.5


async def test_a_window_starts_anew_and_windows_of_one_key_are_apart(store: StateStore) -> None:
    await store.add("w:x", 5)
    window = 0.4
    assert await store.add("w:x", 1, window=window) == 1

    async def empty() -> bool:
        return await store.level("w:x", window=window) == 0

    await eventually(empty)
    assert await store.level("w:x") == 5


async def test_a_reservation_takes_all_or_nothing(store: StateStore) -> None:
    claims = [Claim("b:key", 3, 10), Claim("b:team", 3, 5, window=3600)]
    first = await store.reserve(claims)
    assert first.granted
    assert first.levels == (3, 3)
    second = await store.reserve(claims)
    assert not second.granted
    assert second.denied == 1
    assert second.levels == (3, 3)
    assert 0 < second.retry_after <= 3600
    assert await store.level("b:key") == 3
    third = await store.reserve([Claim("b:key", 8, 10)])
    assert (third.denied, third.retry_after) == (0, 0)
    assert (await store.reserve([])).granted


async def test_one_counter_named_twice_is_counted_twice(store: StateStore) -> None:
    assert not (await store.reserve([Claim("b:k", 3, 5), Claim("b:k", 3, 5)])).granted
    assert (await store.reserve([Claim("b:k", 2, 5), Claim("b:k", 3, 5)])).granted
    assert await store.level("b:k") == 5


async def test_racing_reservations_never_pass_the_limit(store: StateStore) -> None:
    outcomes = await asyncio.gather(*(store.reserve([Claim("b:race", 1, 10)]) for _ in range(100)))
    assert sum(outcome.granted for outcome in outcomes) == 10
    assert await store.level("b:race") == 10


async def test_claims_of_several_families_are_a_mistake(store: StateStore) -> None:
    with pytest.raises(ValueError, match="family"):
        await store.reserve([Claim("a:1", 1, 1), Claim("b:1", 1, 1)])
    with pytest.raises(ValueError, match="negative"):
        await store.reserve([Claim("a:1", -1, 1)])


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, None), (1, 3), (-2, None), (0, -1), (-3, -1), (2, 2), (3, 1), (-1, -2), (0, 0), (9, None), (-9, 2)],
)
async def test_a_log_is_sliced_like_a_list(store: StateStore, start: int, stop: int | None) -> None:
    items = [b"%d" % i for i in range(5)]
    await store.append("log:s", items)
    assert await store.slice("log:s", start, stop) == items[start:stop]


async def test_a_log_is_appended_to_only_at_the_length_expected(store: StateStore) -> None:
    assert await store.append("log:e", [b"a", b"b"], expected_length=0) == 2
    assert await store.append("log:e", [b"c"], expected_length=0) is None
    assert await store.append("log:e", [b"c"]) == 3
    outcomes = await asyncio.gather(
        *(store.append("log:e", [b"%d" % i], expected_length=3) for i in range(10))
    )
    assert [outcome for outcome in outcomes if outcome is not None] == [4]


async def test_a_log_is_replaced_whole_at_the_length_expected(store: StateStore) -> None:
    assert not await store.replace("log:r", [b"x"], expected_length=1)
    assert await store.replace("log:r", [b"a", b"b", b"c"], expected_length=0)
    assert not await store.replace("log:r", [b"x"], expected_length=2)
    assert await store.slice("log:r") == [b"a", b"b", b"c"]
    assert await store.replace("log:r", [b"A", b"B"], expected_length=3)
    assert await store.append("log:r", [b"d"], expected_length=2) == 3
    assert await store.slice("log:r") == [b"A", b"B", b"d"]
    assert await store.replace("log:r", [b"new"], expected_length=3, ttl=TTL)
    await eventually(lambda: _is_empty(store, "log:r"))


async def test_a_log_expires_whole(store: StateStore) -> None:
    await store.append("log:t", [b"old"], ttl=TTL)
    await eventually(lambda: _is_empty(store, "log:t"))
    assert await store.append("log:t", [b"new"], expected_length=0) == 1
    assert await store.slice("log:t") == [b"new"]


async def _is_empty(store: StateStore, key: str) -> bool:
    return await store.slice(key) == []


async def test_a_lease_has_one_holder_and_a_growing_token(store: StateStore) -> None:
    first = await store.acquire("job", "one", 30)
    assert first is not None
    assert await store.acquire("job", "two", 30) is None
    again = await store.acquire("job", "one", 30)
    assert again is not None
    assert again.token == first.token
    await store.release(again)
    await store.release(again)
    second = await store.acquire("job", "two", 30)
    assert second is not None
    assert second.token > first.token
    with pytest.raises(LeaseLost):
        await store.renew(first, 30)
    assert (await store.renew(second, 30)).token == second.token


async def test_an_expired_lease_passes_to_the_next(store: StateStore) -> None:
    first = await store.acquire("brief", "one", TTL)
    assert first is not None

    async def taken() -> bool:
        return await store.acquire("brief", "two", 30) is not None

    await eventually(taken)
    with pytest.raises(LeaseLost):
        await store.renew(first, 30)


async def test_racing_for_a_lease_has_one_winner(store: StateStore) -> None:
    leases = await asyncio.gather(*(store.acquire("race", f"o{i}", 30) for i in range(20)))
    assert sum(lease is not None for lease in leases) == 1


async def test_events_reach_those_who_subscribe_by_pattern(store: StateStore) -> None:
    async with store.subscribe("router:*:circuit", "exact") as events:
        await store.publish("router:all:circuit", b"\x00open")
        await store.publish("router:all:other", b"no")
        await store.publish("exact", b"2")
        await store.publish("exacter", b"no")
        await store.publish("router:x:y:circuit", b"3")
        async with asyncio.timeout(20):
            received = [await anext(events) for _ in range(3)]
    assert sorted((event.channel, event.payload) for event in received) == [
        ("exact", b"2"),
        ("router:all:circuit", b"\x00open"),
        ("router:x:y:circuit", b"3"),
    ]
    await store.publish("exact", b"nobody listens")


async def test_an_odd_key_is_a_key(store: StateStore) -> None:
    for key in ("{a}b", "sp ace", "ü:{", "a}b{", ""):
        assert await store.set(f"odd:{key}", key.encode())
        assert await store.get(f"odd:{key}") == key.encode()
        assert await store.add(f"odd:{key}", 2) == 2


async def test_health_says_the_store_serves(store: StateStore) -> None:
    assert store.health().status == "healthy"
