"""What every role uses."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import structlog

from intellirouter import __version__
from intellirouter.app.component import Commit, Component, Opened
from intellirouter.app.components import sealing
from intellirouter.config.schema.auth import AuthSection
from intellirouter.config.schema.settings import Settings
from intellirouter.config.schema.telemetry import TelemetrySection
from intellirouter.identity.follower import PeopleFollower
from intellirouter.identity.store import PeopleStore
from intellirouter.inference.background import background
from intellirouter.inference.limits.doors import Doors
from intellirouter.inference.virtual_keys import Follower, KeyStore
from intellirouter.memory.open import open_state
from intellirouter.memory.store import StateStore
from intellirouter.roles.keys import (
    ACCESS_LOG,
    DOORS,
    KEEPING,
    KEY_RING,
    KEYS,
    METRICS,
    OUTGOING,
    PEOPLE,
    SEEN,
    SETTINGS,
    STATE,
    TRACERS,
)
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.keeping import Keeping
from intellirouter.security.policy import read_policy
from intellirouter.security.replay import REMEMBERED_SECONDS, SEEN_FILE, Memory, Seen, SeenFile
from intellirouter.telemetry.access import AccessLog
from intellirouter.telemetry.metrics import Metrics
from intellirouter.telemetry.shipping.counting import ShippingCollector
from intellirouter.telemetry.tracing.span import Tracer
from intellirouter.transport.outgoing.door import OutgoingDoor

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def _settings(opened: Opened) -> AsyncIterator[Settings]:
    yield opened.settings


@contextlib.asynccontextmanager
async def _metrics(opened: Opened) -> AsyncIterator[Metrics]:
    """OpenTelemetry is imported only where metrics are sent to a collector."""
    metrics, telemetry = Metrics(), opened.settings.telemetry
    metrics.registry.register(ShippingCollector())
    if not telemetry.exports_metrics:
        yield metrics
        return
    otlp = importlib.import_module("intellirouter.telemetry.tracing.otlp")
    pushing = importlib.import_module("intellirouter.telemetry.tracing.otlp_metrics")
    exporter = otlp.metric_exporter(telemetry.otlp_endpoint, telemetry.otlp_protocol, _headers(telemetry))
    node = f"{socket.gethostname()}:{os.getpid()}"
    pusher = pushing.MetricsPusher(metrics.registry, exporter, node, __version__)
    async with contextlib.aclosing(pusher), background(metrics=pusher.run(telemetry.otlp_metrics_seconds)):
        yield metrics


def _headers(telemetry: TelemetrySection) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in telemetry.otlp_headers.items()}


@contextlib.asynccontextmanager
async def _access_log(opened: Opened) -> AsyncIterator[AccessLog]:
    settings = opened.settings
    access = AccessLog(
        enabled=settings.telemetry.access_log,
        json=settings.logs_json,
        most=settings.telemetry.access_log_most,
        ecs_form=settings.telemetry.log_format == "ecs",
    )
    yield access
    access.flush()


@contextlib.asynccontextmanager
async def _tracers(opened: Opened) -> AsyncIterator[Callable[[str], Tracer | None]]:
    """OpenTelemetry is imported only where there is a collector."""
    telemetry = opened.settings.telemetry
    if not telemetry.exports_spans:
        yield lambda _role: None
        return
    otlp = importlib.import_module("intellirouter.telemetry.tracing.otlp")
    exporter = otlp.Exporter(
        telemetry.otlp_endpoint,
        f"{socket.gethostname()}:{os.getpid()}",
        __version__,
        telemetry.trace_sample_rate,
        protocol=telemetry.otlp_protocol,
        headers=_headers(telemetry),
    )
    try:
        yield exporter.of
    finally:
        await exporter.aclose()


@contextlib.asynccontextmanager
async def _key_ring(opened: Opened) -> AsyncIterator[KeyRing]:
    ring = KeyRing(
        opened.settings.auth, await asyncio.to_thread(read_policy, opened.settings.auth.policy_file)
    )
    copy, seconds = opened.settings.paths.data_dir / "keys.json", opened.settings.auth.keys_copy_seconds
    follower = Follower(ring, opened[KEYS], copy, seconds)
    people = PeopleFollower(ring.people, opened[PEOPLE])
    async with contextlib.AsyncExitStack() as stack:
        follows = False

        taking: Any = None

        async def take_tokens(section: AuthSection) -> None:
            """Who asks nobody who they are does not pay for the libraries."""
            nonlocal taking
            module = importlib.import_module("intellirouter.app.components.tokens")
            taking = await stack.enter_async_context(module.people_tokens(opened, ring, section))

        async def follow(section: AuthSection) -> None:
            nonlocal follows
            if not follows:
                await stack.enter_async_context(people.running(opened[STATE]))
                await take_tokens(section)
                await stack.enter_async_context(follower.running(opened[STATE]))
                follows = True

        async def prepare(new: Settings) -> Commit:
            if new.auth.enabled:  # the keys are known before anybody is asked for one
                await follow(new.auth)
            policy = await asyncio.to_thread(read_policy, new.auth.policy_file)
            issuers = new.auth.jwt

            def commit() -> None:
                ring.configure(new.auth, policy)
                if taking is not None:
                    taking.take(issuers)

            return commit

        opened.on_reload.append(prepare)
        if ring.enabled:
            await follow(opened.settings.auth)
        yield ring


@contextlib.asynccontextmanager
async def _seen(opened: Opened) -> AsyncIterator[Memory]:
    """What this node remembers of calls between roles: in a file, for all its workers and over a restart, where any can come."""
    directory = opened.settings.paths.data_dir
    if not opened.settings.ipc.security.enabled and not opened.settings.chain_engine.edges:
        yield Seen(REMEMBERED_SECONDS)
        return
    try:
        file = await asyncio.to_thread(SeenFile, directory / SEEN_FILE, REMEMBERED_SECONDS)
    except OSError as cause:
        log.warning("peers.calls_remembered_here_only", file=str(directory / SEEN_FILE), error=str(cause))
        yield Seen(REMEMBERED_SECONDS)
        return
    with contextlib.closing(file):
        yield file


@contextlib.asynccontextmanager
async def _keys(opened: Opened) -> AsyncIterator[KeyStore]:
    yield KeyStore(opened[STATE])


@contextlib.asynccontextmanager
async def _people(opened: Opened) -> AsyncIterator[PeopleStore]:
    yield PeopleStore(opened[STATE])


@contextlib.asynccontextmanager
async def _state(opened: Opened) -> AsyncIterator[StateStore]:
    async with open_state(opened.settings.memory, opened.settings.paths.data_dir) as store:
        yield await sealing.sealed(store, opened.settings.security)


@contextlib.asynccontextmanager
async def _outgoing(opened: Opened) -> AsyncIterator[OutgoingDoor]:
    async with contextlib.aclosing(OutgoingDoor(opened.settings.outgoing)) as door:
        yield door


@contextlib.asynccontextmanager
async def _doors(opened: Opened) -> AsyncIterator[Doors]:
    doors = Doors(opened[STATE], opened.settings.limits)
    opened.on_reload.append(lambda new: partial(doors.configure, new.limits))
    async with doors.running():
        yield doors


@contextlib.asynccontextmanager
async def _keeping(opened: Opened) -> AsyncIterator[Keeping]:
    yield Keeping(opened.settings.keeping)


COMPONENTS = (
    Component(SETTINGS, _settings),
    Component(METRICS, _metrics),
    Component(ACCESS_LOG, _access_log),
    Component(TRACERS, _tracers),
    Component(KEYS, _keys, (STATE,)),
    Component(SEEN, _seen),
    Component(PEOPLE, _people, (STATE,)),
    Component(KEY_RING, _key_ring, (KEYS, PEOPLE, OUTGOING, STATE)),
    Component(STATE, _state),
    Component(OUTGOING, _outgoing),
    Component(KEEPING, _keeping),
    Component(DOORS, _doors, (STATE,)),
)
