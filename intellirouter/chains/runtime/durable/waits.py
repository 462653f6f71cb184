"""Which runs wait, and for what: written down beside the runs, so that every node says the same of one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from intellirouter.chains.runtime.durable.engine import making_tables
from intellirouter.chains.runtime.durable.rows import SCHEMA
from intellirouter.chains.runtime.durable.sealing import SealedBytes

TABLE = sa.Table(
    "intellirouter_chain_waits",
    sa.MetaData(),
    sa.Column("run_id", sa.String(100), primary_key=True),
    sa.Column("path", sa.String(1000), nullable=False),
    sa.Column("signal", sa.String(100), nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("until", sa.Float),
    sa.Column("about", SealedBytes("waits.about")),
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a run waits for. `signal` is empty where it sleeps; `until` is the Unix time it waits to at most; `about` what whoever is asked is told."""

    path: str
    signal: str
    since: float
    until: float | None
    about: dict[str, Any] | None = None


def waiting(row: Any) -> Waiting:
    """The wait of a row."""
    about = None if row.about is None else msgspec.json.decode(row.about)
    return Waiting(row.path, row.signal, row.since, row.until, about)


@dataclass(frozen=True, slots=True)
class Waits:
    """Blocking: call it in a thread. A run waits for one thing at a time."""

    engine: sa.Engine

    def prepare(self) -> None:
        """Make the table, and what one of an earlier version lacks."""
        with making_tables(self.engine) as connection:
            TABLE.create(connection, checkfirst=True)
            known = {column["name"] for column in sa.inspect(connection).get_columns(TABLE.name)}
            if "about" not in known:
                kind = TABLE.c.about.type.compile(self.engine.dialect)
                connection.execute(sa.text(f"alter table {TABLE.name} add column about {kind}"))

    def note(
        self,
        run_id: str,
        path: str,
        signal: str,
        within: float | None,
        about: Mapping[str, Any] | None = None,
    ) -> bool:
        """The run waits from now on. One that is taken over in its wait has waited since it first did.

        False, and nothing is changed, where it is known to wait elsewhere: it was taken over there, and walks past what is over.
        """
        now = time.time()
        until = None if within is None else now + within
        told = msgspec.json.encode(about) if about else None
        row = {"path": path, "signal": signal, "since": now, "until": until, "about": told}
        with self.engine.begin() as connection:
            mine = TABLE.c.run_id == run_id
            found = connection.execute(sa.select(TABLE.c.path, TABLE.c.signal).where(mine)).one_or_none()
            if found is None:
                connection.execute(TABLE.insert().values(run_id=run_id, **row))
                return True
            return tuple(found) == (path, signal)

    def began(self, run_id: str, number: int) -> float | None:
        """When the run first came to the wait whose last number this is (Unix time), whichever node it was on. dbos notes it with the wait's end."""
        schema = None if self.engine.dialect.name == "sqlite" else SCHEMA
        names = ("workflow_uuid", "function_id", "started_at_epoch_ms")
        steps = sa.table("operation_outputs", *map(sa.column, names), schema=schema)
        mine = (steps.c.workflow_uuid == run_id, steps.c.function_id == number)
        with self.engine.connect() as connection:
            found = connection.execute(sa.select(steps.c.started_at_epoch_ms).where(*mine)).scalar()
        return None if found is None else int(found) / 1000

    def clear(self, *run_ids: str) -> None:
        """These runs wait no more."""
        with self.engine.begin() as connection:
            connection.execute(TABLE.delete().where(TABLE.c.run_id.in_(run_ids)))

    def of(self, run_ids: Sequence[str]) -> dict[str, Waiting]:
        """What each of these runs waits for, of those that do."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(TABLE).where(TABLE.c.run_id.in_(run_ids)))
            return {row.run_id: waiting(row) for row in rows}
