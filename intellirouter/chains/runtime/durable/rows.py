"""What may stand in the database of runs: every row says by which reader its values are read, and there is one.

dbos reads a row by the name that stands in it, and one of its readers is pickle: whoever writes a row, into an archive or into a
Postgres that nodes share, would choose what code a node runs.
"""

from __future__ import annotations

import sqlalchemy as sa

from intellirouter.counts import counted
from intellirouter.errors import StateError

READER = "portable_json"
COLUMN = "serialization"
SCHEMA = "dbos"


class StrangeRows(StateError):
    """Rows that another reader than ours would have to read."""

    code = "strange_rows"


def check_rows(engine: sa.Engine) -> None:
    """Raises `StrangeRows` that names the table, what stands there, and how many there are. Reads no value."""
    schema = None if engine.dialect.name == "sqlite" else SCHEMA
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        if schema is not None and not inspector.has_schema(schema):
            return
        for name in inspector.get_table_names(schema=schema):
            if COLUMN not in {column["name"] for column in inspector.get_columns(name, schema=schema)}:
                continue
            column: sa.ColumnClause[str | None] = sa.column(COLUMN)
            strange = sa.select(column, sa.func.count()).select_from(sa.table(name, column, schema=schema))
            # none is that of the serializer which this node names, and that is ours
            strange = strange.where(column.is_not(None), column != READER).group_by(column).limit(1)
            if (found := connection.execute(strange).first()) is not None:
                raise refusal(name, str(found[0]), found[1])


def refusal(table: str, reader: str, count: int) -> StrangeRows:
    """What is said of strange rows."""
    return StrangeRows(
        f"{counted(count, 'row')} of the chains' table '{table}' {'wants' if count == 1 else 'want'} to be read as {reader[:40]!r}, which runs what stands in them; "
        f"IntelliRouter writes {READER}. Nothing was read. Find out who wrote them, and delete them."
    )
