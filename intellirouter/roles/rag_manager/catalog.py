"""The catalogue: collections, documents, chunks with their text. The source of truth; `lexical.py` indexes the words, and
`catalog_jobs.py` has the jobs.

Functions take a connection and run in the one thread of `memory.embedded.engine`; `service.py` calls them.
A chunk is written as `NOTED`, then its vector, then it is `SHOWN`: what is shown has its vector. Chunks of a newer version
of a document are `STAGED` until all are there; then, in one step, they are shown and those of the older one are `RETIRED`.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intellirouter.roles.rag_manager import lexical
from intellirouter.roles.rag_manager.filters import Condition
from intellirouter.roles.rag_manager.sealed_catalog import sealed

SCHEMA = (
    """
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
    location text not null, text text not null, ready integer not null default 0, context text not null default '');
create index if not exists chunks_by_document on chunks (document, position);
create index if not exists chunks_by_collection on chunks (collection, ready, document, id);
"""
    + lexical.SCHEMA
)


def widen(db: sqlite3.Connection) -> None:
    """Add what the tables of an earlier version lack."""
    if "context" not in {row[1] for row in db.execute("pragma table_info(chunks)")}:
        db.execute("alter table chunks add column context text not null default ''")


def migrate(db: sqlite3.Connection) -> None:
    """Bring the word indexes of an earlier version up to date."""
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
    """A chunk as it is stored. `context` is what a model wrote of it: it is found by that too, and shown without."""

    id: str
    document: str
    position: int
    title: str
    location: str
    text: str
    context: str = ""


Row = dict[str, Any]
NOTED, SHOWN, STAGED, RETIRED = range(4)
"""What `chunks.ready` says."""


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
        "(select count(*) from chunks k where k.collection = c.id and ready = 1) as chunks "
        "from collections c where tenant = ? order by name",
        (tenant,),
    )


def drop_collection(db: sqlite3.Connection, collection: str) -> None:
    """Everything of it, its jobs too."""
    lexical.drop(db, collection)
    db.execute("delete from main.chunks where collection = ?", (collection,))
    db.execute("delete from main.jobs where collection = ?", (collection,))
    db.execute("delete from main.source_items where collection = ?", (collection,))
    db.execute("delete from main.documents where collection = ?", (collection,))
    db.execute("delete from collections where id = ?", (collection,))


def touch(db: sqlite3.Connection, collection: str) -> None:
    """What was found in the collection before may be found no more."""
    db.execute("update collections set epoch = epoch + 1 where id = ?", (collection,))


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


def bytes_of(db: sqlite3.Connection, document: str) -> int | None:
    """How long a document is; None where there is none of that id."""
    row = db.execute("select bytes from documents where id = ?", (document,)).fetchone()
    return None if row is None else row[0]


def has_document(db: sqlite3.Connection, document: str) -> bool:
    """There is a document of this id."""
    return db.execute("select 1 from documents where id = ?", (document,)).fetchone() is not None


def drop_document(db: sqlite3.Connection, collection: str, document: str) -> None:
    """The document, its chunks and its jobs."""
    lexical.remove(db, collection, list(chunk_states(db, document)))
    for table in ("chunks", "jobs"):
        db.execute(f"delete from main.{table} where document = ?", (document,))  # noqa: S608 - names of ours
    db.execute("delete from main.documents where id = ?", (document,))
    db.execute("update collections set epoch = epoch + 1 where id = ?", (collection,))


def chunk_states(db: sqlite3.Connection, document: str) -> dict[str, int]:
    """Chunk ids of a document, and how far each is."""
    return dict(db.execute("select id, ready from chunks where document = ?", (document,)).fetchall())


def chunk_ids(db: sqlite3.Connection, collection: str) -> list[str]:
    """Chunks of a collection that should have a vector."""
    words = "select id from chunks where collection = ? and ready in (1, 2)"
    return [id_ for (id_,) in db.execute(words, (collection,))]


def chunks_where(db: sqlite3.Connection, collection: str, condition: Condition, most: int) -> list[str]:
    """Ready chunks of the collection's documents that meet the condition; no more than `most` of them."""
    words = (
        "select c.id from documents d join chunks c on c.document = d.id "  # noqa: S608  made of signs, values apart
        f"where d.collection = ? and c.ready = 1 and {condition.sql} limit ?"
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
        "insert into main.chunks (id, collection, document, position, title, location, text, context) select ?, ?, ?, ?, ?, ?, ?, ? "
        "where exists (select 1 from documents where id = ?) on conflict (id) do update set position = excluded.position",
        [(c.id, collection, c.document, c.position, *_texts(db, c), c.document) for c in chunks],
    )
    lexical.add(db, collection, [id_ for id_ in ids if id_ not in known])


