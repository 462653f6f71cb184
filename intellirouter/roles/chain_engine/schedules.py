"""Schedules: chains that start by the clock. Kept beside the runs; a tenant is part of every question.

A due run has an id made of the schedule and the time, so that of several nodes that see it due only one run comes of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import sqlalchemy as sa
from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from intellirouter.chains.runtime.durable.sealing import SealedBytes
from intellirouter.errors import InvalidRequest
from intellirouter.roles.chain_engine.store import METADATA, plain
from intellirouter.security.caller import Owner

GRACE_SECONDS = 60.0
"""A time that passed longer ago, while no node ran, is left out unless the schedule catches up."""
MAX_CAUGHT_UP = 100
"""Runs at once of a schedule that catches up, the latest times."""

_SCHEDULES = sa.Table(
    "intellirouter_chain_schedules",
    METADATA,
    sa.Column("tenant", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("chain", sa.String(200), nullable=False),
    sa.Column("cron", sa.String(200), nullable=False),
    sa.Column("timezone", sa.String(100), nullable=False),
    sa.Column("inputs", SealedBytes("schedules.inputs"), nullable=False),
    sa.Column("caller", sa.LargeBinary, nullable=False),
    sa.Column("catch_up", sa.Boolean, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("problem", sa.String(500)),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """`cron` has five fields, or six with seconds last; `seen` is the Unix time up to which runs were started.

    `caller` is the `Owner` as JSON; `problem` says why no run came of the last time that was due.
    """

    tenant: str
    name: str
    chain: str
    cron: str
    timezone: str
    inputs: bytes
    caller: bytes
    catch_up: bool
    paused: bool
    seen: float
    problem: str | None = None

    def next(self, after: float) -> float:
        """The first time after a Unix time."""
        times = croniter(self.cron, datetime.fromtimestamp(after, ZoneInfo(self.timezone)))
        while self._again(time := times.get_next(datetime)):
            pass
        return time.timestamp()

    def _again(self, time: datetime) -> bool:
        """An hour that clocks had once already, as they were put back: what names its hour came then (as in Vixie's cron)."""
        hour = self.cron.split()[1] if not self.cron.startswith("@") else self.cron
        local = datetime.fromtimestamp(
            time.timestamp(), ZoneInfo(self.timezone)
        )  # croniter's own fold tells nothing
        return local.fold == 1 and not hour.startswith(("*", "@hourly"))

    def due(self, now: float) -> list[float]:
        """The times since `seen` at which a run is to start, oldest first."""
        if self.paused:
            return []
        since = self.seen if self.catch_up else max(self.seen, now - GRACE_SECONDS)
        most = MAX_CAUGHT_UP if self.catch_up else 1
        # From now backwards: a schedule of every minute has a hundred thousand times in two months.
        start = datetime.fromtimestamp(now, ZoneInfo(self.timezone)) + timedelta(microseconds=1)
        times = croniter(self.cron, start)
        found: list[float] = []
        while len(found) < most and (time := times.get_prev(datetime)).timestamp() > since:
            if not self._again(time):
                found.append(time.timestamp())
        return found[::-1]

    def run_id(self, time: float) -> str:
        """The id of the run of a time, the same on every node."""
        words = f"{plain(self.tenant)}/{plain(self.name)}/{time:.0f}"
        return f"run_{hashlib.sha256(f'schedule {words}'.encode()).hexdigest()[:24]}"

    def owner(self) -> Owner:
        """On whose behalf it runs: who made it."""
        return msgspec.json.decode(self.caller, type=Owner)

    def shown(self, now: float, stopped: str = "") -> dict[str, Any]:
        """As clients see it; `stopped` says why its owner may not act any more."""
        upcoming = None if self.paused else datetime.fromtimestamp(self.next(now), UTC).isoformat()
        return {
            "id": self.name,
            "object": "chain.schedule",
            "chain": self.chain,
            "cron": self.cron,
            "timezone": self.timezone,
            "input": msgspec.json.decode(self.inputs),
            "catch_up": self.catch_up,
            "paused": self.paused,
            "status": "stopped" if stopped else "paused" if self.paused else "active",
            "message": stopped or self.problem,
            "next_at": None if stopped else upcoming,
        }


def checked_times(cron: str, timezone: str) -> None:
    """Raises `InvalidRequest` for a cron expression or a time zone that is none."""
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as cause:
        raise InvalidRequest(f"There is no time zone '{timezone[:60]}'.", param="timezone") from cause
    try:
        croniter(cron, datetime.now(ZoneInfo(timezone))).get_next(datetime)
    except CroniterBadDateError as cause:
        raise InvalidRequest(f"'{cron[:100]}' never comes: there is no such day.", param="cron") from cause
    except (CroniterBadCronError, ValueError) as cause:
        raise InvalidRequest(
            f"'{cron[:100]}' is not a cron expression of five fields, such as '0 7 * * mon-fri'.",
            param="cron",
        ) from cause


@dataclass(frozen=True, slots=True)
class ScheduleStore:
    """Blocking: call it in a thread."""

    engine: sa.Engine

    def kept(self, tenant: str) -> int:
        """How many the tenant has."""
        wanted = sa.select(sa.func.count()).select_from(_SCHEDULES).where(_SCHEDULES.c.tenant == tenant)
        with self.engine.connect() as connection:
            return int(connection.execute(wanted).scalar_one())

    def put(self, schedule: Schedule) -> bool:
        """Make or replace; true when it is new."""
        values = asdict(schedule)
        with self.engine.begin() as connection:
            changed = connection.execute(
                _SCHEDULES.update().where(_mine(schedule.tenant, schedule.name)).values(values)
            )
            if changed.rowcount == 0:
                connection.execute(_SCHEDULES.insert().values(values))
            return changed.rowcount == 0

    def get(self, tenant: str, name: str) -> Schedule | None:
        """One of them."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(_SCHEDULES).where(_mine(tenant, name))).one_or_none()
        return None if row is None else Schedule(*row)

    def all(self, tenant: str | None = None) -> list[Schedule]:
        """A tenant's, or everybody's, by name."""
        wanted = sa.select(_SCHEDULES).order_by(_SCHEDULES.c.tenant, _SCHEDULES.c.name)
        if tenant is not None:
            wanted = wanted.where(_SCHEDULES.c.tenant == tenant)
        with self.engine.connect() as connection:
            return [Schedule(*row) for row in connection.execute(wanted)]

    def change(self, tenant: str, name: str, **values: Any) -> bool:
        """Change columns; false when there is no such schedule."""
        with self.engine.begin() as connection:
            return bool(
                connection.execute(_SCHEDULES.update().where(_mine(tenant, name)).values(values)).rowcount
            )

    def delete(self, tenant: str, name: str) -> bool:
        """False when there was none."""
        with self.engine.begin() as connection:
            return bool(connection.execute(_SCHEDULES.delete().where(_mine(tenant, name))).rowcount)


def _mine(tenant: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(_SCHEDULES.c.tenant == tenant, _SCHEDULES.c.name == name)
