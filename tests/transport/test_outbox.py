"""Writes of one turn: the first at once, the others together behind it, none into what is closed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from intellirouter.transport.contract import Deadlines
from intellirouter.transport.fast.connection import Connection, StaleConnection
from intellirouter.transport.fast.reply import FastReply
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


class Wire(asyncio.Transport):
    """A socket's place: what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.log.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.log.append(b"cut")


class Owner:
    """A pool's place."""

    def release(self, connection: Connection) -> None:
        """Nothing to do."""

    def gone(self, connection: Connection) -> None:
        """Nothing to do."""


async def test_bytes_that_come_before_the_request_went_out_are_nobodys_answer() -> None:
    """The connection is cut and the request goes over another one; it is never written to the first."""
    outbox, wire = Outbox(), Wire()
    connection = Connection(Owner(), 30.0, outbox)
    connection.connection_made(wire)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    until = asyncio.get_running_loop().time() + 60

    def send() -> asyncio.Future[FastReply]:
        return connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", Deadlines(), until, bodyless=False)

    first = send()
    connection.data_received(answer)
    await first
    outbox.put(Peer("other", []), b"the first of this turn")
    second = send()
    connection.data_received(answer)  # on its way when nobody had asked
    with pytest.raises(StaleConnection):
        await second
    await asyncio.sleep(0)
    assert wire.log == [b"GET / HTTP/1.1\r\n\r\n", b"cut"]
