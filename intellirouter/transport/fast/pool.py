"""The connections to one origin: the last used is used first, so that a quiet pool shrinks."""

from __future__ import annotations

import asyncio
from collections import deque

from intellirouter.transport.fast.connect import Connector
from intellirouter.transport.fast.connection import Connection
from intellirouter.transport.fast.request import Origin
from intellirouter.transport.outbox import Outbox


class Pool:
    """At most `limit` connections; callers beyond that wait in order."""

    def __init__(
        self, origin: Origin, connector: Connector, outbox: Outbox, *, limit: int, keep_idle: float
    ) -> None:
        self._origin = origin
        self._outbox = outbox
        self._connector = connector
        self._limit = limit
        self._keep_idle = keep_idle
        self._idle: dict[Connection, None] = {}
        self._all: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    def take(self) -> Connection | None:
        """A kept connection, if there is one."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if not connection.closed:
                return connection
        return None

    async def open(self, *, fresh: bool = False) -> Connection:
        """A new connection, or unless `fresh` one that became free while waiting for room. Raises `OSError`."""
        while len(self._all) + self._opening >= self._limit:
            if idle := self.take():
                if not fresh:
                    return idle
                idle.cut()
            turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                given = await turn
            except asyncio.CancelledError:
                self._pass_on(turn)
                raise
            if given is not None and not given.closed:
                if not fresh:
                    return given
                given.cut()
        self._opening += 1
        try:
            connection = await self._connector.connect(
                self._origin, lambda: Connection(self, self._keep_idle, self._outbox)
            )
        except BaseException:
            self._let_next_open()
            raise
        finally:
            self._opening -= 1
        if connection.closed:
            raise ConnectionAbortedError
        self._all.add(connection)
        self._empty.clear()
        if self._closing:
            connection.cut()
            raise ConnectionAbortedError
        return connection

    def _pass_on(self, turn: asyncio.Future[Connection | None]) -> None:
        """The caller left: what it was given goes to the next."""
        if turn.done() and not turn.cancelled():
            if (given := turn.result()) is not None:
                self.release(given)
            else:
                self._let_next_open()
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def release(self, connection: Connection) -> None:
        """See `Owner.release`."""
        if connection.served == 1:
            self._connector.remember(self._origin, connection.transport)
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if self._closing:
            connection.cut()
        else:
            self._idle[connection] = None

    def gone(self, connection: Connection) -> None:
        """See `Owner.gone`."""
        self._all.discard(connection)
        self._idle.pop(connection, None)
        self._let_next_open()
        if not self._all:
            self._empty.set()

    def _let_next_open(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def aclose(self) -> None:
        """Cut every connection and see them closed."""
        self._closing = True
        for connection in list(self._all):
            connection.cut()
        await self._empty.wait()
