"""The format of the database of runs: raised by a node that migrates, and refused by one that is older."""

from __future__ import annotations

import sqlalchemy as sa

from intellirouter.chains.runtime.durable.engine import making_tables
from intellirouter.errors import NewerFormat

VERSION = 1
"""Of all tables beside those of dbos. It is raised with a change that an older version would read wrongly: not for one more column."""
TABLE = sa.Table(
    "intellirouter_format",
    sa.MetaData(),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
)


def check(engine: sa.Engine) -> None:
    """Raise `NewerFormat` where a newer version was here; changes nothing. Blocking."""
    if not sa.inspect(engine).has_table(TABLE.name):
        return
    with engine.connect() as connection:
        found = connection.execute(sa.select(sa.func.max(TABLE.c.version))).scalar()
    if found is not None and found > VERSION:
        raise NewerFormat(f"The database of the chains ({engine.url.database})", found, VERSION)


def note(engine: sa.Engine) -> None:
    """Write down that this version was here. Blocking."""
    with making_tables(engine) as connection:
        TABLE.create(connection, checkfirst=True)
        known = connection.execute(sa.select(TABLE.c.version)).scalars().all()
        if VERSION not in known:
            connection.execute(sa.insert(TABLE).values(version=VERSION))
