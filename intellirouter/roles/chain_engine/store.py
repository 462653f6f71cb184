"""Stored chains and the owners of runs, beside the runs in their database. A tenant is part of every question."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from intellirouter.chains.runtime.durable.engine import making_tables
from intellirouter.chains.runtime.durable.sealing import SealedBytes
from intellirouter.security.caller import Owner

METADATA = sa.MetaData()
CHAINS = sa.Table(
    "intellirouter_chains",
    METADATA,
    sa.Column("tenant", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("document", SealedBytes("chains.document"), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column(
        "revision", sa.Integer
    ),  # of what was stored before there were versions: none, which is the first
    sa.Column("trial", sa.Integer),
    sa.Column("share", sa.Float),
)
RUNS = sa.Table(
    "intellirouter_chain_runs",
    METADATA,
    sa.Column("run_id", sa.String(100), primary_key=True),
    sa.Column("tenant", sa.String(200), nullable=False),
    sa.Column("chain", sa.String(200), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("caller", sa.LargeBinary, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("cancelled", sa.Float),  # while it waited in line
    sa.Column("revision", sa.Integer),
    sa.Column("depth", sa.Integer),
    sa.Column("edge", sa.String(64)),
    sa.Index("intellirouter_chain_runs_by_tenant", "tenant", "created"),
    sa.Index("intellirouter_chain_runs_by_chain", "tenant", "chain", "created"),
)


@dataclass(frozen=True, slots=True)
class StoredChain:
    """A definition as plain data; times are Unix seconds. `revision` is the number of what runs, `trial` of what a `share` (percent) tries."""

    name: str
    document: dict[str, Any]
    created: float
    updated: float
    revision: int = 1
    trial: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """Whose run it is, and of what. `fingerprint` is of the chain's name and the inputs; `caller` is the `Owner` as JSON."""

    run_id: str
    tenant: str
    chain: str
    version: int
    fingerprint: str
    caller: bytes
    created: float
    cancelled: float | None = None
    """When it was cancelled before it had begun."""
    revision: int | None = None
    """Of its chain; None where the run was started before there were versions."""
    depth: int | None = None
    """Runs that started one another down to this one; None: somebody started it."""
    edge: str | None = None
    """The node that it ran on and that forwarded it; None: it is of this installation."""

    def owner(self) -> Owner:
        """Who started it."""
        return msgspec.json.decode(self.caller, type=Owner)


