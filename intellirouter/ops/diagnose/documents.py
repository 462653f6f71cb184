"""The RagManager's catalogue on this node, and its vector servers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from intellirouter.config.schema.rag import RagSection
from intellirouter.counts import counted
from intellirouter.ops.diagnose.database import read_only, trouble
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.network import Place


def servers(section: RagSection) -> list[Place]:
    """The Chroma servers that are configured."""
    urls = [url.rstrip("/") for url in (section.vector_db_url, *section.vector_db_shards) if url]
    return [
        Place("Chroma" if len(urls) == 1 else f"Chroma {number}", url, path="/api/v2/heartbeat", ours=True)
        for number, url in enumerate(dict.fromkeys(urls), 1)
    ]


def documents(data_dir: Path) -> list[Finding]:
    """What the catalogue holds, where the node has one. Opened read only."""
    file = data_dir / "rag/catalog.sqlite3"
    if not file.exists():
        return []
    try:
        with read_only(file) as connection:
            ask = connection.execute
            collections = ask("select count(*) from collections").fetchone()[0]
            kept, failed = ask("select count(*), sum(status = 'failed') from documents").fetchone()
            where = ask(
                "select c.tenant, c.name from documents d join collections c on c.id = d.collection "
                "where d.status = 'failed' order by d.updated desc limit 1"
            ).fetchone()
            pending = ask("select count(*) from jobs where status in ('queued', 'running')").fetchone()[0]
    except (sqlite3.Error, OSError) as error:
        return [trouble("state", "documents", file, error)]
    message = f"{counted(kept, 'document')} in {counted(collections, 'collection')}, {counted(pending, 'job')} under way"
    if failed:
        tenant, collection = where or ("default", "COLLECTION")
        whose = "" if tenant == "default" else f" --tenant {tenant}"
        advice = f"intellirouter rag ls {collection}{whose} shows why."
        return [Finding("state", "documents", Level.WARNING, f"{message}, {failed} failed", advice)]
    return [Finding("state", "documents", Level.OK, message)]
