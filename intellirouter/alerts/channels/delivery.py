"""Delivers what waits to go out: a worker a channel, tried again ever more seldom, until it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from intellirouter import tasks
from intellirouter.alerts.channels.failing import NotSent
from intellirouter.alerts.channels.sending import Sender
from intellirouter.alerts.message import Message
from intellirouter.config.schema.alerts import AlertChannel
from intellirouter.telemetry.light import LightCounter

FIRST_DELAY, LONGEST_DELAY = 5.0, 900.0
MAX_ATTEMPTS = 12
"""About two hours, with delays that double."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one attempt; `error` is empty where the message went out."""

    message: str
    error: str = ""


@dataclass(slots=True)
class Delivery:
    """One a node. `done` is called when there is an outcome to collect."""

    sender: Sender
    counted: LightCounter
    done: Callable[[], None] = lambda: None
    channels: Mapping[str, AlertChannel] = field(default_factory=dict)
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _outcomes: list[Outcome] = field(default_factory=list)
    _seen: int = 0

    def start(self, outbox: list[Message], now: float) -> None:
        """Begin to send the first due message of each channel that is not busy."""
        for message in outbox:
            channel = self.channels.get(message.channel)
            if channel is None or message.next > now or message.channel in self._under_way:
                continue
            if any(outcome.message == message.id for outcome in self._outcomes):
                continue
            task = asyncio.create_task(self._send(channel, message), name=f"alert to {channel.name}")
            self._under_way[channel.name] = task

    async def _send(self, channel: AlertChannel, message: Message) -> None:
        error = ""
        try:
            await self.sender.send(channel, message)
        except NotSent as refused:
            error = refused.message
        except Exception as crash:  # a mistake of ours in one channel must not end the others
            log.exception("alerts.channel_crashed", channel=channel.name)
            error = type(crash).__name__
        finally:
            self._under_way.pop(channel.name, None)
        self.counted.labels(channel.name, "failed" if error else "sent").inc()
        if error:
            log.warning("alerts.not_sent", channel=channel.name, attempt=message.attempts + 1, reason=error)
        self._outcomes.append(Outcome(message.id, error))
        self.done()

    def settle(self, outbox: list[Message], now: float) -> list[Message]:
        """Bring the outbox to what has come of it; the messages that were given up."""
        outcomes = {outcome.message: outcome for outcome in self._outcomes}
        self._seen = len(self._outcomes)
        given_up = []
        for message in list(outbox):
            outcome = outcomes.get(message.id)
            if message.channel not in self.channels or (outcome is not None and not outcome.error):
                outbox.remove(message)
            elif outcome is not None:
                message.attempts, message.error = message.attempts + 1, outcome.error
                message.next = now + min(FIRST_DELAY * 2 ** (message.attempts - 1), LONGEST_DELAY)
                if message.attempts >= MAX_ATTEMPTS:
                    outbox.remove(message)
                    given_up.append(message)
        return given_up

    def settled(self) -> None:
        """The outbox was written down as `settle` left it."""
        del self._outcomes[: self._seen]
        self._seen = 0

    async def aclose(self) -> None:
        """End what is under way: it stays in the outbox, for the next who judges."""
        await tasks.end(*self._under_way.values())
