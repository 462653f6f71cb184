"""Which runs the centre does not have yet, beside the runs in the edge's own file.

Triggers of SQLite note a run in the transaction that changes it, whoever does so: there is no moment between the two at which a
killed process could forget one. `change` counts the changes of a run, `sent` is the one that the centre has. A node that was no edge
for a while has no triggers; when it is one again, every run of it is compared with the centre once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from intellirouter.chains.runtime.durable.waits import TABLE as WAITS
from intellirouter.roles.chain_engine.line import LINE
from intellirouter.roles.chain_engine.store import METADATA, RUNS

LONGEST_ASIDE = 3600.0
"""Seconds that a run which the centre refuses waits for its next try at most."""
DAY = 86_400.0
_NOW = "cast(strftime('%s', 'now') as real)"
_OVER = "('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')"

OUTBOX = sa.Table(
    "intellirouter_chain_outbox",
    METADATA,
    sa.Column("run_id", sa.String(100), primary_key=True),
    sa.Column("change", sa.BigInteger, nullable=False),
    sa.Column("sent", sa.BigInteger, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("next", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Index("intellirouter_chain_outbox_waiting", "since", sqlite_where=sa.text("change > sent")),
)
GIVEN_UP = sa.Table(
    "intellirouter_chain_outbox_given_up",
    METADATA,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("items", sa.BigInteger, nullable=False),
    sa.Column("last", sa.Float, nullable=False),
)
_WAITING = OUTBOX.c.change > OUTBOX.c.sent
_NAMES = ("run", "run_changed", "begun", "changed", "waits", "waits_no_more")
_NOTE = f"""insert into {OUTBOX.name} (run_id, change, sent, since, next, attempts)
  select {{0}}, 1, 0, {_NOW}, 0, 0 where exists (select 1 from {RUNS.name} where run_id = {{0}} and edge is null)
  on conflict (run_id) do update set since = case when change > sent then since else excluded.since end,
    change = change + 1, next = 0, attempts = 0"""  # noqa: S608  names of ours


def _triggers(*, running: bool) -> dict[str, str]:
    """What notes changes: of runs that have ended, or of all."""
    ended = "" if running else f"when new.status in {_OVER}"
    changed = "new.status <> old.status" if running else f"new.status <> old.status and new.status in {_OVER}"
    made = {
        "run_changed": (
            f"update of cancelled on {RUNS.name}",
            "new.run_id",
            "when new.cancelled is not null",
        ),
        "begun": ("insert on workflow_status", "new.workflow_uuid", ended),
        "changed": ("update of status on workflow_status", "new.workflow_uuid", f"when {changed}"),
    }
    if running:
        made |= {
            "run": (f"insert on {LINE.name}", "new.run_id", ""),  # what is only written down may never begin
            "waits": (f"insert on {WAITS.name}", "new.run_id", ""),
            "waits_no_more": (f"delete on {WAITS.name}", "old.run_id", ""),
        }
    return {
        name: f"CREATE TRIGGER {_trigger(name)} after {event} {when} begin {_NOTE.format(run)}; end"
        for name, (event, run, when) in made.items()
    }


def _trigger(name: str) -> str:
    return f"intellirouter_edge_{name}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How an outbox is: `oldest` is since when the oldest waits, `aside` how many the centre refused, and `why` the last of them; `given_up` were deleted unsent."""

    waiting: int
    oldest: float | None
    aside: int
    why: str
    given_up: int
    given_up_at: float | None


