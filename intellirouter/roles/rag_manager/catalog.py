"""The catalogue: collections, documents, chunks with their text, jobs. The source of truth; `lexical.py` indexes the words.

Functions take a connection and run in the one thread of `memory.embedded.engine`; `service.py` calls them.
A chunk is written with `ready = 0`, then its vector, then `ready = 1`: what is ready has its vector.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from intellirouter.roles.rag_manager import lexical
from intellirouter.roles.rag_manager.filters import Condition
from intellirouter.security.caller import Owner

SCHEMA = """
pragma foreign_keys = on;
create table if not exists collections (
    id text primary key, tenant text not null, name text not null, model text not null, epoch integer not null default 0,
    created real not null, unique (tenant, name));
create index if not exists collections_by_tenant on collections (tenant, created);
create table if not exists documents (
    id text primary key, collection text not null references collections on delete cascade, name text not null,
    sha256 text not null, bytes integer not null, status text not null, error text, attributes text not null,
    updated real not null, unique (collection, name));
create index if not exists documents_by_age on documents (collection);
create index if not exists documents_by_status on documents (collection, status, bytes, updated);
create table if not exists chunks (
    row integer primary key, id text not null unique, collection text not null references collections on delete cascade,
    document text not null references documents on delete cascade, position integer not null, title text not null,
    location text not null, text text not null, ready integer not null default 0);
create index if not exists chunks_by_document on chunks (document, position);
create index if not exists chunks_by_collection on chunks (collection, ready, document, id);
create table if not exists jobs (
    id text primary key, tenant text not null, collection text not null, document text not null, status text not null,
    done integer not null default 0, total integer not null default 0, error text, created real not null,
    updated real not null, owner text, not_before real not null default 0);
create index if not exists jobs_waiting on jobs (status, created);
create index if not exists jobs_by_tenant on jobs (tenant, created);
create index if not exists jobs_by_document on jobs (document);
"""


def migrate(db: sqlite3.Connection) -> None:
    """Add what the tables of an earlier version lack."""
    known = {row[1] for row in db.execute("pragma table_info(jobs)")}
    for column, kind in (("owner", "text"), ("not_before", "real not null default 0")):
        if column not in known:
            db.execute(f"alter table jobs add column {column} {kind}")
    lexical.migrate(db)


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection. `epoch` rises with every commit; `model` is the embedder it is pinned to."""

    id: str
    tenant: str
    name: str
    model: str
    epoch: int


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk as it is stored."""

    id: str
    document: str
    position: int
    title: str
    location: str
    text: str


Row = dict[str, Any]


def nothing_to_sweep(_db: sqlite3.Connection) -> bool:
    """The engine's periodic work: none here."""
    return False


def add_collection(db: sqlite3.Connection, row: CollectionRow) -> bool:
    """False when the tenant has one of that name."""
    words = "insert into collections (id, tenant, name, model, created) values (?, ?, ?, ?, ?) on conflict do nothing"
    if db.execute(words, (row.id, row.tenant, row.name, row.model, time.time())).rowcount == 0:
        return False
    lexical.create(db, row.id)
    return True


def find_collection(db: sqlite3.Connection, tenant: str, name: str) -> CollectionRow | None:
    """The tenant's own of that name, or of that id as vector stores show it (`vs_…`); or none."""
    words = (
        "select id, tenant, name, model, epoch from collections where tenant = ? and (name = ? or id = ?) "
        "order by name = ? desc limit 1"
    )
    row = db.execute(words, (tenant, name, re.sub("^vs_", "ir-", name), name)).fetchone()
    return CollectionRow(*row) if row else None


def list_collections(db: sqlite3.Connection, tenant: str) -> list[Row]:
    """The tenant's collections with what they hold."""
    return rows(
        db,
        "select name, model, epoch, (select count(*) from documents d where d.collection = c.id) as documents, "
        "(select count(*) from chunks k where k.collection = c.id and ready) as chunks "
        "from collections c where tenant = ? order by name",
        (tenant,),
    )


def drop_collection(db: sqlite3.Connection, collection: str) -> None:
    """Everything of it, its jobs too."""
    lexical.drop(db, collection)
    db.execute("delete from chunks where collection = ?", (collection,))
    db.execute("delete from jobs where collection = ?", (collection,))
    db.execute("delete from documents where collection = ?", (collection,))
    db.execute("delete from collections where id = ?", (collection,))


