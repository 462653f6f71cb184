"""What may stand in the schema of a database that an archive holds.

Triggers and views act by themselves once the file is a node's own: one would take out of the list of ended keys what a node puts
in. Ours are those of the record; what else is there was made by somebody else.
"""

from __future__ import annotations

import contextlib
import sqlite3

from intellirouter.errors import StateError
from intellirouter.records.sqlite.schema import SCHEMA

_ACTIVE = "select type, name, sql from sqlite_schema where type in ('trigger', 'view')"


def check_schema(connection: sqlite3.Connection, store: str) -> None:
    """Raises `StateError` that names what is not ours."""
    strange = set(connection.execute(_ACTIVE))
    if strange and store == "records":
        with contextlib.closing(sqlite3.connect(":memory:")) as ours:
            ours.executescript(SCHEMA)
            strange -= set(ours.execute(_ACTIVE))
    for kind, name, _ in sorted(strange, key=str):
        raise StateError(
            f"the archive's {store} store has a {kind} {str(name)[:80]!r}, which IntelliRouter did not make and which would act "
            "by itself. Nothing was restored."
        )
