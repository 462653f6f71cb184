"""Vector stores that expire some days after they were last used: by whatever way they are searched."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence

from intellirouter.errors import InvalidRequest
from intellirouter.memory.embedded.engine import Engine
from intellirouter.roles.rag_manager.catalog import CollectionRow
from intellirouter.roles.rag_manager.openai_catalog import counted, find_store, note_use

DAY = 86_400


def is_over(active: float, days: int | None) -> bool:
    """So many days went by since it was last used (Unix time); None: it never expires."""
    return bool(days) and time.time() > active + (days or 0) * DAY


async def used(engine: Engine, collections: Sequence[CollectionRow]) -> None:
    """These are searched now. Raises `InvalidRequest` for one that has expired."""
    places = [(row.tenant, row.id) for row in collections]
    found = await engine.read(lambda db: _expiring(db, places))
    if found:
        await engine.write(lambda db: _note(db, found))


def _expiring(db: sqlite3.Connection, places: Collection[tuple[str, str]]) -> list[str]:
    stores = [
        store for place in places if (store := find_store(db, *place)) is not None and store["expires_days"]
    ]
    for store in counted(db, stores):
        if is_over(store["active"], store["expires_days"]):
            raise InvalidRequest("This vector store has expired.", param="vector_store_id")
    return [store["collection"] for store in stores]


def _note(db: sqlite3.Connection, collections: Collection[str]) -> None:
    for collection in collections:
        note_use(db, collection)
