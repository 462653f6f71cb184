"""What people see of alerts and do about them, on any node: the board is shared."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from intellirouter.alerts.board import Board, Happened, State, line
from intellirouter.alerts.channels.failing import NotSent
from intellirouter.alerts.channels.sending import Sender
from intellirouter.alerts.chosen import rules_of
from intellirouter.alerts.judge import Alert
from intellirouter.alerts.message import Message, shown
from intellirouter.alerts.notice import Ack, Item, Silence, acknowledged
from intellirouter.config.schema.alerts import AlertChannel, AlertsSection
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest, NotFound

MAX_SILENCE_SECONDS = 90 * 86_400.0
MAX_NOTE = 300


@dataclass(slots=True)
class Desk:
    """One a process. Methods raise `StateUnavailable`."""

    section: AlertsSection
    board: Board
    sender: Sender

    async def listing(self) -> dict[str, Any]:
        """Alerts, the worst and latest first, with who took them on; silences; rules; channels."""
        state, _ = await self.board.load()
        silences, acks, now = await self.board.silences(), await self.board.acks(), time.time()
        alerts = sorted(
            state.alerts.values(),
            key=lambda one: (not one.firing, one.severity != "critical", -(one.fired or one.since)),
        )
        return {
            "object": "list",
            "enabled": self.section.on,
            "data": [_with(alert, silences, acks, now) for alert in alerts],
            "silences": [msgspec.to_builtins(one) for one in silences if one.until > now],
            "channels": [
                {
                    "name": channel.name,
                    "kind": channel.kind,
                    "severity": channel.severity,
                    "rules": list(channel.rules),
                    **_standing(state, channel.name),
                }
                for channel in self.section.channels
            ],
            "rules": [
                {
                    "name": rule.name,
                    "title": rule.title,
                    "unit": rule.unit,
                    "below": rule.below,
                    "levels": [msgspec.to_builtins(level) for level in rule.levels],
                    "for_seconds": rule.for_seconds,
                }
                for rule in (rules_of(self.section).values() if self.section.on else ())
            ],
        }

    async def history(self, limit: int) -> list[dict[str, Any]]:
        """What happened, the latest first."""
        lines = await self.board.history()
        return [msgspec.to_builtins(one) for one in lines[::-1][:limit]]

    async def silence(self, rule: str, subject: str, seconds: float, by: str, note: str) -> Silence:
        """Let nothing be told of what matches, for so long. Raises `InvalidRequest`."""
        if not 0 < seconds <= MAX_SILENCE_SECONDS:
            raise InvalidRequest(
                f"A silence lasts more than 0 and at most {MAX_SILENCE_SECONDS:g} seconds (90 days).",
                param="seconds",
            )
        now = time.time()
        made = Silence(
            f"sil_{secrets.token_hex(6)}", rule, subject, round(now + seconds, 3), by, note[:MAX_NOTE], now
        )
        await self.board.change_silences(lambda before: [*before, made], now)
        await self.board.happened([_of_silence("silenced", made, now, by)])
        return made

    async def end_silence(self, name: str, by: str) -> Silence:
        """Take one back. Raises `NotFound`."""
        now = time.time()
        found = next((one for one in await self.board.silences() if one.id == name and one.until > now), None)
        if found is None:
            raise NotFound(f"There is no silence '{name[:60]}'.")
        await self.board.change_silences(lambda before: [one for one in before if one.id != name], now)
        await self.board.happened([_of_silence("silence ended", found, now, by)])
        return found

    async def acknowledge(self, name: str, by: str, note: str) -> dict[str, Any]:
        """Somebody takes an alert on, by its id or the beginning of it: nobody else is told, until it gets worse. Raises `NotFound`."""
        state, _ = await self.board.load()
        firing = {alert.id: alert for alert in state.alerts.values() if alert.firing}
        fits = [alert for alert in firing.values() if name and alert.id.startswith(name)]
        if len(fits) != 1:
            raise NotFound(
                f"{counted(len(fits), 'alert begins', 'alerts begin')} with '{name[:60]}'."
                if fits
                else f"No alert '{name[:60]}' is firing."
            )
        alert, now = fits[0], time.time()
        ack = Ack(alert.level, by, note[:MAX_NOTE], now)
        await self.board.change_acks(lambda acks: acks.update({alert.id: ack}), firing)
        await self.board.happened([line("acknowledged", alert, now, by, note[:MAX_NOTE])])
        return _with(alert, await self.board.silences(), {alert.id: ack}, now)

    async def test(self, name: str | None) -> list[dict[str, Any]]:
        """Send a message by one channel, or by each, now; what came of it. Raises `NotFound`."""
        channels = [one for one in self.section.channels if name is None or one.name == name]
        if not channels:
            known = ", ".join(channel.name for channel in self.section.channels) or "none is configured"
            raise NotFound(
                "No channel is configured: add one to [[alerts.channels]]."
                if name is None
                else f"There is no channel '{name[:60]}'. Channels: {known}."
            )
        now = time.time()
        alert = Alert(
            "test",
            "",
            title="this is a test",
            id="test",
            level=1,
            fired=now,
            advice="nothing is wrong: somebody tries whether messages arrive",
        )
        return await asyncio.gather(*(self._tried(channel, alert, now) for channel in channels))

    async def _tried(self, channel: AlertChannel, alert: Alert, now: float) -> dict[str, Any]:
        message = Message(f"alm_{secrets.token_hex(8)}", channel.name, now, [Item("fired", alert)])
        began = time.perf_counter()
        error = ""
        try:
            await self.sender.send(channel, message)
        except NotSent as refused:
            error = refused.message
        seconds = round(time.perf_counter() - began, 3)
        return {"channel": channel.name, "sent": not error, "error": error, "seconds": seconds}


def _with(alert: Alert, silences: list[Silence], acks: dict[str, Ack], now: float) -> dict[str, Any]:
    quiet = next((one for one in silences if one.keeps(alert, now)), None)
    ack = acks.get(alert.id) if acknowledged(alert, acks) else None
    return {
        **shown(alert),
        "told": alert.told,
        "silenced_until": quiet.until if quiet is not None else None,
        "acknowledged": None if ack is None else {"by": ack.by, "at": round(ack.at, 3), "note": ack.note},
    }


def _standing(state: State, channel: str) -> dict[str, Any]:
    waits = [message for message in state.outbox if message.channel == channel]
    return {"waiting": len(waits), "error": next((one.error for one in waits if one.error), "")}


def _of_silence(what: str, silence: Silence, now: float, by: str) -> Happened:
    return Happened(
        at=round(now, 3),
        what=what,
        rule=silence.rule,
        subject=silence.subject,
        id=silence.id,
        note=silence.note,
        by=by,
    )
