"""Runs that wait for a signal: who is asked for what, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from intellirouter.chains.runtime.durable.waits import TABLE, Waiting, waiting
from intellirouter.roles.chain_engine.store import RUNS

MAX_LISTED = 1_000
MAX_PLACES = 100_000
"""Waits of all tenants that are looked through for new ones."""
_CHUNK = 500
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "ok": {"type": "boolean", "title": "Approved"},
        "by": {"type": "string", "title": "Your name", "maxLength": 200},
        "comment": {"type": "string", "title": "Comment", "maxLength": 4000},
    },
    "required": ["ok"],
}
"""What is asked where a `wait` has no form."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A wait of a run."""

    run_id: str
    chain: str
    wait: Waiting

    def shown(self, now: float) -> dict[str, Any]:
        """As clients see it."""
        about = self.wait.about or {}
        assignee, escalated = assigned(about, self.wait.since, now)
        return {
            "object": "chain.approval",
            "run": self.run_id,
            "chain": self.chain,
            "signal": self.wait.signal,
            "step": self.wait.path,
            "title": about.get("title", f"{self.chain}: {self.wait.signal}"),
            "message": about.get("message", ""),
            "assignee": assignee,
            "escalated": escalated,
            "form": about.get("form", FORM),
            "since": round(self.wait.since, 3),
            "until": None if self.wait.until is None else round(self.wait.until, 3),
        }


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run waits for a signal."""

    run_id: str
    path: str
    chain: str
    tenant: str


def assigned(about: Mapping[str, Any], since: float, now: float) -> tuple[str | None, bool]:
    """Who is asked at a time, and whether that is whom it was escalated to."""
    further = about.get("escalate")
    if further and now >= since + float(further["after"]):
        return further["to"], True
    return about.get("assignee"), False


@dataclass(frozen=True, slots=True)
class Inbox:
    """Blocking: call it in a thread."""

    engine: sa.Engine

    def asked(self, tenant: str) -> list[Asked]:
        """The waits of a tenant's runs, the oldest first."""
        wanted = (
            sa.select(RUNS.c.chain, *TABLE.c)
            .join(TABLE, TABLE.c.run_id == RUNS.c.run_id)
            .where(RUNS.c.tenant == tenant, TABLE.c.signal != "")
            .order_by(TABLE.c.since)
            .limit(MAX_LISTED)
        )
        with self.engine.connect() as connection:
            return [Asked(row.run_id, row.chain, waiting(row)) for row in connection.execute(wanted)]

    def places(self) -> list[Place]:
        """Where runs of every tenant wait for a signal."""
        wanted = (
            sa.select(TABLE.c.run_id, TABLE.c.path, RUNS.c.chain, RUNS.c.tenant)
            .join(RUNS, TABLE.c.run_id == RUNS.c.run_id)
            .where(TABLE.c.signal != "")
            .order_by(TABLE.c.since)
            .limit(MAX_PLACES)
        )
        with self.engine.connect() as connection:
            return [Place(*row) for row in connection.execute(wanted)]

    def of(self, run_ids: Sequence[str]) -> list[Asked]:
        """What these runs wait for, of those that wait for a signal."""
        found = []
        with self.engine.connect() as connection:
            for at in range(0, len(run_ids), _CHUNK):
                some = run_ids[at : at + _CHUNK]
                wanted = (
                    sa.select(RUNS.c.chain, *TABLE.c)
                    .join(TABLE, TABLE.c.run_id == RUNS.c.run_id)
                    .where(TABLE.c.run_id.in_(some), TABLE.c.signal != "")
                )
                found += [Asked(row.run_id, row.chain, waiting(row)) for row in connection.execute(wanted)]
        return found
