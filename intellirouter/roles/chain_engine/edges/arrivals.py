"""At the centre: takes what edges bring, runs and (`adopting`) rows of the record, each once, and shows the runs among its own.

What an edge says last of a run is what the centre has. A run is known by its edge and the edge's id; one row in the table of runs makes
it appear wherever runs are listed, and what it did stands beside it. An edge is believed as far as its tenants go, and no further:
its documents are read as strangers' are.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
import structlog

from intellirouter.bounds.aside import ASIDE
from intellirouter.bounds.values import CONTAINER, TooLarge, weight
from intellirouter.chains.drawing.bars import bars
from intellirouter.chains.runtime.durable.sealing import SealedText
from intellirouter.config.schema.chain_edges import ChainEdge
from intellirouter.errors import PermissionDenied, RateLimited
from intellirouter.peers.chain_output import used
from intellirouter.peers.edges import FORMAT, MAX_DOCUMENT, PLAIN, Batch, Had, Sent, Taken
from intellirouter.roles.chain_engine.edges.adopting import Adopting
from intellirouter.roles.chain_engine.edges.heavy import too_much
from intellirouter.roles.chain_engine.edges.naming import id_here
from intellirouter.roles.chain_engine.store import METADATA, RUNS, RunRow
from intellirouter.security.caller import Caller, Owner

AT_ONCE = 2
"""Batches of one edge that are taken side by side; the next one is refused with 429."""
MOST_VALUES = 500_000
"""In the document of one run."""
DEEPEST = 500
"""Levels of lists and objects in it: what is deeper could be read, and not written out again where the stack is higher."""

ARRIVED = sa.Table(
    "intellirouter_chain_edge_runs",
    METADATA,
    sa.Column("run_id", sa.String(100), primary_key=True),
    sa.Column("edge", sa.String(64), nullable=False),
    sa.Column("own_id", sa.String(100), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("arrived", sa.Float, nullable=False),
    sa.Column("run", SealedText("edge_runs.run"), nullable=False),
    sa.Column("rest", SealedText("edge_runs.rest"), nullable=False),
    sa.Index("intellirouter_chain_edge_runs_once", "edge", "own_id", unique=True),
)
EDGES = sa.Table(
    "intellirouter_chain_edges",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("heard", sa.Float, nullable=False),
    sa.Column("taken", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("why", sa.Text),
    sa.Column("rows_taken", sa.BigInteger),
    sa.Column("rows_refused", sa.BigInteger),
    sa.Column("rows_why", sa.Text),
)

log = structlog.get_logger(__name__)

_Moment = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=PLAIN)]


class _Run(msgspec.Struct):
    """How the run stands, as the API tells it."""

    chain: _Name
    status: Literal["running", "waiting", "queued", "succeeded", "failed", "cancelled"]
    created_at: _Moment
    version: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    revision: int | None = None
    waiting_for: str | None = None
    waiting_until: float | None = None
    ended_at: _Moment | None = None
    output: Any = None
    error: dict[str, Any] | None = None


class _Error(msgspec.Struct):
    """What is read of an error; whatever else it says is passed on."""

    code: str
    message: str


class _Step(msgspec.Struct):
    """What is read of a step, all of which an edge says; whatever else it says is passed on."""

    number: Annotated[int, msgspec.Meta(ge=0, le=999_999_999)]
    path: Annotated[str, msgspec.Meta(max_length=1_000)]
    kind: str
    outcome: dict[str, Any] | None
    started_at: _Moment | None
    ended_at: _Moment | None


class _Told(msgspec.Struct):
    run: _Run
    owner: Annotated[str, msgspec.Meta(max_length=200)] = ""
    input: dict[str, Any] | None = None
    usage: dict[str, float | int | None] = {}
    steps: list[dict[str, Any]] = []
    definition: dict[str, Any] | None = None
    cut: bool = False


class Rest(msgspec.Struct):
    """What is only looked at, one run at a time."""

    input: dict[str, Any] | None = None
    usage: dict[str, float | int | None] = {}
    steps: list[dict[str, Any]] = []
    definition: dict[str, Any] | None = None
    cut: bool = False


_rest = msgspec.json.Decoder(Rest).decode


@dataclass(frozen=True, slots=True)
class _Checked:
    sent: Sent
    digest: str
    told: _Told


@dataclass(slots=True)
class Arrivals:
    """One a node. `edges` are those of the configuration."""

    engine: sa.Engine
    edges: Mapping[str, ChainEdge]
    rows: Adopting = field(default_factory=lambda: Adopting(None))
    _under_way: dict[str, int] = field(default_factory=dict)

    async def take(self, caller: Caller, batch: Batch, full: Mapping[str, str]) -> Taken:
        """What an edge brings. `full` are tenants that may keep nothing new, and why.

        Raises `PermissionDenied` for a node that is no edge of ours, and `RateLimited` for one that brings too much at once.
        """
        name, edge = caller.key_id, self.edge(caller)
        with self._place(name):
            said: dict[int, Had] = {}
            checked: dict[int, _Checked] = {}
            for place, sent in enumerate(batch.runs):
                if not edge.speaks_for(sent.tenant):
                    said[place] = Had(
                        sent.id, refused=f"this edge may not bring runs of the tenant '{sent.tenant}'"
                    )
                elif await too_much(sent.document, MOST_VALUES):
                    said[place] = Had(sent.id, refused=_TOO_MUCH)
                else:
                    found = await ASIDE.run(f"edge {name}", partial(_checked, sent))
                    if isinstance(found, str):
                        said[place] = Had(sent.id, refused=found)
                    else:
                        checked[place] = found
            refused = list(said.values())
            had = await asyncio.to_thread(self._taken, name, list(checked.values()), full, refused)
            said |= dict(zip(checked, had, strict=True))
            rows, new = await self.rows.take(name, edge, batch.rows)
            if rows:
                await asyncio.to_thread(self._rows_counted, name, rows, new)
        return Taken(FORMAT, tuple(said[place] for place in sorted(said)), tuple(rows))

    def edge(self, caller: Caller) -> ChainEdge:
        """The edge that asks. Raises `PermissionDenied` for a node that is none of ours."""
        found = self.edges.get(caller.key_id)
        if found is None:
            raise PermissionDenied(
                f"This node takes no runs of an edge '{caller.key_id[:64]}' (chain_engine.edges): add it, or mend "
                "chain_engine.centre.name there."
            )
        return found

    @contextlib.contextmanager
    def _place(self, name: str) -> Iterator[None]:
        if self._under_way.get(name, 0) >= AT_ONCE:
            raise RateLimited(f"{AT_ONCE} batches of the edge '{name}' are taken already.", retry_after=2.0)
        self._under_way[name] = self._under_way.get(name, 0) + 1
        try:
            yield
        finally:
            self._under_way[name] -= 1

    def _taken(
        self, edge: str, checked: Sequence[_Checked], full: Mapping[str, str], refused: Sequence[Had]
    ) -> list[Had]:
        """All of them in one transaction. `refused` are others of the batch, which are counted."""
        said: list[Had] = []
        new = 0
        with self.engine.begin() as connection:
            _heard(connection, edge)  # first: from here on batches of one edge come one after another
            for one in checked:
                try:
                    with connection.begin_nested():
                        had, first = _upsert(connection, edge, one, full)
                        said.append(had)
                        new += first
                except (sa.exc.DataError, sa.exc.IntegrityError) as error:  # this one's fault, and no other's
                    log.warning(
                        "chain.edge_run_not_kept", edge=edge, run_id=one.sent.id, error=type(error).__name__
                    )
                    said.append(Had(one.sent.id, later="the database of the centre does not take it"))
            _counted(connection, edge, [*refused, *said], new)
        return said

    def _rows_counted(self, name: str, said: Sequence[Had], new: int) -> None:
        refused = [had for had in said if had.refused or had.later]
        values: dict[str, Any] = {
            "rows_taken": sa.func.coalesce(EDGES.c.rows_taken, 0) + new,
            "rows_refused": sa.func.coalesce(EDGES.c.rows_refused, 0) + len(refused),
        }
        if refused:
            values["rows_why"] = (refused[-1].refused or refused[-1].later)[:500]
        with self.engine.begin() as connection:
            connection.execute(EDGES.update().where(EDGES.c.name == name).values(values))

    # what is shown

    def shown(self, rows: Sequence[RunRow]) -> dict[str, dict[str, Any]]:
        """Those of the runs that edges brought, as clients see them. Blocking."""
        ids = [row.run_id for row in rows if row.edge is not None]
        if not ids:
            return {}
        wanted = sa.select(
            ARRIVED.c.run_id, ARRIVED.c.edge, ARRIVED.c.own_id, ARRIVED.c.arrived, ARRIVED.c.run
        )
        with self.engine.connect() as connection:
            found = list(connection.execute(wanted.where(ARRIVED.c.run_id.in_(ids))))
        return {
            row.run_id: {
                "id": row.run_id,
                "object": "chain.run",
                **msgspec.json.decode(row.run),
                "edge": row.edge,
                "edge_run": row.own_id,
                "arrived_at": round(row.arrived, 3),
            }
            for row in found
        }

    def rest(self, run_id: str) -> Rest:
        """What a run was given and did. Blocking."""
        with self.engine.connect() as connection:
            text = connection.execute(sa.select(ARRIVED.c.rest).where(ARRIVED.c.run_id == run_id)).scalar()
        return Rest() if text is None else _rest(text)

    def since(self, run_ids: Sequence[str], moment: float) -> set[str]:
        """Those of the runs that came, or came anew, after a moment. Blocking."""
        wanted = sa.select(ARRIVED.c.run_id).where(ARRIVED.c.run_id.in_(run_ids), ARRIVED.c.arrived >= moment)
        with self.engine.connect() as connection:
            return set(connection.execute(wanted).scalars())

    def forget(self, run_ids: Sequence[str]) -> None:
        """Delete what belongs to runs that are deleted. Blocking."""
        with self.engine.begin() as connection:
            connection.execute(ARRIVED.delete().where(ARRIVED.c.run_id.in_(run_ids)))

    def heard(self) -> list[dict[str, Any]]:
        """The edges of the configuration, and those that were. Blocking."""
        with self.engine.connect() as connection:
            known = {row.name: row for row in connection.execute(sa.select(EDGES))}
        found = []
        for name in sorted({*self.edges, *known}):
            row = known.get(name)
            found.append(
                {
                    "id": name,
                    "object": "chain.edge",
                    "configured": name in self.edges,
                    "tenants": list(self.edges[name].tenants) if name in self.edges else [],
                    "heard_at": None if row is None else round(row.heard, 3),
                    "taken": 0 if row is None else row.taken,
                    "refused": 0 if row is None else row.refused,
                    "last_refusal": None if row is None else row.why,
                    "rows_taken": 0 if row is None else row.rows_taken or 0,
                    "rows_refused": 0 if row is None else row.rows_refused or 0,
                    "last_row_refusal": None if row is None else row.rows_why,
                }
            )
        return found


_TOO_MUCH = f"its document has more than {MAX_DOCUMENT:,} bytes or {MOST_VALUES:,} values"


def _checked(sent: Sent) -> _Checked | str:
    """The run, or why it is none."""
    try:
        told = msgspec.json.decode(sent.document, type=_Told)
        weight(msgspec.to_builtins(told), MAX_DOCUMENT + CONTAINER * MOST_VALUES, DEEPEST)
        msgspec.convert(told.steps, list[_Step])
        msgspec.convert(told.run.error, _Error | None)
        # what will be made of it when somebody looks
        used(told.steps)
        bars(_seen(told.run), told.steps, time.time(), None)
    except TooLarge as cause:
        return f"its document cannot be read: {cause.message}"
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as cause:
        return f"its document cannot be read: {str(cause)[:300]}"
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as cause:
        return f"its steps cannot be read: {type(cause).__name__} {str(cause)[:200]}"
    return _Checked(sent, sent.digest, told)


def _seen(run: _Run) -> dict[str, Any]:
    return {"id": "", "object": "chain.run", **msgspec.structs.asdict(run)}


def _heard(connection: sa.Connection, name: str) -> None:
    """Note that the edge was heard, which holds its row to the end of the transaction."""
    mine, now = EDGES.c.name == name, time.time()
    while not connection.execute(EDGES.update().where(mine).values(heard=now)).rowcount:
        with contextlib.suppress(sa.exc.IntegrityError), connection.begin_nested():
            connection.execute(EDGES.insert().values(name=name, heard=now, taken=0, refused=0))


def _counted(connection: sa.Connection, name: str, said: Sequence[Had], new: int) -> None:
    """`new` were brought for the first time: what comes again is not taken again."""
    refused = [had for had in said if had.refused or had.later]
    values: dict[str, Any] = {
        "taken": EDGES.c.taken + new,
        "refused": EDGES.c.refused + len(refused),
    }
    if refused:
        values["why"] = f"{refused[-1].id}: {refused[-1].refused or refused[-1].later}"[:500]
    connection.execute(EDGES.update().where(EDGES.c.name == name).values(values))


def _upsert(connection: sa.Connection, edge: str, one: _Checked, full: Mapping[str, str]) -> tuple[Had, bool]:
    """What the centre has of it, and whether it is here for the first time."""
    sent, told, now = one.sent, one.told, time.time()
    run_id = id_here(edge, sent.id)
    wanted = (
        sa.select(ARRIVED.c.version, ARRIVED.c.digest, RUNS.c.tenant)
        .join(RUNS, RUNS.c.run_id == ARRIVED.c.run_id)
        .where(ARRIVED.c.run_id == run_id)
        .with_for_update()
    )
    there = connection.execute(wanted).first()
    if there is not None and there.tenant != sent.tenant:
        return Had(sent.id, refused="this run is of another tenant"), False
    if there is not None and (sent.version <= there.version or one.digest == there.digest):
        if sent.version > there.version:
            connection.execute(
                ARRIVED.update().where(ARRIVED.c.run_id == run_id).values(version=sent.version)
            )
            return Had(sent.id, sent.version, there.digest), False
        return Had(sent.id, there.version, there.digest), False
    if there is None and sent.tenant in full:
        return Had(sent.id, later=full[sent.tenant]), False
    rest = Rest(told.input, told.usage, told.steps, told.definition, told.cut)
    values = {
        "version": sent.version,
        "digest": one.digest,
        "arrived": now,
        "run": msgspec.json.encode(told.run).decode(),
        "rest": msgspec.json.encode(rest).decode(),
    }
    if there is not None:
        connection.execute(ARRIVED.update().where(ARRIVED.c.run_id == run_id).values(values))
        return Had(sent.id, sent.version, one.digest), False
    row = {
        "run_id": run_id,
        "tenant": sent.tenant,
        "chain": told.run.chain,
        "version": told.run.version,
        "fingerprint": "",
        "caller": msgspec.json.encode(Owner(sent.tenant, f"{edge}:{told.owner}"[:200])),
        "created": min(told.run.created_at, now),  # a clock that goes before must not stand above all others
        "edge": edge,
    }
    for table in (RUNS, ARRIVED):  # half of one that was deleted
        connection.execute(table.delete().where(table.c.run_id == run_id))
    connection.execute(RUNS.insert().values(row))
    connection.execute(ARRIVED.insert().values(run_id=run_id, edge=edge, own_id=sent.id, **values))
    return Had(sent.id, sent.version, one.digest), True
