"""Whom alerts are told: whether each channel is what it says, without sending anything."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from intellirouter.alerts.channels.children import check_apprise
from intellirouter.alerts.channels.failing import NotSent
from intellirouter.alerts.chosen import rules_of
from intellirouter.config.schema.alerts import AlertChannel, AlertsSection
from intellirouter.counts import counted
from intellirouter.ops.diagnose.finding import Finding, Level


async def alerts(section: AlertsSection, deadline: float) -> list[Finding]:
    """Of each channel that runs a program or asks apprise, and of alerts as a whole. Within about three times `deadline` seconds."""
    if not section.on:
        return [_found("alerts", Level.OK, "off: no channel is named in [[alerts.channels]]")]
    told = f"{counted(len(rules_of(section)), 'rule is judged', 'rules are judged')}, {counted(len(section.channels), 'channel is told', 'channels are told')}"
    level = Level.OK if section.channels else Level.WARNING
    advice = "" if section.channels else "Name a channel in [[alerts.channels]]: nobody is told of anything."
    found = await asyncio.gather(*(_channel(channel, deadline) for channel in section.channels))
    return [_found("alerts", level, told, advice), *(one for one in found if one is not None)]


async def _channel(channel: AlertChannel, deadline: float) -> Finding | None:
    name = f"alerts to {channel.name}"
    if channel.kind == "program" and not await asyncio.to_thread(_runs, Path(channel.program[0])):
        advice = "Correct 'program' of the channel, or make the file executable for the node's user."
        told = f"{channel.program[0]} is no program that this user may run"
        return _found(name, Level.PROBLEM, told, advice)
    if channel.kind == "apprise" and channel.url is not None:
        try:
            async with asyncio.timeout(3 * deadline):
                await check_apprise(channel.url.get_secret_value())
        except NotSent as error:
            return _found(name, Level.PROBLEM, error.message, "Correct 'url' of the channel.")
        except TimeoutError:
            return _found(name, Level.WARNING, f"apprise did not answer within {3 * deadline:g} s")
    return None


def _runs(program: Path) -> bool:
    return program.is_file() and os.access(program, os.X_OK)


def _found(name: str, level: Level, message: str, advice: str = "") -> Finding:
    return Finding("services", name, level, message, advice)
