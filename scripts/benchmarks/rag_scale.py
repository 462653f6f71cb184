"""`scripts/bench rag-scale`: retrieval over many chunks, alone, while documents go and are replaced, and while they come in; ingestion
beside the bare embedder.

Chunks and queries are text from the `man` set, queries and ingested documents are embedded for real; the vectors that fill
the index are those of real chunks with noise, since embedding so many takes a quarter of an hour and says nothing new.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from intellirouter.config.schema.rag import RagSection
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.roles.rag_manager import catalog, catalog_jobs
from intellirouter.roles.rag_manager.catalog import ChunkRow
from intellirouter.roles.rag_manager.embedding.onnx import OnnxEmbedder
from intellirouter.roles.rag_manager.entries import document_row, new_job
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.roles.rag_manager.service import RagService
from intellirouter.roles.rag_manager.writer import BATCH, embedded_text
from intellirouter.security.caller import Caller
from intellirouter.vectors.index import Vectors
from scripts.benchmarks.debian_sets import RetrievalSet, build
from scripts.benchmarks.load import percentile
from scripts.benchmarks.rag import CACHE, TENANT

CALL = Call(Caller(tenant=TENANT), "bench")
MODEL = CACHE / "models" / "all-MiniLM-L6-v2"
PAGES = 60
"""Documents that are ingested for real."""


class Noisy:
    """An embedder that answers with known vectors and noise of a third of their length."""

    model = "all-MiniLM-L6-v2"
    max_tokens = 254

    def __init__(self, known: Vectors) -> None:
        self._known = known
        self._random = np.random.default_rng(7)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Not used."""
        return [0] * len(texts)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors."""
        rows = self._random.integers(0, len(self._known), len(texts))
        noise = self._random.normal(size=(len(texts), self._known.shape[1])) / self._known.shape[1] ** 0.5 / 3
        vectors = self._known[rows] + noise
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


async def measure(cache: Path, count: int, directory: Path) -> dict[str, float]:
    """The figures, by name."""
    made = build(cache / "debian", "man")
    queries = [question.query for question in made.dev + made.test]
    random.Random(1).shuffle(queries)
    section = RagSection(embedding_model_path=MODEL)
    embedder = OnnxEmbedder(MODEL, section.embedding_model)
    async with open_rag(section, directory) as service:
        figures = await _ingestion(service, made, embedder)
        rows = await _stored_rows(service, "speed")
        known = embedder.run([embedded_text(row) for row in rows[:500]])
        began = time.perf_counter()
        await _fill(service, "large", count, rows, Noisy(known))
        figures["fill_chunks_per_s"] = count / (time.perf_counter() - began)
        print(f"{count} chunks are there; process {os.getpid()} asks now", file=sys.stderr)
        await _asked(service, queries[:20])  # warm
        figures |= _latencies("retrieval", await _asked(service, queries[20:320]))
        figures |= await _while_removing(service, made, queries[20:320])
        figures |= _latencies("embedding_alone", await _embedded(embedder, queries[20:320]))
        figures |= await _while_ingesting(service, made, embedder, queries[320:])
        figures |= _sizes(directory)
    return figures


async def _ingestion(service: RagService, made: RetrievalSet, embedder: OnnxEmbedder) -> dict[str, float]:
    """The same chunks ingested and by the embedder alone, in turn: others share the machine, so CPU time is compared too."""
    pages = dict(list(made.documents.items())[:PAGES])
    await service.prepare()
    await service.create(TENANT, "warm")
    await _submit_all(service, "warm", dict(list(made.documents.items())[-3:]))
    best: dict[str, float] = {}
    texts: list[str] = []
    for collection in ("speed", "again"):
        await service.create(TENANT, collection)
        best = _least(best, "ingest", await _timed(_submit_all(service, collection, pages)))
        texts = [embedded_text(row) for row in await _stored_rows(service, "speed")]
        best = _least(best, "alone", await _timed(_bare(embedder, texts)))
    return {
        "ingested_chunks": len(texts),
        "ingest_chunks_per_s": len(texts) / best["ingest_s"],
        "embedder_alone_chunks_per_s": len(texts) / best["alone_s"],
        "ingest_to_embedder": best["alone_s"] / best["ingest_s"],
        "ingest_to_embedder_cpu": best["alone_cpu_s"] / best["ingest_cpu_s"],
    }


async def _timed(work: Coroutine[Any, Any, None]) -> tuple[float, float]:
    """Seconds, and CPU seconds."""
    began, used = time.perf_counter(), _cpu()
    await work
    return time.perf_counter() - began, _cpu() - used


def _least(best: dict[str, float], name: str, taken: tuple[float, float]) -> dict[str, float]:
    now = {f"{name}_s": taken[0], f"{name}_cpu_s": taken[1]}
    return best | {key: min(value, best.get(key, value)) for key, value in now.items()}


def _cpu() -> float:
    """CPU seconds of this process and of its children that live: parser and store."""
    ticks = 0
    for pid in _children():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _children() -> set[int]:
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


async def _bare(embedder: OnnxEmbedder, texts: Sequence[str]) -> None:
    for start in range(0, len(texts), BATCH):
        await embedder.embed(texts[start : start + BATCH])


async def _submit_all(service: RagService, collection: str, pages: dict[str, bytes]) -> None:
    jobs = [await service.submit(TENANT, collection, name, page) for name, page in pages.items()]
    for job in jobs:
        state = await service.ended(TENANT, job)
        if state["status"] != "ready":
            raise SystemExit(f"{state['document']}: {state['error']}")


async def _stored_rows(service: RagService, collection: str) -> list[ChunkRow]:
    row = await service.engine.read(lambda db: catalog.find_collection(db, TENANT, collection))
    if row is None:
        raise SystemExit(f"there is no collection {collection}")
    ids = await service.engine.read(lambda db: catalog.chunk_ids(db, row.id))
    return list((await service.engine.read(lambda db: catalog.read_chunks(db, ids))).values())


async def _fill(
    service: RagService, collection: str, count: int, rows: Sequence[ChunkRow], embedder: Noisy
) -> None:
    """Write `count` chunks of fifty a document by the same way as a job does, without parsing."""
    await service.create(TENANT, collection)
    found = await service.engine.read(lambda db: catalog.find_collection(db, TENANT, collection))
    if found is None:
        raise SystemExit("the collection is gone")
    shuffle = random.Random(3)
    under_way = []
    for start in range(0, count, BATCH):
        documents = [
            document_row(found.id, f"d{(start + offset) // 50}", "0" * 64, 0, {}) for offset in (0, 50)
        ]
        for document in documents:
            await service.engine.write(
                lambda db, document=document: catalog_jobs.add_job(db, TENANT, document, new_job())
            )
            await service.engine.write(
                lambda db, document=document: catalog_jobs.stop_jobs(db, found.id, document["id"])
            )
        pieces = []
        for offset in range(BATCH):
            words = f"{shuffle.choice(rows).text} {shuffle.choice(rows).text}".split()
            at = shuffle.randrange(max(1, len(words) - 150))
            id_ = hashlib.sha256(f"{start + offset}".encode()).hexdigest()[:32]
            text = " ".join(words[at : at + 150])
            pieces.append(ChunkRow(id_, documents[offset // 50]["id"], offset, "Page", "", text))
        under_way.append(service.writer.put(TENANT, found.id, pieces, embedder))
    await asyncio.gather(*under_way)


async def _asked(service: RagService, queries: Sequence[str]) -> list[float]:
    """Seconds of each."""
    taken = []
    for query in queries:
        began = time.perf_counter()
        found = await service.retrieve(RetrievalRequest(query, ("large",), 5), CALL)
        taken.append(time.perf_counter() - began)
        if not found.passages:
            raise SystemExit(f"nothing was found for {query!r}")
    return taken


async def _while_removing(
    service: RagService, made: RetrievalSet, queries: Sequence[str]
) -> dict[str, float]:
    """A document of fifty chunks goes each second, and one in five seconds is replaced as well."""
    pages = list(made.documents.values())
    removed = replaced = 0

    async def remove() -> None:
        nonlocal removed, replaced
        while True:
            await asyncio.sleep(1)
            await service.drop_document(TENANT, "large", f"d{removed}")
            removed += 1
            if removed % 5 == 0:
                await _submit_all(service, "large", {"replaced.html": pages[replaced]})
                replaced += 1

    removing = asyncio.create_task(remove())
    taken = []
    for query in queries:
        taken += await _asked(service, [f"{query} once more"])
        await asyncio.sleep(0.1)
    removing.cancel()
    await asyncio.gather(removing, return_exceptions=True)
    figures = {"documents_removed": removed, "documents_replaced": replaced}
    return figures | _latencies("retrieval_while_removing", taken)


async def _embedded(embedder: OnnxEmbedder, queries: Sequence[str]) -> list[float]:
    taken = []
    for query in queries:
        began = time.perf_counter()
        await embedder.embed([query])
        taken.append(time.perf_counter() - began)
    return taken


async def _while_ingesting(
    service: RagService, made: RetrievalSet, embedder: OnnxEmbedder, queries: Sequence[str]
) -> dict[str, float]:
    pages = dict(list(made.documents.items())[PAGES : 2 * PAGES])
    texts = [embedded_text(row) for row in await _stored_rows(service, "speed")]
    async with _watched("embedder_alone") as control:
        await _bare(embedder, texts)
    async with _watched("ingesting") as watched:
        await _submit_all(service, "large", pages)
    ingestion = asyncio.create_task(
        _submit_all(service, "large", dict(list(made.documents.items())[2 * PAGES : 3 * PAGES]))
    )
    taken = []
    for query in queries:
        if ingestion.done():
            break
        taken += await _asked(service, [query])
        await asyncio.sleep(0.05)
    await ingestion
    return control | watched | _latencies("retrieval_while_ingesting", taken)


@contextlib.asynccontextmanager
async def _watched(name: str) -> AsyncIterator[dict[str, float]]:
    """How much later than asked the loop woke a sleeper, and how long its thread was busy meanwhile.

    The first includes what the machine does to every process; the same beside the embedder alone shows how much that is.
    """
    figures: dict[str, float] = {}
    late, busy = [0.0], [0.0]

    async def watch() -> None:
        while True:
            began, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.005)
            late.append((time.perf_counter() - began - 0.005) * 1e3)
            busy.append((time.thread_time() - used) * 1e3)

    watcher = asyncio.create_task(watch())
    try:
        yield figures
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        figures[f"loop_stall_max_ms_{name}"] = max(late)
        figures[f"loop_stall_p99_ms_{name}"] = percentile(late, 99)
        figures[f"loop_busy_max_ms_{name}"] = max(busy)


def _latencies(name: str, taken: Sequence[float]) -> dict[str, float]:
    milliseconds = [seconds * 1e3 for seconds in taken]
    return {f"{name}_p50_ms": percentile(milliseconds, 50), f"{name}_p99_ms": percentile(milliseconds, 99)}


def _sizes(directory: Path) -> dict[str, float]:
    def disk(path: Path) -> float:
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6

    def rss(pid: int) -> float:
        words = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
        return int(words[0]) / 1e3

    stores = [
        pid for pid in _children() if b"vectors.chroma.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return {
        "rss_mb": rss(os.getpid()),
        "store_rss_mb": sum(rss(pid) for pid in stores),
        "catalog_mb": disk(directory / "rag")
        - disk(directory / "rag" / "chroma")
        - disk(directory / "rag" / "blobs"),
        "vectors_mb": disk(directory / "rag" / "chroma"),
    }


async def many_tiny(count: int, directory: Path) -> dict[str, float]:
    """Documents of one sentence each, handed in as fast as they are taken, a thousand ahead at most."""
    async with open_rag(RagSection(embedding_model_path=MODEL), directory) as service:
        await service.prepare()
        await service.create(TENANT, "tiny")
        began, jobs, failed = time.perf_counter(), deque[str](), 0

        async def settle() -> int:
            return (await service.ended(TENANT, jobs.popleft()))["status"] != "ready"

        for number in range(count):
            name, text = f"{number}.txt", f"Note number {number} says nothing new."
            jobs.append(await service.submit(TENANT, "tiny", name, text.encode()))
            if len(jobs) >= 1_000:
                failed += await settle()
        while jobs:
            failed += await settle()
        seconds = time.perf_counter() - began
        missing, stray = await service.verify(TENANT, "tiny")
        chunks = (await service.collections(TENANT))[0]["chunks"]
        figures = {"documents": count, "documents_per_s": count / seconds, "failed": failed, "chunks": chunks}
        return figures | {"missing_vectors": len(missing), "stray_vectors": len(stray)} | _sizes(directory)


LIMITS = {
    "retrieval_p50_ms": 25,
    "retrieval_p99_ms": 100,
    "retrieval_while_removing_p99_ms": 100,
    "loop_busy_max_ms_ingesting": 20,
}


def main() -> int:
    """The exit code: 1 when a limit is passed."""
    parser = argparse.ArgumentParser(prog="scripts/bench rag-scale", description=__doc__)
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument(
        "--tiny", type=int, default=0, help="instead: ingest so many documents of one sentence"
    )
    parser.add_argument("--cache", type=Path, default=CACHE / "bench-rag", help="packages")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    if arguments.tiny:
        with tempfile.TemporaryDirectory(prefix="intellirouter-rag-") as name:
            tiny = asyncio.run(many_tiny(arguments.tiny, Path(name)))
        print(json.dumps({key: round(value, 2) for key, value in tiny.items()}, indent=2))
        good = tiny["chunks"] == arguments.tiny and not tiny["missing_vectors"] and not tiny["stray_vectors"]
        return 0 if good else 1
    with tempfile.TemporaryDirectory(prefix="intellirouter-rag-") as name:
        figures = asyncio.run(measure(arguments.cache, arguments.chunks, Path(name)))
    figures |= {"load_before": before, "load_after": os.getloadavg()[0]}
    print(json.dumps({key: round(value, 2) for key, value in figures.items()}, indent=2))
    problems = [f"{key} is above {most}" for key, most in LIMITS.items() if figures[key] >= most]
    problems += [
        f"retrieval_{which}_ms while ingesting is above twice of what it is alone"
        for which in ("p50", "p99")
        if figures[f"retrieval_while_ingesting_{which}_ms"] >= 2 * figures[f"retrieval_{which}_ms"]
    ]
    if figures["ingest_to_embedder_cpu"] < 0.9:
        problems.append("ingestion is more than 10 % slower than the embedder alone")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
