"""The task of a node: it measures, and where it holds the lease it judges for all and has the messages sent."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from intellirouter.alerts import habit
from intellirouter.alerts.board import (
    FORGOTTEN_SECONDS,
    MAX_HISTORY,
    MAX_OUTBOX,
    Board,
    Happened,
    Member,
    State,
    line,
)
from intellirouter.alerts.channels.delivery import Delivery
from intellirouter.alerts.judge import Change, judge
from intellirouter.alerts.message import Message
from intellirouter.alerts.notice import Ack, Policy, Silence, due, gather
from intellirouter.alerts.rule import Rule
from intellirouter.alerts.sample import Reading, Sample, bounded, merged
from intellirouter.errors import StateError, StateUnavailable
from intellirouter.memory.store import Lease, StateStore
from intellirouter.telemetry.light import LightCounter

LEASE = "alerts"
MISSED = 3
"""Looks that a process may miss before it is taken for gone, and the lease with it."""
LEAST_SECONDS = 5.0
REJOIN_SECONDS = 3_600.0
STAND_IN = 10
"""How many times its patience a process waits for whoever judged last, before it tells what it sees without the store."""

log = structlog.get_logger(__name__)

Measure = Callable[[float], Awaitable[Sequence[Sample]]]
"""What this process sees at a moment."""
Expected = dict[str, tuple[str, float]]
"""By process its node, and when it said last that it is there."""


@dataclass(slots=True)
class Watch:
    """One a process. `node` names the machine and its port, `process` this start of it."""

    store: StateStore
    board: Board
    delivery: Delivery
    measure: Measure
    node: str
    process: str
    firing: LightCounter
    rules: Mapping[str, Rule] = field(default_factory=dict)
    policy: Policy = field(default_factory=lambda: Policy({}))
    interval: float = 15.0
    clock: Callable[[], float] = time.time
    _state: State | None = None
    _silences: list[Silence] = field(default_factory=list)
    _acks: dict[str, Ack] = field(default_factory=dict)
    _adrift: bool = False  # what was judged last could not be written
    _unwritten: list[Happened] = field(default_factory=list)
    _joined: float = 0.0
    _lease: Lease | None = None
    _reached: float = 0.0  # when the store was asked for the lease last, and answered
    _away: float = 0.0  # since when it does not
    _tells: bool = False  # while it does not: whether this process held the lease then
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def patience(self) -> float:
        """How long something is good that was not said again."""
        return max(LEAST_SECONDS, MISSED * self.interval)

    def configure(self, rules: Mapping[str, Rule], policy: Policy, interval: float) -> None:
        """Judge by these from the next look on."""
        self.rules, self.policy, self.interval = rules, policy, interval
        self._news.set()

    async def aclose(self) -> None:
        """End what is being sent, and leave the others word."""
        await self.delivery.aclose()
        if not self._joined:
            return
        with contextlib.suppress(StateError, TimeoutError):
            async with asyncio.timeout(LEAST_SECONDS):
                await self.board.change_members(self._leave)
                if self._lease is not None:
                    await self.store.release(self._lease)

    def _leave(self, members: dict[str, Member]) -> None:
        members.pop(self.process, None)

    async def run(self) -> None:
        """Look, until cancelled."""
        self.delivery.done = self._news.set
        last = -self.interval
        samples: tuple[Sample, ...] = ()
        while True:
            try:
                now = self.clock()
                if time.monotonic() - last >= self.interval:
                    last = time.monotonic()
                    samples = bounded(await self.measure(now))
                await self.look(samples, now)
            except StateError as error:
                log.info("alerts.not_judged", reason=error.message)
            except Exception:  # one bad look must not end all later ones
                log.exception("alerts.look_crashed")
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.05, self.interval - (time.monotonic() - last))):
                    await self._news.wait()

    async def look(self, samples: Sequence[Sample], now: float) -> None:
        """One round: say what was measured, and judge where it is this process' turn."""
        own = Reading(self.node, self.process, now, tuple(samples))
        try:
            if self.store.health().status == "degraded":
                raise StateUnavailable("the shared store is away")
            await self._join(now)
            await self.board.publish(own, self.patience)
            self._lease = await self.store.acquire(LEASE, self.process, self.patience)
            self._reached, self._away = now, 0.0
            await self._remember()
            members = await self.board.members() if self._lease is not None else {}
            others = [process for process in members if process != self.process]
            readings = [own, *await self.board.readings(others)]
        except StateUnavailable:
            await self._alone(own, now)
            return
        if self._lease is not None:
            expected = {process: (member.node, member.at) for process, member in members.items()}
            await self._judge(readings, now, expected)

    async def _join(self, now: float) -> None:
        if now - self._joined < REJOIN_SECONDS:
            return

        def change(members: dict[str, Member]) -> None:
            for name in [name for name, one in members.items() if now - one.at > FORGOTTEN_SECONDS]:
                del members[name]
            members[self.process] = Member(self.node, now)

        await self.board.change_members(change)
        self._joined = now

    async def _remember(self) -> None:
        """What must be known here should the store go away."""
        if not self._adrift:
            self._state, _ = await self.board.load()
        self._silences, self._acks = await self.board.silences(), await self.board.acks()

    async def _alone(self, own: Reading, now: float) -> None:
        """Without the store whoever held the lease judges, by what it sees itself, and after a while one that stands in."""
        if not self._away:
            self._away = now
            # a lease that ran out unnoticed, while this process was held up, may be another's by now
            self._tells = self._lease is not None and now - self._reached <= self.patience
        if self._tells or self._stands_in(now):
            await self._judge([own], now, None)

    def _stands_in(self, now: float) -> bool:
        """Whether this process speaks for one that may have gone together with the store: none can ask another, so it is the first by name."""
        state = self._state
        if state is None or not state.heard:
            return True  # it came while the store was away
        if now - self._away < STAND_IN * self.patience:
            return False
        others = [process for process in state.heard if process != state.judge]
        return not others or min(others) == self.process

    async def _judge(self, readings: list[Reading], now: float, expected: Expected | None) -> None:
        state, version = await self._known()
        figures = merged(self.rules, readings)
        if expected is not None:
            state.judge, state.heard = self.process, [reading.process for reading in readings]
            habit.spend_habit(state, figures, now)
            habit.lost_nodes(expected, readings, figures, now)
        habit.new_errors(state, figures, now)
        figures = {key: figure for key, figure in figures.items() if key[0] in self.rules}
        changes = judge(self.rules, figures, state.alerts, now, partial=expected is None)
        gather(self.policy, state.alerts, changes, self._silences, self._acks, state.waiting, now)
        lines = [line(change.what, change.alert, now) for change in changes]
        lines += self._posted(state, now)
        if not await self._kept(state, version, alone=expected is None):
            return  # another process judges now
        self._say(changes, state)
        self.delivery.start(state.outbox, now)
        self._unwritten = [*self._unwritten, *lines][-MAX_HISTORY:]
        with contextlib.suppress(StateUnavailable):
            await self.board.happened(self._unwritten)
            self._unwritten = []

    async def _known(self) -> tuple[State, int]:
        """What was judged last, here where it could not be written, and the version to write it on."""
        try:
            state, version = await self.board.load()
        except StateUnavailable:
            return self._state or State(), 0
        return (self._state, version) if self._adrift and self._state is not None else (state, version)

    async def _kept(self, state: State, version: int, *, alone: bool) -> bool:
        """Write it down; where nothing can be written it is told all the same, and written later."""
        try:
            written = await self.board.save(state, version)
        except StateUnavailable:
            written, self._adrift = True, True
        else:
            self._adrift = alone and not written  # what is remembered here of the store may be older
            written = written or alone
        if written:
            self._state = state
            self.delivery.settled()
        return written

    def _posted(self, state: State, now: float) -> list[Happened]:
        """Bring the outbox up to date; what of it is given up."""
        lines = [
            Happened(at=now, what="not told", title=one.channel, id=one.id, note=one.error)
            for one in self.delivery.settle(state.outbox, now)
        ]
        for channel, items in due(self.policy, state.waiting, now).items():
            state.outbox.append(Message(f"alm_{secrets.token_hex(8)}", channel, now, items))
        dropped = [state.outbox.pop(0) for _ in range(max(0, len(state.outbox) - MAX_OUTBOX))]
        lines += [
            Happened(at=now, what="not told", title=one.channel, id=one.id, note="too many messages wait")
            for one in dropped
        ]
        return lines

    def _say(self, changes: Sequence[Change], state: State) -> None:
        count = Counter(alert.severity for alert in state.alerts.values() if alert.firing)
        for severity in ("warning", "critical"):
            self.firing.labels(severity).value = float(count[severity])
        for change in changes:
            alert = change.alert
            log.warning(
                "alert",
                what=change.what,
                rule=alert.rule,
                subject=alert.subject,
                severity=alert.severity,
                value=round(alert.value, 4),
                id=alert.id,
            )
