"""Names whose servers are silent hold up no other name, no request beyond its deadline, and no stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intellirouter.app import event_loop
from intellirouter.app.event_loop import Loop
from tests.servers.certificates import Authority


class Resolver:
    """The system's resolver, in front of which the servers of `*.silent.example` say nothing until they are let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun = threading.Semaphore(0)
        self.released = threading.Event()
        self._real = socket.getaddrinfo

    def getaddrinfo(self, host: Any, *more: Any, **named: Any) -> Any:
        self.asked.append(host)
        if str(host).endswith("silent.example"):
            self.begun.release()
            assert self.released.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self._real(host, *more, **named)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.released.set()


async def given_up(name: str) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.open_connection(name, 80)
            raise AssertionError(name)


def test_a_stop_waits_for_no_name(resolver: Resolver) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(given_up("a.silent.example"))
    assert not resolver.released.is_set()  # and the loop is closed


def test_silent_names_hold_up_no_other(resolver: Resolver) -> None:
    async def asked() -> Any:
        await asyncio.gather(*(given_up(f"{number}.silent.example") for number in range(20)))
        return await asyncio.get_running_loop().getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)

    with asyncio.Runner(loop_factory=Loop) as runner:
        found = runner.run(asked())
    assert ("127.0.0.1", 80) in [address for *_, address in found]


def test_who_asks_for_the_same_name_at_once_asks_once(resolver: Resolver) -> None:
    async def asked() -> None:
        waits = [asyncio.create_task(given_up("b.silent.example")) for _ in range(9)]
        await asyncio.gather(*waits)
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.getaddrinfo("localhost", 80) for _ in range(9)))

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(asked())
    assert [resolver.asked.count(name) for name in ("b.silent.example", "localhost")] == [1, 1]


def test_so_many_are_looked_up_at_once_and_the_others_after_them(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop, "MOST_LOOKUPS", 3)

    async def asked() -> list[BaseException]:
        loop = asyncio.get_running_loop()
        waits = [asyncio.create_task(loop.getaddrinfo(f"{number}.silent.example", 80)) for number in range(7)]
        await asyncio.to_thread(lambda: [resolver.begun.acquire() for _ in range(3)])
        assert len(resolver.asked) == 3
        resolver.released.set()
        return await asyncio.gather(*waits, return_exceptions=True)  # type: ignore[return-value]

    with asyncio.Runner(loop_factory=Loop) as runner:
        found = runner.run(asked())
    assert [type(one) for one in found] == [socket.gaierror] * 7


@pytest.mark.parametrize("name", ["nowhere.invalid", "a..b", "x" * 300 + ".example"])
def test_what_is_no_name_is_an_error_of_the_network(name: str) -> None:
    async def asked() -> None:
        await asyncio.open_connection(name, 80)

    with asyncio.Runner(loop_factory=Loop) as runner, pytest.raises(OSError):
        runner.run(asked())


@pytest.mark.parametrize("secure", [False, True])
def test_a_server_is_reached_by_its_name_and_must_show_a_certificate_for_it(
    tmp_path: Path, secure: bool
) -> None:
    authority = Authority(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue("Router"))  # for 127.0.0.1 alone
    client = ssl.create_default_context(cafile=str(authority.file))

    async def asked(host: str) -> bytes:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        tls = server if secure else None
        async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=tls) as listening:
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(host, port, ssl=client if secure else None)
            said = await reader.read()
            writer.close()
            return said

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(asked("127.0.0.1")) == b"hello"
        if secure:
            with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
                runner.run(asked("localhost"))
        else:
            assert runner.run(asked("localhost")) == b"hello"
