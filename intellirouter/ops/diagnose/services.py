"""What systemd says of our units and of the clock. On a machine that it does not run there is nothing to say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Iterator

from intellirouter.config import env
from intellirouter.ops.diagnose.finding import Finding, Level

UNITS = ("intellirouter-*", "intellirouter@*")
_FACTS = "Id,ActiveState,SubState,NRestarts,Result"
MANY_RESTARTS = 3


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
            f", restarted {restarts} times" if restarts else ""
        )
        advice = f"journalctl -u {name} -n 100"
        if state == "failed":
            message += f", {facts.get('Result', 'failed')}"
            yield Finding("services", name, Level.PROBLEM, message, advice)
        elif state == "activating" or restarts >= MANY_RESTARTS:
            yield Finding("services", name, Level.WARNING, message, advice)
        else:
            yield Finding("services", name, Level.OK, message)


def _clock(printed: str) -> Iterator[Finding]:
    answer = printed.strip()
    if answer == "yes":
        yield Finding("system", "clock", Level.OK, "kept by a time server")
    elif answer == "no":
        advice = "Tokens between nodes and budgets by day need the time: timedatectl set-ntp true"
        yield Finding("system", "clock", Level.WARNING, "no time server keeps it", advice)