def add_job(db: sqlite3.Connection, tenant: str, document: Row, job: str, owner: Owner | None = None) -> None:
    """Write the document's new version and the job that will read it; a job of an older version is over.

    `owner` is in whose name its chunks are embedded; None: the node's.
    """
    now = time.time()
    db.execute(
        "insert into documents (id, collection, name, sha256, bytes, status, attributes, updated) "
        "values (:id, :collection, :name, :sha256, :bytes, 'queued', :attributes, :now) on conflict (id) do update set "
        "sha256 = :sha256, bytes = :bytes, status = 'queued', error = null, attributes = :attributes, updated = :now",
        {**document, "attributes": json.dumps(document["attributes"]), "now": now},
    )
    over = "update jobs set status = 'cancelled', updated = ? where document = ? and status in ('queued', 'running')"
    db.execute(over, (now, document["id"]))
    words = "insert into jobs (id, tenant, collection, document, status, created, updated, owner) values (?, ?, ?, ?, 'queued', ?, ?, ?)"
    whose = None if owner is None else msgspec.json.encode(owner).decode()
    db.execute(words, (job, tenant, document["collection"], document["id"], now, now, whose))


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
    for entry in list_documents(db, collection):
        job = new_job()
        add_job(db, tenant, entry | {"collection": collection}, job, owner)
        jobs.append(job)
    return jobs


def requeue(db: sqlite3.Connection, job: str | None = None, not_before: float = 0.0) -> int:
    """What a process left running waits again, or that one job until a Unix time at least; how many."""
    words = (
        "update jobs set status = 'queued', not_before = ? where status = 'running' and (? is null or id = ?)"
    )
    return db.execute(words, (not_before, job, job)).rowcount


def take_job(db: sqlite3.Connection, busy: Collection[str] = (), most: int = 1 << 30) -> Row | None:
    """The next waiting job, now running, with its document and collection; none of a document that is `busy`.

    Next is the oldest of the tenant that has the fewest under way; one that has `most` gets no further one.
    """
    found = rows(
        db,
        "select j.id, j.collection, j.document, j.owner, d.name, d.sha256, d.bytes, d.attributes ->> '$.charset' as charset, c.model, c.tenant from jobs j join documents d on d.id = j.document "
        "join collections c on c.id = j.collection "
        "left join (select tenant, count(*) as under_way from jobs where status = 'running' group by tenant) r on r.tenant = j.tenant "
        "where j.status = 'queued' and coalesce(r.under_way, 0) < ? "
        "and j.not_before <= ? and j.document not in (select value from json_each(?)) "
        "order by coalesce(r.under_way, 0), j.created limit 1",
        (most, time.time(), json.dumps(list(busy))),
    )
    if not found:
        return None
    db.execute("update jobs set status = 'running', updated = ? where id = ?", (time.time(), found[0]["id"]))
    return found[0]


def advance(db: sqlite3.Connection, job: str, done: int, total: int) -> bool:
    """Note progress. False when the job was cancelled meanwhile."""
    words = "update jobs set done = ?, total = ?, updated = ? where id = ? and status = 'running'"
    return db.execute(words, (done, total, time.time(), job)).rowcount == 1


def finish(db: sqlite3.Connection, job: Row, error: str | None) -> None:
    """The job is over. When it was cancelled or superseded meanwhile, that stands."""
    status = "failed" if error else "ready"
    words = "update jobs set status = ?, error = ?, updated = ? where id = ? and status = 'running'"
    if db.execute(words, (status, error, time.time(), job["id"])).rowcount:
        document = "update documents set status = ?, error = ?, updated = ? where id = ?"
        db.execute(document, (status, error, time.time(), job["document"]))
    db.execute("update collections set epoch = epoch + 1 where id = ?", (job["collection"],))


def cancel(db: sqlite3.Connection, tenant: str, job: str) -> bool:
    """True when it was still to be done. What is ready of its document stays."""
    now = time.time()
    words = (
        "update jobs set status = 'cancelled', updated = ? "
        "where tenant = ? and id = ? and status in ('queued', 'running') returning document"
    )
    cancelled = db.execute(words, (now, tenant, job)).fetchall()
    for (document,) in cancelled:
        db.execute("update documents set status = 'cancelled', updated = ? where id = ?", (now, document))
    return bool(cancelled)


def stop_jobs(db: sqlite3.Connection, collection: str, document: str | None = None) -> None:
    """End the jobs of a document, or of all in the collection, that is about to be removed."""
    words = (
        "update jobs set status = 'cancelled', updated = ? where collection = ? and (? is null or document = ?) "
        "and status in ('queued', 'running')"
    )
    db.execute(words, (time.time(), collection, document, document))


def touch(db: sqlite3.Connection, collection: str) -> None:
    """What was found in the collection before may be found no more."""
    db.execute("update collections set epoch = epoch + 1 where id = ?", (collection,))


def list_jobs(db: sqlite3.Connection, tenant: str, job: str | None = None, limit: int = 100) -> list[Row]:
    """The tenant's jobs, newest first; or the one of that id."""
    words = (
        "select j.id, j.status, j.done, j.total, j.error, j.created, j.updated, d.name as document, c.name as collection "
        "from jobs j join documents d on d.id = j.document join collections c on c.id = j.collection where j.tenant = ? "
    )
    if job is not None:
        return rows(db, f"{words} and j.id = ?", (tenant, job))
    return rows(db, f"{words} order by j.created desc limit ?", (tenant, limit))