@dataclass(frozen=True, slots=True)
class Outbox:
    """Blocking: call it in a thread."""

    engine: sa.Engine

    def prepare(self, *, running: bool) -> int:
        """Note changes from now on, and what was there before; how many runs wait."""
        wanted = _triggers(running=running)
        with self.engine.begin() as connection:
            there = _there(connection)
            if there != wanted:
                _drop(connection, there)
                for statement in wanted.values():
                    connection.execute(sa.text(statement))
                over = "" if running else f"and workflow_status.status in {_OVER}"
                words = (
                    f"insert into {OUTBOX.name} (run_id, change, sent, since, next, attempts) "  # noqa: S608  names of ours
                    f"select run_id, 1, 0, {_NOW}, 0, 0 from {RUNS.name} left join workflow_status on workflow_uuid = run_id "
                    f"where (cancelled is not null or workflow_uuid is not null {over}) and edge is null "
                    "on conflict (run_id) do update set change = change + 1, next = 0, attempts = 0"
                )
                connection.execute(sa.text(words))
        return self.standing().waiting

    def stop(self) -> None:
        """Note no more: the node is no edge."""
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                there = _there(connection)
            if there:
                with self.engine.begin() as connection:
                    _drop(connection, there)

    def again(self) -> int:
        """Let everything that was sent be sent once more, and what was refused be tried now; how many."""
        with self.engine.begin() as connection:
            aside = connection.execute(OUTBOX.update().where(_WAITING, OUTBOX.c.next > 0).values(next=0))
            done = connection.execute(
                OUTBOX.update().where(~_WAITING).values(change=OUTBOX.c.change + 1, since=time.time())
            )
            return int(aside.rowcount) + int(done.rowcount)

    def due(self, now: float, most: int) -> list[tuple[str, int]]:
        """Runs that wait, those since longest first, with the number of their change."""
        ready = sa.or_(
            OUTBOX.c.next <= now,
            OUTBOX.c.next > now + 2 * LONGEST_ASIDE,  # the clock went back
        )
        wanted = sa.select(OUTBOX.c.run_id, OUTBOX.c.change).where(_WAITING, ready)
        wanted = wanted.order_by(OUTBOX.c.since, OUTBOX.c.run_id).limit(most)
        with self.engine.connect() as connection:
            return [(row.run_id, row.change) for row in connection.execute(wanted)]

    def sent(self, done: Sequence[tuple[str, int]]) -> None:
        """The centre has these changes."""
        with self.engine.begin() as connection:
            for run_id, change in done:
                connection.execute(
                    OUTBOX.update()
                    .where(OUTBOX.c.run_id == run_id, OUTBOX.c.sent < change)
                    .values(sent=change, attempts=0, error=None)
                )

    def overtake(self, run_id: str, version: int) -> None:
        """The centre has something else of a version that this node does not know of: what is said here goes before it."""
        with self.engine.begin() as connection:
            connection.execute(
                OUTBOX.update()
                .where(OUTBOX.c.run_id == run_id, OUTBOX.c.change <= version)
                .values(change=version + 1)
            )

    def put_aside(self, run_id: str, reason: str, now: float) -> None:
        """The centre does not take it: it waits for longer each time, and holds nobody up."""
        mine = OUTBOX.c.run_id == run_id
        with self.engine.begin() as connection:
            attempts = connection.execute(sa.select(OUTBOX.c.attempts).where(mine)).scalar() or 0
            wait = min(LONGEST_ASIDE, 2.0 ** min(attempts, 12))
            values = {"attempts": attempts + 1, "next": now + wait, "error": reason[:500]}
            connection.execute(OUTBOX.update().where(mine).values(values))

    def drop(self, run_ids: Sequence[str]) -> None:
        """These runs are not there any more."""
        with self.engine.begin() as connection:
            connection.execute(OUTBOX.delete().where(OUTBOX.c.run_id.in_(run_ids)))

    def held(self, run_ids: Sequence[str], before: float, most: int) -> set[str]:
        """Those of the runs that the centre does not have; `run_ids` are the oldest of those that started `before`, the oldest first.

        Of those that started before no more than `most` are held: what is above goes, the oldest first.
        """
        late = OUTBOX.join(RUNS, RUNS.c.run_id == OUTBOX.c.run_id)
        with self.engine.connect() as connection:
            waiting = connection.execute(
                sa.select(sa.func.count()).select_from(late).where(_WAITING, RUNS.c.created < before)
            ).scalar_one()
            wanted = sa.select(OUTBOX.c.run_id).where(_WAITING, OUTBOX.c.run_id.in_(run_ids))
            there = set(connection.execute(wanted).scalars())
        mine = [run_id for run_id in run_ids if run_id in there]
        return set(mine[max(0, waiting - most) :])

    def forget(self, run_ids: Sequence[str]) -> int:
        """The runs are deleted; how many of them the centre never got, which is counted for good."""
        mine = OUTBOX.c.run_id.in_(run_ids)
        with self.engine.begin() as connection:
            lost = connection.execute(
                sa.select(sa.func.count()).select_from(OUTBOX).where(mine, _WAITING)
            ).scalar_one()
            connection.execute(OUTBOX.delete().where(mine))
            if lost:
                give_up(connection, "run", lost)
        return int(lost)

    def standing(self) -> Standing:
        """How it is."""
        aside = sa.and_(_WAITING, OUTBOX.c.attempts > 0)
        with self.engine.connect() as connection:
            waiting, oldest = connection.execute(
                sa.select(sa.func.count(), sa.func.min(OUTBOX.c.since)).where(_WAITING)
            ).one()
            refused = connection.execute(
                sa.select(OUTBOX.c.run_id, OUTBOX.c.error)
                .where(aside)
                .order_by(OUTBOX.c.next.desc())
                .limit(1)
            ).first()
            count = connection.execute(
                sa.select(sa.func.count()).select_from(OUTBOX).where(aside)
            ).scalar_one()
            lost = connection.execute(
                sa.select(GIVEN_UP.c["items"], GIVEN_UP.c.last).where(GIVEN_UP.c.kind == "run")
            ).first()
        why = f"{refused.run_id}: {refused.error}" if refused is not None else ""
        return Standing(waiting, oldest, count, why, lost[0] if lost else 0, lost[1] if lost else None)


def give_up(connection: sa.Connection, kind: str, count: int) -> None:
    """Count what is deleted before the centre had it."""
    mine, now = GIVEN_UP.c.kind == kind, time.time()
    more = GIVEN_UP.update().where(mine).values(items=GIVEN_UP.c["items"] + count, last=now)
    if not connection.execute(more).rowcount:
        connection.execute(GIVEN_UP.insert().values(kind=kind, items=count, last=now))


def _there(connection: sa.Connection) -> dict[str, str]:
    """The triggers that there are."""
    names = {_trigger(name): name for name in _NAMES}
    rows = connection.execute(sa.text("select name, sql from sqlite_master where type = 'trigger'"))
    return {names[row.name]: row.sql for row in rows if row.name in names}


def _drop(connection: sa.Connection, there: dict[str, str]) -> None:
    for name in there:
        connection.execute(sa.text(f"drop trigger {_trigger(name)}"))
