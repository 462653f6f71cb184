"""How often a run is taken up again after its node ended with it under way.

dbos counts how often a run was begun, and gives it up past `MAX_RECOVERIES`. What is to be counted is only whether the run may
have been what ended the node, so the count begins anew where it was not: when the node stops in good order, when a run that
was taken up got a step further or only waits, and when the node has lived `SURVIVED_SECONDS` with it.

Of the runs that were under way when the node ended twice, most only stood by. So they are taken up one after the other: whichever the node
ends with, while it was the only one that had just begun, is given up, and those that stood in line are not counted. One that
ends its node only later is given up past `MAX_RECOVERIES`, and so may be what is under way beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog

from intellirouter import tasks

MAX_RECOVERIES = 8
SUSPECT = 2
"""Times that a node ended with a run under way, from which on the run is taken up alone."""
ALONE_SECONDS = 3.0
"""How long it is alone, where it gets no step further before."""
_LAST = MAX_RECOVERIES + 1
"""What dbos counts of a run that it takes up no more."""
SURVIVED_SECONDS = 600.0
GAVE_UP = "gave_up"
GAVE_UP_WORDS = (
    f"The run was under way at least {SUSPECT + 1} times when its node ended, so it is not taken up again. "
    "Look at its steps; fork it when you know that it was not the reason."
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recoveries:
    """Of the runs of one node."""

    engine: sa.Engine
    node: str

    def forgive(self, run_ids: Collection[str] | None = None) -> None:
        """Begin counting anew, for those runs or all of this node's. Blocking."""
        table = self._table()
        words = sa.update(table).where(table.c.recovery_attempts > 1).values(recovery_attempts=1)
        words = words.where(table.c.status == "PENDING")
        if run_ids is None:
            words = words.where(table.c.executor_id == self.node)
        else:
            words = words.where(table.c.workflow_uuid.in_(list(run_ids)))
        with self.engine.begin() as connection:
            connection.execute(words)

    def count(self, run_id: str) -> int:
        """How often it was begun. Blocking."""
        table = self._table()
        words = sa.select(table.c.recovery_attempts).where(table.c.workflow_uuid == run_id)
        with self.engine.connect() as connection:
            return int(connection.execute(words).scalar() or 0)

    def recount(self, run_id: str, attempts: int) -> None:
        """Say how often it was begun. Blocking."""
        table = self._table()
        words = sa.update(table).where(table.c.workflow_uuid == run_id, table.c.status == "PENDING")
        with self.engine.begin() as connection:
            connection.execute(words.values(recovery_attempts=attempts))

    def _table(self) -> sa.TableClause:
        return sa.table(
            "workflow_status",
            *map(sa.column, ("workflow_uuid", "status", "executor_id", "recovery_attempts")),
            schema="dbos" if self.engine.dialect.name == "postgresql" else None,
        )

    async def survive(self) -> None:
        """Forgive every while, as long as the node lives."""
        while True:
            await asyncio.sleep(SURVIVED_SECONDS)
            try:
                await asyncio.to_thread(self.forgive)
            except sa.exc.SQLAlchemyError as error:  # the database is away: next time
                log.warning("chain.forgive_failed", error=type(error).__name__)


@dataclass(slots=True)
class Suspects:
    """The line of the runs of this node of which one may be what ended it. On the loop of the node."""

    recoveries: Recoveries
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _cleared: dict[str, asyncio.Event] = field(default_factory=dict)
    _watches: set[asyncio.Task[None]] = field(default_factory=set)

    async def turn(self, run_id: str) -> None:
        """Return when a run that was taken up may go on."""
        try:
            attempts = await asyncio.to_thread(self.recoveries.count, run_id)
            if attempts <= SUSPECT:
                return
            if self._turn.locked():  # who stands in line is not what ends the node
                await asyncio.to_thread(self.recoveries.recount, run_id, attempts - 1)
            await self._turn.acquire()
            try:
                await asyncio.to_thread(self.recoveries.recount, run_id, _LAST)
            except BaseException:
                self._turn.release()
                raise
        except sa.exc.SQLAlchemyError as error:  # the database is away, and so is the run's next step
            log.warning("chain.not_counted", run=run_id, error=type(error).__name__)
            return
        log.info("chain.run_taken_up_alone", run=run_id, times=attempts - 1)
        cleared = self._cleared[run_id] = asyncio.Event()
        watch = asyncio.create_task(self._watch(run_id, attempts, cleared), name=f"suspect {run_id}")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    def clear(self, run_id: str) -> None:
        """The run got further, or ended."""
        if (cleared := self._cleared.get(run_id)) is not None:
            cleared.set()

    async def aclose(self) -> None:
        """Nobody has a turn any more."""
        await tasks.end(*self._watches)

    async def _watch(self, run_id: str, attempts: int, cleared: asyncio.Event) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ALONE_SECONDS):
                    await cleared.wait()
            if not cleared.is_set():
                await asyncio.to_thread(self.recoveries.recount, run_id, attempts)
        except sa.exc.SQLAlchemyError as error:
            log.warning("chain.not_counted", run=run_id, error=type(error).__name__)
        finally:
            self._cleared.pop(run_id, None)
            self._turn.release()