def _texts(db: sqlite3.Connection, chunk: ChunkRow) -> list[str | bytes | None]:
    """What a chunk says, as it is written."""
    parts = (
        ("title", chunk.title),
        ("location", chunk.location),
        ("text", chunk.text),
        ("context", chunk.context),
    )
    return [sealed(db, f"chunks.{name}", chunk.id, text) for name, text in parts]


def mark_ready(db: sqlite3.Connection, ids: Sequence[str], state: int = SHOWN) -> set[str]:
    """Their vectors are kept; those that are still listed."""
    words = "update main.chunks set ready = ? where id in (select value from json_each(?)) returning id"
    return {id_ for (id_,) in db.execute(words, (state, json.dumps(list(ids))))}


def publish(
    db: sqlite3.Connection, job: str, collection: str, document: str, places: Mapping[str, int]
) -> bool:
    """Show these chunks of the document at these positions, and no others of it. False when the job is over."""
    if not db.execute("select 1 from jobs where id = ? and status = 'running'", (job,)).fetchone():
        return False
    known = db.execute("select id, position, ready from chunks where document = ?", (document,)).fetchall()
    moved = [
        (places[id_], SHOWN, id_)
        for id_, place, ready in known
        if id_ in places and ready in (SHOWN, STAGED) and (place, ready) != (places[id_], SHOWN)
    ]
    gone = [(place, RETIRED, id_) for id_, place, ready in known if id_ not in places and ready != RETIRED]
    db.executemany("update main.chunks set position = ?, ready = ? where id = ?", [*moved, *gone])
    if moved or gone:
        touch(db, collection)
    return True


def drop_chunks(db: sqlite3.Connection, collection: str, ids: Sequence[str]) -> None:
    """Forget them; their vectors are gone already."""
    lexical.remove(db, collection, ids)
    db.executemany("delete from main.chunks where id = ?", [(id_,) for id_ in ids])


def read_chunks(db: sqlite3.Connection, ids: Collection[str], most: int = SHOWN) -> dict[str, ChunkRow]:
    """Those among `ids` that are shown; with `most` `STAGED` those that are to be, too."""
    words = (
        "select id, document, position, title, location, text, context from chunks "
        "where ready between 1 and ? and id in (select value from json_each(?))"
    )
    return {row[0]: ChunkRow(*row) for row in db.execute(words, (most, json.dumps(list(ids))))}


def states_of(db: sqlite3.Connection, ids: Collection[str]) -> dict[str, int]:
    """How far each of these chunks is."""
    words = "select id, ready from chunks where id in (select value from json_each(?))"
    return dict(db.execute(words, (json.dumps(list(ids)),)).fetchall())


def epoch_of(db: sqlite3.Connection, collection: str) -> int:
    """The collection's epoch now; -1 where it is gone."""
    row = db.execute("select epoch from collections where id = ?", (collection,)).fetchone()
    return int(row[0]) if row else -1


def list_chunks(db: sqlite3.Connection, collection: str, document: str, after: int, limit: int) -> list[Row]:
    """The chunks of the document of that id behind the position `after`, in order."""
    words = (
        "select c.id, c.position, c.title, c.location, c.text, c.context, c.ready from chunks c join documents d on d.id = c.document "
        "where c.collection = ? and d.id = ? and c.position > ? order by c.position limit ?"
    )
    found = rows(db, words, (collection, document, after, limit))
    return [row | {"ready": row["ready"] == SHOWN} for row in found]


def texts_of(db: sqlite3.Connection, document: str, without: str) -> list[str]:
    """The texts of a document's chunks that are shown, in order, but for those that stand at the location `without`."""
    words = "select text from chunks where document = ? and ready = 1 and location <> ? order by position"
    return [text for (text,) in db.execute(words, (document, without))]


def rows(db: sqlite3.Connection, words: str, values: tuple[Any, ...]) -> list[Row]:
    """What a query answers, by column name."""
    return next_rows(db.execute(words, values), -1)


def next_rows(cursor: sqlite3.Cursor, most: int) -> list[Row]:
    """The next of a query's answer, by column name; below zero: all."""
    names = [column[0] for column in cursor.description]
    found = cursor.fetchall() if most < 0 else cursor.fetchmany(most)
    return [dict(zip(names, row, strict=True)) for row in found]
