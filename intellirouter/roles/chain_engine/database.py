"""The database of the runs as a whole: where it is, what it lacks, and bringing it to what this version needs."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from intellirouter.chains.runtime.durable import migrating
from intellirouter.chains.runtime.durable.engine import open_engine, sole_owner
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.errors import StateUnavailable
from intellirouter.roles.chain_engine.approvals import links
from intellirouter.roles.chain_engine.edges import arrivals, outbox
from intellirouter.roles.chain_engine.store import METADATA, Store

__all__ = ["arrivals", "lacking", "links", "outbox", "prepare", "url_of"]


def url_of(section: ChainEngineSection, data_dir: Path) -> str:
    """The Postgres that nodes share, or the file of this node."""
    if section.database_url is not None:
        return section.database_url.get_secret_value()
    return f"sqlite:///{data_dir / 'chains.db'}"


def prepare(url: str) -> None:
    """Make the database, or bring it to what this version needs. Blocking.

    Raises `Conflict` while a node runs on a SQLite file, `StateUnavailable` where nobody answers.
    """
    engine = _engine(url)
    try:
        with sole_owner(engine):
            migrating.migrate(engine, url)
            Store(engine).prepare()
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.ProgrammingError) as cause:
        raise StateUnavailable(f"The database of the chains: {_words(cause)}") from cause
    finally:
        engine.dispose()


def lacking(url: str) -> list[str]:
    """What the database lacks; empty where it is as this version needs it. Changes nothing. Blocking."""
    engine = _engine(url)
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file is not None and not Path(file).exists():
        return [f"{file} is not there"]
    try:
        found = [problem] if (problem := migrating.lacking(engine, url)) else []
        there = sa.inspect(engine)
        for table in (*METADATA.sorted_tables, *migrating.own(engine)):
            if not there.has_table(table.name):
                found.append(f"the table {table.name} is not there")
                continue
            known = {column["name"] for column in there.get_columns(table.name)}
            found += [
                f"{table.name} has no column {name}"
                for name in (column.name for column in table.columns)
                if name not in known
            ]
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as cause:
        raise StateUnavailable(f"The database of the chains: {_words(cause)}") from cause
    finally:
        engine.dispose()
    return found


def _engine(url: str) -> sa.Engine:
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_engine(url)


def _words(cause: sa.exc.DBAPIError) -> str:
    lines = str(cause.orig or cause).strip().splitlines()
    return f"{lines[0][:300] if lines else type(cause).__name__}"
