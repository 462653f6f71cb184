"""What OpenAI's files and vector stores add to the catalogue. A vector store is a collection under another name.

Functions take a connection and run in the engine's thread, as those of `catalog.py`. A document that came in through
`/rag/v1` has no file; in a vector store it goes by its own id.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from intellirouter.roles.rag_manager import catalog, catalog_jobs
from intellirouter.roles.rag_manager.blobs import Blobs
from intellirouter.roles.rag_manager.catalog import CollectionRow, Row
from intellirouter.roles.rag_manager.openai_pages import Listing
from intellirouter.roles.rag_manager.sealed_catalog import sealed
from intellirouter.security.caller import Caller, Owner

BATCHES_KEPT = 1_000
"""Of one vector store, the newest; their files stay."""
Cut = tuple[int, int] | None
"""Tokens of a chunk and of what neighbours share; None: as the node cuts."""
SCHEMA = """
create table if not exists files (
    id text primary key, tenant text not null, filename text not null, purpose text not null, bytes integer not null,
    sha256 text not null, created real not null);
create index if not exists files_by_tenant on files (tenant, created);
create table if not exists stores (
    collection text primary key references collections on delete cascade, name text, description text,
    metadata text not null, expires_days integer, active real);
create table if not exists attachments (
    document text primary key references documents on delete cascade, file text not null references files,
    created real not null, chunk_tokens integer, overlap_tokens integer);
create index if not exists attachments_by_file on attachments (file);
create table if not exists batches (
    id text primary key, collection text not null references collections on delete cascade, created real not null,
    cancelled integer not null default 0);
create table if not exists batch_documents (
    batch text not null references batches on delete cascade,
    document text not null references documents on delete cascade, primary key (batch, document));
"""

_FILE = "f.id, f.filename, f.purpose, f.bytes, f.sha256, f.created"
_STORE = (
    "c.id as collection, c.name as collection_name, c.created, s.description, "
    "case when s.collection is null then c.name else s.name end as name, coalesce(s.metadata, '{}') as metadata, "
    "s.expires_days, s.active as used"
)
_STORES = "collections c left join stores s on s.collection = c.id"
_ATTACHED = (
    "coalesce(a.file, d.id) as id, d.id as document, coalesce(f.filename, d.name) as filename, d.status, d.error, d.bytes, "
    "d.attributes, coalesce(a.created, d.updated) as created, a.chunk_tokens, a.overlap_tokens"
)
_DOCUMENTS = "documents d left join attachments a on a.document = d.id left join files f on f.id = a.file"
_BY_PUBLIC_ID = (
    "+d.collection = ? and d.id in (select document from attachments where file = ? union all select ?)"
)
"""The plus keeps SQLite from going through the whole collection, which it takes for the fewer rows."""
_COUNTS = (
    "count(d.id) as total, count(*) filter (where d.status = 'queued') as in_progress, "
    "count(*) filter (where d.status = 'ready') as completed, count(*) filter (where d.status = 'failed') as failed, "
    "count(*) filter (where d.status = 'cancelled') as cancelled"
)


def migrate(db: sqlite3.Connection) -> None:
    """Add what the tables of an earlier version lack."""
    for table, column, kind in (
        ("stores", "expires_days", "integer"),
        ("stores", "active", "real"),
        ("attachments", "chunk_tokens", "integer"),
        ("attachments", "overlap_tokens", "integer"),
    ):
        if column not in {row[1] for row in db.execute(f"pragma table_info({table})")}:
            db.execute(f"alter table {table} add column {column} {kind}")


def holdings(db: sqlite3.Connection) -> tuple[list[tuple[str, str]], list[str]]:
    """Tenant and name of every collection that is no vector store, and tenants with files or vector stores."""
    plain = "select tenant, name from collections where id not in (select collection from stores)"
    tenants = "select tenant from files union select tenant from collections where id in (select collection from stores)"
    return db.execute(plain).fetchall(), [tenant for (tenant,) in db.execute(tenants)]


def add_file(db: sqlite3.Connection, row: Row) -> None:
    """Note an uploaded file; its blob is in place."""
    words = "insert into main.files values (:id, :tenant, :filename, :purpose, :bytes, :sha256, :created)"
    db.execute(words, row | {"filename": sealed(db, "files.filename", row["id"], row["filename"])})


def files(tenant: str, purpose: str | None) -> Listing:
    """The tenant's files."""
    where, values = (
        ("f.tenant = ?", (tenant,))
        if purpose is None
        else ("f.tenant = ? and f.purpose = ?", (tenant, purpose))
    )
    return Listing(
        _FILE, "files f", where, values, ("f.created", "f.id"), "f.tenant = ? and f.id = ?", tenant
    )


