"""One process: open components, serve the roles, reload on SIGHUP, drain and close on SIGTERM.

Start: logs, data directory, components in order of need, then every role listens. Stop is start reversed: readiness
turns false, load balancers have `drain_delay` to see it, listening stops, requests under way finish or time out,
components close. SIGUSR1 makes the node not ready without a stop, SIGUSR2 ready again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from intellirouter.app import grpc_peers, node_files, own_files
from intellirouter.app.alerting import Facts, alerting, node_name
from intellirouter.app.api import api_document
from intellirouter.app.backups import clocks
from intellirouter.app.certificates import CertificateCollector, Certificates
from intellirouter.app.collecting import seldom_collected
from intellirouter.app.component import Commit, Opened, open_components
from intellirouter.app.components import sealing
from intellirouter.app.components.audit import audit_health
from intellirouter.app.components.records import records_health
from intellirouter.app.components.table import components
from intellirouter.app.gatekeepers import gatekeeper_of
from intellirouter.app.listening import bound
from intellirouter.app.refreshing import refreshing, secrets_health
from intellirouter.app.reloading import Reloader, prepared
from intellirouter.app.roles import RoleEntry, enabled, load_role
from intellirouter.app.service_manager import NO_MANAGER, ServiceManager
from intellirouter.bounds.shares import Shares
from intellirouter.config.load import Loaded
from intellirouter.config.overlay import Overlay
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError
from intellirouter.inference.background import background
from intellirouter.inference.runtime_settings import RuntimeSettings
from intellirouter.ops.backup import journal
from intellirouter.roles.keys import (
    ACCESS_LOG,
    ALERTS,
    AUDITOR,
    DOORS,
    DRAIN_NODE,
    KEY_RING,
    LOADED,
    METRICS,
    RECORDER,
    ROLE_APPS,
    RUNTIME,
    SEEN,
    SETTINGS,
    STATE,
    TRACERS,
)
from intellirouter.roles.role import Role
from intellirouter.security.tls import load_certificate, server_context
from intellirouter.telemetry import logs
from intellirouter.telemetry.watchdog import Watchdog
from intellirouter.web.addresses import Addresses
from intellirouter.web.application import make_application
from intellirouter.web.connections import Connections, client_places
from intellirouter.web.disk import disk_part
from intellirouter.web.door import Door
from intellirouter.web.draining import Draining
from intellirouter.web.endpoint import Frame
from intellirouter.web.known_paths import KnownPaths
from intellirouter.web.probes import Health, HealthCheck

log = structlog.get_logger(__name__)

LINGER_SECONDS = 2.0
"""How long to read on from a client whose request was refused before its end, so that it sees the answer."""


PARENT_SECONDS = 0.5
"""Between two looks of a worker at whether its parent lives."""

Reload = Callable[[], Loaded]


@dataclass(frozen=True, slots=True)
class Listening:
    """One role that serves."""

    role: str
    host: str
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The address as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(slots=True)
class Node:
    """A running process."""

    loaded: Loaded
    opened: Opened
    listening: list[Listening] = field(default_factory=list)
    health: list[Health] = field(default_factory=list)
    certificates: Certificates | None = None

    def drain(self, drained: bool) -> None:
        """Make every role not ready, or ready again. It serves all the same."""
        for health in self.health:
            health.draining = drained
        log.info("node.drained" if drained else "node.undrained")


def prepare_logs(settings: Settings, role: str) -> Commit:
    """Open the log that `[telemetry]` says, to be taken when all else holds. Raises `ConfigError`."""
    telemetry = settings.telemetry
    try:
        return logs.prepare(
            level=telemetry.log_level,
            levels=telemetry.log_levels,
            json=settings.logs_json,
            file=telemetry.log_file,
            role=role,
            most_alike=telemetry.log_most_alike,
        )
    except OSError as cause:
        raise ConfigError(
            f"telemetry.log_file: {telemetry.log_file} cannot be opened ({cause.strerror})."
        ) from cause


def prepare_data_dir(settings: Settings) -> None:
    """Make the data directory, close what is in it to others, undo a restore that was killed. Raises `ConfigError`, `RestoreUnfinished`."""
    directory = settings.paths.data_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        journal.repair(directory)
        own_files.close(directory)
        sealing.check_file(settings.security, directory)
    except OSError as cause:
        raise ConfigError(f"paths.data_dir: {directory} cannot be made ({cause.strerror}).") from cause


@contextlib.asynccontextmanager
async def running(
    loaded: Loaded,
    entries: Sequence[RoleEntry],
    *,
    reuse_port: bool = False,
    drain: Callable[[bool], None] | None = None,
) -> AsyncIterator[Node]:
    """Everything open and listening; closed again on leaving. `drain` drains what is more than this process."""
    settings = loaded.settings
    prepare_data_dir(settings)
    entries = enabled(entries, settings)
    async with contextlib.AsyncExitStack() as stack:
        ports = bound(stack.enter_context(contextlib.ExitStack()), loaded, entries, reuse_port=reuse_port)
        roles = [load_role(entry) for entry in entries]
        opened = Opened(settings, frozenset(role.name for role in roles))
        wanted: list[web.AppKey[Any]] = [
            SETTINGS,
            STATE,
            METRICS,
            ACCESS_LOG,
            KEY_RING,
            SEEN,
            TRACERS,
            ROLE_APPS,
            RECORDER,
            AUDITOR,
            DOORS,
            ALERTS,
        ]
        wanted += [key for role in roles for key in role.components]
        if settings.server.grpc_port is not None:
            wanted += [grpc_peers.PEERS[role.name] for role in roles]
        await open_components(stack, opened, components(opened.local), wanted)
        node = Node(loaded, opened)
        opened.values[LOADED] = lambda: node.loaded
        opened.values[DRAIN_NODE] = drain or node.drain
        runtime = RuntimeSettings(opened[STATE], _reader(node), partial(prepared, opened.on_reload))
        opened.values[RUNTIME] = runtime
        await runtime.begin()
        await stack.enter_async_context(runtime.running())
        tls = server_context(settings.server.tls, settings.ipc.security)
        if tls is not None:
            opened.on_reload.append(partial(_new_certificate, tls))
            node.certificates = Certificates(settings, partial(_take_certificate, tls))
            opened.on_reload.append(node.certificates.prepare)
            opened[METRICS].registry.register(CertificateCollector(node.certificates))
            await stack.enter_async_context(background(certificates=node.certificates.watch()))
        by_clock = clocks(settings.backup, settings.paths.data_dir, loaded.file)
        await stack.enter_async_context(background(**by_clock))
        stack.enter_context(Watchdog(opened[METRICS].registry).watching())
        places = client_places()
        for role in roles:
            await stack.enter_async_context(_serving(node, role, ports[role.name], tls, places))
        if settings.server.grpc_port is not None:
            await stack.enter_async_context(grpc_peers.serving(node.loaded.settings, opened, roles))
        facts = Facts(
            node_name(node.listening[0].port),
            opened,
            node.certificates,
            lambda: any(one.draining for one in node.health),
        )
        await stack.enter_async_context(alerting(settings, opened, facts))
        with seldom_collected():
            yield node


def _reader(node: Node) -> Callable[[Overlay], Loaded]:
    """Reads the node's configuration with settings made at run time on top."""

    def read(overlay: Overlay) -> Loaded:
        again = node.loaded.again
        if again is None:
            raise ConfigError("The configuration of this node cannot be read anew.")
        return again(overlay)

    return read


