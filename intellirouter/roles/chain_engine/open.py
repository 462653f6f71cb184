"""Open the engine on its database: SQLite in the data directory, or a Postgres that nodes share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from intellirouter import tasks
from intellirouter.chains.runtime.durable.runtime import opened
from intellirouter.chains.steps.attempts import Cache, Worker
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.roles.chain_engine.hearing import Hearing
from intellirouter.roles.chain_engine.keeper import Keeper
from intellirouter.roles.chain_engine.meters import ChainMeters
from intellirouter.roles.chain_engine.outside import Outside
from intellirouter.roles.chain_engine.owners import Owners
from intellirouter.roles.chain_engine.reach import Peers, ports
from intellirouter.roles.chain_engine.schedules import ScheduleStore
from intellirouter.roles.chain_engine.service import ChainService
from intellirouter.roles.chain_engine.store import Store
from intellirouter.security.authority import Authority
from intellirouter.telemetry.tracing.span import Tracer
from intellirouter.transport.outgoing.door import OutgoingDoor

__all__ = ["Peers", "open_engine"]

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def open_engine(
    section: ChainEngineSection,
    data_dir: Path,
    peers: Peers,
    registry: CollectorRegistry,
    authority: Authority,
    tracer: Tracer | None = None,
    door: OutgoingDoor | None = None,
) -> AsyncIterator[ChainService]:
    """The service; runs that a former process left unfinished go on at once.

    Raises `Conflict` when another process holds the SQLite file.
    """
    url = (
        section.database_url.get_secret_value()
        if section.database_url
        else f"sqlite:///{data_dir / 'chains.db'}"
    )
    meters = ChainMeters(registry)
    hearing, owners = Hearing(meters), Owners(authority)
    outside = Outside(door or OutgoingDoor(), section)
    worker = Worker(ports(peers, outside), Cache(section.enable_caching), tracer, owners.acting)
    async with opened(
        url,
        worker,
        max_parallel_steps=section.max_parallel_steps,
        max_parallel_calls=section.max_parallel_calls,
        hear=hearing.hear,
        default_timeout=section.default_timeout_seconds,
    ) as runtime:
        store = Store(runtime.engine)
        await asyncio.to_thread(store.prepare)
        owners.store = store
        schedules = ScheduleStore(runtime.engine)
        service = ChainService(
            section, runtime, store, meters, hearing, schedules, authority, outside, tracer
        )
        keeper = asyncio.create_task(Keeper(service, service.schedules).run(), name="chain keeper")
        keeper.add_done_callback(_report)
        try:
            await service.take_up()
            yield service
        finally:
            await tasks.end(keeper)
            await service.stop()


def _report(keeper: asyncio.Task[None]) -> None:
    if not keeper.cancelled() and (error := keeper.exception()) is not None:
        log.error("chain.keeper_ended", exc_info=error)
