"""The words of models as they come, for those who follow a run, on whichever node they listen and wherever it walks.

The node that walks a run keeps what each of its steps has said so far. A follower on another node leaves a line in the database of the
runs; while it stands there, the walking node writes what was said beside it, some times a second, and where the nodes have a bus passes
each word on at once (`passing`). Nobody follows: nothing is streamed.
What was said is told by its length, so that whoever comes back goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog

from intellirouter.chains.runtime.durable.sealing import SealedText
from intellirouter.roles.chain_engine.passing import RECORDED, Kept, Passing, Words
from intellirouter.roles.chain_engine.store import METADATA

MAX_TEXT = 400_000
"""Characters of one step's words that are kept; what is longer is seen when the step ends."""
FOLLOWED_SECONDS = 10.0
WRITE_SECONDS = 0.25
LINGER_SECONDS = 5.0
"""What a step said is kept so long behind its end: its last words are told before its record is, on every node."""

log = structlog.get_logger(__name__)

_FOLLOWED = sa.Table(
    "intellirouter_chain_followed",
    METADATA,
    sa.Column("run_id", sa.String(100), primary_key=True),
    sa.Column("until", sa.Float, nullable=False),
)
_SAID = sa.Table(
    "intellirouter_chain_said",
    METADATA,
    sa.Column("run_id", sa.String(100), primary_key=True),
    sa.Column("path", sa.String(1000), primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("text", SealedText("live.text"), nullable=False),
    sa.Column("source", sa.String(32)),
)


@dataclass(slots=True)
class Live:
    """One a node. `shared`: other nodes walk runs as well."""

    engine: sa.Engine
    shared: bool
    passing: Passing | None = None
    """None where the nodes have no bus."""
    _here: dict[str, int] = field(default_factory=dict)  # followers on this node, by run
    _elsewhere: dict[str, float] = field(
        default_factory=dict
    )  # runs that another node's followers want, and until when
    _said: dict[str, dict[str, Words]] = field(default_factory=dict)
    _dirty: set[str] = field(default_factory=set)
    _writing: asyncio.Task[None] | None = None
    _stopped: bool = False
    linger: float = LINGER_SECONDS
    _looked: dict[str, tuple[float, dict[str, Kept]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.passing is not None:
            self.passing.said = lambda run_id: self._said.get(run_id, {})

    # the node that walks

    async def followed(self, run_id: str) -> bool:
        """Whether anybody wants the words of a run as they come."""
        if run_id in self._here:
            return True
        if not self.shared:
            return False
        try:
            until = await asyncio.to_thread(self._until, run_id)
        except sa.exc.SQLAlchemyError:  # the database is away: the step's own result is what counts
            return False
        if until > time.time():
            self._elsewhere[run_id] = until
            return True
        return False

    def hear(self, event: str, run_id: str, path: str, facts: Mapping[str, Any]) -> None:
        """What happens to a step."""
        steps = self._said.get(run_id)
        if event == "step_tokens":
            steps = self._said.setdefault(run_id, {})
            attempt, text = steps.get(path, (1, ""))
            if len(text) < MAX_TEXT:
                # half a character, which neither the bus nor the database takes, becomes one sign: places stay where they are
                steps[path] = (attempt, text + facts["text"].encode("utf-8", "replace").decode())
        elif steps is None or path not in steps:
            if event in RECORDED:
                self._pass(run_id, recorded=True)
            return
        elif event in ("step_retry", "step_fallback", "step_started"):  # started: a run that was resumed
            steps[path] = (steps[path][0] + 1, "")
        elif event in ("step_finished", "step_failed"):
            self._later(run_id, path, steps[path][0])
        self._share(run_id, recorded=event in RECORDED)

    def ended(self, run_id: str) -> None:
        """A run walks here no more: what its steps said, those that were cut too, is soon forgotten."""
        for path, (attempt, _) in self._said.get(run_id, {}).items():
            self._later(run_id, path, attempt)
        self._pass(run_id, recorded=True)

    def _later(self, run_id: str, path: str, attempt: int) -> None:
        asyncio.get_running_loop().call_later(self.linger, self._over, run_id, path, attempt)

    def _over(self, run_id: str, path: str, attempt: int) -> None:
        """All who listen have heard what a step said in that attempt."""
        steps = self._said.get(run_id, {})
        if self._stopped or steps.get(path, (0, ""))[0] != attempt:
            return
        del steps[path]
        if not steps:
            del self._said[run_id]
        self._share(run_id)

    def _pass(self, run_id: str, *, recorded: bool) -> None:
        if self.passing is not None and run_id in self._elsewhere and not self._stopped:
            self.passing.news(run_id, recorded=recorded)

    def _share(self, run_id: str, *, recorded: bool = False) -> None:
        """Write down for other nodes' followers, where there are any."""
        self._pass(run_id, recorded=recorded)
        if run_id in self._elsewhere and not self._stopped:
            self._dirty.add(run_id)
            if self._writing is None or self._writing.done():
                self._writing = asyncio.get_running_loop().create_task(self._write(), name="chain words")

    async def _write(self) -> None:
        while self._dirty:
            await asyncio.sleep(WRITE_SECONDS)
            runs, self._dirty = self._dirty, set()
            for run_id in runs:
                said = dict(self._said.get(run_id, {}))
                try:
                    await asyncio.to_thread(self._keep, run_id, said)
                except sa.exc.SQLAlchemyError as error:
                    log.warning("chain.words_not_shared", run_id=run_id, error=type(error).__name__)
                if not said and self._elsewhere.get(run_id, 0.0) < time.time():
                    self._elsewhere.pop(run_id, None)

    # those who follow

    @contextlib.asynccontextmanager
    async def following(self, run_id: str) -> AsyncIterator[None]:
        """The run is followed from this node."""
        self._here[run_id] = self._here.get(run_id, 0) + 1
        if self.passing is not None:
            self.passing.follow(run_id)
        try:
            yield
        finally:
            self._here[run_id] -= 1
            if not self._here[run_id]:
                del self._here[run_id]
                self._looked.pop(run_id, None)
                if self.passing is not None:
                    self.passing.leave(run_id)

    async def said(self, run_id: str, *, walks_here: bool, fresh: bool = False) -> dict[str, Words]:
        """What the steps under way have said, by their paths; `fresh`: by all that the database has of it now."""
        if run_id in self._said or not self.shared or walks_here:
            return dict(self._said.get(run_id, {}))
        if self.passing is None:
            kept = await asyncio.to_thread(self._asked, run_id)
            return {path: (one.attempt, one.text) for path, one in kept.items()}
        looked, kept = self._looked.get(run_id, (0.0, {}))
        if fresh or time.monotonic() - looked > WRITE_SECONDS:
            looked, kept = time.monotonic(), await asyncio.to_thread(self._asked, run_id)
            if run_id in self._here:
                self._looked[run_id] = looked, kept
        return self.passing.joined(run_id, kept)

    async def stop(self) -> None:
        """Write nothing more."""
        self._stopped = True
        if self.passing is not None:
            await self.passing.stop()
        if self._writing is not None and not self._writing.done():
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing

    # in the database; blocking

    def _until(self, run_id: str) -> float:
        with self.engine.connect() as connection:
            found = connection.execute(
                sa.select(_FOLLOWED.c.until).where(_FOLLOWED.c.run_id == run_id)
            ).scalar()
        return found or 0.0

    def _asked(self, run_id: str) -> dict[str, Kept]:
        until = time.time() + FOLLOWED_SECONDS
        with self.engine.begin() as connection:
            mine = _FOLLOWED.c.run_id == run_id
            if not connection.execute(_FOLLOWED.update().where(mine).values(until=until)).rowcount:
                with contextlib.suppress(sa.exc.IntegrityError), connection.begin_nested():
                    connection.execute(_FOLLOWED.insert().values(run_id=run_id, until=until))
            rows = connection.execute(sa.select(_SAID).where(_SAID.c.run_id == run_id))
            return {row.path: Kept(row.source or "", row.attempt, row.text) for row in rows}

    def _keep(self, run_id: str, said: Mapping[str, Words]) -> None:
        source = "" if self.passing is None else self.passing.source
        with self.engine.begin() as connection:
            connection.execute(_SAID.delete().where(_SAID.c.run_id == run_id))
            for path, (attempt, text) in said.items():
                row = {"run_id": run_id, "path": path, "attempt": attempt, "text": text}
                connection.execute(_SAID.insert().values({**row, "source": source}))

    def forget(self, run_ids: list[str]) -> None:
        """Delete what belongs to runs that are deleted."""
        with self.engine.begin() as connection:
            for table in (_FOLLOWED, _SAID):
                connection.execute(table.delete().where(table.c.run_id.in_(run_ids)))
