"""The RagManager as one object: collections, documents, jobs, retrieval. It is the `Retriever` of its process."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import (
    Conflict,
    IntelliRouterError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    RequestError,
    StateUnavailable,
)
from intellirouter.memory.embedded.engine import Engine
from intellirouter.peers.contract import Call, ChatCompleter, RetrievalRequest, Retrieved
from intellirouter.roles.rag_manager import catalog, catalog_jobs, openai_catalog
from intellirouter.roles.rag_manager.assist.asking import Assistant
from intellirouter.roles.rag_manager.assist.contexts import Contexts
from intellirouter.roles.rag_manager.assist.expansion import Expander
from intellirouter.roles.rag_manager.blobs import Blobs
from intellirouter.roles.rag_manager.catalog import CollectionRow, Row
from intellirouter.roles.rag_manager.cluster.cluster import Cluster
from intellirouter.roles.rag_manager.embedding.embedder import NODE, Embedder
from intellirouter.roles.rag_manager.embedding.opening import NodeModel
from intellirouter.roles.rag_manager.entries import document_id, document_row, new_job
from intellirouter.roles.rag_manager.expiring import used
from intellirouter.roles.rag_manager.ingest import Ingester
from intellirouter.roles.rag_manager.job_queue import JobQueue
from intellirouter.roles.rag_manager.judging import Judge
from intellirouter.roles.rag_manager.metrics import RagMetrics
from intellirouter.roles.rag_manager.parsing.charset import codec_of
from intellirouter.roles.rag_manager.parsing.run import ParseLimits, Parsers
from intellirouter.roles.rag_manager.ranking import Candidates
from intellirouter.roles.rag_manager.reranking import Reranker
from intellirouter.roles.rag_manager.retrieval import Searcher
from intellirouter.roles.rag_manager.shelf import Shelf
from intellirouter.roles.rag_manager.sources.timetable import Timetable, Wish
from intellirouter.roles.rag_manager.writer import Writer
from intellirouter.security.authority import Authority
from intellirouter.security.caller import Caller, Owner
from intellirouter.security.keeping import Keeping
from intellirouter.telemetry.tracing.span import Tracer, step
from intellirouter.vectors.index import MAX_BATCH, VectorIndex, Vectors

MAX_NAME = 512
PROGRESS_SECONDS = 0.2
"""Between looks at a job that somebody follows."""
log = structlog.get_logger(__name__)


class RagService:
    """Every method takes the tenant, or its caller, and sees nothing of another's.

    What is embedded is embedded in the name of a caller, or of the owner of the job.
    """

    def __init__(
        self,
        section: RagSection,
        engine: Engine,
        index: VectorIndex,
        open_embedder: Callable[[], Embedder],
        blobs: Blobs,
        metrics: RagMetrics,
        reranker: Reranker | None = None,
        tracer: Tracer | None = None,
        authority: Authority | None = None,
        chat: ChatCompleter | None = None,
    ) -> None:
        assistant = Assistant(chat)
        self._metrics = metrics
        self._section = section
        self._index = index
        self._model = NodeModel(open_embedder)
        self.engine = engine
        self.blobs = blobs
        self.blob_lock = asyncio.Lock()
        """Held while a blob is written and noted, or forgotten and removed."""
        self.max_document_bytes = section.max_document_bytes
        self._parsers = Parsers(ParseLimits(section.parse_memory_bytes, section.parse_timeout_seconds))
        self.writer = Writer(engine, index, metrics, nodes=1 + len(section.helpers))
        self._ingester = Ingester(
            engine,
            index,
            self.writer,
            self._parsers,
            blobs,
            Contexts(section.assist, assistant, engine),
            size=section.chunk_size,
            overlap=section.chunk_overlap,
        )
        self.queue = JobQueue(engine, self._ingester, self._model.opened, metrics, authority, tracer)
        self._searcher = Searcher(section, engine, index, reranker)
        self.judge = Judge(section, reranker, self._model.for_caller)
        self.expander = Expander(section.assist, assistant)
        self.shelf = Shelf(engine, Keeping())
        self.sources: Timetable
        """What its collections follow by themselves; set by whoever opens the service."""
        self.cluster: Cluster | None = None
        """The other RagManagers, where there are any."""

    def document_id(self, collection: str, document: str) -> str:
        """The id that a document of this name has in the collection of that id."""
        return document_id(collection, document)

    def count_look(self, outcome: str) -> None:
        """A source was looked at."""
        self._metrics.looks.labels(outcome).inc()

    async def create(self, tenant: str, name: str, *, split: bool = False) -> None:
        """Make a collection on this node, pinned to its model. Raises `Conflict`; `InvalidRequest` if it is to be split."""
        if split:
            raise InvalidRequest("A collection is split over several RagManagers (rag.nodes).", param="split")
        if not name.strip() or len(name) > MAX_NAME:
            raise InvalidRequest(f"A collection's name has 1 to {MAX_NAME} characters.", param="name")
        await self.shelf.room(tenant, "collections")
        row = self.new_collection(tenant, name)
        if not await self.engine.write(partial(catalog.add_collection, row=row)):
            raise Conflict(f"There is a collection '{name}' already.")

    async def collections(self, tenant: str) -> list[Row]:
        """Name, model, epoch, documents and chunks of each."""
        return await self.engine.read(partial(catalog.list_collections, tenant=tenant))

    async def drop(self, tenant: str, name: str) -> None:
        """Remove a collection and what it holds."""
        row = await self._collection(tenant, name)
        await self.queue.stop(row.id)
        await self._index.drop(row.id)
        await self.engine.write(partial(catalog.drop_collection, collection=row.id))

    async def documents(self, tenant: str, name: str, after: str = "", limit: int | None = None) -> list[Row]:
        """A collection's documents by name, those behind the name `after`; all of them, or so many."""
        row = await self._collection(tenant, name)
        return await self.engine.read(
            partial(catalog.list_documents, collection=row.id, after=after, limit=limit)
        )

    async def sources_of(self, tenant: str) -> list[Row]:
        """See `Timetable.shown`."""
        return await self.sources.shown(tenant)

    async def source(self, tenant: str, name: str) -> Row:
        """See `Timetable.one`."""
        return await self.sources.one(tenant, name)

    async def sync_source(self, tenant: str, name: str, *, anew: bool = False, remove: bool = False) -> Row:
        """See `Timetable.sync`."""
        return await self.sources.sync(tenant, name, Wish(anew, remove))

    async def drop_document(self, tenant: str, name: str, document: str) -> None:
        """Remove the document of that name."""
        row = await self._collection(tenant, name)
        await self.remove_document(row.id, await self._known(row, document))

    async def remove_document(self, collection: str, document: str) -> None:
        """Remove a document by its id, vectors first."""
        await self.queue.stop(collection, document)
        chunks = await self.engine.read(partial(catalog.chunk_states, document=document))
        await self._ingester.remove(collection, list(chunks))
        await self.engine.write(partial(catalog.drop_document, collection=collection, document=document))

    async def submit(
        self,
        tenant: str,
        name: str,
        document: str,
        data: bytes,
        attributes: Mapping[str, Any] | None = None,
        owner: Owner | None = None,
    ) -> str:
        """Keep the document and queue its ingestion; the job's id. Once this returns, a crash loses nothing.

        `owner` is in whose name it is embedded, whenever that is; None: the node's.
        """
        if not document or len(document) > MAX_NAME:
            raise InvalidRequest(f"A document's name has 1 to {MAX_NAME} characters.", param="name")
        if len(data) > self._section.max_document_bytes:
            raise PayloadTooLarge(
                f"'{document}' is larger than {self._section.max_document_bytes} bytes (rag.max_document_bytes)."
            )
        if (charset := (attributes or {}).get("charset")) and codec_of(str(charset)) is None:
            raise InvalidRequest(f"There is no encoding '{str(charset)[:50]}'.", param="charset")
        row = await self._collection(tenant, name)
        id_ = document_id(row.id, document)
        before = await self.engine.read(partial(catalog.bytes_of, document=id_))
        if before is None:
            await self.shelf.room(tenant, "documents")
        await self.shelf.room(tenant, "rag_bytes", max(0, len(data) - (before or 0)))
        async with self.blob_lock:
            digest = await asyncio.to_thread(self.blobs.keep, data)
            entry = document_row(row.id, document, digest, len(data), attributes or {})
            job = new_job()
            await self.engine.write(
                partial(catalog_jobs.add_job, tenant=tenant, document=entry, job=job, owner=owner)
            )
        self.queue.wake()
        return job

    def new_collection(self, tenant: str, name: str | None = None) -> CollectionRow:
        """The row of a collection to be made, pinned to this node's model; without a name it is called `vs_…`."""
        token = secrets.token_hex(12)
        return CollectionRow(f"ir-{token}", tenant, name or f"vs_{token}", self._section.embedding_model, 0)

    async def jobs(self, tenant: str) -> list[Row]:
        """The newest hundred."""
        return await self.engine.read(partial(catalog_jobs.list_jobs, tenant=tenant))

    async def job(self, tenant: str, job: str) -> Row:
        """One job. Raises `NotFound`."""
        found = await self.engine.read(partial(catalog_jobs.list_jobs, tenant=tenant, job=job))
        if not found:
            raise NotFound(f"There is no job '{job[:100]}'.")
        return found[0]

    async def ended(self, tenant: str, job: str) -> Row:
        """The job, once it is over."""
        return await self.queue.ended(partial(self.job, tenant, job))

    async def progress(self, tenant: str, job: str) -> AsyncIterator[Row]:
        """The job whenever something of it has changed; the last one is over. Raises `NotFound`."""
        told: Row | None = None
        while True:
            state = await self.job(tenant, job)
            if state != told:
                told = state
                yield state
            if state["status"] not in ("queued", "running"):
                return
            await asyncio.sleep(PROGRESS_SECONDS)

    async def chunks(
        self, tenant: str, name: str, document: str, after: int = -1, limit: int = 100
    ) -> list[Row]:
        """The chunks of a document behind the position `after`, in order. Raises `NotFound`."""
        row = await self._collection(tenant, name)
        id_ = await self._known(row, document)
        return await self.engine.read(
            partial(catalog.list_chunks, collection=row.id, document=id_, after=after, limit=limit)
        )

    async def cancel(self, tenant: str, job: str) -> bool:
        """Stop a job at its next checkpoint. False when it was over."""
        await self.job(tenant, job)
        cancelled = await self.engine.write(partial(catalog_jobs.cancel, tenant=tenant, job=job))
        await self.queue.tell()
        return cancelled

    async def verify(self, tenant: str, name: str) -> tuple[list[str], list[str]]:
        """Chunks without a vector, or with fewer copies of it than there should be, and vectors without a chunk."""
        row = await self._collection(tenant, name)
        listed = set(await self.engine.read(partial(catalog.chunk_ids, collection=row.id)))
        held = await self._index.ids(row.id)
        enough = held - await self._index.too_few(row.id)
        return sorted(listed - enough), sorted(held - listed)

    async def differences(self, tenant: str, name: str) -> tuple[int, int]:
        """How many of each `verify` finds."""
        missing, stray = await self.verify(tenant, name)
        return len(missing), len(stray)

    async def reindex(self, tenant: str, name: str, owner: Owner | None = None) -> list[str]:
        """Queue every document of the collection to be read again; the jobs. What is unchanged is not embedded again.

        A collection of another embedding model becomes one of this node's: until its jobs are done, what was not yet
        read again is found by its words alone.
        """
        row = await self._collection(tenant, name)
        model = self._section.embedding_model
        if row.model != model:  # vectors of two models are not comparable, and may differ in length
            await self._index.drop(row.id)
        jobs = await self.engine.write(
            partial(
                catalog_jobs.read_again,
                tenant=tenant,
                collection=row.id,
                model=model,
                new_job=new_job,
                owner=owner,
            )
        )
        self.queue.wake()
        return jobs

    async def rebuild(self, tenant: str, name: str, caller: Caller = NODE) -> int:
        """Write the vectors that the catalogue lists and the index lacks, or holds too seldom; how many."""
        row = await self._collection(tenant, name)
        missing, stray = await self.verify(tenant, name)
        embedder = await self._model.for_caller(caller)
        for start in range(0, len(missing), 100):
            part = missing[start : start + 100]
            found = await self.engine.read(partial(catalog.read_chunks, ids=part, most=catalog.STAGED))
            states = await self.engine.read(partial(catalog.states_of, ids=part))
            for state in (catalog.SHOWN, catalog.STAGED):
                rows = [chunk for id_, chunk in found.items() if states.get(id_) == state]
                if rows:
                    await self.writer.put(tenant, row.id, rows, embedder, state)
        for start in range(0, len(stray), MAX_BATCH):
            await self._index.delete(row.id, stray[start : start + MAX_BATCH])
        await self.engine.write(partial(catalog.touch, collection=row.id))
        return len(missing)

    async def retrieve(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """Look up passages in the caller's own collections, wherever they are, with a model's help where that is wished. Raises `NotFound`."""
        return await self._counted(self._expanded(request, call), call)

    async def _expanded(self, request: RetrievalRequest, call: Call) -> Retrieved:
        self._searcher.check(request)
        self.judge.check(request, call.caller)
        wanted, notes = await self.expander.expanded(request, call, partial(self._there, request, call))
        if self.cluster is None:
            found = await self.searched(wanted, call)
        else:
            found = await self.cluster.retrieve(wanted, call, self)
        return replace(found, notes=notes) if notes else found

    async def retrieve_here(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """Look up passages in this node's collections, for another one. Raises `NotFound`."""
        return await self._counted(self.searched(request, call), call)

    async def _counted(self, search: Coroutine[Any, Any, Retrieved], call: Call) -> Retrieved:
        """What the search finds until the call's deadline."""
        began = time.perf_counter()
        outcome = "failed"
        try:
            with step("retrieve", attributes={"gen_ai.operation.name": "retrieval"}) as span:
                async with asyncio.timeout_at(call.deadline):
                    found = await search
                if span is not None:
                    span.note({"intellirouter.passages": len(found.passages)})
            outcome = "partial" if found.partial else "found" if found.passages else "empty"
        except TimeoutError as cause:
            raise StateUnavailable("The retrieval did not finish in time.") from cause
        except RequestError:
            outcome = "refused"
            raise
        finally:
            self._metrics.retrievals.labels(outcome).inc()
            self._metrics.retrieval_seconds.labels().observe(time.perf_counter() - began)
        return found

    async def searched(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """What this node's collections have."""
        self.judge.check(request, call.caller)
        rows = await self._rows(request, call)
        embedder = await self._model.for_caller(call.caller)
        await used(self.engine, rows)
        return await self._searcher.search(request, rows, embedder, call.caller)

    async def candidates(self, request: RetrievalRequest, call: Call) -> list[Candidates]:
        """What of this node's collections comes into question, for a node that chooses among several nodes' candidates."""
        rows = await self._rows(request, call)
        await used(self.engine, rows)
        embedder, reach = await self._model.for_caller(call.caller), call.caller.reach()
        found = await self._searcher.candidates(request, rows, embedder, reach)
        documents = {chunk.document for one in found for chunk in one.chunks.values()}
        files = await self._searcher.files(documents)
        return [replace(one, files=files) for one in found]

    async def chosen(
        self, request: RetrievalRequest, candidates: Sequence[Candidates], call: Call
    ) -> Retrieved:
        """The best of several nodes' candidates."""
        return await self._searcher.chosen(request, candidates, call.caller)

    async def holdings(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Tenant and name of every collection that is no vector store, and tenants with files or vector stores."""
        return await self.engine.read(openai_catalog.holdings)

    async def embed(self, model: str, texts: Sequence[str], caller: Caller = NODE) -> Vectors:
        """Unit vectors for another node. Raises `InvalidRequest` when this one has another model."""
        embedder = await self._model.for_caller(caller)
        if embedder.model != model:
            raise InvalidRequest(f"This node embeds with {embedder.model}, not with {model}.", param="model")
        return await embedder.embed(texts)

    async def prepare(self) -> None:
        """Open the embedder now. Raises `ConfigError` that says what to run when there is none."""
        await self._model.opened()

    async def warm(self) -> None:
        """Open the embedder and the index side by side if there is anything to find, so that the first question need not wait
        for them. What cannot be opened is said in the log, and again to whoever asks."""
        if not any(await self.holdings()):
            return
        opened = await asyncio.gather(self._model.opened(), self._index.ping(), return_exceptions=True)
        for failure in opened:
            if isinstance(failure, IntelliRouterError):
                log.warning("rag.not_ready", reason=failure.message)
            elif isinstance(failure, BaseException):
                raise failure

    async def work(self) -> None:
        """Run the jobs for as long as the process lives."""
        try:
            async with asyncio.TaskGroup() as workers:
                workers.create_task(self.writer.work())
                workers.create_task(self.queue.work())
                workers.create_task(self._searcher.work())
        finally:
            await self._parsers.aclose()

    async def _collection(self, tenant: str, name: str) -> CollectionRow:
        row = await self.engine.read(partial(catalog.find_collection, tenant=tenant, name=name))
        if row is None:
            raise NotFound(f"There is no collection '{name[:200]}'.")
        return row

    async def _rows(self, request: RetrievalRequest, call: Call) -> list[CollectionRow]:
        for name in request.collections:
            check_collection(call.caller, name)
        return [await self._collection(call.caller.tenant, name) for name in request.collections]

    async def _there(self, request: RetrievalRequest, call: Call) -> None:
        """Raises `NotFound` for a collection that is known not to be there, on whatever node."""
        if self.cluster is None:
            await self._rows(request, call)
            return
        for name in request.collections:
            check_collection(call.caller, name)
            if await self.cluster.nodes_of(call.caller.tenant, name) == (self.cluster.node,):
                await self._collection(call.caller.tenant, name)

    async def _known(self, row: CollectionRow, document: str) -> str:
        """The id of the collection's document of that name. Raises `NotFound`."""
        id_ = document_id(row.id, document)
        if not await self.engine.read(partial(catalog.has_document, document=id_)):
            raise NotFound(f"There is no document '{document[:200]}' in '{row.name}'.")
        return id_


def check_collection(caller: Caller, name: str) -> None:
    """Raises `NotFound` for a collection that the caller's key may not use, as for one that is not there."""
    if not caller.may_use_collection(name):
        raise NotFound(f"There is no collection '{name[:200]}'.")
