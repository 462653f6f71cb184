"""Open the service on a data directory: lock, catalogue, vector index, worker."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from intellirouter.config.rules import rag_errors
from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import ConfigError, StateUnavailable
from intellirouter.inference.background import background
from intellirouter.memory.embedded.engine import Engine
from intellirouter.peers.contract import ChatCompleter
from intellirouter.roles.rag_manager import catalog, catalog_jobs, openai_catalog, uploads_catalog
from intellirouter.roles.rag_manager.assist import kept
from intellirouter.roles.rag_manager.blobs import BLOBS, CATALOG_FILE, RAG, Blobs
from intellirouter.roles.rag_manager.embedding.embedder import Embedder
from intellirouter.roles.rag_manager.embedding.files import FILES, complete, find_model
from intellirouter.roles.rag_manager.embedding.onnx import OnnxEmbedder
from intellirouter.roles.rag_manager.embedding.provider import ProviderEmbedder
from intellirouter.roles.rag_manager.embedding.shared import Helper, SharedEmbedder
from intellirouter.roles.rag_manager.metrics import RagMetrics
from intellirouter.roles.rag_manager.reranking import Meter, Reranker, RerankService
from intellirouter.roles.rag_manager.reranking_onnx import OnnxReranker
from intellirouter.roles.rag_manager.sealed_catalog import connections, hide
from intellirouter.roles.rag_manager.service import RagService
from intellirouter.roles.rag_manager.shelf import Shelf
from intellirouter.roles.rag_manager.sources import seen
from intellirouter.roles.rag_manager.sources.timetable import Timetable
from intellirouter.security.authority import Authority
from intellirouter.security.keeping import Keeping
from intellirouter.security.sealing import Sealer
from intellirouter.telemetry.tracing.span import Tracer
from intellirouter.transport.outgoing.door import OutgoingDoor
from intellirouter.vectors.chroma.embedded import EmbeddedChroma
from intellirouter.vectors.chroma.server import ChromaServer
from intellirouter.vectors.index import VectorIndex
from intellirouter.vectors.sharded import ShardedIndex


class DirectoryHeld(StateUnavailable):
    """Another process has the data directory open."""


@contextlib.asynccontextmanager
async def open_rag(
    section: RagSection,
    data_dir: Path,
    registry: CollectorRegistry | None = None,
    chat: ChatCompleter | None = None,
    helpers: Sequence[Helper] = (),
    tracer: Tracer | None = None,
    authority: Authority | None = None,
    door: OutgoingDoor | None = None,
    keeping: Keeping | None = None,
    meter: Meter | None = None,
    sealer: Sealer | None = None,
) -> AsyncIterator[RagService]:
    """The service, its worker running. Raises `StateUnavailable` when another process holds the directory.

    With a `sealer` what it keeps of documents is encrypted.
    """
    if problems := [f"{'.'.join(map(str, path))}: {problem}" for path, problem in rag_errors(section)]:
        raise ConfigError("\n".join(problems))
    directory = data_dir / RAG
    directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_locked(directory))
        schema = (
            catalog.SCHEMA
            + catalog_jobs.SCHEMA
            + openai_catalog.SCHEMA
            + uploads_catalog.SCHEMA
            + seen.SCHEMA
            + kept.SCHEMA
        )
        engine = Engine(
            directory / CATALOG_FILE,
            schema,
            catalog.nothing_to_sweep,
            reads_apart=True,
            factory=sqlite3.Connection if sealer is None else connections(sealer),
        )
        await engine.start()
        stack.push_async_callback(engine.stop)
        await engine.write(catalog_jobs.migrate)
        await engine.write(openai_catalog.migrate)
        await engine.write(catalog.widen)
        if sealer is not None:
            await engine.write(hide)
            await engine.read(hide)
        await engine.write(catalog.migrate)
        index = _index(section, directory / "chroma")
        stack.push_async_callback(index.close)

        def embedder() -> Embedder:
            model = section.embedding_model
            if "/" in model and section.embedding_model_path is None:
                if chat is None:
                    raise ConfigError(
                        f"rag.embedding_model: {model} is asked through the Router; send documents to a running "
                        "RagManager (POST /rag/v1/collections/…/documents)."
                    )
                return ProviderEmbedder(chat, model, section.embedding_max_tokens)
            place = find_model(data_dir, model, section.embedding_model_path)
            own = OnnxEmbedder(place, model, section.embedding_threads)
            return SharedEmbedder(own, helpers) if helpers else own

        if door is None:
            door = await stack.enter_async_context(contextlib.aclosing(OutgoingDoor()))
        reranker = _reranker(section, door, meter)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        metrics = RagMetrics(registry or CollectorRegistry())
        blobs = Blobs(directory / BLOBS, sealer)
        await asyncio.to_thread(blobs.sweep, await engine.read(uploads_catalog.all_parts))
        service = RagService(
            section, engine, index, embedder, blobs, metrics, reranker, tracer, authority, chat
        )
        service.shelf = Shelf(engine, keeping or Keeping())
        service.sources = Timetable(section.sources, service, door)
        await stack.enter_async_context(background(rag_worker=service.work()))
        yield service


def _reranker(section: RagSection, door: OutgoingDoor, meter: Meter | None) -> Reranker | None:
    seconds = section.rerank_timeout_seconds
    if section.rerank_path is not None:
        if not complete(section.rerank_path):
            raise ConfigError(f"rag.rerank_path: {section.rerank_path} must hold {' and '.join(FILES)}.")
        return OnnxReranker(section.rerank_path, section.embedding_threads, seconds)
    if section.rerank_url is None:
        return None
    key = section.rerank_api_key.get_secret_value() if section.rerank_api_key else None
    return RerankService(section.rerank_url, key, seconds, door, meter)


def _index(section: RagSection, directory: Path) -> VectorIndex:
    if not section.vector_db_url:  # an empty one in the environment takes back that of the file
        return EmbeddedChroma(directory)
    servers = dict.fromkeys(url.rstrip("/") for url in (section.vector_db_url, *section.vector_db_shards))
    shards: dict[str, VectorIndex] = {url: ChromaServer(url) for url in servers}
    return ShardedIndex(shards, section.vector_copies) if len(shards) > 1 else next(iter(shards.values()))


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / "LOCK").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise DirectoryHeld(
                f"Another process holds {directory}: stop it, or ask it over HTTP (/rag/v1).",
                directory=str(directory),
            ) from cause
        yield
