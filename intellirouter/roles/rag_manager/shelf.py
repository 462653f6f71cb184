"""What each tenant has on this RagManager, and whether there is room for more."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from intellirouter.memory.embedded.engine import Engine
from intellirouter.security.keeping import Keeping

What = Literal["collections", "documents", "files", "rag_bytes"]
_DOCUMENTS = "from documents d join collections c on c.id = d.collection where c.tenant = ?"
_COUNTS: dict[What, str] = {
    "collections": "select count(*) from collections where tenant = ?",
    "documents": f"select count(*) {_DOCUMENTS}",
    "files": "select count(*) from files where tenant = ?",
    "rag_bytes": f"select coalesce(sum(d.bytes), 0) + (select coalesce(sum(bytes), 0) from files where tenant = ?) {_DOCUMENTS}",  # noqa: S608  words of our own
}


@dataclass(frozen=True, slots=True)
class Shelf:
    """The tenants' room in the catalogue."""

    engine: Engine
    keeping: Keeping

    async def room(self, tenant: str, what: What, more: int = 1) -> None:
        """Raises `KeepsTooMuch` unless so many more fit."""

        def counted(db: sqlite3.Connection) -> float:
            words = _COUNTS[what]
            level: float = db.execute(words, (tenant,) * words.count("?")).fetchone()[0]
            return level

        async def count() -> float:
            return await self.engine.read(counted)

        await self.keeping.room(tenant, what, count, more)
