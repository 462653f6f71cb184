"""What is kept of alerts in the shared store, each kind of writer with a document of its own.

`alerts:state` is written by whoever judges, on the version that it read: who lost the lease meanwhile writes nothing. Silences and
acknowledgements are written by people, the list of processes by each as it comes and goes, what happened by all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from intellirouter.alerts.judge import Alert
from intellirouter.alerts.message import Message
from intellirouter.alerts.notice import Ack, Gathered, Silence
from intellirouter.alerts.sample import Reading
from intellirouter.errors import StateUnavailable
from intellirouter.memory.store import StateStore

STATE, SILENCES, ACKS, MEMBERS, HISTORY = (
    "alerts:state",
    "alerts:silences",
    "alerts:acks",
    "alerts:members",
    "alerts:history",
)
READING = "alerts:reading:"
MAX_SILENCES, MAX_ACKS, MAX_MEMBERS, MAX_HISTORY = 200, 500, 1_000, 500
MAX_KINDS, MAX_HOURS, MAX_OUTBOX = 1_000, 14 * 24, 100
FORGOTTEN_SECONDS = 86_400.0
"""After so long a process that is gone is not missed any more."""
_TRIES = 20

T = TypeVar("T")


class State(msgspec.Struct, omit_defaults=True):
    """All that judging needs to know of before. `judge` is the process that judged last, `heard` are those it heard of.

    `kinds` are kinds of errors and when each was seen last, `fresh` when one was new; `hours` is what was spent in each of the last
    hours, with the number of the hour since 1970.
    """

    alerts: dict[str, Alert] = {}
    waiting: dict[str, Gathered] = {}
    outbox: list[Message] = []
    judge: str = ""
    heard: list[str] = []
    kinds: dict[str, float] = {}
    fresh: dict[str, float] = {}
    hours: list[tuple[int, float]] = []


class Member(msgspec.Struct, frozen=True):
    """A process that measures: of which node, and when it came (Unix seconds)."""

    node: str
    at: float


class Happened(msgspec.Struct, omit_defaults=True):
    """One line of the history."""

    at: float
    what: str
    rule: str = ""
    subject: str = ""
    title: str = ""
    id: str = ""
    severity: str = ""
    value: float = 0.0
    unit: str = ""
    note: str = ""
    by: str = ""


class Board:
    """See the module. Methods raise `StateUnavailable`."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def load(self) -> tuple[State, int]:
        """What is known, and the version to write it on."""
        read = await self._store.get_versioned(STATE)
        return _decoded(read.value, State, State()), read.version

    async def save(self, state: State, version: int) -> bool:
        """False when somebody else wrote meanwhile."""
        return await self._store.put_if(STATE, msgspec.json.encode(state), version) is not None

    async def publish(self, reading: Reading, seconds: float) -> None:
        """What this process measured, good for so long."""
        await self._store.set(
            f"{READING}{reading.process}", msgspec.json.encode(reading), ttl=max(1.0, seconds)
        )

    async def readings(self, processes: Iterable[str]) -> list[Reading]:
        """Of the processes that still live."""
        names = [f"{READING}{process}" for process in processes]
        found = await self._store.get_many(names) if names else []
        return [
            reading
            for value in found
            if value is not None and (reading := _decoded(value, Reading, None)) is not None
        ]

    async def members(self) -> dict[str, Member]:
        """By process."""
        return _decoded(await self._store.get(MEMBERS), dict[str, Member], {})

    async def change_members(self, change: Callable[[dict[str, Member]], None]) -> None:
        """Let a process come or go."""

        def changed(members: dict[str, Member]) -> dict[str, Member]:
            change(members)
            latest = sorted(members.items(), key=lambda one: one[1].at)[-MAX_MEMBERS:]
            return dict(latest)

        await self._change(MEMBERS, dict[str, Member], {}, changed)

    async def silences(self) -> list[Silence]:
        """All that were not taken back, those that are over too."""
        return _decoded(await self._store.get(SILENCES), list[Silence], [])

    async def change_silences(self, change: Callable[[list[Silence]], list[Silence]], now: float) -> None:
        """Those that are over are forgotten."""

        def changed(silences: list[Silence]) -> list[Silence]:
            return change([silence for silence in silences if silence.until > now])[-MAX_SILENCES:]

        await self._change(SILENCES, list[Silence], [], changed)

    async def acks(self) -> dict[str, Ack]:
        """By the id of the alert."""
        return _decoded(await self._store.get(ACKS), dict[str, Ack], {})

    async def change_acks(self, change: Callable[[dict[str, Ack]], None], known: Iterable[str]) -> None:
        """Those of alerts that are not `known` any more are forgotten."""
        kept = set(known)

        def changed(acks: dict[str, Ack]) -> dict[str, Ack]:
            change(acks)
            return dict([(name, ack) for name, ack in acks.items() if name in kept][-MAX_ACKS:])

        await self._change(ACKS, dict[str, Ack], {}, changed)

    async def history(self) -> list[Happened]:
        """The oldest first."""
        return _decoded(await self._store.get(HISTORY), list[Happened], [])

    async def happened(self, lines: list[Happened]) -> None:
        """Add to the history; of too many the oldest go."""
        if lines:
            await self._change(HISTORY, list[Happened], [], lambda before: [*before, *lines][-MAX_HISTORY:])

    async def _change(self, key: str, kind: type[T], empty: T, change: Callable[[T], T]) -> None:
        for _ in range(_TRIES):
            read = await self._store.get_versioned(key)
            value = change(
                _decoded(read.value, kind, msgspec.json.decode(msgspec.json.encode(empty), type=kind))
            )
            if await self._store.put_if(key, msgspec.json.encode(value), read.version) is not None:
                return
        raise StateUnavailable(f"'{key}' is written by too many at once.")


def _decoded(value: bytes | None, kind: type[T], otherwise: T) -> T:
    """What was written by another version of this program, and cannot be read, is begun anew."""
    if value is None:
        return otherwise
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.MsgspecError:
        return otherwise


def line(what: str, alert: Alert, now: float, by: str = "", note: str = "") -> Happened:
    """What happened to an alert."""
    return Happened(
        at=round(now, 3),
        what=what,
        rule=alert.rule,
        subject=alert.subject,
        title=alert.title,
        id=alert.id,
        severity=alert.severity,
        value=alert.value,
        unit=alert.unit,
        note=note or alert.note,
        by=by,
    )


def bounded(values: Mapping[str, float], most: int) -> dict[str, float]:
    """The latest of them."""
    return dict(sorted(values.items(), key=lambda one: one[1])[-most:])