def list_documents(
    db: sqlite3.Connection, collection: str, after: str = "", limit: int | None = None
) -> list[Row]:
    """A collection's documents by name, those behind the name `after`."""
    words = (
        "select id, name, sha256, bytes, status, error, attributes, updated from documents "
        "where collection = ? and name > ? order by name limit ?"
    )
    found = rows(db, words, (collection, after, -1 if limit is None else limit))
    return [row | {"attributes": json.loads(row["attributes"])} for row in found]


def has_document(db: sqlite3.Connection, document: str) -> bool:
    """There is a document of this id."""
    return db.execute("select 1 from documents where id = ?", (document,)).fetchone() is not None


def drop_document(db: sqlite3.Connection, collection: str, document: str) -> None:
    """The document, its chunks and its jobs."""
    lexical.remove(db, collection, list(chunk_states(db, document)))
    for table in ("chunks", "jobs"):
        db.execute(f"delete from {table} where document = ?", (document,))  # noqa: S608 - names of ours
    db.execute("delete from documents where id = ?", (document,))
    db.execute("update collections set epoch = epoch + 1 where id = ?", (collection,))


def chunk_states(db: sqlite3.Connection, document: str) -> dict[str, bool]:
    """Chunk ids of a document, and whether each is ready."""
    return {
        id_: bool(ready)
        for id_, ready in db.execute("select id, ready from chunks where document = ?", (document,))
    }


def chunk_ids(db: sqlite3.Connection, collection: str) -> list[str]:
    """Ready chunks of a collection."""
    words = "select id from chunks where collection = ? and ready"
    return [id_ for (id_,) in db.execute(words, (collection,))]


def chunks_where(db: sqlite3.Connection, collection: str, condition: Condition, most: int) -> list[str]:
    """Ready chunks of the collection's documents that meet the condition; no more than `most` of them."""
    words = (
        "select c.id from documents d join chunks c on c.document = d.id "  # noqa: S608  made of signs, values apart
        f"where d.collection = ? and c.ready and {condition.sql} limit ?"
    )
    return [id_ for (id_,) in db.execute(words, (collection, *condition.values, most))]


def of_those(db: sqlite3.Connection, ids: Sequence[str], condition: Condition) -> set[str]:
    """Which of these chunks are of documents that meet the condition."""
    words = (
        "select c.id from json_each(?) i join chunks c on c.id = i.value join documents d on d.id = c.document "  # noqa: S608
        f"where {condition.sql}"
    )
    return {id_ for (id_,) in db.execute(words, (json.dumps(ids), *condition.values))}


def add_chunks(db: sqlite3.Connection, collection: str, chunks: Sequence[ChunkRow]) -> None:
    """Write them, not ready yet; not those of a document that went away."""
    ids = [chunk.id for chunk in chunks]
    known = {
        id_
        for (id_,) in db.execute(
            "select id from chunks where id in (select value from json_each(?))", (json.dumps(ids),)
        )
    }
    db.executemany(
        "insert into chunks (id, collection, document, position, title, location, text) select ?, ?, ?, ?, ?, ?, ? "
        "where exists (select 1 from documents where id = ?) on conflict (id) do update set position = excluded.position",
        [(c.id, collection, c.document, c.position, c.title, c.location, c.text, c.document) for c in chunks],
    )
    lexical.add(db, collection, [id_ for id_ in ids if id_ not in known])


def mark_ready(db: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Their vectors are kept; those that are still listed."""
    words = "update chunks set ready = 1 where id in (select value from json_each(?)) returning id"
    return {id_ for (id_,) in db.execute(words, (json.dumps(list(ids)),))}


def drop_chunks(db: sqlite3.Connection, collection: str, ids: Sequence[str]) -> None:
    """Forget them; their vectors are gone already."""
    lexical.remove(db, collection, ids)
    db.executemany("delete from chunks where id = ?", [(id_,) for id_ in ids])


def read_chunks(db: sqlite3.Connection, ids: Collection[str]) -> dict[str, ChunkRow]:
    """The ready ones among `ids`."""
    words = (
        "select id, document, position, title, location, text from chunks "
        "where ready and id in (select value from json_each(?))"
    )
    return {row[0]: ChunkRow(*row) for row in db.execute(words, (json.dumps(list(ids)),))}


def list_chunks(db: sqlite3.Connection, collection: str, document: str, after: int, limit: int) -> list[Row]:
    """The chunks of a document behind the position `after`, in order."""
    words = (
        "select c.id, c.position, c.title, c.location, c.text, c.ready from chunks c join documents d on d.id = c.document "
        "where c.collection = ? and d.name = ? and c.position > ? order by c.position limit ?"
    )
    found = rows(db, words, (collection, document, after, limit))
    return [row | {"ready": bool(row["ready"])} for row in found]


def rows(db: sqlite3.Connection, words: str, values: tuple[Any, ...]) -> list[Row]:
    """What a query answers, by column name."""
    cursor = db.execute(words, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