def find_files(
    db: sqlite3.Connection, caller: Caller, ids: Collection[str], *, wholly: bool = False
) -> list[Row]:
    """Those of the files that are the tenant's and within the caller's reach."""
    words = f"select {_FILE} from files f where f.id in (select value from json_each(?)) and f.tenant = ?"  # noqa: S608
    found = catalog.rows(db, words, (json.dumps(list(ids)), caller.tenant))
    return within_reach(db, found, caller, wholly=wholly)


def within_reach(
    db: sqlite3.Connection, found: Sequence[Row], caller: Caller, *, wholly: bool = False
) -> list[Row]:
    """Those of the files that lie in no collection, or in one that the caller may use; `wholly`: in none that it may not."""
    if caller.fence is None or not caller.fence.collections:
        return list(found)
    words = (
        "select a.file, c.name from attachments a join documents d on d.id = a.document "
        "join collections c on c.id = d.collection where a.file in (select value from json_each(?))"
    )
    lying: dict[str, list[bool]] = {}
    for file, name in db.execute(words, (json.dumps([row["id"] for row in found]),)):
        lying.setdefault(file, []).append(caller.may_use_collection(name))
    holds = all if wholly else any
    return [row for row in found if row["id"] not in lying or holds(lying[row["id"]])]


def holders(db: sqlite3.Connection, file: str) -> list[tuple[str, str]]:
    """Collection and document of every attachment of the file."""
    words = (
        "select d.collection, d.id from attachments a join documents d on d.id = a.document where a.file = ?"
    )
    return db.execute(words, (file,)).fetchall()


def drop_file(db: sqlite3.Connection, file: str, blobs: Blobs) -> bool:
    """Forget the file, and its bytes when nothing else has the same. False when it was attached again meanwhile."""
    if holders(db, file):
        return False
    for (digest,) in db.execute("delete from main.files where id = ? returning sha256", (file,)).fetchall():
        words = "select exists (select 1 from files where sha256 = ?) or exists (select 1 from documents where sha256 = ?)"
        if not db.execute(words, (digest, digest)).fetchone()[0]:
            blobs.place(digest).unlink(missing_ok=True)
    return True


def add_store(db: sqlite3.Connection, row: CollectionRow, described: Row) -> None:
    """A collection, with what OpenAI's form says of it."""
    catalog.add_collection(db, row)
    describe_store(db, row.id, described)


def describe_store(db: sqlite3.Connection, collection: str, described: Row) -> None:
    """Set name, description, metadata and after how many days without use it expires."""
    words = (
        "insert into main.stores (collection, name, description, metadata, expires_days) "
        "values (:collection, :name, :description, :metadata, :expires_days) on conflict (collection) do update set "
        "name = :name, description = :description, metadata = :metadata, expires_days = :expires_days"
    )
    told = {**described, "metadata": json.dumps(described["metadata"])}
    for name in ("name", "description", "metadata"):
        told[name] = sealed(db, f"stores.{name}", collection, told[name])
    values = {**told, "collection": collection}
    db.execute(words, values)


def note_use(db: sqlite3.Connection, collection: str) -> None:
    """A store that expires was searched now."""
    db.execute("update main.stores set active = ? where collection = ?", (time.time(), collection))


def stores(tenant: str) -> Listing:
    """The tenant's collections as vector stores."""
    return Listing(
        _STORE,
        _STORES,
        "c.tenant = ?",
        (tenant,),
        ("c.created", "c.id"),
        "c.tenant = ? and c.id = 'ir-' || substr(?, 4)",
        tenant,
    )


def find_store(db: sqlite3.Connection, tenant: str, collection: str) -> Row | None:
    """A collection as a vector store, without its counts."""
    words = f"select {_STORE} from {_STORES} where c.id = ? and c.tenant = ?"  # noqa: S608
    return next(iter(with_metadata(catalog.rows(db, words, (collection, tenant)))), None)


def with_metadata(found: Sequence[Row]) -> list[Row]:
    """Rows of stores with their metadata read."""
    return [row | {"metadata": json.loads(row["metadata"])} for row in found]


def counted(db: sqlite3.Connection, found: Sequence[Row]) -> list[Row]:
    """Rows of stores with how many documents each has, in which state, and how many bytes."""
    words = (
        "select coalesce(max(d.updated), 0) as active, coalesce(sum(d.bytes) filter (where d.status = 'ready'), 0) as usage, "  # noqa: S608
        f"{_COUNTS} from documents d where d.collection = ?"
    )
    counts = [catalog.rows(db, words, (row["collection"],))[0] for row in found]
    return [
        row | count | {"active": max(row["created"], count["active"], row["used"] or 0)}
        for row, count in zip(found, counts, strict=True)
    ]


