"""What was seen of each source, in the catalogue. As `catalog.py`, in the one thread of the engine.

A row of `source_items` has the id of its document. One without a mark was never fetched.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection

from intellirouter.roles.rag_manager.catalog import Row, rows
from intellirouter.roles.rag_manager.sealed_catalog import sealed
from intellirouter.roles.rag_manager.sources.source import Seen

SCHEMA = """
create table if not exists sources (
    name text primary key, started real not null, ended real, outcome text not null, error text, listed integer not null default 0,
    ready integer not null default 0, unchanged integer not null default 0, failed integer not null default 0,
    removed integer not null default 0, held integer not null default 0, troubles text);
create table if not exists source_items (
    id text primary key, source text not null, collection text not null, name text not null, mark text not null default '',
    note text, error text, look integer not null, updated real not null);
create index if not exists source_items_by_source on source_items (source, collection, look);
"""
RUNNING = "running"


def begin(db: sqlite3.Connection, source: str) -> None:
    """A look begins. How the one before went stays until this one is over."""
    db.execute(
        "insert into main.sources (name, started, outcome) values (?, ?, ?) on conflict (name) do update set "
        "started = excluded.started, outcome = excluded.outcome",
        (source, time.time(), RUNNING),
    )


def end(
    db: sqlite3.Connection,
    source: str,
    outcome: str,
    counts: dict[str, int],
    error: str | None,
    troubles: str,
) -> None:
    """The look is over: `ok`, `failed` or `partial`. `troubles` is JSON of what could not be listed."""
    names = ("listed", "ready", "unchanged", "failed", "removed", "held")
    db.execute(
        f"update main.sources set ended = ?, outcome = ?, error = ?, troubles = ?, {', '.join(f'{n} = ?' for n in names)} where name = ?",  # noqa: S608  names of ours
        (
            time.time(),
            outcome,
            sealed(db, "sources.error", source, error),
            sealed(db, "sources.troubles", source, troubles),
            *(counts.get(name, 0) for name in names),
            source,
        ),
    )


def cut_off(db: sqlite3.Connection) -> None:
    """What another process left running was not finished."""
    db.execute("update main.sources set outcome = 'interrupted' where outcome = ?", (RUNNING,))


def states(db: sqlite3.Connection) -> dict[str, Row]:
    """How the last look of each source went, by its name."""
    return {row["name"]: row for row in rows(db, "select * from sources", ())}


def known(db: sqlite3.Connection, source: str, collection: str) -> dict[str, Seen]:
    """By the document's id, what was fetched of it and is still there; without what only the node was to blame for that it was not read."""
    words = (
        "select i.id, i.mark, i.note from source_items i where i.source = ? and i.collection = ? and i.mark <> '' "
        "and exists (select 1 from main.documents d where d.id = i.id) "
        "and not coalesce((select j.passing from main.jobs j where j.document = i.id order by j.created desc limit 1), 0)"
    )
    return {id_: Seen(mark, note or "") for id_, mark, note in db.execute(words, (source, collection))}


def forget_other_collections(db: sqlite3.Connection, source: str, collection: str) -> None:
    """The source went into another collection before, or into one of the name that was dropped."""
    db.execute("delete from main.source_items where source = ? and collection <> ?", (source, collection))


def note(
    db: sqlite3.Connection,
    source: str,
    collection: str,
    id_: str,
    name: str,
    look: int,
    *,
    seen: Seen | None = None,
    error: str | None = None,
) -> None:
    """A document was handed in (`seen`), or could not be fetched (`error`): what was fetched of it before stays."""
    db.execute(
        "insert into main.source_items (id, source, collection, name, mark, note, error, look, updated) values (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "on conflict (id) do update set look = excluded.look, error = excluded.error, updated = excluded.updated, source = excluded.source, "
        "mark = iif(excluded.mark = '', mark, excluded.mark), note = iif(excluded.mark = '', note, excluded.note)",
        (
            *(id_, source, collection, sealed(db, "source_items.name", id_, name)),
            seen.mark if seen else "",
            sealed(db, "source_items.note", id_, seen.note if seen else None),
            sealed(db, "source_items.error", id_, error),
            *(look, time.time()),
        ),
    )


def still_there(db: sqlite3.Connection, ids: Collection[str], look: int) -> None:
    """They were listed with the mark that is known."""
    words = "update main.source_items set look = ?, error = null where id in (select value from json_each(?))"
    db.execute(words, (look, json.dumps(list(ids))))


def gone(
    db: sqlite3.Connection, source: str, collection: str, look: int, limit: int
) -> list[tuple[str, str]]:
    """Id and name of documents that the look did not come upon, some of them."""
    words = "select id, name from source_items where source = ? and collection = ? and look <> ? limit ?"
    return db.execute(words, (source, collection, look, limit)).fetchall()


def count(db: sqlite3.Connection, source: str, collection: str, look: int) -> tuple[int, int]:
    """How many documents are known, and how many of them the look did not come upon."""
    words = "select count(*), count(*) filter (where look <> ?) from main.source_items where source = ? and collection = ?"
    whole, missing = db.execute(words, (look, source, collection)).fetchone()
    return whole, missing


def drop(db: sqlite3.Connection, id_: str) -> None:
    """Its document is removed."""
    db.execute("delete from main.source_items where id = ?", (id_,))


def last_look(db: sqlite3.Connection, source: str) -> int:
    """The number of the last look that noted anything."""
    (number,) = db.execute(
        "select coalesce(max(look), 0) from main.source_items where source = ?", (source,)
    ).fetchone()
    return int(number)


def faults(db: sqlite3.Connection, source: str, limit: int) -> list[Row]:
    """Documents that could not be fetched, or could not be read when they were."""
    words = (
        "select i.name, coalesce(i.error, d.error) as error, i.updated from source_items i left join documents d on d.id = i.id "
        "where i.source = ? and (i.error is not null or d.status = 'failed') order by i.updated limit ?"
    )
    return rows(db, words, (source, limit))


def faulty(db: sqlite3.Connection, source: str) -> int:
    """How many of its documents could not be fetched or read, be that at the last look or at one before."""
    words = (
        "select count(*) from main.source_items i left join main.documents d on d.id = i.id "
        "where i.source = ? and (i.error is not null or d.status = 'failed')"
    )
    (number,) = db.execute(words, (source,)).fetchone()
    return int(number)


def size(db: sqlite3.Connection, source: str) -> int:
    """Documents of it that were handed in."""
    (number,) = db.execute(
        "select count(*) from main.source_items where source = ? and mark <> ''", (source,)
    ).fetchone()
    return int(number)
