"""The audit of this process, and what it says of itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from functools import partial

import structlog
from aiohttp import web
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from intellirouter.app.component import Commit, Component, Opened
from intellirouter.config.redact import Redactor
from intellirouter.config.schema.settings import Settings
from intellirouter.config.shown import flatten, secrets
from intellirouter.errors import StateError
from intellirouter.inference.background import background
from intellirouter.roles.keys import AUDITOR, METRICS, STATE
from intellirouter.security.audit.auditor import Auditor
from intellirouter.security.audit.entry import Entry, difference, now
from intellirouter.security.audit.opening import journal_of
from intellirouter.security.audit.shared import SharedCopy
from intellirouter.web.probes import PartHealth

COPY_SECONDS = 60.0
"""Between two copies into the shared store where nothing was written meanwhile."""

log = structlog.get_logger(__name__)


class AuditCollector(Collector):
    """What the audit says to Prometheus."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor

    def collect(self) -> Iterator[Metric]:
        """The families as they stand."""
        yield CounterMetricFamily(
            "intellirouter_audit_records_written",
            "Audit records written",
            value=self._auditor.written_records,
        )
        yield CounterMetricFamily(
            "intellirouter_audit_records_missed",
            "Audit records that could not be kept",
            value=self._auditor.missed_records,
        )


def audit_health(app: web.Application) -> PartHealth:
    """Unhealthy for what is to be audited without exception, degraded otherwise, while nothing can be written."""
    auditor = app[AUDITOR]
    if auditor is None or not auditor.failing:
        return PartHealth("healthy")
    return PartHealth("unhealthy" if auditor.level == "full" else "degraded", auditor.failing)


@contextlib.asynccontextmanager
async def _auditor(opened: Opened) -> AsyncIterator[Auditor | None]:
    settings = opened.settings
    section = settings.auth.audit
    if section.level == "off":
        yield None
        return
    journal = await asyncio.to_thread(journal_of, section, settings.paths.data_dir)
    auditor = Auditor(journal, section.level, Redactor(secrets(settings)))
    opened[METRICS].registry.register(AuditCollector(auditor))
    lines = section.share and settings.memory.backend_type != "embedded"
    copy = SharedCopy(
        opened[STATE], journal.directory, journal.node, section.retention_days * 86_400, lines=lines
    )
    opened.on_reload.append(partial(_reloaded, auditor, [settings]))
    roles = " ".join(sorted(opened.local))
    async with auditor.running():
        await auditor.require(_system("start", roles, f"level {section.level}"))
        async with background(audit_copy=_copying(auditor, copy)):
            yield auditor
        auditor.note(_system("stop", roles))
        await auditor.settled()
        with contextlib.suppress(StateError):
            await copy.catch_up()


def _system(action: str, on: str, note: str = "") -> Entry:
    return Entry(at=now(), kind="system", outcome="ok", action=action, on=on, note=note)


def _reloaded(auditor: Auditor, running: list[Settings], new: Settings) -> Commit:
    """What of the configuration is another now."""
    auditor.clean = Redactor([*secrets(running[0]), *secrets(new)])
    change = difference(dict(flatten(running[0])), dict(flatten(new)), auditor.clean)

    def commit() -> None:
        running[0] = new
        auditor.note(
            Entry(at=now(), kind="system", outcome="ok", action="reload", on="configuration", change=change)
        )

    return commit


async def _copying(auditor: Auditor, copy: SharedCopy) -> None:
    wrote = asyncio.Event()
    auditor.heard = wrote.set
    wrote.set()
    told = False
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COPY_SECONDS):
                await wrote.wait()
        wrote.clear()
        try:
            await copy.catch_up()
            told = False
        except StateError as error:
            if not told:
                log.warning("audit.not_copied", reason=error.message)
            told = True
            await asyncio.sleep(1.0)
            wrote.set()
        except Exception:  # one bad value in the store must not end all later copying
            log.exception("audit.copy_crashed")
            await asyncio.sleep(COPY_SECONDS)


COMPONENTS = (Component(AUDITOR, _auditor, (METRICS, STATE)),)
