"""`scripts/bench rag-beside`: what others notice of a bulk, and of updates.

One tenant hands in documents of fifty thousand chunks; beside them another one, and the same one, upload a document of 57 bytes again and
again: how long until it can be found. Then a document is replaced over and over while a thousand questions are asked about it: an answer
that mixes two versions, lacks a part, or goes back to an older version is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from intellirouter.config.schema.rag import RagSection
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.roles.rag_manager.service import RagService
from intellirouter.security.caller import Caller
from scripts.benchmarks.load import percentile
from scripts.benchmarks.rag_scale import MODEL

BULK, OTHER = "bulk", "other"
SMALL = b"The warranty of the kettle is three years, and no longer."
assert len(SMALL) == 57
DOCUMENTS, CHUNKS_EACH, UPLOADS = 50, 1_000, 20
READY_SECONDS = 5.0
PARTS, ASKERS = 12, 2


async def beside_a_bulk(directory: Path) -> dict[str, float]:
    """Seconds from the upload of a small document to its being ready, while the bulk goes on."""
    section = RagSection(embedding_model_path=MODEL)
    async with open_rag(section, directory) as service:
        await service.prepare()
        for tenant, name in ((BULK, "bulk"), (BULK, "mine"), (OTHER, "theirs")):
            await service.create(tenant, name)
        jobs = [
            await service.submit(BULK, "bulk", f"{number}.md", _document(number))
            for number in range(DOCUMENTS)
        ]
        async for state in service.progress(BULK, jobs[0]):
            if state["done"]:
                break
        taken: dict[str, list[float]] = {"same_tenant": [], "other_tenant": []}
        for number in range(UPLOADS):
            for who, tenant, collection in (("same_tenant", BULK, "mine"), ("other_tenant", OTHER, "theirs")):
                began = time.perf_counter()
                job = await service.submit(tenant, collection, f"{number}.txt", SMALL)
                if (await service.ended(tenant, job))["status"] != "ready":
                    raise SystemExit("a small document failed")
                taken[who].append(time.perf_counter() - began)
        left = [(await service.job(BULK, job))["status"] for job in jobs]
        figures = {
            "bulk_chunks_planned": DOCUMENTS * CHUNKS_EACH,
            "bulk_chunks_done": (await service.collections(BULK))[0]["chunks"],
            "bulk_jobs_left": len([status for status in left if status in ("queued", "running")]),
        }
        for job in jobs:
            await service.cancel(BULK, job)
        for who, seconds in taken.items():
            figures |= {f"ready_p50_s_{who}": percentile(seconds, 50), f"ready_max_s_{who}": max(seconds)}
        return figures


def _document(number: int) -> bytes:
    parts = (
        f"# Part {part}\n\n"
        + f"Paragraph {part} of document {number} tells of ships and harbours far away. " * 6
        for part in range(CHUNKS_EACH)
    )
    return "\n\n".join(parts).encode()


async def replaced(directory: Path, answers: int) -> dict[str, float]:
    """Questions about a document that is replaced meanwhile."""
    section = RagSection(embedding_model_path=MODEL, max_chunks_per_document=20)
    async with open_rag(section, directory) as service:
        await service.create(OTHER, "docs")
        await _replace(service, 0)
        asked = mixed = short = back = newest = version = 0

        async def ask() -> None:
            nonlocal asked, mixed, short, back, newest
            while asked < answers:
                asked += 1
                request = RetrievalRequest(f"warranty of the version, asked {asked}", ("docs",), 20)
                found = await service.retrieve(request, Call(Caller(tenant=OTHER), "bench"))
                words = [word for one in found.passages for word in one.text.split()]
                seen = {int(word[1:]) for word in words if word[:1] == "v" and word[1:].isdigit()}
                mixed += len(seen) > 1
                short += len(found.passages) != PARTS
                back += bool(seen) and min(seen) < newest
                newest = max([newest, *seen])

        asking = [asyncio.create_task(ask()) for _ in range(ASKERS)]
        while not all(task.done() for task in asking):
            version += 1
            await _replace(service, version)
        await asyncio.gather(*asking)
        missing, stray = await service.verify(OTHER, "docs")
        return {
            "answers": asked,
            "updates": version,
            "mixed": mixed,
            "incomplete": short,
            "older_again": back,
            "missing_vectors": len(missing),
            "stray_vectors": len(stray),
        }


async def _replace(service: RagService, version: int) -> None:
    parts = (
        f"# Part {part}\n\nThe warranty of version v{version} in part {part}.\n" for part in range(PARTS)
    )
    job = await service.submit(OTHER, "docs", "w.md", "\n".join(parts).encode())
    await service.ended(OTHER, job)


def main() -> int:
    """The exit code: 1 when a small document waited, or an answer was wrong."""
    parser = argparse.ArgumentParser(prog="scripts/bench rag-beside", description=__doc__)
    parser.add_argument("--answers", type=int, default=1_000)
    arguments = parser.parse_args()
    figures: dict[str, float] = {"load_before": os.getloadavg()[0]}
    for work in (beside_a_bulk, lambda path: replaced(path, arguments.answers)):
        with tempfile.TemporaryDirectory(prefix="intellirouter-rag-") as name:
            figures |= asyncio.run(work(Path(name)))
    figures["load_after"] = os.getloadavg()[0]
    print(json.dumps({key: round(value, 2) for key, value in figures.items()}, indent=2))
    wrong = [
        name
        for name in ("mixed", "incomplete", "older_again", "missing_vectors", "stray_vectors")
        if figures[name]
    ]
    wrong += [
        name
        for name in ("ready_max_s_same_tenant", "ready_max_s_other_tenant")
        if figures[name] >= READY_SECONDS
    ]
    if wrong:
        print(f"not as it should be: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