def _with_runtime(read: Reload, node: Node) -> Reload:
    """A reload reads the file as it is now, and puts on top what is set at run time."""

    def reload() -> Loaded:
        loaded = read()
        overlay = node.opened[RUNTIME].current.settings
        node.loaded = replace(node.loaded, again=loaded.again)
        return loaded.again(overlay) if overlay and loaded.again is not None else loaded

    return reload


def _take_certificate(tls: ssl.SSLContext, settings: Settings) -> None:
    """The files as they are now. Raises `ConfigError` where they do not fit one another, and changes nothing."""
    _new_certificate(tls, settings)()


def _new_certificate(tls: ssl.SSLContext, new: Settings) -> Commit:
    """Tried on a context that nobody uses, so that one which does not fit its key changes nothing."""
    section, security = new.server.tls, new.ipc.security
    load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), section, security)
    return lambda: load_certificate(tls, section, security)


@contextlib.asynccontextmanager
async def _serving(
    node: Node,
    role: Role,
    sockets: Sequence[socket.socket],
    tls: ssl.SSLContext | None,
    places: Shares,
) -> AsyncIterator[None]:
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
    warnings = tuple(f"{problem.path} {problem.message}" for problem in node.loaded.warnings)
    needs_disk = role.name != "Router" or node.loaded.settings.memory.backend_type == "embedded"
    checks: dict[str, HealthCheck] = {
        **role.health,
        "disk": partial(disk_part, node.loaded.settings.paths.data_dir, needs_disk),
    }
    if recorder is not None:
        checks["records"] = records_health
    if node.loaded.keeper.names_any:
        checks["secrets"] = partial(secrets_health, node.loaded.keeper)
    if node.certificates is not None:
        checks["certificates"] = node.certificates.health
    if opened[AUDITOR] is not None:
        checks["audit"] = audit_health
    health = Health(role.name, checks, role.ready, warnings)
    ring = opened[KEY_RING]

    def keyless() -> bool:
        return not ring.enabled

    app = make_application(
        server, frame, health, [*role.routes(), *role.handed_on()], opened.values, keyless, api_document
    )
    opened[ROLE_APPS][role.name] = app
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
        door = Door(
            Draining(KnownPaths(runner.server.request_handler), health),
            keyless=keyless,
            host=server.host,
            allowed_hosts=server.allowed_hosts,
            origins=server.cors_origins,
        )
        limits = node.loaded.settings.limits
        if server.trusted_proxies or limits.address_requests_per_minute is not None:
            runner.server.request_handler = Addresses(
                door, server.trusted_proxies, limits.address_requests_per_minute, limits.address_exempt
            )
        else:
            runner.server.request_handler = door
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


