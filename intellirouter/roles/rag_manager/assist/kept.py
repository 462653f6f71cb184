"""What a model wrote about parts of documents, in the catalogue, by what it was written about. As `catalog.py`, in the one thread of the engine."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping

from intellirouter.roles.rag_manager.sealed_catalog import sealed

SCHEMA = """
create table if not exists assisted (
    id text primary key, document text not null references documents on delete cascade, text text not null);
create index if not exists assisted_by_document on assisted (document);
"""


def known(db: sqlite3.Connection, document: str) -> dict[str, str]:
    """What was written about the document's parts, by the hash of what that was."""
    return dict(db.execute("select id, text from assisted where document = ?", (document,)).fetchall())


def keep(db: sqlite3.Connection, document: str, written: Mapping[str, str]) -> None:
    """Keep more of it; nothing where the document went away meanwhile."""
    db.executemany(
        "insert into main.assisted (id, document, text) select ?, ?, ? "
        "where exists (select 1 from main.documents where id = ?) on conflict (id) do nothing",
        [(id_, document, sealed(db, "assisted.text", id_, text), document) for id_, text in written.items()],
    )


def forget(db: sqlite3.Connection, document: str, used: Collection[str]) -> None:
    """All of the document that its version of now does not use."""
    db.execute(
        "delete from main.assisted where document = ? and id not in (select value from json_each(?))",
        (document, json.dumps(list(used))),
    )
