"""How often a run is taken up again after its node ended with it under way.

dbos counts how often a run was begun, and gives it up past `MAX_RECOVERIES`. What is to be counted is only whether the run may
have been what ended the node, so the count begins anew where it was not: when the node stops in good order, when a run that
was taken up got a step further or only waits, and when the node has lived `SURVIVED_SECONDS` with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

MAX_RECOVERIES = 2
SURVIVED_SECONDS = 600.0
GAVE_UP = "gave_up"
GAVE_UP_WORDS = (
    f"The run was under way each of the {MAX_RECOVERIES + 1} times that its node ended, so it is not taken up again. "
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
        schema = "dbos" if self.engine.dialect.name == "postgresql" else None
        table = sa.table(
            "workflow_status",
            *map(sa.column, ("workflow_uuid", "status", "executor_id", "recovery_attempts")),
            schema=schema,
        )
        words = sa.update(table).where(table.c.recovery_attempts > 1).values(recovery_attempts=1)
        words = words.where(table.c.status == "PENDING")
        if run_ids is None:
            words = words.where(table.c.executor_id == self.node)
        else:
            words = words.where(table.c.workflow_uuid.in_(list(run_ids)))
        with self.engine.begin() as connection:
            connection.execute(words)

    async def survive(self) -> None:
        """Forgive every while, as long as the node lives."""
        while True:
            await asyncio.sleep(SURVIVED_SECONDS)
            try:
                await asyncio.to_thread(self.forgive)
            except sa.exc.SQLAlchemyError as error:  # the database is away: next time
                log.warning("chain.forgive_failed", error=type(error).__name__)
