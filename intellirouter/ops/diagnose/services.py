"""What systemd says of our units and of the clock. On a machine that it does not run there is nothing to say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Mapping

from intellirouter.config import env
from intellirouter.counts import counted
from intellirouter.ops.diagnose.finding import Finding, Level

UNITS = ("intellirouter-*", "intellirouter@*")
_FACTS = "Id,ActiveState,SubState,NRestarts,Result,NeedDaemonReload,MemoryCurrent,MemoryMax"
MANY_RESTARTS = 3
NEAR_MEMORY = 0.9
_REMEDIES = {
    "oom-kill": "The system ended it for want of memory: give the machine more, or raise MemoryMax of the unit.",
    "start-limit-hit": "It failed too often to be started again: mend what it says, then "
    "systemctl reset-failed {name} && systemctl start {name}.",
    "timeout": "It did not start, or stop, in the time that the unit allows.",
    "watchdog": "It did not answer systemd in time: was the machine overloaded?",
    "resources": "systemd could not give it what the unit asks for: a user, a directory, memory.",
}
"""By systemd's Result of a unit."""


async def services(deadline: float) -> list[Finding]:
    """A finding on each unit that systemd has loaded, and one on the clock. Within `deadline` seconds."""
    units, synchronised = await asyncio.gather(
        _said("systemctl", "show", "--all", f"--property={_FACTS}", *UNITS, deadline=deadline),
        _said("timedatectl", "show", "--property=NTPSynchronized", "--value", deadline=deadline),
    )
    return [*_units(units), *_clock(synchronised)]


async def _said(program: str, *options: str, deadline: float) -> str:
    """What a program prints; nothing when it is not there, fails, or takes too long."""
    path = shutil.which(program)
    if path is None:
        return ""
    process = await asyncio.create_subprocess_exec(
        path,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=env.for_child(),
        start_new_session=True,  # what it starts ends with it
    )
    try:
        async with asyncio.timeout(deadline):
            printed, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return printed.decode("utf-8", "replace") if process.returncode == 0 else ""


def _units(printed: str) -> Iterator[Finding]:
    for block in printed.split("\n\n"):
        facts = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name, state = facts.get("Id", ""), facts.get("ActiveState", "")
        if not name or not state:
            continue
        restarts = int(facts.get("NRestarts") or 0)
        message = f"{state} ({facts.get('SubState', '?')})" + (
            f", restarted {counted(restarts, 'time')}" if restarts else ""
        )
        advice = f"journalctl -u {name} -n 100"
        if state == "failed":
            result = facts.get("Result", "failed")
            remedy = _REMEDIES.get(result, "").format(name=name)
            told = f"{message}, {result}"
            yield Finding(
                "services", name, Level.PROBLEM, told, f"{remedy} {advice} says more." if remedy else advice
            )
        elif state == "activating" or restarts >= MANY_RESTARTS:
            yield Finding("services", name, Level.WARNING, message, advice)
        else:
            yield Finding("services", name, Level.OK, message)
        if facts.get("NeedDaemonReload") == "yes":
            told = "its file has changed since systemd read it: the old one is in force"
            remedy = f"systemctl daemon-reload && systemctl restart {name}"
            yield Finding("services", f"{name} file", Level.WARNING, told, remedy)
        yield from _memory(name, facts)


def _memory(name: str, facts: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the unit comes near what systemd lets it have."""
    current, most = facts.get("MemoryCurrent", ""), facts.get("MemoryMax", "")
    if not (current.isdecimal() and most.isdecimal()) or int(most) == 0:
        return  # not counted, or not bounded
    share = int(current) / int(most)
    if share > NEAR_MEMORY:
        told = f"holds {int(current) / 2**20:,.0f} MiB of the {int(most) / 2**20:,.0f} that MemoryMax lets it have"
        remedy = f"Raise it: systemctl edit {name}, MemoryMax=; beyond it the system ends the node."
        yield Finding("services", f"{name} memory", Level.WARNING, told, remedy)


def _clock(printed: str) -> Iterator[Finding]:
    answer = printed.strip()
    if answer == "yes":
        yield Finding("system", "clock", Level.OK, "kept by a time server")
    elif answer == "no":
        advice = "Tokens between nodes and budgets by day need the time: timedatectl set-ntp true"
        yield Finding("system", "clock", Level.WARNING, "no time server keeps it", advice)
