"""Writes of one turn: the first at once, the others together behind it, none into what is closed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from intellirouter.transport.outbox import Outbox


@dataclass
class Peer:
    """What was written, and to whom, in order."""

    name: str
    log: list[str]
    closing: bool = False

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.log.append(f"{self.name}:{data.decode()}")


async def test_the_first_goes_at_once_and_the_others_before_what_is_scheduled_later() -> None:
    log: list[str] = []
    outbox, peers = Outbox(), [Peer(name, log) for name in "abcd"]
    assert outbox.put(peers[0], b"1") is False
    assert [outbox.put(peer, b"1") for peer in peers[1:]] == [True] * 3
    peers[2].closing = True
    asyncio.get_running_loop().call_soon(log.append, "later")
    assert log == ["a:1"]
    await asyncio.sleep(0)
    assert log == ["a:1", "b:1", "d:1", "later"]
    assert outbox.put(peers[1], b"2") is False  # a turn of its own
    assert log[-1] == "b:2"
