"""Open the engine on its database: SQLite in the data directory, or a Postgres that nodes share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from intellirouter import tasks
from intellirouter.chains.runtime.durable.opening import opened
from intellirouter.chains.steps.attempts import Cache, Worker
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.errors import ConfigError
from intellirouter.memory.store import StateStore
from intellirouter.peers.edges import Centre
from intellirouter.roles.chain_engine.database import lacking, url_of
from intellirouter.roles.chain_engine.edges.adopting import NodeRecord
from intellirouter.roles.chain_engine.edges.link import linked
from intellirouter.roles.chain_engine.edges.outbox import Outbox as EdgeOutbox
from intellirouter.roles.chain_engine.hearing import Hearing
from intellirouter.roles.chain_engine.hooks.delivery import Hooks
from intellirouter.roles.chain_engine.hooks.governing import Governing
from intellirouter.roles.chain_engine.hooks.judging import Judging
from intellirouter.roles.chain_engine.hooks.notices import Notices
from intellirouter.roles.chain_engine.hooks.outbox import Outbox
from intellirouter.roles.chain_engine.keeper import Keeper
from intellirouter.roles.chain_engine.library import Library
from intellirouter.roles.chain_engine.live import Live
from intellirouter.roles.chain_engine.meters import ChainMeters
from intellirouter.roles.chain_engine.outside import Outside
from intellirouter.roles.chain_engine.owners import Owners, Starters
from intellirouter.roles.chain_engine.passing import Passing
from intellirouter.roles.chain_engine.reach import Peers, ports
from intellirouter.roles.chain_engine.schedules import ScheduleStore
from intellirouter.roles.chain_engine.service import ChainService
from intellirouter.roles.chain_engine.store import Store
from intellirouter.roles.chain_engine.triggers.folders import Folders
from intellirouter.roles.chain_engine.versions import Versions
from intellirouter.security.authority import Authority
from intellirouter.security.keeping import Keeping
from intellirouter.security.sealing import Sealer
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
    keeping: Keeping | None = None,
    bus: StateStore | None = None,
    sealer: Sealer | None = None,
    centre: Centre | None = None,
    record: NodeRecord | None = None,
    passes: StateStore | None = None,
) -> AsyncIterator[ChainService]:
    """The service; runs that a former process left unfinished go on at once. `passes` is a bus that is quick enough for words.

    Raises `Conflict` when another process holds the SQLite file.
    """
    url = url_of(section, data_dir)
    if not section.auto_migrate and (problems := await asyncio.to_thread(lacking, url)):
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ConfigError(
            f"The database of the chains is not as this version needs it ({problems[0]}{more}), and chain_engine.auto_migrate is "
            "off: run `intellirouter db migrate`."
        )
    meters = ChainMeters(registry)
    authority = Starters(authority)
    hearing, owners = Hearing(meters), Owners(authority)
    door = door or OutgoingDoor()
    outside = Outside(door, section)
    worker = Worker(ports(peers, outside), Cache(section.enable_caching), tracer, owners.acting)
    governing = {name: hook for name, hook in section.hooks.items() if hook.kind == "govern"}
    if governing:
        worker.refusal = Governing(governing, door, owners.place).refusal
    async with opened(
        url,
        worker,
        max_parallel_steps=section.max_parallel_steps,
        max_parallel_calls=section.max_parallel_calls,
        hear=hearing.hear,
        default_timeout=section.default_timeout_seconds,
        walks=section.mode != "api",
        migrates=section.auto_migrate,
        sealer=sealer,
    ) as runtime:
        shared = runtime.cluster is not None
        passing = Passing(passes, sealer, heard=hearing.elsewhere) if shared and passes is not None else None
        live = Live(runtime.engine, shared, passing)
        hearing.live, worker.followed = live, live.followed
        store = Store(runtime.engine)
        if section.auto_migrate:
            await asyncio.to_thread(store.prepare)
        owners.store = store
        schedules = ScheduleStore(runtime.engine)
        judging = Judging(peers.chat, owners.acting)
        hooks = Hooks(section.hooks, Outbox(runtime.engine), door, judging.tell)
        keeping = keeping or Keeping()
        library = Library(store, Versions(runtime.engine), outside, keeping, section.default_timeout_seconds)
        service = ChainService(
            section,
            runtime,
            store,
            library,
            meters,
            hearing,
            schedules,
            authority,
            outside,
            hooks,
            live,
            tracer,
            keeping,
        )
        service.following.bus = bus
        service.arrivals.rows.record = record
        hooks.told = service.told
        notify = {name: hook for name, hook in section.hooks.items() if hook.kind == "notify"}
        if notify:
            hooks.notices = Notices(notify, hooks.outbox, service.inbox, service.links, owners.of)
        await service.following.refresh()
        runtime.ending = service.ending
        works = await _works(service, section, centre, registry, record)
        owned = [_begun(name, work) for name, work in works.items()]
        try:
            await service.take_up()  # what goes on takes its places before any new run does
            if section.mode != "api":
                owned.append(_begun("chain line", service.line.run()))
            yield service
        finally:
            await tasks.end(*owned)
            await live.stop()
            await service.stop()


async def _works(
    service: ChainService,
    section: ChainEngineSection,
    centre: Centre | None,
    registry: CollectorRegistry,
    record: NodeRecord | None,
) -> dict[str, Coroutine[Any, Any, None]]:
    """What the node does by itself, by the names of its tasks."""
    folders = Folders(section.folders, service.following.store, service.following.firing)
    works = {
        "chain hooks": service.hooks.run(),
        "chain keeper": Keeper(service, service.schedules).run(),
        "chain followers": service.following.run(),
        "chain events": service.following.listen(),
        "chain folders": folders.run(),
    }
    own = record.records if record is not None and record.own_file else None
    if centre is None or section.centre is None:
        await asyncio.to_thread(EdgeOutbox(service.runtime.engine).stop)
        return works | ({} if own is None else {"chain rows": own.name_none()})
    rows = own if section.centre.records else None
    link = service.link = await linked(service, section.centre, centre, registry, rows)
    if own is not None and rows is None:
        works["chain rows"] = own.name_none()
    return {**works, "chain edge": link.forwarding.run(), "chain edge watch": link.watch()}


def _begun(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("chain.task_ended", task=task.get_name(), exc_info=error)
