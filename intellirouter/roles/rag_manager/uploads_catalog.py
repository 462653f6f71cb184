"""Files that come in parts: what is there of each until it is whole. Functions run in the engine's thread, as those of `catalog.py`."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from intellirouter.roles.rag_manager import catalog
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.sealed_catalog import sealed

SECONDS = 3600
"""How long an upload waits for its parts."""
ENDED = 1_000
"""Of a tenant that are told of after they ended."""
MAX_PARTS = 10_000
"""Of one file."""
AGAIN = 2
"""Times the size of the file, and the parts of a file, that parts may come to: one that broke off comes again."""
PENDING = 16
"""Uploads of a tenant that wait at once."""
SCHEMA = """
create table if not exists uploads (
    id text primary key, tenant text not null, filename text not null, purpose text not null, bytes integer not null,
    created real not null, status text not null default 'pending', file text);
create index if not exists uploads_by_tenant on uploads (tenant, created);
create table if not exists upload_parts (
    id text primary key, upload text not null references uploads on delete cascade, bytes integer not null);
create index if not exists upload_parts_by_upload on upload_parts (upload);
"""


def add_upload(db: sqlite3.Connection, row: Row) -> bool:
    """False when the tenant has too many that wait."""
    words = "select count(*) from uploads where tenant = ? and status = 'pending'"
    if db.execute(words, (row["tenant"],)).fetchone()[0] >= PENDING:
        return False
    words = (
        "delete from main.uploads where tenant = :tenant and status <> 'pending' and id not in (select id from uploads "
        "where tenant = :tenant and status <> 'pending' order by created desc limit :most)"
    )
    db.execute(words, {"tenant": row["tenant"], "most": ENDED})
    words = (
        "insert into main.uploads (id, tenant, filename, purpose, bytes, created) "
        "values (:id, :tenant, :filename, :purpose, :bytes, :created)"
    )
    db.execute(words, row | {"filename": sealed(db, "uploads.filename", row["id"], row["filename"])})
    return True


def find_upload(db: sqlite3.Connection, tenant: str, upload: str) -> Row | None:
    """The tenant's of that id, with how many bytes came."""
    words = (
        "select u.*, (select coalesce(sum(bytes), 0) from upload_parts p where p.upload = u.id) as came "
        "from uploads u where u.id = ? and u.tenant = ?"
    )
    return next(iter(catalog.rows(db, words, (upload, tenant))), None)


def add_part(db: sqlite3.Connection, upload: str, part: str, size: int, most: int) -> bool:
    """False when the upload waits no more, or would have come to more than `most` bytes or `AGAIN` times the parts of a file."""
    words = "select coalesce(sum(bytes), 0), count(*) from upload_parts where upload = ?"
    came, parts = db.execute(words, (upload,)).fetchone()
    if parts >= AGAIN * MAX_PARTS:
        return False
    words = "select 1 from uploads where id = ? and status = 'pending'"
    if came + size > most or db.execute(words, (upload,)).fetchone() is None:
        return False
    db.execute("insert into upload_parts values (?, ?, ?)", (part, upload, size))
    return True


def parts_of(db: sqlite3.Connection, upload: str) -> dict[str, int]:
    """Bytes of each part by its id."""
    return dict(db.execute("select id, bytes from upload_parts where upload = ?", (upload,)).fetchall())


def all_parts(db: sqlite3.Connection) -> set[str]:
    """The ids of the parts of every upload that waits."""
    return {part for (part,) in db.execute("select id from upload_parts")}


def end(db: sqlite3.Connection, upload: str, status: str, file: str | None = None) -> list[str] | None:
    """It waits no more; the ids of its parts, to be removed. None when it did not wait."""
    words = "update main.uploads set status = ?, file = ? where id = ? and status = 'pending'"
    if db.execute(words, (status, file, upload)).rowcount == 0:
        return None
    return _forget_parts(db, [upload])


def expire(db: sqlite3.Connection) -> list[str]:
    """End those that waited too long, and forget what ended a day ago; the ids of parts to be removed."""
    now = time.time()
    db.execute("delete from main.uploads where status <> 'pending' and created < ?", (now - 24 * SECONDS,))
    words = "update main.uploads set status = 'expired' where status = 'pending' and created < ? returning id"
    return _forget_parts(db, [id_ for (id_,) in db.execute(words, (now - SECONDS,)).fetchall()])


def _forget_parts(db: sqlite3.Connection, uploads: Sequence[str]) -> list[str]:
    words = "delete from upload_parts where upload = ? returning id"
    return [part for upload in uploads for (part,) in db.execute(words, (upload,)).fetchall()]
