"""Which runs wait, and for what: written down beside the runs, so that every node says the same of one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

_TABLE = sa.Table(
    "intellirouter_chain_waits",
    sa.MetaData(),
    sa.Column("run_id", sa.String(100), primary_key=True),
    sa.Column("path", sa.String(1000), nullable=False),
    sa.Column("signal", sa.String(100), nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("until", sa.Float),
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a run waits for. `signal` is empty where it sleeps; `until` is the Unix time it waits to at most."""

    path: str
    signal: str
    since: float
    until: float | None


@dataclass(frozen=True, slots=True)
class Waits:
    """Blocking: call it in a thread. A run waits for one thing at a time."""

    engine: sa.Engine

    def prepare(self) -> None:
        """Make the table."""
        _TABLE.create(self.engine, checkfirst=True)

    def note(self, run_id: str, path: str, signal: str, within: float | None) -> None:
        """The run waits from now on. One that is taken over in its wait has waited since it first did."""
        now = time.time()
        until = None if within is None else now + within
        row = {"path": path, "signal": signal, "since": now, "until": until}
        with self.engine.begin() as connection:
            mine = _TABLE.c.run_id == run_id
            found = connection.execute(sa.select(_TABLE.c.path, _TABLE.c.signal).where(mine)).one_or_none()
            if found is None:
                connection.execute(_TABLE.insert().values(run_id=run_id, **row))
            elif tuple(found) != (path, signal):
                connection.execute(_TABLE.update().where(mine).values(row))

    def clear(self, *run_ids: str) -> None:
        """These runs wait no more."""
        with self.engine.begin() as connection:
            connection.execute(_TABLE.delete().where(_TABLE.c.run_id.in_(run_ids)))

    def of(self, run_ids: Sequence[str]) -> dict[str, Waiting]:
        """What each of these runs waits for, of those that do."""
        columns = (_TABLE.c.run_id, _TABLE.c.path, _TABLE.c.signal, _TABLE.c.since, _TABLE.c.until)
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).where(_TABLE.c.run_id.in_(run_ids)))
            return {run_id: Waiting(*facts) for run_id, *facts in rows}
