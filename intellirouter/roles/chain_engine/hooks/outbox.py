"""What is still to be delivered to hooks, beside the runs in their database. A tenant is part of every question of a client."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from intellirouter.chains.runtime.durable.sealing import SealedBytes
from intellirouter.roles.chain_engine.store import METADATA

State = Literal["pending", "delivered", "dead"]
MAX_KEPT = 20_000
"""Bytes of a hook's answer, and characters of an error, that are kept."""

_HOOKS = sa.Table(
    "intellirouter_chain_hooks",
    METADATA,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("hook", sa.String(100), nullable=False),
    sa.Column("run_id", sa.String(100), nullable=False),
    sa.Column("tenant", sa.String(200), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next", sa.Float, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("error", sa.String(500)),
    sa.Column("answer", SealedBytes("hooks.answer")),
    sa.Index("intellirouter_chain_hooks_due", "state", "hook", "next"),
    sa.Index("intellirouter_chain_hooks_by_run", "run_id"),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One run, to be told to one hook. `next` is the Unix time of the next attempt; `answer` what the hook said, as JSON."""

    id: str
    hook: str
    run_id: str
    tenant: str
    state: str
    attempts: int
    next: float
    created: float
    error: str | None
    answer: bytes | None

    def shown(self) -> dict[str, Any]:
        """As clients see it."""
        return {
            "id": self.id,
            "object": "chain.delivery",
            "hook": self.hook,
            "run": self.run_id,
            "status": self.state,
            "attempts": self.attempts,
            "created_at": round(self.created, 3),
            "next_attempt_at": round(self.next, 3) if self.state == "pending" else None,
            "error": self.error,
        }


def delivery_id(hook: str, run_id: str) -> str:
    """The same for the same hook and run, whoever writes it down and however often."""
    return f"whk_{hashlib.sha256(f'{hook}/{run_id}'.encode()).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True)
class Outbox:
    """Blocking: call it in a thread."""

    engine: sa.Engine

    def add(self, hooks: Collection[str], run_id: str, tenant: str, what: str = "") -> None:
        """Write down what is to be delivered of a run: its end, or `what` else. What stands there already stays."""
        now = time.time()
        ids = {delivery_id(hook, f"{run_id}{what}"): hook for hook in hooks}
        with self.engine.connect() as connection:
            known = set(connection.execute(sa.select(_HOOKS.c.id).where(_HOOKS.c.id.in_(ids))).scalars())
        for number, hook in ids.items():
            if number in known:
                continue
            row = {
                "id": number,
                "hook": hook,
                "run_id": run_id,
                "tenant": tenant,
                "state": "pending",
                "attempts": 0,
                "next": now,
                "created": now,
            }
            try:
                with self.engine.begin() as connection:
                    connection.execute(_HOOKS.insert().values(row))
            except sa.exc.IntegrityError:
                continue

    def claim(self, hook: str, now: float, until: float, most: int) -> list[Delivery]:
        """Take what is due, at most so many, for this node until a time. Of several nodes one gets each."""
        due = sa.and_(_HOOKS.c.state == "pending", _HOOKS.c.hook == hook, _HOOKS.c.next <= now)
        wanted = sa.select(_HOOKS).where(due).order_by(_HOOKS.c.next).limit(most)
        with self.engine.connect() as connection:
            rows = [Delivery(*row) for row in connection.execute(wanted)]
        taken = []
        with self.engine.begin() as connection:
            for row in rows:
                mine = sa.and_(_HOOKS.c.id == row.id, _HOOKS.c.state == "pending", _HOOKS.c.next == row.next)
                if connection.execute(_HOOKS.update().where(mine).values(next=until)).rowcount:
                    taken.append(row)
        return taken

    def waiting(self, hook: str, now: float) -> tuple[int, float]:
        """How many are due, and since when the oldest is there; now where there is none."""
        due = sa.and_(_HOOKS.c.state == "pending", _HOOKS.c.hook == hook, _HOOKS.c.next <= now)
        with self.engine.connect() as connection:
            row = connection.execute(
                sa.select(sa.func.count(), sa.func.min(_HOOKS.c.created)).where(due)
            ).one()
        return int(row[0]), float(row[1] or now)

    def settle(
        self,
        ids: Sequence[str],
        state: State,
        *,
        attempts: int,
        after: float,
        error: str | None,
        answer: bytes | None,
    ) -> None:
        """Write down what came of an attempt."""
        values = {"state": state, "attempts": attempts, "next": after, "error": error, "answer": answer}
        with self.engine.begin() as connection:
            connection.execute(_HOOKS.update().where(_HOOKS.c.id.in_(ids)).values(values))

    def listed(self, tenant: str, state: str | None, limit: int) -> list[Delivery]:
        """The newest first."""
        wanted = sa.select(_HOOKS).where(_HOOKS.c.tenant == tenant)
        if state is not None:
            wanted = wanted.where(_HOOKS.c.state == state)
        with self.engine.connect() as connection:
            rows = connection.execute(wanted.order_by(_HOOKS.c.created.desc(), _HOOKS.c.id).limit(limit))
            return [Delivery(*row) for row in rows]

    def dead(self, tenant: str, delivery: str | None) -> list[tuple[str, str]]:
        """Those that were given up, or the one of that id: ids of deliveries and of their runs."""
        wanted = sa.select(_HOOKS.c.id, _HOOKS.c.run_id).where(
            _HOOKS.c.tenant == tenant, _HOOKS.c.state == "dead"
        )
        if delivery is not None:
            wanted = wanted.where(_HOOKS.c.id == delivery)
        with self.engine.connect() as connection:
            return [(row.id, row.run_id) for row in connection.execute(wanted)]

    def again(self, tenant: str, deliveries: Sequence[str]) -> int:
        """Let what was given up be tried again; how many."""
        dead = sa.and_(_HOOKS.c.tenant == tenant, _HOOKS.c.state == "dead", _HOOKS.c.id.in_(deliveries))
        values = {"state": "pending", "attempts": 0, "next": time.time(), "error": None}
        with self.engine.begin() as connection:
            return int(connection.execute(_HOOKS.update().where(dead).values(values)).rowcount)

    def answers(self, run_id: str) -> list[dict[str, Any]]:
        """What hooks said of a run."""
        said = sa.and_(_HOOKS.c.run_id == run_id, _HOOKS.c.answer.is_not(None))
        with self.engine.connect() as connection:
            rows = connection.execute(
                sa.select(_HOOKS.c.hook, _HOOKS.c.answer).where(said).order_by(_HOOKS.c.hook)
            )
            return [{"hook": row.hook, "result": msgspec.json.decode(row.answer)} for row in rows]

    def forget(self, run_ids: Sequence[str]) -> None:
        """Delete what belongs to runs that are deleted."""
        with self.engine.begin() as connection:
            connection.execute(_HOOKS.delete().where(_HOOKS.c.run_id.in_(run_ids)))
