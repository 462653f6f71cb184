"""Events inside one process: who hears what, what a slow reader loses, and how reading ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from intellirouter.memory.bus import QUEUE_LENGTH, EventBus
from intellirouter.memory.store import Event


def event(channel: str, number: int = 0) -> Event:
    return Event(channel, b"%d" % number)


async def read(events: AsyncIterator[Event]) -> list[bytes]:
    async with asyncio.timeout(60):
        return [one.payload async for one in events]


@pytest.mark.parametrize(
    ("patterns", "channel", "hears"),
    [
        (("a",), "a", True),
        (("a",), "ab", False),
        (("a.*",), "a.b.c", True),
        (("a.*",), "axb", False),
        (("*.b",), "a\nx.b", True),
        (("a*c*e",), "abcde", True),
        (("a", "b*"), "bcd", True),
        (("a", "b*"), "cb", False),
    ],
)
async def test_a_subscriber_hears_what_its_patterns_match(
    patterns: tuple[str, ...], channel: str, hears: bool
) -> None:
    bus = EventBus()
    subscription = bus.join(*patterns)
    bus.publish(event(channel))
    bus.close()
    assert await read(subscription) == [b"0"] * hears


async def test_what_is_unread_is_read_after_the_end_and_a_slow_reader_loses_the_oldest() -> None:
    bus = EventBus()
    async with bus.subscribe("a") as quick, bus.subscribe("*") as slow:
        bus.publish(event("a", 7))
        assert (await anext(quick)).payload == b"7"
        for number in range(QUEUE_LENGTH + 2):
            bus.publish(event("b", number))
        bus.close()
        assert await read(quick) == []
        assert await read(slow) == [b"%d" % number for number in range(2, QUEUE_LENGTH + 2)]
        assert len(bus) == 2
    assert len(bus) == 0


async def test_whoever_waits_is_told_of_the_end() -> None:
    bus = EventBus()
    subscription, first = bus.join("a"), asyncio.Event()

    async def listen() -> list[bytes]:
        heard = []
        async for one in subscription:
            heard.append(one.payload)
            first.set()
        return heard

    waiting = asyncio.ensure_future(listen())
    bus.publish(event("a", 1))
    async with asyncio.timeout(60):
        await first.wait()
        assert not waiting.done()
        bus.close()
        assert await waiting == [b"1"]


async def test_who_has_left_hears_nothing_more() -> None:
    bus = EventBus()
    subscription = bus.join("a")
    bus.leave(subscription)
    bus.publish(event("a"))
    subscription.close()
    assert await read(subscription) == []
