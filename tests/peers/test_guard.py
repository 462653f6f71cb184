"""A peer that does not answer is not asked all the time, and is asked twice only where that does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from intellirouter.chat.delta import Start, StreamEvent
from intellirouter.errors import (
    NotFound,
    PeerUnavailable,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from intellirouter.peers.contract import Call
from intellirouter.peers.guard import LONGEST_REST, OPENS_AFTER, REST_SECONDS, Guard, PeerCircuit
from intellirouter.security.caller import Caller

CALL = Call(Caller(), "r")
LATE = Call(Caller(), "r", deadline=0.0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Peer:
    """Answers, or fails, as its plan says; the last step for ever."""

    def __init__(self, *plan: BaseException | str) -> None:
        self.plan = list(plan)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        step = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if isinstance(step, BaseException):
            raise step
        return step


def away(cause: Exception | None) -> PeerUnavailable:
    error = PeerUnavailable("away")
    error.__cause__ = cause
    return error


UNASKED = away(UpstreamUnreachable("refused"))
SLOW_TO_CONNECT = away(UpstreamTimeout("late", phase="connect"))
CUT = away(UpstreamUnavailable("reset"))
SLOW = away(UpstreamTimeout("late", phase="first_byte"))
SAID = away(None)


@pytest.mark.parametrize(
    ("first", "reads", "call", "asked"),
    [
        (UNASKED, False, CALL, 2),
        (UNASKED, True, CALL, 2),
        (SLOW_TO_CONNECT, False, CALL, 2),
        (CUT, False, CALL, 1),  # perhaps it was done
        (CUT, True, CALL, 2),
        (SAID, True, CALL, 2),
        (SAID, False, CALL, 1),
        (SLOW, True, CALL, 1),  # that would take as long again
        (UNASKED, True, LATE, 1),
        (NotFound("none"), True, CALL, 1),
    ],
)
async def test_a_second_try_is_made_where_it_does_no_harm(
    first: Exception, reads: bool, call: Call, asked: int
) -> None:
    peer = Peer(first, "done")
    if asked == 2:
        assert await Guard("Peer").call(peer, call, reads=reads) == "done"
    else:
        with pytest.raises(type(first)):
            await Guard("Peer").call(peer, call, reads=reads)
    assert peer.asked == asked


async def test_a_peer_that_is_away_rests_and_one_call_finds_it_back() -> None:
    clock = Clock()
    guard, peer = Guard("Peer", PeerCircuit("Peer", clock)), Peer(CUT)

    async def ask() -> str:
        return await guard.call(peer, CALL, reads=False)

    for _ in range(OPENS_AFTER + 3):
        with pytest.raises(PeerUnavailable):
            await ask()
    assert peer.asked == OPENS_AFTER
    rest, waited = REST_SECONDS, 0.0
    for round_ in range(1, 10):  # it is still away: asked once after each rest, which grows
        clock.now += rest - 0.001
        with pytest.raises(PeerUnavailable, match="in a moment"):
            await ask()
        clock.now += 0.002
        with pytest.raises(PeerUnavailable, match="away"):
            await ask()
        assert peer.asked == OPENS_AFTER + round_
        rest, waited = min(2 * rest, LONGEST_REST), waited + rest
    assert rest == LONGEST_REST

    clock.now += rest + 0.001
    answering = asyncio.Event()

    async def slowly() -> str:
        await answering.wait()
        return "back"

    trial = asyncio.create_task(guard.call(slowly, CALL, reads=False))
    await asyncio.sleep(0)
    with pytest.raises(PeerUnavailable, match="in a moment"):  # one finds out for all
        await ask()
    answering.set()
    assert await trial == "back"
    peer.plan = ["done"]
    assert await ask() == "done"


async def test_a_trial_that_is_given_up_leaves_room_for_another() -> None:
    clock = Clock()
    guard, peer = Guard("Peer", PeerCircuit("Peer", clock)), Peer(CUT)
    for _ in range(OPENS_AFTER):
        with pytest.raises(PeerUnavailable):
            await guard.call(peer, CALL, reads=False)
    clock.now += REST_SECONDS + 1
    trial = asyncio.create_task(guard.call(asyncio.Event().wait, CALL, reads=False))
    await asyncio.sleep(0)
    trial.cancel()
    await asyncio.wait({trial})
    peer.plan = ["done"]
    assert await guard.call(peer, CALL, reads=False) == "done"


@pytest.mark.parametrize("refusal", [NotFound("none"), SAID], ids=["not found", "its own 503"])
async def test_a_refusal_is_an_answer(refusal: Exception) -> None:
    guard, peer = Guard("Peer"), Peer(refusal)
    for _ in range(OPENS_AFTER * 3):
        with pytest.raises(type(refusal)):
            await guard.call(peer, CALL, reads=False)
    assert peer.asked == OPENS_AFTER * 3


async def test_a_stream_tells_of_its_peer_by_its_beginning() -> None:
    guard, closed = Guard("Peer"), []

    async def events(*steps: BaseException | int) -> AsyncIterator[StreamEvent]:
        try:
            for step in steps:
                if isinstance(step, BaseException):
                    raise step
                yield StreamEvent((Start(str(step)),))
        finally:
            closed.append(steps)

    for _ in range(OPENS_AFTER * 2):
        with pytest.raises(PeerUnavailable):  # broken on the way: it was there
            async for _ in guard.stream(events(1, CUT), CALL):
                pass
    assert len([event async for event in guard.stream(events(1, 2, 3), CALL)]) == 3
    async for _ in guard.stream(events(1, 2), CALL):
        break
    for _ in range(OPENS_AFTER):
        with pytest.raises(PeerUnavailable):
            async for _ in guard.stream(events(CUT), CALL):
                pass
    with pytest.raises(PeerUnavailable, match="in a moment"):
        async for _ in guard.stream(events(1), CALL):
            pass