def attach(
    db: sqlite3.Connection,
    tenant: str,
    documents: Sequence[tuple[str, Row, str, Cut]],
    batch: str | None = None,
    collection: str = "",
    owner: Owner | None = None,
) -> None:
    """Write (file, document, job, how it is cut) of each, as one batch when `batch` is given."""
    now = time.time()
    if batch is not None:
        db.execute("insert into batches (id, collection, created) values (?, ?, ?)", (batch, collection, now))
        words = "delete from batches where collection = ? and id not in (select id from batches where collection = ? order by created desc limit ?)"
        db.execute(words, (collection, collection, BATCHES_KEPT))
    for file, document, job, cut in documents:
        catalog_jobs.add_job(db, tenant, document, job, owner)
        words = (
            "insert into attachments (document, file, created, chunk_tokens, overlap_tokens) values (?, ?, ?, ?, ?) "
            "on conflict (document) do update set chunk_tokens = excluded.chunk_tokens, overlap_tokens = excluded.overlap_tokens"
        )
        db.execute(words, (document["id"], file, now, *(cut or (None, None))))
        if batch is not None:
            db.execute("insert or ignore into batch_documents values (?, ?)", (batch, document["id"]))


def files_of(db: sqlite3.Connection, documents: Collection[str]) -> dict[str, dict[str, Any]]:
    """The `filename` and the `attributes` of each document, and the `file_id` of one that is an uploaded file."""
    words = (
        f"select d.id, coalesce(f.filename, d.name), f.id, d.attributes from {_DOCUMENTS} "  # noqa: S608  a name of our own
        "where d.id in (select value from json_each(?))"
    )
    return {
        document: {"filename": name, "attributes": json.loads(attributes)}
        | ({} if file is None else {"file_id": file})
        for document, name, file, attributes in db.execute(words, (json.dumps(list(documents)),))
    }


def attached(collection: str, batch: str | None, status: str | None) -> Listing:
    """The documents of a vector store, or those of a batch; of one status only where one is given."""
    where, values = ["d.collection = ?"], [collection]
    if batch is not None:
        where = ["+d.collection = ?", "d.id in (select document from batch_documents where batch = ?)"]
        values.append(batch)
    if status is not None:
        where.append("d.status = ?")
        values.append(status)
    return Listing(
        _ATTACHED, _DOCUMENTS, " and ".join(where), tuple(values), ("d.rowid",), _BY_PUBLIC_ID, collection
    )


def find_attached(db: sqlite3.Connection, collection: str, id_: str) -> Row | None:
    """The document of a vector store by its file's id, or by its own."""
    words = f"select {_ATTACHED} from {_DOCUMENTS} where {_BY_PUBLIC_ID}"  # noqa: S608
    return next(iter(with_attributes(catalog.rows(db, words, (collection, id_, id_)))), None)


def attached_among(db: sqlite3.Connection, collection: str, documents: Collection[str]) -> list[Row]:
    """Those of the documents that are the vector store's."""
    words = f"select {_ATTACHED} from {_DOCUMENTS} where d.id in (select value from json_each(?)) and +d.collection = ?"  # noqa: S608
    return with_attributes(catalog.rows(db, words, (json.dumps(list(documents)), collection)))


def with_attributes(found: Sequence[Row]) -> list[Row]:
    """Rows of documents with their attributes read."""
    return [row | {"attributes": json.loads(row["attributes"])} for row in found]


def set_attributes(
    db: sqlite3.Connection, collection: str, document: str, attributes: Mapping[str, Any]
) -> None:
    """Replace a document's attributes."""
    told = sealed(db, "documents.attributes", document, json.dumps(attributes))
    db.execute("update main.documents set attributes = ? where id = ?", (told, document))
    catalog.touch(db, collection)


def find_batch(db: sqlite3.Connection, collection: str, batch: str) -> Row | None:
    """A batch with its counts."""
    words = (
        "select b.id, b.created, b.cancelled as stopped, " + _COUNTS + " from batches b "  # noqa: S608 - a constant of ours
        "left join batch_documents m on m.batch = b.id left join documents d on d.id = m.document "
        "where b.collection = ? and b.id = ? group by b.id"
    )
    return next(iter(catalog.rows(db, words, (collection, batch))), None)


def cancel_batch(db: sqlite3.Connection, tenant: str, batch: str) -> None:
    """Stop what the batch has still to do."""
    words = (
        "select id from jobs where tenant = ? and status in ('queued', 'running') "
        "and document in (select document from batch_documents where batch = ?)"
    )
    waiting = db.execute(words, (tenant, batch)).fetchall()
    for (job,) in waiting:
        catalog_jobs.cancel(db, tenant, job)
    if waiting:
        db.execute("update batches set cancelled = 1 where id = ?", (batch,))
