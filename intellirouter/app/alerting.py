"""Alerts while a node runs: what it measures of its parts, and the task that looks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from intellirouter import tasks
from intellirouter.alerts.channels.delivery import Delivery
from intellirouter.alerts.chosen import own_of, policy_of, rules_of
from intellirouter.alerts.reading.budgets import budgets
from intellirouter.alerts.reading.last_backup import last_backup
from intellirouter.alerts.reading.log_errors import LogErrors
from intellirouter.alerts.reading.machine import machine
from intellirouter.alerts.reading.meters import Meters
from intellirouter.alerts.sample import Sample
from intellirouter.alerts.watch import Watch
from intellirouter.app.certificates import Certificates
from intellirouter.app.component import Commit, Opened
from intellirouter.config.schema.alerts import AlertsSection
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import StateError
from intellirouter.inference.reach import providers_down
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.keys import ALERTS, KEY_RING, KEYS, METRICS, ROLE_APPS, STATE
from intellirouter.roles.router.keys import BOARD, CATALOG
from intellirouter.telemetry.light import LightCounter
from intellirouter.web.probes import HEALTH

HOUR, DAY = 3_600.0, 86_400.0
KEYS_SECONDS = 300.0
"""Between two looks at when keys end."""
MOST_KEYS = 200
"""That are told of: those that end first."""
TOLD_BY_OTHERS = frozenset({"providers", "disk", "certificates"})
"""Parts of /health that have rules of their own."""
_RANKS = {"healthy": 0.0, "degraded": 1.0, "unhealthy": 2.0}

log = structlog.get_logger(__name__)


def node_name(port: int) -> str:
    """The machine and the port of the first role: what outlives a process."""
    return f"{socket.gethostname()}:{port}"


@dataclass(slots=True)
class Facts:
    """What this process knows of itself. `draining` says whether it is drained."""

    node: str
    opened: Opened
    certificates: Certificates | None
    draining: Callable[[], bool]
    errors: LogErrors = field(default_factory=LogErrors)
    meters: Meters = field(init=False)
    _keys: list[Sample] = field(default_factory=list)
    _keys_at: float = 0.0

    def __post_init__(self) -> None:
        self.meters = Meters(self.opened[METRICS].registry, began=time.time())

    async def measure(self, now: float) -> list[Sample]:
        """Everything."""
        samples = await self.meters.read(now)
        samples += await asyncio.to_thread(lambda: list(self._read(now)))
        samples += self._parts()
        samples.append(self.errors.sample(now))
        samples.append(Sample("node_drained", float(self.draining()), self.node))
        if ENGINE in self.opened.values:
            seconds, run_id = self.opened[ENGINE].hearing.stillest()
            samples.append(Sample("runs_stuck", seconds / HOUR, self.node, note=run_id))
            if (link := self.opened[ENGINE].link) is not None:
                away, lost = link.measured(now)
                samples.append(Sample("centre_away", away / HOUR, self.node, note=link.forwarding.trouble))
                samples.append(Sample("runs_given_up", lost, self.node))
        if CATALOG in self.opened.values:
            samples += self._providers()
            with contextlib.suppress(StateError):
                samples += await budgets(self.opened[STATE], now)
            samples += await self._ends_of_keys(now)
        return samples

    def _read(self, now: float) -> Iterator[Sample]:
        """What must be read from files."""
        data_dir = self.opened.settings.paths.data_dir
        yield from machine(data_dir, self.node)
        yield from last_backup(data_dir, self.node, now)
        if self.certificates is not None:
            for name, end in self.certificates.ends():
                yield Sample(
                    "certificate_expiry", (end.ends - now) / DAY, f"{name} of {self.node}", note=end.told(now)
                )

    def _parts(self) -> Iterator[Sample]:
        """How the parts say that they are."""
        state = self.opened[STATE].health()
        if state.backend == "redis":
            yield Sample("redis_lost", float(state.status != "healthy"), note=state.reason)
        apps: dict[str, web.Application] = self.opened[ROLE_APPS]
        for role, app in apps.items():
            _, report = app[HEALTH].report(app)
            parts = report["parts"]
            for name, part in parts.items() if isinstance(parts, dict) else ():
                if name == "providers":
                    yield Sample("providers_down", float(part["status"] == "unhealthy"), note=part["reason"])
                if name in TOLD_BY_OTHERS or (name == "state" and state.backend == "redis"):
                    continue
                note = f"{self.node}: {part['reason']}" if part["reason"] else ""
                yield Sample("health", _RANKS[part["status"]], f"{role} {name}", note=note)

    def _providers(self) -> Iterator[Sample]:
        catalog, board = self.opened[CATALOG], self.opened[BOARD]
        down, _ = providers_down(catalog, board, one_caller=not self.opened[KEY_RING].enabled)
        for name, provider in catalog.providers.items():
            if not provider.optional:
                yield Sample("provider_down", float(name in down), name)

    async def _ends_of_keys(self, now: float) -> list[Sample]:
        if now - self._keys_at >= KEYS_SECONDS:
            try:
                keys = await self.opened[KEYS].all()
            except StateError:  # as they were known
                return self._keys
            ending = sorted(
                (key.expires, key.name)
                for key in keys
                if key.expires is not None and key.status(now) == "live"
            )
            self._keys = [
                Sample("key_expiry", (expires - now) / DAY, name) for expires, name in ending[:MOST_KEYS]
            ]
            self._keys_at = now
        return self._keys


class Alerting:
    """The task that looks, where `[alerts]` wants one."""

    def __init__(self, opened: Opened, facts: Facts) -> None:
        self._facts, self._desk = facts, opened[ALERTS]
        registry = opened[METRICS].registry
        sent = LightCounter(
            "intellirouter_alert_messages",
            "Messages by what became of them",
            ("channel", "outcome"),
            registry,
        )
        firing = LightCounter(
            "intellirouter_alerts_firing",
            "Alerts, where this node judges",
            ("severity",),
            registry,
            gauge=True,
        )
        self._delivery = Delivery(self._desk.sender, sent)
        self._watch = Watch(
            opened[STATE],
            self._desk.board,
            self._delivery,
            facts.measure,
            facts.node,
            f"{facts.node}#{os.getpid()}.{secrets.token_hex(3)}",
            firing,
        )
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def prepare(self, new: Settings) -> Commit:
        """Take over other settings."""
        section = AlertsSection(**{name: getattr(new.alerts, name) for name in AlertsSection.model_fields})
        rules, policy, own = rules_of(section), policy_of(section), own_of(section)
        channels = {channel.name: channel for channel in section.channels}

        def commit() -> None:
            self._desk.section = section
            self._delivery.channels = channels
            self._facts.meters.own = own
            self._watch.configure(rules, policy, section.interval_seconds)
            if section.on and self._task is None:
                self._start()
            elif not section.on and self._task is not None:
                self._ending.add(self._task)
                self._task.cancel()
                self._task = None

        return commit

    def _start(self) -> None:
        self._facts.errors.attach()
        self._task = asyncio.create_task(self._watch.run(), name="alerts")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("alerts.ended", exc_info=error)

    async def aclose(self) -> None:
        """Look no more, and leave the other nodes word of it."""
        if self._task is not None:
            self._ending.add(self._task)
        await tasks.end(*self._ending)
        await self._watch.aclose()
        self._facts.errors.detach()


@contextlib.asynccontextmanager
async def alerting(settings: Settings, opened: Opened, facts: Facts) -> AsyncIterator[None]:
    """Look in the background while the context is open, if the configuration wants it, then or after a reload."""
    alerts = Alerting(opened, facts)
    alerts.prepare(settings)()
    opened.on_reload.append(alerts.prepare)
    try:
        yield
    finally:
        await alerts.aclose()