@dataclass(frozen=True, slots=True)
class Store:
    """Blocking: call it in a thread."""

    engine: sa.Engine

    def prepare(self) -> None:
        """Make what is missing of the tables: those of an earlier version lack columns and indexes."""
        with making_tables(self.engine) as connection:
            METADATA.create_all(connection)
            there = sa.inspect(connection)
            for table in METADATA.sorted_tables:
                known = {column["name"] for column in there.get_columns(table.name)}
                for column in table.columns:
                    if column.name not in known:
                        kind = column.type.compile(self.engine.dialect)
                        connection.execute(
                            sa.text(f"alter table {table.name} add column {column.name} {kind}")
                        )
                for index in table.indexes:
                    index.create(connection, checkfirst=True)

    def kept(self, tenant: str) -> tuple[int, int]:
        """How many chains and runs the tenant has."""
        with self.engine.connect() as connection:
            chains, runs = (
                connection.execute(
                    sa.select(sa.func.count()).select_from(table).where(table.c.tenant == tenant)
                ).scalar_one()
                for table in (CHAINS, RUNS)
            )
        return chains, runs

    def get(self, tenant: str, name: str) -> StoredChain | None:
        """One chain."""
        mine = sa.and_(CHAINS.c.tenant == tenant, CHAINS.c.name == name)
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(CHAINS).where(mine)).one_or_none()
        return None if row is None else stored(row)

    def names(self, tenant: str) -> set[str]:
        """What the tenant's chains are called."""
        with self.engine.connect() as connection:
            wanted = sa.select(CHAINS.c.name).where(CHAINS.c.tenant == tenant)
            return set(connection.execute(wanted).scalars())

    def named(self, tenant: str, names: Collection[str]) -> list[StoredChain]:
        """Those of the chains that are there."""
        mine = sa.and_(CHAINS.c.tenant == tenant, CHAINS.c.name.in_(names))
        with self.engine.connect() as connection:
            return [stored(row) for row in connection.execute(sa.select(CHAINS).where(mine))]

    def chains(self, tenant: str) -> list[StoredChain]:
        """Every chain, by name."""
        wanted = sa.select(CHAINS).where(CHAINS.c.tenant == tenant).order_by(CHAINS.c.name)
        with self.engine.connect() as connection:
            return [stored(row) for row in connection.execute(wanted)]

    def delete(self, tenant: str, name: str) -> bool:
        """Forget a chain; runs under way carry their definition and go on. False when there was none."""
        mine = sa.and_(CHAINS.c.tenant == tenant, CHAINS.c.name == name)
        with self.engine.begin() as connection:
            return bool(connection.execute(CHAINS.delete().where(mine)).rowcount)

    def add_run(self, row: RunRow) -> RunRow:
        """Note a run; the row that stands, when there is one of that id already."""
        try:
            with self.engine.begin() as connection:
                connection.execute(
                    RUNS.insert().values({name: getattr(row, name) for name in RUNS.c.keys()})  # noqa: SIM118  columns, not a dict
                )
        except sa.exc.IntegrityError:
            with self.engine.connect() as connection:
                found = connection.execute(sa.select(RUNS).where(RUNS.c.run_id == row.run_id)).one()
            return RunRow(*found)
        return row

    def run(self, run_id: str, tenant: str | None = None) -> RunRow | None:
        """One run; of that tenant, when it is given."""
        wanted = sa.select(RUNS).where(RUNS.c.run_id == run_id)
        if tenant is not None:
            wanted = wanted.where(RUNS.c.tenant == tenant)
        with self.engine.connect() as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else RunRow(*row)

    def runs(
        self,
        tenant: str,
        chain: str | None,
        after: tuple[float, str] | None,
        limit: int,
        revision: int | None = None,
    ) -> list[RunRow]:
        """The newest first; `after` is the last one's time and id."""
        wanted = sa.select(RUNS).where(RUNS.c.tenant == tenant)
        if chain is not None:
            wanted = wanted.where(RUNS.c.chain == chain)
        if revision is not None:
            wanted = wanted.where(RUNS.c.revision == revision)
        if after is not None:  # several may have started at once
            created, run_id = after
            at_once = sa.and_(RUNS.c.created == created, RUNS.c.run_id > run_id)
            wanted = wanted.where(sa.or_(RUNS.c.created < created, at_once))
        wanted = wanted.order_by(RUNS.c.created.desc(), RUNS.c.run_id).limit(limit)
        with self.engine.connect() as connection:
            return [RunRow(*row) for row in connection.execute(wanted)]

    def older(self, than: float, after: tuple[float, str], limit: int) -> list[RunRow]:
        """Runs of every tenant that started before a time, from the oldest on; `after` is the last one's time and id."""
        wanted = sa.select(RUNS).where(
            RUNS.c.created < than,
            sa.tuple_(RUNS.c.created, RUNS.c.run_id) > sa.tuple_(*map(sa.literal, after)),
        )
        wanted = wanted.order_by(RUNS.c.created, RUNS.c.run_id).limit(limit)
        with self.engine.connect() as connection:
            return [RunRow(*row) for row in connection.execute(wanted)]

    def cancel_run(self, run_id: str) -> None:
        """Note that a run was cancelled before it had begun."""
        with self.engine.begin() as connection:
            connection.execute(RUNS.update().where(RUNS.c.run_id == run_id).values(cancelled=time.time()))

    def delete_runs(self, run_ids: Sequence[str]) -> None:
        """Forget whose runs they were."""
        with self.engine.begin() as connection:
            connection.execute(RUNS.delete().where(RUNS.c.run_id.in_(run_ids)))


def plain(name: str) -> str:
    """A name as one part of a path: names that differ never make the same path."""
    return name.replace("%", "%25").replace("/", "%2F")


def stored(row: Any) -> StoredChain:
    """The chain of a row."""
    document = msgspec.json.decode(row.document)
    return StoredChain(row.name, document, row.created, row.updated, row.revision or 1, row.trial, row.share)
