"""The thread that talks to SQLite, with group commit.

The event loop hands over functions of a connection; the thread takes all that wait, runs them in one transaction, each
under its own savepoint, commits, and wakes the loop once. A caller is answered only after the commit. A file that
another process keeps locked for longer than `BUSY_TIMEOUT`, or a disk that fails, is `StateUnavailable`.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from intellirouter.errors import NewerFormat, StateUnavailable
from intellirouter.memory.embedded.tables import sweep

T = TypeVar("T")

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes."""
MAX_BATCH = 512
MAX_WAITING = 20_000
SWEEP_INTERVAL = 30.0
SWEEP_AGAIN = 0.1
"""Seconds to the next sweep where one was not enough."""


class _Job:
    __slots__ = ("error", "future", "operation", "reads_only", "result")

    def __init__(
        self, operation: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any], reads_only: bool
    ) -> None:
        self.operation = operation
        self.future = future
        self.reads_only = reads_only
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():  # the caller was cancelled; the write stands
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Engine:
    """Runs functions of a connection, many to a transaction. Open with `start`, close with `stop`.

    With `reads_apart` what only reads has a thread and a connection of its own, and waits for no write: for a file whose writes may
    take long. It sees every write that was answered before it was asked for.
    """

    def __init__(
        self,
        path: Path | None,
        schema: str,
        sweep: Callable[[sqlite3.Connection], bool] = sweep,
        *,
        reads_apart: bool = False,
        factory: type[sqlite3.Connection] = sqlite3.Connection,
        version: int = 1,
    ) -> None:
        """`version` is the schema's, raised with a change that an older version would read wrongly: the file of a newer one is refused.

        `factory` makes the connections. One that has an attribute `failed` says there why a function of its own did."""
        self.path = path
        self._factory = factory
        self._schema = schema
        self._version = version
        self._sweep = sweep
        self._reads_apart = reads_apart and path is not None
        self._writer: _Lane | None = None
        self._reader: _Lane | None = None

    async def start(self) -> None:
        """Open the file. Raises `StateUnavailable` naming it when that fails, `NewerFormat` where a newer version wrote it."""
        loop = asyncio.get_running_loop()
        connection = await asyncio.to_thread(self._connect, self._prepare)
        self._writer = self._reader = _Lane(self.path, connection, loop, MAX_BATCH, self._sweep)
        if self._reads_apart:
            try:
                connection = await asyncio.to_thread(self._connect, _read_only)
            except StateUnavailable:
                await self.stop()
                raise
            # one by one: nothing is committed, and none need wait for what was asked after it
            self._reader = _Lane(self.path, connection, loop, 1)

    async def write(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """The operation's result, once it is committed. It runs in the engine's thread."""
        return await self._submit(self._writer, operation, reads_only=False)

    async def read(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """The result of an operation that writes nothing, and so waits for no other process."""
        return await self._submit(self._reader, operation, reads_only=True)

    async def read_aside(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """The same of what may take long: on a thread and a connection of its own, so that no other read waits for it."""
        if self.path is None or self._reader is None:  # there is one connection, or none
            return await self.read(operation)
        return await asyncio.to_thread(self._aside, operation)

    def _aside(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connect(_read_only)
        try:
            connection.execute("begin")  # one moment's state, however long it is read
            return operation(connection)
        except sqlite3.Error as error:
            raise StateUnavailable(f"the embedded store {self.path} failed: {error}") from error
        finally:
            connection.close()

    async def _submit(
        self, lane: _Lane | None, operation: Callable[[sqlite3.Connection], T], reads_only: bool
    ) -> T:
        if lane is None:
            raise StateUnavailable("the embedded store is closed")
        return await lane.submit(operation, reads_only)

    @property
    def trouble(self) -> str:
        """Why the last write failed; empty when it did not. It is tried again by itself."""
        return "" if self._writer is None else self._writer.trouble

    async def stop(self) -> None:
        """Finish what waits and close the file. Idempotent."""
        lanes = {self._reader, self._writer}
        self._reader = self._writer = None
        for lane in lanes:
            if lane is not None:
                await lane.stop()

    def _connect(self, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
        try:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                ":memory:" if self.path is None else self.path,
                timeout=BUSY_TIMEOUT,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
                factory=self._factory,
            )
            try:
                prepare(connection)
            except BaseException:
                connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise StateUnavailable(
                f"the embedded store {self.path} cannot be opened: {error}. `intellirouter diagnose` says what helps."
            ) from error
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("pragma user_version").fetchone()[0]
        if found > self._version:
            raise NewerFormat(f"The file {self.path}", found, self._version)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.executescript(self._schema)
        if found < self._version:
            connection.execute(f"pragma user_version = {self._version:d}")
        self._sweep(connection)


def _read_only(connection: sqlite3.Connection) -> None:
    connection.execute("pragma query_only = on")


TRY_AGAIN = 2.0
"""Seconds between two tries to write to a file that could not be written."""


class _Lane:
    """A thread with a connection, and what waits for it: up to `together` at once. One that only reads has no `sweep`."""

    def __init__(
        self,
        path: Path | None,
        connection: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop,
        together: int,
        sweep: Callable[[sqlite3.Connection], bool] | None = None,
    ) -> None:
        self._together = together
        self._path = path
        self._loop = loop
        self._sweep = sweep
        self._sweep_at = time.monotonic() + SWEEP_INTERVAL
        self.trouble = ""
        self._try_at = 0.0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        name = "state" if sweep is not None else "state reads"
        self._thread = threading.Thread(target=self._work, args=(connection,), name=name, daemon=True)
        self._thread.start()

    async def submit(self, operation: Callable[[sqlite3.Connection], T], reads_only: bool) -> T:
        if self._jobs.qsize() >= MAX_WAITING:
            raise StateUnavailable(f"the embedded store is {MAX_WAITING} operations behind")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(operation, future, reads_only))
        return await future

    async def stop(self) -> None:
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self, connection: sqlite3.Connection) -> None:
        last = False
        while not last:
            batch: list[_Job] = []
            try:
                job = self._jobs.get(timeout=TRY_AGAIN if self.trouble else None)
            except queue.Empty:
                self._try_to_write(connection)
                continue
            while job is not None:
                batch.append(job)
                if len(batch) >= self._together:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            else:
                last = True
            if batch:
                self._commit(connection, batch)
                if (
                    self.trouble and time.monotonic() >= self._try_at
                ):  # there are readers, who hear of no write
                    self._try_to_write(connection)
        connection.close()

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        try:
            connection.execute("begin" if all(job.reads_only for job in batch) else "begin immediate")
            for job in batch:
                self._apply(connection, job)
            connection.execute("commit")
            if not all(job.reads_only for job in batch):
                self.trouble = ""
            if self._sweep is not None and time.monotonic() > self._sweep_at:
                more = self._sweep(connection)
                self._sweep_at = time.monotonic() + (SWEEP_AGAIN if more else SWEEP_INTERVAL)
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("rollback")
            if not all(job.reads_only for job in batch):
                self.trouble = str(error)
            for job in batch:
                job.error = StateUnavailable(f"the embedded store {self._path} failed: {error}")
                job.error.__cause__ = error
        self._wake(batch)

    def _try_to_write(self, connection: sqlite3.Connection) -> None:
        """What cannot be written is not asked for any more: see by itself when it can be again."""
        self._try_at = time.monotonic() + TRY_AGAIN
        try:
            version = connection.execute("pragma user_version").fetchone()[0]
            connection.execute(f"pragma user_version = {version:d}")  # writes the first page
        except sqlite3.Error as error:
            self.trouble = str(error)
        else:
            self.trouble = ""

    @staticmethod
    def _apply(connection: sqlite3.Connection, job: _Job) -> None:
        connection.execute("savepoint job")
        try:
            job.result = job.operation(connection)
        except sqlite3.OperationalError:
            reason: Exception | None = getattr(connection, "failed", None)
            if reason is None:
                raise  # the file or the disk: nothing of this batch can be trusted
            connection.failed = None  # type: ignore[attr-defined]  # it has one
            connection.execute("rollback to job")
            job.error = reason
        except Exception as error:  # noqa: BLE001  handed to the caller, whose mistake it is
            connection.execute("rollback to job")
            job.error = error
        connection.execute("release job")

    def _wake(self, batch: list[_Job]) -> None:
        def settle() -> None:
            for job in batch:
                job.settle()

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle)
