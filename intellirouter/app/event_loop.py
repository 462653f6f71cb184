"""The loop of a node: uvloop, with look-ups of names that hold nobody up.

uvloop looks names up on the four threads of libuv, which cannot be called off: four names whose servers are silent keep every other look-up
waiting, and the loop from closing until the system's resolver gives up, a minute and more. Here each look-up is a thread of its own that
nobody waits for at the end; those for the same name at the same time are one, and there are at most `MOST_LOOKUPS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvloop

MOST_LOOKUPS = 64

_Found = list[tuple[Any, ...]]
_Question = tuple[Any, ...]


class Loop(uvloop.Loop):
    """See above."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[_Question, asyncio.Future[_Found]] = {}
        self._places = asyncio.Semaphore(MOST_LOOKUPS)

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """See `asyncio.loop.getaddrinfo`. Raises `socket.gaierror` for a name that is none, too."""
        if host is None or _is_address(host):
            return await super().getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)
        question = (host, port, family, type, proto, flags)
        if question not in self._asked:
            await self._places.acquire()
            if question in self._asked:  # somebody else was first
                self._places.release()
            else:
                self._ask(question)
        return list(await asyncio.shield(self._asked[question]))

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: Any = None,
        port: Any = None,
        *,
        ssl: Any = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        server_hostname: str | None = None,
        **more: Any,
    ) -> Any:
        """See `asyncio.loop.create_connection`: the name is looked up as above, and its addresses are tried in order."""
        if host is None or _is_address(host):
            given: dict[str, Any] = {
                "family": family,
                "proto": proto,
                "flags": flags,
                "server_hostname": server_hostname,
            }
            return await super().create_connection(protocol_factory, host, port, ssl=ssl, **given, **more)
        if ssl and server_hostname is None:
            server_hostname = host
        failures: list[OSError] = []
        found = await self.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags
        )
        for *_, address in found:
            try:
                return await super().create_connection(
                    protocol_factory, address[0], address[1], ssl=ssl, server_hostname=server_hostname, **more
                )
            except OSError as failure:
                failures.append(failure)
        raise failures[0] if failures else OSError(f"getaddrinfo() returned nothing for {host}")

    def _ask(self, question: _Question) -> None:
        answer: asyncio.Future[_Found] = self.create_future()
        self._asked[question] = answer
        answer.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # its askers may have left

        def settle(found: _Found, failure: OSError | None) -> None:
            del self._asked[question]
            self._places.release()
            if failure is None:
                answer.set_result(found)
            else:
                answer.set_exception(failure)

        def work() -> None:
            host, port, family, kind, proto, flags = question
            found: _Found = []
            failure: OSError | None = None
            try:
                found = list(socket.getaddrinfo(host, port, family, kind, proto, flags))
            except OSError as error:
                failure = error
            except UnicodeError:  # a label that is empty or too long
                failure = socket.gaierror(socket.EAI_NONAME, "this is no host name")
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.call_soon_threadsafe(settle, found, failure)

        threading.Thread(target=work, name="resolve", daemon=True).start()


def _is_address(host: Any) -> bool:
    if not isinstance(host, str):
        return False
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, host.partition("%")[0])
            return True
    return False
