"""The record of requests: one recorder a process, the same for all its roles, and the record to be asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from intellirouter import tasks
from intellirouter.app.component import Commit, Component, Opened
from intellirouter.app.node_files import running
from intellirouter.config.redact import Redactor
from intellirouter.config.schema.records import RecordsSection
from intellirouter.config.schema.settings import Settings
from intellirouter.config.shown import secrets
from intellirouter.guards.keeping import fit_to_keep
from intellirouter.records.held import release_all
from intellirouter.records.intake import Bounds
from intellirouter.records.open import opener
from intellirouter.records.recorder import Recorder
from intellirouter.records.records import Records
from intellirouter.records.redaction import Redaction
from intellirouter.records.sealed import SealedRecords
from intellirouter.records.store import Store
from intellirouter.roles.keys import METRICS, RECORDER, RECORDS
from intellirouter.roles.router.kept_content import ContentPolicy
from intellirouter.roles.router.keys import CONTENT
from intellirouter.roles.router.recorded import JOTTED
from intellirouter.security.sealing import sealer_of
from intellirouter.web.probes import PartHealth

_ENGINE = "ChainEngine"
CHAINS_FILE = "chains.db"


class RecordsCollector(Collector):
    """What the recorder says to Prometheus."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def collect(self) -> Iterator[Metric]:
        """The families as they stand."""
        standing = self._recorder.standing()
        yield CounterMetricFamily(
            "intellirouter_records_written", "Requests written to the record", value=standing.written
        )
        yield CounterMetricFamily(
            "intellirouter_records_dropped", "Requests missing from the record", value=standing.dropped
        )
        yield CounterMetricFamily(
            "intellirouter_records_withheld",
            "Requests of strangers beyond what is recorded of them",
            value=standing.withheld,
        )
        yield GaugeMetricFamily(
            "intellirouter_records_waiting",
            "Requests that wait to be written to the record",
            value=standing.waiting,
        )


def records_health(app: web.Application) -> PartHealth:
    """Degraded while rows are not written, and for a while after."""
    recorder = app[RECORDER]
    reason = recorder.standing().reason if recorder is not None else ""
    return PartHealth("degraded" if reason else "healthy", reason)


def bounds_of(section: RecordsSection) -> Bounds:
    """The recorder's bounds."""
    return Bounds(
        section.max_waiting_rows,
        section.max_waiting_bytes,
        section.retention_days * 86_400.0,
        section.max_bytes,
    )


def sealed_opener(settings: Settings) -> Callable[[], Store]:
    """What opens the store, which keeps content as the configuration says."""
    opened, sealer = opener(settings.records, settings.paths.data_dir), sealer_of(settings.security)
    return opened if sealer is None else lambda: SealedRecords(opened(), sealer)


def open_whole(settings: Settings) -> Store:
    """The store for a command that reads it by itself: rows are made of what is held. Raises `StateUnavailable`."""
    store = sealed_opener(settings)()
    if store.held is not None:
        try:
            release_all(store.held, JOTTED.rows)
        except BaseException:
            store.close()
            raise
    return store


@contextlib.asynccontextmanager
async def _recorder(opened: Opened) -> AsyncIterator[Recorder | None]:
    section = opened.settings.records
    if not section.enabled:
        yield None
        return
    recorder = Recorder(sealed_opener(opened.settings), bounds_of(section), JOTTED)

    opened.on_reload.append(lambda new: partial(recorder.configure, bounds_of(new.records)))
    opened[METRICS].registry.register(RecordsCollector(recorder))
    recorder.start()
    try:
        yield recorder
    finally:
        await asyncio.to_thread(recorder.close)


@contextlib.asynccontextmanager
async def _records(opened: Opened) -> AsyncIterator[Records | None]:
    section = opened.settings.records
    if not section.enabled:
        yield None
        return
    records = Records(sealed_opener(opened.settings), JOTTED.rows)
    ended = None
    if _was_edge(opened):
        ended = asyncio.create_task(records.name_none(), name="records for no centre")
    try:
        yield records
    finally:
        if ended is not None:
            await tasks.end(ended)
        await records.aclose()


def _was_edge(opened: Opened) -> bool:
    """Whether rows may still be named for a centre that no ChainEngine brings them to, in this process or another on its directory."""
    settings = opened.settings
    if not opened.local or _ENGINE in opened.local or settings.chain_engine.centre is not None:
        return False
    if settings.records.database_url is not None or not (settings.paths.data_dir / CHAINS_FILE).exists():
        return False
    return not any(_ENGINE in node.roles for node in running(settings.paths.data_dir))


@contextlib.asynccontextmanager
async def _content(opened: Opened) -> AsyncIterator[ContentPolicy]:
    settings = opened.settings
    known = list(secrets(settings))
    policy = ContentPolicy(settings.records.content, _redaction(settings.records, known))

    def prepare(new: Settings) -> Commit:
        fresh = _redaction(new.records, [*known, *secrets(new.model_registry.providers)])
        return partial(policy.configure, new.records.content, fresh)

    opened.on_reload.append(prepare)
    yield policy


def _redaction(section: RecordsSection, known: list[str]) -> Redaction:
    return Redaction((Redactor(known), fit_to_keep), section.max_content_bytes)


COMPONENTS = (
    Component(RECORDER, _recorder, (METRICS,)),
    Component(RECORDS, _records),
    Component(CONTENT, _content),
)
