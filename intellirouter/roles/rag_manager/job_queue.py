"""The jobs of this node, oldest first, several at once within a bound of bytes. What waits lies in the catalogue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import structlog

from intellirouter.bounds.shares import GREED
from intellirouter.errors import ConfigError, RateLimited, RequestError, StateUnavailable
from intellirouter.memory.embedded.engine import Engine
from intellirouter.roles.rag_manager import catalog_jobs
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.embedding.embedder import NODE, Behalf, Embedder, asked_by, queued_by
from intellirouter.roles.rag_manager.ingest import Cancelled, Ingester
from intellirouter.roles.rag_manager.metrics import RagMetrics
from intellirouter.security.authority import Authority
from intellirouter.security.caller import Owner
from intellirouter.telemetry.tracing.span import Tracer

JOBS = 24
"""Jobs under way at once: small documents share a batch of the embedder."""
FOR_SMALL = 8
"""Of them, places that only small documents get: those of a bulk of large ones are taken for long."""
JOB_BYTES = 32 << 20
"""What they may hold together, in bytes of their documents; one that is larger runs alone."""
RETRY_SECONDS = 2.0
LONGEST_WAIT = 60.0
"""Between tries of a job while the vector index is away."""
log = structlog.get_logger(__name__)


class JobQueue:
    """Takes jobs from the catalogue and has them run. `trouble` says why jobs wait, or is empty."""

    def __init__(
        self,
        engine: Engine,
        ingester: Ingester,
        model: Callable[[], Awaitable[Embedder]],
        metrics: RagMetrics,
        authority: Authority | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._engine = engine
        self._ingester = ingester
        self._model = model
        self._authority = authority
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._over = asyncio.Condition()
        self._busy: dict[str, str] = {}
        """Documents a job works on now, with their collections."""
        self._held = 0
        """Bytes of those that are being read."""
        self.trouble = ""

    def wake(self) -> None:
        """There are jobs."""
        self._wake.set()

    async def tell(self) -> None:
        """Jobs ended: those who wait look again."""
        async with self._over:
            self._over.notify_all()

    async def ended(self, state: Callable[[], Awaitable[Row]]) -> Row:
        """The job that `state` reads, once it is over."""
        async with self._over:
            while (now := await state())["status"] in ("queued", "running"):
                await self._over.wait()
        return now

    async def stop(self, collection: str, document: str | None = None) -> None:
        """End the jobs of a document, or of the whole collection, and wait until none works on it."""
        await self._engine.write(partial(catalog_jobs.stop_jobs, collection=collection, document=document))

        def idle() -> bool:
            return document not in self._busy if document else collection not in self._busy.values()

        async with self._over:
            await self._over.wait_for(idle)

    async def work(self) -> None:
        """Run the jobs for as long as the process lives."""
        resumed = await self._engine.write(catalog_jobs.requeue)
        if resumed:
            log.info("rag.jobs_resumed", jobs=resumed)
        async with asyncio.TaskGroup() as workers:
            for number in range(JOBS):
                workers.create_task(self._take_jobs(small=number < FOR_SMALL))

    async def _take_jobs(self, *, small: bool) -> None:
        while True:
            self._wake.clear()
            async with self._turn:
                most = max(1, GREED * (JOBS - len(self._busy)))
                job = await self._engine.write(
                    partial(catalog_jobs.take_job, busy=tuple(self._busy), most=most, small=small)
                )
                if job is not None:
                    self._busy[job["document"]] = job["collection"]
            if job is None:
                await self._wake.wait()
                continue
            async with self._over:
                while not small and self._held and self._held + job["bytes"] > JOB_BYTES:
                    await self._over.wait()
                self._held += job["bytes"]
            try:
                away = await self._run(job)
            finally:
                del self._busy[job["document"]]
                self._held -= job["bytes"]
            await self.tell()
            if away:  # another worker would find the same: let the job rest
                await asyncio.sleep(RETRY_SECONDS)
            self.wake()

    def _behalf(self, job: Row) -> Behalf:
        """In whose name the job's chunks are embedded: that of the key which left it, as it stands whenever one is asked."""
        if job["owner"] is None or self._authority is None:
            return asked_by(NODE)
        return queued_by(msgspec.json.decode(job["owner"], type=Owner), self._authority)

    async def _run(self, job: Row) -> bool:
        """True when the job waits because the vector index is away."""
        error, passing, note = None, False, ""
        outcome = "ready"
        began = time.perf_counter()
        try:
            behalf = self._behalf(job)
            note = await self._ingester.run(job, (await self._model()).on_behalf_of(behalf), behalf)
            self.trouble = ""
        except Cancelled:
            outcome = "cancelled"
            log.info("rag.job_cancelled", job=job["id"])
        except StateUnavailable as away:
            self.trouble = away.message
            self._metrics.jobs.labels("waiting").inc()
            log.warning("rag.job_waits", job=job["id"], reason=away.message)
            await self._engine.write(partial(catalog_jobs.requeue, job=job["id"]))
            return True
        except RateLimited as limited:  # its owner's own limit: others go on
            self._metrics.jobs.labels("waiting").inc()
            log.info("rag.job_limited", job=job["id"], reason=limited.message)
            wait = min(max(limited.retry_after, RETRY_SECONDS), LONGEST_WAIT)
            await self._engine.write(
                partial(catalog_jobs.requeue, job=job["id"], not_before=time.time() + wait)
            )
            asyncio.get_running_loop().call_later(wait + 0.1, self.wake)
            return False
        except (RequestError, ConfigError) as refused:
            error, passing = refused.message, isinstance(refused, ConfigError)
        except Exception as bug:  # one document must not end the worker; the job says that it failed
            log.exception("rag.job_failed", job=job["id"])
            error = getattr(bug, "message", "an internal error occurred; the log has the job's id")
            passing = True
        if error:
            outcome = "failed"
        self._metrics.jobs.labels(outcome).inc()
        if self._tracer is not None:
            facts = {"intellirouter.job": job["id"], "intellirouter.bytes": job["bytes"]}
            failure = "" if outcome == "ready" else outcome
            self._tracer.whole(job["id"], "ingest", time.perf_counter() - began, failure, facts)
        await self._engine.write(
            partial(catalog_jobs.finish, job=job, error=error, passing=passing, note=note)
        )
        return False
