"""The waiting line of runs: who is started next, in the database of the runs, so that nothing is lost and every node may take from it.

The highest priority goes first; of equals the tenant with the fewest runs under way here, then the one that
was served longest ago, and of a tenant's runs the oldest. A run that a
node takes is started under its own id, so that one that died in between leaves it to another node, and none is started twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from intellirouter.chains.runtime.durable.sealing import SealedBytes
from intellirouter.config.schema.chain_engine import ChainEngineSection, ChainQueue
from intellirouter.errors import IntelliRouterError, InvalidRequest, RateLimited
from intellirouter.roles.chain_engine.store import METADATA, RUNS

LOOK_SECONDS = 1.0
TAKEN_SECONDS = 30.0
"""A node that took a run and has not started it by then is dead."""
IN_LINE = 0.25
"""Seconds between looks at a run that another node may have taken."""
MAX_TENANTS = 10_000
HEADS = 20
"""Runs of each tenant and queue that are looked at for the next ones."""
HEADS_SECONDS = 0.2
"""For how long they are taken from what was seen: to find them, the whole line is read."""
MINUTE = 60.0
DEFAULT = "default"

MOST_PRIORITY = 2**31 - 1
"""What the database takes; that of a key may be higher."""

log = structlog.get_logger(__name__)

LINE = sa.Table(
    "intellirouter_chain_line",
    METADATA,
    sa.Column("run_id", sa.String(100), primary_key=True),
    sa.Column("tenant", sa.String(200), nullable=False),
    sa.Column("queue", sa.String(64), nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("taken", sa.Float, nullable=False),
    sa.Column("body", SealedBytes("line.body"), nullable=False),
    sa.Index("intellirouter_chain_line_order", "priority", "created"),
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run in the line, without what it is started with, which may be large."""

    run_id: str
    tenant: str
    queue: str
    priority: int
    created: float
    taken: float


Start = Callable[[Waiting, bytes], Awaitable[None]]
"""Starts a run, or joins the one of its id, with its body as JSON: its definition, those it calls, its inputs."""


