"""Open the durable runtime of a process on its database, and join the other nodes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import (
    DBOS,
    DBOSConfig,
)
from dbos._dbos import _get_dbos_instance
from dbos._serialization import DBOSPortableJSON

from intellirouter import tasks
from intellirouter.chains.interpreter import Outcome
from intellirouter.chains.ports import Listener
from intellirouter.chains.runtime.durable import form
from intellirouter.chains.runtime.durable.clock import fine_clock
from intellirouter.chains.runtime.durable.cluster import Cluster
from intellirouter.chains.runtime.durable.engine import open_engine, sole_owner
from intellirouter.chains.runtime.durable.reader import only_reader
from intellirouter.chains.runtime.durable.recovery import (
    MAX_RECOVERIES,
)
from intellirouter.chains.runtime.durable.rows import check_rows
from intellirouter.chains.runtime.durable.runtime import LAYOUT, SINGLE, DurableRuntime
from intellirouter.chains.runtime.durable.said import nothing_more, only_errors
from intellirouter.chains.runtime.durable.sealing import sealed_values
from intellirouter.chains.runtime.durable.words import in_words
from intellirouter.chains.runtime.in_process import silent
from intellirouter.chains.steps.attempts import Worker
from intellirouter.security.sealing import Sealer

_LISTEN = 2.0
"""Seconds between looks for signals where the database does not tell of them (SQLite, whose one process wakes its runs itself)."""
_TOLD_SECONDS = 60.0

log = structlog.get_logger(__name__)


@in_words
@contextlib.asynccontextmanager
async def opened(
    url: str,
    worker: Worker,
    *,
    max_parallel_steps: int = 10,
    max_parallel_calls: int = 100,
    hear: Listener = silent,
    default_timeout: float = 30.0,
    beat: float = 1.0,
    ttl: float = 4.0,
    walks: bool = True,
    migrates: bool = True,
    sealer: Sealer | None = None,
) -> AsyncIterator[DurableRuntime]:
    """The durable runtime of this process. Runs that this node, or a dead one, left unfinished go on at once.

    One that does not walk only takes runs, for other nodes; one that does not migrate needs a database that is as this version needs it.
    With a `sealer` what they say is encrypted in their database.
    """
    engine = open_engine(url)
    alone = engine.dialect.name == "sqlite"
    node = SINGLE if alone else f"node_{secrets.token_hex(8)}"
    only_reader()
    fine_clock()
    only_errors()
    with sole_owner(engine), sealed_values(engine, sealer):
        try:
            await asyncio.to_thread(form.check, engine)
            await asyncio.to_thread(check_rows, engine)
        except BaseException:
            engine.dispose()
            raise
        runtime = DurableRuntime(
            worker, engine, node, max_parallel_steps, max_parallel_calls, hear, default_timeout
        )
        async with _launched(url, runtime, walks=walks, migrates=migrates):
            if alone:
                heeding = asyncio.create_task(_heed(runtime, beat))
                try:
                    yield runtime
                finally:
                    await tasks.end(heeding)
                return

            def take_over(dead: str) -> None:
                taken = _take_over(dead)
                told = asyncio.run_coroutine_threadsafe(runtime.taken_over(taken), runtime.home)
                told.result(_TOLD_SECONDS)

            runtime.cluster = Cluster(engine, node, take_over, beat, ttl, walks)
            async with runtime.cluster.belonging(runtime.heed):
                yield runtime


@contextlib.asynccontextmanager
async def _launched(url: str, runtime: DurableRuntime, *, walks: bool, migrates: bool) -> AsyncIterator[None]:
    engine = runtime.engine
    config: DBOSConfig = {
        "name": "intellirouter",
        "system_database_url": url,
        "system_database_engine": engine,
        "application_version": LAYOUT,
        "executor_id": runtime.node,
        "serializer": DBOSPortableJSON,  # the one that `sealed_values` has seal
        "log_level": "ERROR",
        "notification_listener_polling_interval_sec": _LISTEN,
        "run_migrations": migrates,
    }
    DBOS(config=config)
    if not walks:  # what is resumed or forked waits there for a node that walks
        _get_dbos_instance()._registry.get_internal_queue()._worker_concurrency = 0  # noqa: SLF001  dbos is pinned

    @DBOS.workflow(name="chain", max_recovery_attempts=MAX_RECOVERIES)
    async def walk(document: dict[str, Any], others: dict[str, Any], inputs: dict[str, Any]) -> Outcome:
        return await runtime.walk(document, others, inputs)

    runtime.workflow = walk
    survive = asyncio.create_task(runtime.recoveries.survive(), name="chain survive")
    try:
        if migrates:
            await asyncio.to_thread(form.note, engine)
        await asyncio.to_thread(runtime.waits.prepare)
        await asyncio.to_thread(DBOS.launch)
        yield
    finally:
        nothing_more()
        await tasks.end(survive)
        await runtime.suspects.aclose()
        with contextlib.suppress(sa.exc.SQLAlchemyError):  # the database is away: the count stays
            await asyncio.to_thread(runtime.recoveries.forgive)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # DBOS made its own pool the loop's default and has shut it down: whoever closes after us needs one.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        if runtime.cluster is not None:  # no run walks here any more
            await asyncio.to_thread(runtime.cluster.leave)
        engine.dispose()


async def _heed(runtime: DurableRuntime, beat: float) -> None:
    while True:
        try:
            await runtime.heed()
        except sa.exc.SQLAlchemyError as error:  # the disk is full, say: look again
            log.warning("chain.not_heeded", error=type(error).__name__)
        await asyncio.sleep(beat)


def _take_over(dead: str) -> list[str]:
    handles = DBOS._recover_pending_workflows([dead])  # noqa: SLF001  the one call that is guarded by the dead node's id
    log.warning("chain.runs_taken_over", node=dead, runs=len(handles))
    return [handle.workflow_id for handle in handles]
