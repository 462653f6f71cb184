"""Which nodes are alive, and whose runs are to be taken over.

Every node writes a heartbeat by the database's clock and, as often, looks for nodes whose heartbeat has grown old.
Taking over is guarded by the dead node's id in the run's row, so that of two sweepers only one gets a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog

from intellirouter import tasks
from intellirouter.chains.runtime.durable.engine import making_tables

log = structlog.get_logger(__name__)

TABLE = sa.Table(
    "intellirouter_chain_nodes",
    sa.MetaData(),
    sa.Column("node", sa.String(100), primary_key=True),
    sa.Column("beat", sa.Float, nullable=False),
)


def prepare(engine: sa.Engine) -> None:
    """Make the table of nodes where it is missing. Blocking."""
    with making_tables(engine) as connection:
        TABLE.create(connection, checkfirst=True)


@dataclass(slots=True)
class Cluster:
    """This node among the others. `take_over` gets a dead node's id; times are in seconds."""

    engine: sa.Engine
    node: str
    take_over: Callable[[str], None]
    interval: float = 1.0
    ttl: float = 4.0
    walks: bool = True
    """Whether this node walks runs: one that only takes them takes none over."""
    _last: float = field(default_factory=time.monotonic)

    def nodes(self) -> list[dict[str, Any]]:
        """Every node with the age of its heartbeat."""
        with self.engine.connect() as connection:
            now = self._now()
            rows = connection.execute(sa.select(TABLE.c.node, (now - TABLE.c.beat).label("age")))
            return [
                {"node": row.node, "age_seconds": round(row.age, 3), "alive": row.age <= self.ttl}
                for row in rows
            ]

    def beat(self) -> None:
        """Say that this node lives."""
        with self.engine.begin() as connection:
            now = self._now()
            found = connection.execute(TABLE.update().where(TABLE.c.node == self.node).values(beat=now))
            if found.rowcount == 0:
                connection.execute(TABLE.insert().values(node=self.node, beat=now))
        self._last = time.monotonic()

    def sweep(self) -> None:
        """Take the runs of dead nodes over, then forget the nodes."""
        for found in self.nodes():
            if not found["alive"] and found["node"] != self.node:
                log.warning("chain.node_lost", node=found["node"], age_seconds=found["age_seconds"])
                self.take_over(found["node"])
                with self.engine.begin() as connection:
                    old = TABLE.c.beat < self._now() - self.ttl  # unless it came back meanwhile
                    connection.execute(TABLE.delete().where(TABLE.c.node == found["node"], old))

    def leave(self) -> None:
        """Say goodbye: whoever looks next takes over what this node leaves behind, without waiting for its heartbeat to grow old."""
        try:
            with self.engine.begin() as connection:
                connection.execute(TABLE.update().where(TABLE.c.node == self.node).values(beat=0.0))
        except sa.exc.SQLAlchemyError as error:  # the others will see it by the heartbeat
            log.warning("chain.no_goodbye", error=type(error).__name__)

    @property
    def away(self) -> bool:
        """The database has not taken this node's heartbeat for so long that others may count it as dead."""
        return time.monotonic() - self._last > self.ttl

    @contextlib.asynccontextmanager
    async def belonging(self, heed: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Beat, sweep and `heed` what others ask for, until left."""
        await asyncio.to_thread(prepare, self.engine)
        await asyncio.to_thread(self.beat)

        async def beat() -> None:
            await asyncio.to_thread(self.beat)

        async def sweep() -> None:
            if self.walks:
                await asyncio.to_thread(self.sweep)

        beating = [asyncio.create_task(self._every(act)) for act in (beat, sweep, heed)]
        try:
            yield
        finally:
            await tasks.end(*beating)

    async def _every(self, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await act()
            except (
                sa.exc.SQLAlchemyError
            ) as error:  # the database is away: keep trying, others may see us as dead
                log.warning(
                    "chain.cluster_failed", what=getattr(act, "__name__", ""), error=type(error).__name__
                )
            await asyncio.sleep(self.interval)

    def _now(self) -> sa.ColumnElement[Any]:
        if self.engine.dialect.name == "sqlite":
            return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Float)
        return sa.literal_column("EXTRACT(EPOCH FROM clock_timestamp())::float8", sa.Float)