async def serve(
    loaded: Loaded,
    entries: Sequence[RoleEntry],
    *,
    reload: Reload,
    announce: Callable[[Node], None],
    reuse_port: bool = False,
    drain: Callable[[bool], None] | None = None,
    parent: int | None = None,
    manager: ServiceManager = NO_MANAGER,
    log_role: str = "",
) -> None:
    """Serve until SIGTERM, or SIGINT, which waits for no load balancer, or until `parent` is gone."""
    loop = asyncio.get_running_loop()
    stop, at_once = asyncio.Event(), asyncio.Event()

    def interrupted() -> None:
        at_once.set()
        stop.set()

    for problem in loaded.warnings:
        log.warning("config.warning", where=problem.where, problem=f"{problem.path} {problem.message}")
    async with (
        background(watchdog=manager.keep_alive(), parent=_watch(parent, stop)),
        running(loaded, entries, reuse_port=reuse_port, drain=drain) as node,
        contextlib.AsyncExitStack() as stack,
    ):
        roles = {one.role: one.url for one in node.listening}
        file = stack.enter_context(
            node_files.announced(loaded.settings.paths.data_dir, roles, parent or os.getpid())
        )

        def told(verdict: node_files.Verdict) -> None:
            file.tell(verdict)
            manager.ready(_status(node, verdict))

        parts = [*node.opened.on_reload, lambda new: prepare_logs(new, log_role)]
        reloader = Reloader(_with_runtime(reload, node), loaded.settings, parts, told)
        work = {"reloads": reloader.run()}
        if loaded.keeper.names_any:
            work["secrets"] = refreshing(loaded.keeper, reloader.ask)
        await stack.enter_async_context(background(**work))

        def reload_soon() -> None:
            manager.reloading()
            reloader.ask()

        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGINT, interrupted)
        loop.add_signal_handler(signal.SIGHUP, reload_soon)
        loop.add_signal_handler(signal.SIGUSR1, node.drain, True)
        loop.add_signal_handler(signal.SIGUSR2, node.drain, False)
        announce(node)
        manager.ready(_status(node, reloader.last))
        await stop.wait()
        manager.stopping()
        server = loaded.settings.server
        log.info("server.draining", delay=server.drain_delay, timeout=server.drain_timeout)
        node.drain(True)
        if server.drain_delay:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(at_once.wait(), server.drain_delay)
    log.info("server.stopped")


async def _watch(parent: int | None, stop: asyncio.Event) -> None:
    """A worker whose parent was killed must not keep the port."""
    while parent is not None:
        await asyncio.sleep(PARENT_SECONDS)
        if os.getppid() != parent:
            log.warning("worker.orphaned", parent=parent)
            stop.set()
            return


def _status(node: Node, reload: node_files.Verdict) -> str:
    serving = "serving " + ", ".join(f"{role.role} on {role.url}" for role in node.listening)
    if not reload.accepted:
        return f"{serving}; the new configuration was refused: {reload.message.splitlines()[0]}"
    if reload.needs_restart:
        return f"{serving}; waiting for a restart: {', '.join(reload.needs_restart)}"
    return serving
