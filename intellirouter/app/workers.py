"""One process, or several Router processes that share a port.

With `workers = N` the parent serves nothing: it starts N children that listen with SO_REUSEPORT, starts a child anew
when it dies, and passes signals on.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Semaphore
from types import FrameType

import structlog

from intellirouter.app import own_files
from intellirouter.app.event_loop import Loop
from intellirouter.app.node import Node, prepare_logs
from intellirouter.app.roles import RoleEntry
from intellirouter.app.service_manager import NO_MANAGER, ServiceManager
from intellirouter.app.supervisor import Reload, serve
from intellirouter.config import env
from intellirouter.config.load import Loaded
from intellirouter.counts import counted
from intellirouter.errors import ConfigError, IntelliRouterError
from intellirouter.telemetry.logs import exception_facts
from intellirouter.telemetry.shipping import opening
from intellirouter.telemetry.shipping.handler import finish

log = structlog.get_logger(__name__)

RESTART_PAUSE_SECONDS = 1.0
QUICK_DEATH_SECONDS = 5.0
MAX_QUICK_DEATHS = 5

Announce = Callable[[Node], None]


def run(entries: Sequence[RoleEntry], read: Reload, *, announce: Announce) -> None:
    """Read the configuration and serve until told to stop. Raises `ConfigError` for one that a node must not start with."""
    loaded = read().startable()
    os.umask(own_files.UMASK)
    alone = loaded.settings.server.workers == 1
    prepare_logs(loaded.settings, _log_role(entries), ship=alone)()
    if alone:
        _serve(loaded, entries, read, announce, manager=ServiceManager.of(env.service_manager()))
        return
    if any(entry.name != "Router" for entry in entries):
        raise ConfigError(
            "server.workers above 1 applies to the Router: run it with --role Router, and the other roles beside it."
        )
    if loaded.settings.server.port == 0:
        raise ConfigError("server.workers above 1 needs a fixed server.port.")
    _Parent(loaded, entries, read, announce).run()


def _log_role(entries: Sequence[RoleEntry]) -> str:
    """What every line of a process with one role says."""
    return entries[0].name if len(entries) == 1 else ""


def _serve(
    loaded: Loaded,
    entries: Sequence[RoleEntry],
    read: Reload,
    announce: Announce,
    *,
    reuse_port: bool = False,
    drain: Callable[[bool], None] | None = None,
    parent: int | None = None,
    manager: ServiceManager = NO_MANAGER,
) -> None:
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(
                serve(
                    loaded,
                    entries,
                    reload=read,
                    announce=announce,
                    reuse_port=reuse_port,
                    drain=drain,
                    parent=parent,
                    manager=manager,
                    log_role=_log_role(entries),
                )
            )
    finally:
        finish()


def _drain_all(drained: bool) -> None:
    """A request to drain the node reaches one worker: the parent tells all."""
    os.kill(os.getppid(), signal.SIGUSR1 if drained else signal.SIGUSR2)


def _child(
    loaded: Loaded, entries: Sequence[RoleEntry], read: Reload, announce: Announce | None, serves: Semaphore
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # until it serves

    parent = os.getppid()

    def announced(node: Node) -> None:
        serves.release()
        if announce is not None:
            announce(node)

    try:
        telemetry = loaded.settings.telemetry
        if opening.wanted(telemetry, telemetry):  # the parent, which forks, has no thread to send from
            prepare_logs(loaded.settings, _log_role(entries))()
        _serve(loaded, entries, read, announced, reuse_port=True, drain=_drain_all, parent=parent)
    except IntelliRouterError as error:
        log.error("worker.failed", **exception_facts(error))  # noqa: TRY400  the message says it all
        raise SystemExit(error.exit_code) from error


class _Parent:
    """Keeps N children alive until told to stop."""

    def __init__(
        self, loaded: Loaded, entries: Sequence[RoleEntry], read: Reload, announce: Announce
    ) -> None:
        self._context = multiprocessing.get_context("fork")  # before any loop or thread exists
        self._job = (loaded, entries, read)
        self._announce = announce
        self._count = loaded.settings.server.workers
        self._drain = loaded.settings.server.drain_timeout
        self._delay = loaded.settings.server.drain_delay
        self._children: dict[int, tuple[BaseProcess, float]] = {}
        self._stopping = False
        self._quick_deaths = 0
        self._manager = ServiceManager.of(env.service_manager())
        self._serves = self._context.Semaphore(0)
        self._awaited = self._count
        self._alive_at = 0.0

    def run(self) -> None:
        """Start, watch, stop."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, self._pass_on)
        for index in range(self._count):
            self._start(index)
        while not self._stopping:
            time.sleep(0.2)
            self._tell()
            for index, (child, started) in list(self._children.items()):
                if not child.is_alive() and not self._stopping:
                    self._restart(index, child, started)
        self._manager.stopping()
        deadline = time.monotonic() + self._delay + self._drain + 5
        for child, _ in self._children.values():
            child.join(max(0.0, deadline - time.monotonic()))
            if child.is_alive():
                log.warning("worker.killed", pid=child.pid)
                child.kill()  # the end of this process waits for it

    def _tell(self) -> None:
        """Tell systemd when every worker serves for the first time, and that the parent lives."""
        while self._awaited and self._serves.acquire(block=False):
            self._awaited -= 1
            if not self._awaited:
                self._manager.ready(f"{counted(self._count, 'worker serves', 'workers serve')}")
        if self._manager.watchdog and time.monotonic() - self._alive_at >= self._manager.watchdog:
            self._alive_at = time.monotonic()
            self._manager.alive()

    def _start(self, index: int) -> None:
        announce = self._announce if index == 0 and index not in self._children else None
        child = self._context.Process(
            target=_child, args=(*self._job, announce, self._serves), name=f"worker-{index}"
        )
        child.start()
        self._children[index] = (child, time.monotonic())

    def _restart(self, index: int, child: BaseProcess, started: float) -> None:
        quick = time.monotonic() - started < QUICK_DEATH_SECONDS
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        log.warning("worker.died", pid=child.pid, exit_code=child.exitcode)
        if self._quick_deaths >= MAX_QUICK_DEATHS:
            self._pass_on(signal.SIGTERM, None)
            raise ConfigError("Workers die right after they start; the log says why.")
        time.sleep(RESTART_PAUSE_SECONDS if quick else 0)
        self._start(index)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        again = self._stopping
        if number in {signal.SIGTERM, signal.SIGINT}:
            self._stopping = True
        if number == signal.SIGHUP:
            self._manager.reloading()
        wanted = signal.SIGTERM if number == signal.SIGINT and not again else signal.Signals(number)
        for child, _ in self._children.values():
            if child.pid is not None and child.is_alive():
                os.kill(child.pid, wanted)
        if number == signal.SIGHUP:
            self._manager.ready(f"{counted(self._count, 'worker was told', 'workers were told')} to reload")