@dataclass(slots=True)
class Line:
    """One a node. `busy` says how many runs do something here."""

    section: ChainEngineSection
    engine: sa.Engine
    busy: Callable[[], int]
    start: Start
    _queues: dict[str, str] = field(default_factory=dict)  # of runs that were started here
    _tenants: dict[str, str] = field(default_factory=dict)
    _starts: dict[str, deque[float]] = field(default_factory=dict)
    _served: dict[str, float] = field(default_factory=dict)  # when a tenant's run was last started here
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: list[Waiting] = field(default_factory=list)
    _seen_until: float = 0.0

    @property
    def used(self) -> bool:
        """Whether runs wait in line at all."""
        section = self.section
        return section.mode != "standalone" or section.max_running is not None or bool(section.queues)

    def checked(self, queue: str | None) -> str:
        """The queue's name. Raises `InvalidRequest` for one that is not configured."""
        if queue is None or queue in self.section.queues:
            return queue or DEFAULT
        known = ", ".join(sorted(self.section.queues)) or "none"
        raise InvalidRequest(
            f"There is no queue '{queue[:60]}' (chain_engine.queues): {known}.", param="queue"
        )

    async def add(self, run_id: str, tenant: str, queue: str, priority: int, body: Mapping[str, Any]) -> None:
        """Put a run at its place in the line. Raises `RateLimited` where the line is full, or the tenant's part of it."""
        priority = max(-MOST_PRIORITY, min(MOST_PRIORITY, priority))
        row = Waiting(run_id, tenant, queue, priority, time.time(), 0.0)
        if not await asyncio.to_thread(self._added, row, msgspec.json.encode(body)):
            raise RateLimited(
                f"{self.section.max_line} runs wait in line (chain_engine.max_line), or {self._most()} of this tenant.",
                retry_after=5.0,
            )
        self._see(row)
        self._news.set()

    def _see(self, row: Waiting) -> None:
        """Keep it among the heads of its tenant and queue if it is one, and then not the last of too many."""
        same = [each for each in self._seen if (each.tenant, each.queue) == (row.tenant, row.queue)]
        if len(same) >= HEADS:
            last = min(same, key=lambda each: (each.priority, -each.created))
            if row.priority <= last.priority:
                return
            self._seen.remove(last)
        self._seen.append(row)

    async def leave(self, run_id: str) -> bool:
        """Take a run out of the line; false when it was not there any more."""
        return await asyncio.to_thread(self._left, run_id)

    async def holds(self, run_id: str) -> bool:
        """Whether a run waits."""
        return await asyncio.to_thread(self._held, run_id)

    async def passed(self, run_id: str) -> None:
        """Return when a run waits in line no more, at whichever node it was taken."""
        while self.used and await self.holds(run_id):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), IN_LINE)

    def unstarted(self, after: float, before: float, limit: int) -> list[str]:
        """Runs that were written down between two times, and neither began nor wait here: their node died in between, and nobody was
        told that they were taken. Blocking."""
        schema = "dbos" if self.engine.dialect.name == "postgresql" else None
        begun = sa.table("workflow_status", sa.column("workflow_uuid"), schema=schema)
        wanted = sa.select(RUNS.c.run_id).where(
            RUNS.c.created.between(after, before),
            RUNS.c.cancelled.is_(None),
            RUNS.c.edge.is_(None),  # what an edge brought began there
            ~sa.exists().where(begun.c.workflow_uuid == RUNS.c.run_id),
            ~sa.exists().where(LINE.c.run_id == RUNS.c.run_id),
        )
        with self.engine.connect() as connection:
            return list(connection.execute(wanted.limit(limit)).scalars())

    def ended(self, run_id: str) -> None:
        """A run of this node ended or waits: its place is free."""
        self._queues.pop(run_id, None)
        self._tenants.pop(run_id, None)
        self._news.set()

    def freed(self) -> None:
        """There may be room."""
        self._news.set()

    def waiting(self, tenant: str) -> list[dict[str, Any]]:
        """How many runs of a tenant wait in each queue, and how many run here; blocking."""
        wanted = sa.select(LINE.c.queue, sa.func.count(), sa.func.min(LINE.c.created))
        wanted = wanted.where(LINE.c.tenant == tenant).group_by(LINE.c.queue)
        with self.engine.connect() as connection:
            waits = {row[0]: (int(row[1]), float(row[2])) for row in connection.execute(wanted)}
        running = Counter(queue for run, queue in self._queues.items() if self._tenants.get(run) == tenant)
        now, found = time.time(), []
        for name in sorted({DEFAULT, *self.section.queues, *waits}):
            count, since = waits.get(name, (0, now))
            limits = self.section.queues.get(name) or ChainQueue()
            found.append(
                {
                    "queue": name,
                    "waiting": count,
                    "longest_wait_seconds": round(now - since, 3),
                    "running_here": running[name],
                    "concurrency": limits.concurrency,
                    "starts_per_minute": limits.starts_per_minute,
                }
            )
        return found

    async def run(self) -> None:
        """Start what there is room for, until cancelled."""
        while self.used:
            self._news.clear()
            try:
                while await self.next():
                    pass
            except sa.exc.SQLAlchemyError as error:  # the database is away: look again
                log.warning("chain.line_waits", error=type(error).__name__)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def next(self) -> bool:
        """Start the next run; false where there is none, or no room."""
        if self.section.max_running is not None and self.busy() >= self.section.max_running:
            return False
        able = [each for each in self._seen if self._room(each.queue)]
        if not able or time.monotonic() > self._seen_until:
            self._seen = await asyncio.to_thread(self._heads, time.time())
            self._seen_until = time.monotonic() + HEADS_SECONDS
            able = [each for each in self._seen if self._room(each.queue)]
        if not able:
            return False
        under_way = Counter(self._tenants.values())
        chosen = min(able, key=lambda each: self._order(each, under_way))
        self._seen.remove(chosen)
        place = (chosen.tenant, chosen.queue)
        body = await asyncio.to_thread(self._took, chosen)
        if body is None or place not in ((each.tenant, each.queue) for each in self._seen):
            self._seen_until = 0.0  # look again: another node takes them too, or there may be more of them
        if body is None:
            return True
        self._queues[chosen.run_id], self._tenants[chosen.run_id] = chosen.queue, chosen.tenant
        self._served[chosen.tenant] = time.monotonic()
        if len(self._served) > MAX_TENANTS:
            del self._served[min(self._served, key=lambda tenant: self._served[tenant])]
        self._starts.setdefault(chosen.queue, deque()).append(time.monotonic())
        try:
            await self.start(chosen, body)
        except IntelliRouterError as error:  # it cannot be started ever: whoever asks for it is told so
            log.warning("chain.run_not_started", run_id=chosen.run_id, reason=error.message)
            self.ended(chosen.run_id)
        await self.leave(chosen.run_id)
        self._moved.set()
        self._moved.clear()
        return True

    def _order(self, each: Waiting, under_way: Counter[str]) -> tuple[float, ...]:
        """What is smallest goes first."""
        served = self._served.get(each.tenant, 0.0)
        return (-each.priority, under_way[each.tenant], served, each.created)

    def _room(self, queue: str) -> bool:
        limits = self.section.queues.get(queue)
        if limits is None:
            return True
        if limits.concurrency is not None and Counter(self._queues.values())[queue] >= limits.concurrency:
            return False
        if limits.starts_per_minute is None:
            return True
        starts = self._starts.setdefault(queue, deque())
        while starts and starts[0] <= time.monotonic() - MINUTE:
            starts.popleft()
        return len(starts) < limits.starts_per_minute

    def _most(self) -> int:
        return max(1, self.section.max_line * 4 // 5)

    def _added(self, row: Waiting, body: bytes) -> bool:
        with self.engine.begin() as connection:
            count = sa.select(sa.func.count()).select_from(LINE)
            whole = int(connection.execute(count).scalar() or 0)
            if whole >= self.section.max_line:
                return False
            if whole >= self._most():  # else nobody can have so many
                own = connection.execute(count.where(LINE.c.tenant == row.tenant)).scalar()
                if int(own or 0) >= self._most():
                    return False
            values = {name: getattr(row, name) for name in Waiting.__slots__}
            if (
                connection.execute(sa.select(LINE.c.run_id).where(LINE.c.run_id == row.run_id)).scalar()
                is None
            ):
                connection.execute(LINE.insert().values(**values, body=body))
        return True

    def _left(self, run_id: str) -> bool:
        with self.engine.begin() as connection:
            return bool(connection.execute(LINE.delete().where(LINE.c.run_id == run_id)).rowcount)

    def _held(self, run_id: str) -> bool:
        with self.engine.connect() as connection:
            wanted = sa.select(LINE.c.run_id).where(LINE.c.run_id == run_id)
            return connection.execute(wanted).scalar() is not None

    def _heads(self, now: float) -> list[Waiting]:
        """The first few of every tenant and queue."""
        place = sa.func.row_number().over(
            partition_by=(LINE.c.tenant, LINE.c.queue), order_by=(LINE.c.priority.desc(), LINE.c.created)
        )
        free = (
            sa.select(LINE.c.run_id, place.label("place"))
            .where(LINE.c.taken < now - TAKEN_SECONDS)
            .subquery()
        )
        parts = [LINE.c[name] for name in Waiting.__slots__]
        wanted = sa.select(*parts).join(free, free.c.run_id == LINE.c.run_id).where(free.c.place <= HEADS)
        with self.engine.connect() as connection:
            return [Waiting(*row) for row in connection.execute(wanted)]

    def _took(self, row: Waiting) -> bytes | None:
        """What it is started with; None where another node has it."""
        mine = sa.and_(LINE.c.run_id == row.run_id, LINE.c.taken == row.taken)
        with self.engine.begin() as connection:
            if not connection.execute(LINE.update().where(mine).values(taken=time.time())).rowcount:
                return None
            body: bytes = connection.execute(
                sa.select(LINE.c.body).where(LINE.c.run_id == row.run_id)
            ).scalar_one()
            return body
