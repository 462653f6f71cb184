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
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from intellirouter.app import grpc_peers, node_files
from intellirouter.app.alerting import Facts, alerting, node_name
from intellirouter.app.backups import clocks
from intellirouter.app.certificates import CertificateCollector, Certificates
from intellirouter.app.collecting import seldom_collected
from intellirouter.app.component import Commit, Opened, open_components
from intellirouter.app.components.table import components
from intellirouter.app.listening import bound
from intellirouter.app.node import Node, prepare_data_dir, prepare_logs
from intellirouter.app.refreshing import refreshing
from intellirouter.app.reloading import Reloader, prepared
from intellirouter.app.roles import RoleEntry, enabled, load_role
from intellirouter.app.service_manager import NO_MANAGER, ServiceManager
from intellirouter.app.serving import serving
from intellirouter.app.warming import warm
from intellirouter.config.load import Loaded
from intellirouter.config.overlay import Overlay
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError
from intellirouter.inference.background import background
from intellirouter.inference.runtime_settings import RuntimeSettings
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
from intellirouter.security.tls import load_certificate, server_context
from intellirouter.telemetry.watchdog import Watchdog
from intellirouter.web.connections import client_places

log = structlog.get_logger(__name__)

PARENT_SECONDS = 0.5
"""Between two looks of a worker at whether its parent lives."""

Reload = Callable[[], Loaded]


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
            await stack.enter_async_context(serving(node, role, ports[role.name], tls, places))
        if settings.server.grpc_port is not None:
            await stack.enter_async_context(grpc_peers.serving(node, roles))
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
    """Serve until SIGTERM, or SIGINT, which waits for no load balancer, or until `parent` is gone. A second SIGINT cuts what is under way."""
    loop = asyncio.get_running_loop()
    stop, at_once = asyncio.Event(), asyncio.Event()

    def interrupted() -> None:
        at_once.set()
        stop.set()

    loop.add_signal_handler(
        signal.SIGTERM, stop.set
    )  # while it starts, too: what was begun is ended in order
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
            manager.ready(status_of(node, verdict))

        parts = [*node.opened.on_reload, lambda new: prepare_logs(new, log_role, started=loaded.settings)]
        reloader = Reloader(_with_runtime(reload, node), loaded.settings, parts, told)
        work = {"reloads": reloader.run(), "warming": warm()}
        if loaded.keeper.names_any:
            work["secrets"] = refreshing(loaded.keeper, reloader.ask)
        await stack.enter_async_context(background(**work))

        def interrupted_again() -> None:
            if at_once.is_set():
                node.cut()
            interrupted()

        def reload_soon() -> None:
            manager.reloading()
            reloader.ask()

        loop.add_signal_handler(signal.SIGINT, interrupted_again)
        loop.add_signal_handler(signal.SIGHUP, reload_soon)
        loop.add_signal_handler(signal.SIGUSR1, node.drain, True)
        loop.add_signal_handler(signal.SIGUSR2, node.drain, False)
        announce(node)
        manager.ready(status_of(node, reloader.last))
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


def status_of(node: Node, reload: node_files.Verdict) -> str:
    """What systemd shows of the node, after a reload that went like that."""
    serving = "serving " + ", ".join(f"{role.role} on {role.url}" for role in node.listening)
    if not reload.accepted:
        return f"{serving}; the new configuration was refused: {reload.message.splitlines()[0]}"
    if reload.needs_restart:
        return f"{serving}; waiting for a restart: {', '.join(reload.needs_restart)}"
    return serving
