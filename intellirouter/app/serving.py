"""One role that listens: its application, its health, and what stands before it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import structlog
from aiohttp import web

from intellirouter.app.api import api_document
from intellirouter.app.components.audit import audit_health
from intellirouter.app.components.records import records_health
from intellirouter.app.gatekeepers import gatekeeper_of
from intellirouter.app.identity_health import identity_health
from intellirouter.app.node import Listening, Node
from intellirouter.app.refreshing import secrets_health
from intellirouter.bounds.shares import Shares
from intellirouter.errors import ConfigError
from intellirouter.roles.following import STOPPING
from intellirouter.roles.keys import (
    ACCESS_LOG,
    AUDITOR,
    DOORS,
    KEY_RING,
    METRICS,
    RECORDER,
    ROLE_APPS,
    TRACERS,
)
from intellirouter.roles.role import Role
from intellirouter.web.addresses import Addresses
from intellirouter.web.application import make_application
from intellirouter.web.connections import Connections
from intellirouter.web.disk import disk_part
from intellirouter.web.door import Door
from intellirouter.web.draining import Draining
from intellirouter.web.endpoint import Frame
from intellirouter.web.known_paths import KnownPaths, Serve
from intellirouter.web.probes import Health, HealthCheck

log = structlog.get_logger(__name__)

LINGER_SECONDS = 2.0
"""How long to read on from a client whose request was refused before its end, so that it sees the answer."""


@contextlib.asynccontextmanager
async def serving(
    node: Node,
    role: Role,
    sockets: Sequence[socket.socket],
    tls: ssl.SSLContext | None,
    places: Shares,
) -> AsyncIterator[None]:
    """Serve one role of the node on its sockets while the context is open. Raises `ConfigError` where it cannot listen."""
    server = node.loaded.settings.server
    opened = node.opened
    gatekeeper = gatekeeper_of(node.loaded.settings, opened, role)
    tracer = opened[TRACERS](role.name)
    recorder = opened[RECORDER]
    frame = Frame(
        role.name,
        gatekeeper,
        opened[METRICS],
        opened[ACCESS_LOG],
        tracer=tracer,
        recorder=recorder,
        doors=None if role.counts_requests else opened[DOORS],
        auditor=opened[AUDITOR],
    )
    health = _health(node, role)
    ring = opened[KEY_RING]

    def keyless() -> bool:
        return not ring.enabled

    app = make_application(
        server, frame, health, [*role.routes(), *role.handed_on()], opened.values, keyless, api_document
    )
    opened[ROLE_APPS][role.name] = app
    stopping = app[STOPPING] = asyncio.Event()

    async def leave(_: web.Application) -> None:
        stopping.set()

    app.on_shutdown.append(leave)
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=server.keep_alive_timeout,
        shutdown_timeout=server.drain_timeout,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,  # `web.inflating` does, for those who may
    )
    await runner.setup()
    if runner.server is not None:
        Connections.adopt(runner.server, places)
        runner.server.request_handler = _door(node, runner.server.request_handler, health, keyless)
        node.servers[role.name] = runner.server
    try:
        try:
            for one in sockets:
                await web.SockSite(runner, one, ssl_context=tls, backlog=server.backlog).start()
        except OSError as cause:
            raise ConfigError(f"{role.name} cannot listen on {server.host} ({cause.strerror}).") from cause
        port = runner.addresses[0][1]
        node.listening.append(Listening(role.name, server.host, port, "https" if tls else "http"))
        node.health.append(health)
        log.info("server.listening", role=role.name, host=server.host, port=port)
        if role.on_started is not None:
            await role.on_started(app)
        yield
    finally:
        await runner.cleanup()


def _health(node: Node, role: Role) -> Health:
    """The role's own parts, and those of the process that it needs."""
    settings, opened = node.loaded.settings, node.opened
    needs_disk = role.name != "Router" or settings.memory.backend_type == "embedded"
    checks: dict[str, HealthCheck] = {
        **role.health,
        "disk": partial(disk_part, settings.paths.data_dir, needs_disk),
    }
    if settings.auth.enabled and (settings.auth.jwt or settings.auth.oidc):
        checks["identity"] = identity_health(opened[KEY_RING])
    if opened[RECORDER] is not None:
        checks["records"] = records_health
    if node.loaded.keeper.names_any:
        checks["secrets"] = partial(secrets_health, node.loaded.keeper)
    if node.certificates is not None:
        checks["certificates"] = node.certificates.health
    if opened[AUDITOR] is not None:
        checks["audit"] = audit_health
    warnings = tuple(f"{problem.path} {problem.message}" for problem in node.loaded.warnings)
    return Health(role.name, checks, role.ready, warnings)


def _door(node: Node, handler: Serve, health: Health, keyless: Callable[[], bool]) -> Serve:
    """What a request passes before the application: bounds of its address, its host and origin, whether the path is known."""
    server, limits = node.loaded.settings.server, node.loaded.settings.limits
    door = Door(
        Draining(KnownPaths(handler), health),
        keyless=keyless,
        host=server.host,
        allowed_hosts=server.allowed_hosts,
        origins=server.cors_origins,
    )
    if not server.trusted_proxies and limits.address_requests_per_minute is None:
        return door
    return Addresses(door, server.trusted_proxies, limits.address_requests_per_minute, limits.address_exempt)
