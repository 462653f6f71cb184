"""Words of models from the node that walks a run to those where somebody follows it, over the bus of the nodes, as they are said.

The database has them too, some times a second (`live`), and is what counts: a message that is lost, or came before anybody listened,
leaves a gap that is filled from there. So a message says where in which attempt its words stand, and which node said them.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import structlog

from intellirouter import tasks
from intellirouter.errors import StateError
from intellirouter.memory.store import Event, StateStore
from intellirouter.security.sealing import NotOpened, Sealer

CHANNEL = "chain_words:"
PURPOSE, PLACE = "chains", "live.passed"
MOST_AT_ONCE = 32_768
"""Characters of one step in one message."""
AGAIN_SECONDS = 1.0
LINGER_SECONDS = 5.0
"""Listening goes on so long behind the last who follows."""
OVER = -1
"""The attempt of a step whose words are forgotten."""
RECORDED = frozenset({"step_finished", "step_failed", "step_waited"})
"""What is heard a moment before it is recorded."""

Words = tuple[int, str]
"""The attempt, and what was said in it so far."""

log = structlog.get_logger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """What the database has of a step's words, and the node that wrote it."""

    source: str
    attempt: int
    text: str


class _Part(msgspec.Struct, array_like=True):
    path: str
    attempt: int
    offset: int
    text: str


class _Message(msgspec.Struct, array_like=True):
    """`recorded`: something of the run is about to be recorded."""

    source: str
    parts: list[_Part]
    recorded: bool = False


@dataclass(slots=True)
class _Tail:
    """The words of a step from `start` on, without a gap."""

    source: str
    attempt: int
    start: int
    text: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Message).decode


def _nobody(_run_id: str, _recorded: bool) -> None:
    """Nobody follows."""


def _nothing(_run_id: str) -> Mapping[str, Words]:
    return {}


@dataclass(slots=True)
class Passing:
    """One a node. `said` tells what a run's steps have said here; `heard` is told when there is news of a run that another node walks."""

    bus: StateStore
    sealer: Sealer | None = None
    source: str = field(default_factory=lambda: secrets.token_hex(8))
    said: Callable[[str], Mapping[str, Words]] = _nothing
    heard: Callable[[str, bool], None] = _nobody
    linger: float = LINGER_SECONDS
    _due: dict[str, bool] = field(
        default_factory=dict
    )  # runs of which there is news, and whether of a record
    _passed: dict[str, dict[str, tuple[int, int]]] = field(
        default_factory=dict
    )  # attempt and length, by path
    _sending: asyncio.Task[None] | None = None
    _listening: asyncio.Task[None] | None = None
    _followed: dict[str, dict[str, _Tail]] = field(default_factory=dict)

    # the node that walks

    def news(self, run_id: str, *, recorded: bool) -> None:
        """Something was said in a run that is followed elsewhere. What comes while a message is on its way goes with the next."""
        self._due[run_id] = recorded or self._due.get(run_id, False)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send(), name="chain words passed")

    async def _send(self) -> None:
        while self._due:
            run_id = next(iter(self._due))  # the first that had news: none waits for a talkative one
            recorded = self._due.pop(run_id)
            message = _Message(self.source, self._parts(run_id), recorded)
            if not message.parts and not recorded:
                continue
            told = _encode(message)
            try:
                await self.bus.publish(
                    CHANNEL + run_id, told if self.sealer is None else self.sealer.seal(PURPOSE, PLACE, told)
                )
            except StateError as error:  # those who listen look into the database
                log.debug("chain.words_not_passed", reason=error.message)

    def _parts(self, run_id: str) -> list[_Part]:
        """What is new since the last message."""
        said, passed = self.said(run_id), self._passed.setdefault(run_id, {})
        parts = [_Part(path, OVER, 0, "") for path in passed.keys() - said.keys()]
        for part in parts:
            del passed[part.path]
        for path, (attempt, text) in said.items():
            before, length = passed.get(path, (0, 0))
            offset = length if before == attempt else 0
            if before == attempt and len(text) <= offset:
                continue
            new = text[offset : offset + MOST_AT_ONCE]
            passed[path] = (attempt, offset + len(new))
            parts.append(_Part(path, attempt, offset, new))
            if len(text) > offset + len(new):
                self._due.setdefault(run_id, False)
        if not passed:
            del self._passed[run_id]
        return parts

    # those who follow

    def follow(self, run_id: str) -> None:
        """Hear of the run from now on."""
        self._followed.setdefault(run_id, {})
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(self._listen(), name="chain words heard")

    def leave(self, run_id: str) -> None:
        """Nobody follows it here any more. With the last one nothing is listened to, a while later: somebody may come soon."""
        self._followed.pop(run_id, None)
        if not self._followed and self._listening is not None:
            asyncio.get_running_loop().call_later(self.linger, self._deaf)

    def _deaf(self) -> None:
        if not self._followed and self._listening is not None:
            self._listening.cancel()
            self._listening = None

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(StateError):
                async with self.bus.subscribe(f"{CHANNEL}*") as events:
                    async for event in events:
                        self._hear(event)
            await asyncio.sleep(AGAIN_SECONDS)

    def _hear(self, event: Event) -> None:
        run_id = event.channel.removeprefix(CHANNEL)
        tails = self._followed.get(run_id)
        if tails is None:
            return
        try:
            told = event.payload if self.sealer is None else self.sealer.open(PURPOSE, PLACE, event.payload)
            message = _decode(told)
        except (msgspec.MsgspecError, NotOpened):
            log.warning("chain.words_unreadable", run_id=run_id[:100])
            return
        if message.source == self.source:
            return
        for part in message.parts:
            if part.attempt == OVER:
                tails.pop(part.path, None)
            else:
                _longer(tails, message.source, part)
        self.heard(run_id, message.recorded)

    def joined(self, run_id: str, kept: Mapping[str, Kept]) -> dict[str, Words]:
        """What the steps have said, by what the database has of it and what came since."""
        found = {path: (one.attempt, one.text) for path, one in kept.items()}
        for path, tail in self._followed.get(run_id, {}).items():
            one = kept.get(path)
            if one is None:
                if not tail.start:
                    found[path] = (tail.attempt, tail.text)
                continue
            if one.source != tail.source or tail.attempt < one.attempt:
                continue  # a node took the run over: what it writes comes in a moment
            if tail.attempt > one.attempt:
                if not tail.start:
                    found[path] = (tail.attempt, tail.text)
            elif tail.start <= len(one.text) < tail.start + len(tail.text):
                found[path] = (tail.attempt, one.text[: tail.start] + tail.text)
        return found

    async def stop(self) -> None:
        """Say and hear nothing more."""
        await tasks.end(*(task for task in (self._sending, self._listening) if task is not None))


def _longer(tails: dict[str, _Tail], source: str, part: _Part) -> None:
    tail = tails.get(part.path)
    whole = (
        tail is not None
        and (tail.source, tail.attempt) == (source, part.attempt)
        and part.offset == tail.start + len(tail.text)
    )
    if tail is not None and whole:
        tail.text += part.text
    else:
        tails[part.path] = _Tail(source, part.attempt, part.offset, part.text)
