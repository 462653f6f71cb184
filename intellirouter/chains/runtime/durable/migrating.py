"""The tables of dbos in a database: made and brought to what this version needs, or looked at without a change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from dbos import DBOSPortableJSONSerializer
from dbos import error as dbos_error
from dbos._sys_db import SystemDatabase

from intellirouter.chains.runtime.durable import cluster, form
from intellirouter.chains.runtime.durable.waits import TABLE as WAITS
from intellirouter.chains.runtime.durable.waits import Waits


def own(engine: sa.Engine) -> tuple[sa.Table, ...]:
    """Tables of the runtime beside those of dbos: a file is one node's, which has no others to list."""
    return (WAITS, form.TABLE) if engine.dialect.name == "sqlite" else (WAITS, cluster.TABLE, form.TABLE)


def migrate(engine: sa.Engine, url: str) -> None:
    """Make what is missing; a Postgres database that is not there too. Blocking. Raises `NewerFormat`."""
    with _system(engine, url) as system:
        form.check(engine)
        system.run_migrations()
    Waits(engine).prepare()
    cluster.prepare(engine)
    form.note(engine)


def lacking(engine: sa.Engine, url: str) -> str:
    """What dbos lacks here; empty where it lacks nothing. Changes nothing. Blocking."""
    with _system(engine, url) as system:
        try:
            system.verify_migrations()
        except dbos_error.DBOSInitializationError as error:
            return (
                "the tables of dbos are not there" if "does not exist" in str(error) else _version(str(error))
            )
        except sa.exc.SQLAlchemyError as error:
            return str(getattr(error, "orig", None) or error).strip().splitlines()[0][:200]
    return ""


def _version(words: str) -> str:
    """`is at schema version 3, but this version of DBOS requires 9`, in fewer words."""
    _, _, rest = words.partition("is at schema version ")
    return f"dbos's tables are of version {rest.partition('. ')[0][:80]}" if rest else words[:200]


@contextlib.contextmanager
def _system(engine: sa.Engine, url: str) -> Iterator[Any]:
    alone = engine.dialect.name == "sqlite"  # whose settings of a new file are the engine's
    system = SystemDatabase.create(
        system_database_url=url,
        engine_kwargs={"pool_timeout": 30, "max_overflow": 0, "pool_size": 2},
        engine=engine if alone else None,
        schema="dbos",
        serializer=DBOSPortableJSONSerializer(),
        executor_id=None,
    )
    try:
        yield system
    finally:
        if not alone:
            system.destroy()
