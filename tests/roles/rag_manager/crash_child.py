"""The process that is killed: `python -m tests.roles.rag_manager.crash_child DIRECTORY URL`.

It hands in the documents that were never acknowledged, says `ack NAME` for each and `done` once all are ingested.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from intellirouter.config.schema.rag import RagSection
from intellirouter.roles.rag_manager.open import open_rag
from tests.servers.minilm import minilm

TENANT, COLLECTION = "crash", "docs"
DOCUMENTS = {
    f"{number}.md": "\n\n".join(
        f"# Part {part}\n\nSentence {part} of document {number}." for part in range(70)
    )
    for number in range(5)
}


def section(url: str) -> RagSection:
    """`url` is empty for the embedded store."""
    return RagSection(vector_db_url=url or None, embedding_model_path=minilm(), embedding_threads=1)


def say(line: str) -> None:
    """To the one who kills."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def ingest(directory: Path, url: str) -> None:
    """Until all are ready."""
    async with open_rag(section(url), directory) as service:
        if not await service.collections(TENANT):
            await service.create(TENANT, COLLECTION)
        known = {row["name"] for row in await service.documents(TENANT, COLLECTION)}
        for name, text in DOCUMENTS.items():
            if name not in known:
                await service.submit(TENANT, COLLECTION, name, text.encode())
                say(f"ack {name}")
        for job in await service.jobs(TENANT):
            await service.ended(TENANT, job["id"])
        say("done")


if __name__ == "__main__":
    asyncio.run(ingest(Path(sys.argv[1]), sys.argv[2]))
