"""The jobs of the catalogue: what is to be read, in whose turn. As `catalog.py`, in the one thread of the engine."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator

import msgspec

from intellirouter.roles.rag_manager import catalog
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.sealed_catalog import sealed
from intellirouter.security.caller import Owner

SCHEMA = """
create table if not exists jobs (
    id text primary key, tenant text not null, collection text not null, document text not null, status text not null,
    done integer not null default 0, total integer not null default 0, error text, created real not null,
    updated real not null, owner text, not_before real not null default 0, large integer not null default 0,
    passing integer not null default 0, note text);
create index if not exists jobs_waiting on jobs (status, created);
create index if not exists jobs_by_tenant on jobs (tenant, created);
create index if not exists jobs_by_document on jobs (document);
"""
SMALL_BYTES = 64 << 10
"""Documents up to this size need not wait for larger ones."""
GRACE = 60.0
"""Seconds that small documents go before a large one of their collection."""

JOBS_KEPT = 10
"""Ended jobs of one document that can still be asked for."""
_FORGET_JOBS = (
    "delete from main.jobs where document = ? and status not in ('queued', 'running') and id not in "
    "(select id from jobs where document = ? order by created desc limit ?)"
)


def migrate(db: sqlite3.Connection) -> None:
    """Add what the table of an earlier version lacks."""
    known = {row[1] for row in db.execute("pragma table_info(jobs)")}
    added = (
        ("owner", "text"),
        ("not_before", "real not null default 0"),
        ("large", "integer not null default 0"),
        ("passing", "integer not null default 0"),
        ("note", "text"),
    )
    for column, kind in added:
        if column not in known:
            db.execute(f"alter table jobs add column {column} {kind}")
    db.execute("create index if not exists jobs_by_turn on jobs (status, tenant, collection, large, created)")


def add_job(db: sqlite3.Connection, tenant: str, document: Row, job: str, owner: Owner | None = None) -> None:
    """Write the document's new version and the job that will read it; a job of an older version is over.

    `owner` is in whose name its chunks are embedded; None: the node's.
    """
    now = time.time()
    db.execute(
        "insert into main.documents (id, collection, name, sha256, bytes, status, attributes, updated) "
        "values (:id, :collection, :name, :sha256, :bytes, 'queued', :attributes, :now) on conflict (id) do update set "
        "sha256 = :sha256, bytes = :bytes, status = 'queued', error = null, attributes = :attributes, updated = :now",
        {
            **document,
            "name": sealed(db, "documents.name", document["id"], document["name"]),
            "attributes": sealed(
                db, "documents.attributes", document["id"], json.dumps(document["attributes"])
            ),
            "now": now,
        },
    )
    over = "update main.jobs set status = 'cancelled', updated = ? where document = ? and status in ('queued', 'running')"
    db.execute(over, (now, document["id"]))
    db.execute(_FORGET_JOBS, (document["id"], document["id"], JOBS_KEPT))
    words = "insert into main.jobs (id, tenant, collection, document, status, created, updated, owner, large) values (?, ?, ?, ?, 'queued', ?, ?, ?, ?)"
    whose = None if owner is None else msgspec.json.encode(owner).decode()
    db.execute(
        words,
        (
            job,
            tenant,
            document["collection"],
            document["id"],
            now,
            now,
            whose,
            document["bytes"] > SMALL_BYTES,
        ),
    )


def read_again(
    db: sqlite3.Connection,
    tenant: str,
    collection: str,
    model: str,
    new_job: Callable[[], str],
    owner: Owner | None = None,
) -> list[str]:
    """Pin the collection to `model` and queue each of its documents once more; the jobs."""
    db.execute("update collections set model = ?, epoch = epoch + 1 where id = ?", (model, collection))
    jobs = []
    for entry in catalog.list_documents(db, collection):
        job = new_job()
        add_job(db, tenant, entry | {"collection": collection}, job, owner)
        jobs.append(job)
    return jobs


def requeue(db: sqlite3.Connection, job: str | None = None, not_before: float = 0.0) -> int:
    """What a process left running waits again, or that one job until a Unix time at least; how many."""
    words = "update main.jobs set status = 'queued', not_before = ? where status = 'running' and (? is null or id = ?)"
    return db.execute(words, (not_before, job, job)).rowcount


def take_job(
    db: sqlite3.Connection, busy: Collection[str] = (), most: int = 1 << 30, *, small: bool = False
) -> Row | None:
    """The next waiting job, now running, with its document and collection; none of a document that is `busy`.

    Next is one of the tenant that has the fewest under way, there of the collection that has the fewest, there the oldest,
    where a large document counts as `GRACE` younger. A tenant that has `most` gets no further one, unless it is `small`, of
    a document that is none.
    """
    now = time.time()
    running = db.execute("select tenant, collection from jobs where status = 'running'").fetchall()
    tenants, collections = Counter(tenant for tenant, _ in running), Counter(place for _, place in running)
    waiting = [
        (tenants[tenant], collections[collection], created, tenant, collection)
        for tenant, collection, created in _groups(db)
        if small or tenants[tenant] < most
    ]
    for *_, tenant, collection in sorted(waiting):
        words = (
            "select id, document, owner, created + ? * large from jobs where status = 'queued' and tenant = ? and collection = ? "
            "and large = ? and not_before <= ? and document not in (select value from json_each(?)) order by created limit 1"
        )
        found = [
            row
            for large in range(1 if small else 2)
            for row in db.execute(words, (GRACE, tenant, collection, large, now, json.dumps(list(busy))))
        ]
        if not found:
            continue
        id_, document, owner, _ = min(found, key=lambda row: float(row[3]))
        db.execute("update main.jobs set status = 'running', updated = ? where id = ?", (now, id_))
        words = (
            "select d.name, d.sha256, d.bytes, d.attributes ->> '$.charset' as charset, c.model, c.tenant, c.name as collection_name, "
            "a.chunk_tokens, a.overlap_tokens from documents d join collections c on c.id = d.collection "
            "left join attachments a on a.document = d.id where d.id = ?"
        )
        (about,) = catalog.rows(db, words, (document,))
        return {"id": id_, "collection": collection, "document": document, "owner": owner, **about}
    return None


def _groups(db: sqlite3.Connection) -> Iterator[tuple[str, str, float]]:
    """Tenants and collections for which a job waits, each with the age of one of them; one look into the index for each."""
    tenant, collection = "", ""
    while row := db.execute(
        "select tenant, collection, created from jobs where status = 'queued' and (tenant, collection) > (?, ?) "
        "order by tenant, collection limit 1",
        (tenant, collection),
    ).fetchone():
        tenant, collection, created = row
        yield tenant, collection, created


def advance(db: sqlite3.Connection, job: str, done: int, total: int) -> bool:
    """Note progress. False when the job was cancelled meanwhile."""
    words = "update main.jobs set done = ?, total = ?, updated = ? where id = ? and status = 'running'"
    return db.execute(words, (done, total, time.time(), job)).rowcount == 1


def finish(
    db: sqlite3.Connection, job: Row, error: str | None, *, passing: bool = False, note: str = ""
) -> None:
    """The job is over. When it was cancelled or superseded meanwhile, that stands. `passing`: the error is not the document's own;
    `note`: what was done without."""
    status, now = "failed" if error else "ready", time.time()
    words = "update main.jobs set status = ?, error = ?, note = ?, passing = ?, updated = ? where id = ? and status = 'running'"
    told, noted = sealed(db, "jobs.error", job["id"], error), sealed(db, "jobs.note", job["id"], note or None)
    if db.execute(words, (status, told, noted, passing, now, job["id"])).rowcount:
        words = "update main.documents set status = ?, error = ?, updated = ? where id = ?"
        told = sealed(db, "documents.error", job["document"], error)
        db.execute(words, (status, told, now, job["document"]))
    db.execute("update collections set epoch = epoch + 1 where id = ?", (job["collection"],))


def cancel(db: sqlite3.Connection, tenant: str, job: str) -> bool:
    """True when it was still to be done. What is ready of its document stays."""
    now = time.time()
    words = (
        "update main.jobs set status = 'cancelled', updated = ? "
        "where tenant = ? and id = ? and status in ('queued', 'running') returning document"
    )
    cancelled = db.execute(words, (now, tenant, job)).fetchall()
    for (document,) in cancelled:
        db.execute(
            "update main.documents set status = 'cancelled', updated = ? where id = ?", (now, document)
        )
    return bool(cancelled)


def stop_jobs(db: sqlite3.Connection, collection: str, document: str | None = None) -> None:
    """End the jobs of a document, or of all in the collection, that is about to be removed."""
    words = (
        "update main.jobs set status = 'cancelled', updated = ? where collection = ? and (? is null or document = ?) "
        "and status in ('queued', 'running')"
    )
    db.execute(words, (time.time(), collection, document, document))


def list_jobs(db: sqlite3.Connection, tenant: str, job: str | None = None, limit: int = 100) -> list[Row]:
    """The tenant's jobs, newest first; or the one of that id."""
    words = (
        "select j.id, j.status, j.done, j.total, j.error, j.note, j.created, j.updated, d.name as document, c.name as collection "
        "from jobs j join documents d on d.id = j.document join collections c on c.id = j.collection where j.tenant = ? "
    )
    if job is not None:
        return catalog.rows(db, f"{words} and j.id = ?", (tenant, job))
    return catalog.rows(db, f"{words} order by j.created desc limit ?", (tenant, limit))
