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
from types import FrameType

import structlog
import uvloop

from intellirouter.app.roles import RoleEntry
from intellirouter.app.supervisor import Node, Reload, configure_logs, serve
from intellirouter.config.load import Loaded
from intellirouter.errors import ConfigError, IntelliRouterError
from intellirouter.telemetry.logs import exception_facts

log = structlog.get_logger(__name__)

RESTART_PAUSE_SECONDS = 1.0
QUICK_DEATH_SECONDS = 5.0
MAX_QUICK_DEATHS = 5

Announce = Callable[[Node], None]


def run(entries: Sequence[RoleEntry], read: Reload, *, announce: Announce) -> None:
    """Read the configuration and serve until told to stop."""
    loaded = read()
    names = "+".join(entry.name for entry in entries)
    configure_logs(loaded.settings, "" if len(entries) > 1 else names)
    if loaded.settings.server.workers == 1:
        _serve(loaded, entries, read, announce)
        return
    if any(entry.name != "Router" for entry in entries):
        raise ConfigError(
            "server.workers above 1 applies to the Router: run it with --role Router, and the other roles beside it."
        )
    if loaded.settings.server.port == 0:
        raise ConfigError("server.workers above 1 needs a fixed server.port.")
    _Parent(loaded, entries, read, announce).run()


def _serve(
    loaded: Loaded,
    entries: Sequence[RoleEntry],
    read: Reload,
    announce: Announce,
    *,
    reuse_port: bool = False,
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(loaded, entries, reload=read, announce=announce, reuse_port=reuse_port))


def _child(loaded: Loaded, entries: Sequence[RoleEntry], read: Reload, announce: Announce | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        _serve(loaded, entries, read, announce or (lambda _node: None), reuse_port=True)
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
        self._children: dict[int, tuple[BaseProcess, float]] = {}
        self._stopping = False
        self._quick_deaths = 0

    def run(self) -> None:
        """Start, watch, stop."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._pass_on)
        for index in range(self._count):
            self._start(index)
        while not self._stopping:
            time.sleep(0.2)
            for index, (child, started) in list(self._children.items()):
                if not child.is_alive() and not self._stopping:
                    self._restart(index, child, started)
        deadline = time.monotonic() + self._drain + 5
        for child, _ in self._children.values():
            child.join(max(0.0, deadline - time.monotonic()))
            if child.is_alive():
                log.warning("worker.killed", pid=child.pid)
                child.kill()
                child.join()

    def _start(self, index: int) -> None:
        announce = self._announce if index == 0 and index not in self._children else None
        child = self._context.Process(target=_child, args=(*self._job, announce), name=f"worker-{index}")
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
        if number != signal.SIGHUP:
            self._stopping = True
        wanted = signal.SIGTERM if number == signal.SIGINT else signal.Signals(number)
        for child, _ in self._children.values():
            if child.pid is not None and child.is_alive():
                os.kill(child.pid, wanted)
