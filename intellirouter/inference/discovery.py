"""Asks providers for their models, at start and every `refresh_interval_seconds`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from intellirouter import tasks
from intellirouter.errors import UpstreamError
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.concealing import conceal
from intellirouter.inference.provider import Provider
from intellirouter.inference.refusal import refusal
from intellirouter.providers.adapter import HttpResponse
from intellirouter.telemetry.logs import exception_facts
from intellirouter.transport.contract import Deadlines, Transport

MAX_LIST_BYTES = 32 * 1024 * 1024
FIRST_PASS_SECONDS = 5.0
DEADLINES = Deadlines(connect=3, first_byte=10, idle=10, total=20)

log = structlog.get_logger(__name__)


class Discovery:
    """Keeps the catalogue's lists fresh. A provider that does not answer keeps its last list."""

    def __init__(self, catalog: Catalog, transport: Transport, interval: float) -> None:
        self._catalog = catalog
        self._transport = transport
        self._interval = interval
        self._first_pass = asyncio.Event()

    async def settled(self) -> None:
        """Wait, a little, until every provider was asked once: a name may be unknown only because we just started."""
        if not self._first_pass.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_PASS_SECONDS):
                    await self._first_pass.wait()

    async def refresh(self) -> None:
        """Ask every provider at once."""
        wanted = [p for p in self._catalog.providers.values() if p.discover and not p.models]
        await asyncio.gather(*(self._ask(provider) for provider in wanted))
        self._first_pass.set()

    async def _ask(self, provider: Provider) -> None:
        adapter = provider.adapter
        if adapter.build_models is None or adapter.parse_models is None:
            return
        try:
            reply = await self._transport.send(adapter.build_models(provider.target("")), DEADLINES)
            try:
                response = HttpResponse(reply.status, reply.headers, await reply.read(MAX_LIST_BYTES))
            finally:
                reply.close()
            if response.status >= 300:
                raise refusal(adapter, response, provider.name)
            models = adapter.parse_models(response)
        except UpstreamError as error:
            conceal(error, provider)
            self._catalog.discovery_failed(provider.name, error.message)
            level = log.debug if provider.optional else log.warning
            level("discovery.failed", provider=provider.name, **exception_facts(error))
            return
        self._catalog.discovered(provider.name, models)
        log.info("discovery.listed", provider=provider.name, models=len(models))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Refresh in the background while the context is open."""
        task = asyncio.create_task(self._run(), name="discovery")
        try:
            yield
        finally:
            await tasks.end(task)

    async def _run(self) -> None:
        while True:
            try:
                await self.refresh()
            except Exception:  # one bad list must not end all later ones
                log.exception("discovery.crashed")
                self._first_pass.set()
            await asyncio.sleep(self._interval)
