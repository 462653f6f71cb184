"""The last errors of this node's log."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from intellirouter.config.schema.telemetry import TelemetrySection
from intellirouter.counts import counted
from intellirouter.ops.diagnose.finding import Finding, Level

LEAST_FREE = 64 * 1024
"""Bytes that a log needs to say anything."""
TAIL = 512 * 1024
"""Bytes read from the end of a log."""


def tail(file: Path) -> list[str]:
    """The last lines of a file, whole ones. Raises `OSError`."""
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - TAIL))
        lines = stream.read(TAIL).decode("utf-8", "replace").splitlines()
    return lines[1:] if size > TAIL else lines


def recent_errors(file: Path | None) -> Finding:
    """How often which error stands at the end of the log."""
    if file is None:
        message = "goes to standard error"
        return Finding("logs", "log", Level.OK, message, "Under systemd: journalctl -u 'intellirouter-*'")
    folder = file.parent
    if not folder.is_dir():
        advice = f"Make it, for the user of the node: install -d -o intellirouter {folder}"
        return Finding(
            "logs", "log", Level.PROBLEM, f"{folder}: there is no such directory for the log", advice
        )
    if file.is_dir():
        told = f"{file} is a directory"
        return Finding(
            "logs", "log", Level.PROBLEM, told, "The node does not start: name a file, or move it away."
        )
    if shutil.disk_usage(folder).free < LEAST_FREE:
        told = f"no room is left in {folder}: lines are lost"
        return Finding("logs", "log", Level.PROBLEM, told, "Make room there; logrotate keeps it.")
    if not os.access(file if file.exists() else folder, os.W_OK):
        advice = f"The node does not start: chown intellirouter: {folder} {file}"
        told = f"{file} cannot be written by the user who asks"
        return Finding("logs", "log", Level.PROBLEM, told, advice)
    if not file.exists():
        return Finding("logs", "log", Level.OK, f"{file} is not made yet: the node has not run")
    try:
        lines = tail(file)
    except OSError as error:
        return Finding("logs", "log", Level.WARNING, f"{file}: {error.strerror}", "Look at the file.")
    events = Counter(event for line in lines if (event := _error(line)))
    if not events:
        return Finding(
            "logs", "errors", Level.OK, f"none in the last {counted(len(lines), 'line')} of {file}"
        )
    told = ", ".join(f"{event} ({count})" for event, count in events.most_common(5))
    return Finding("logs", "errors", Level.WARNING, f"{told} in {file}", f'grep \'"level":"error"\' {file}')


def sockets(telemetry: TelemetrySection) -> Iterator[Finding]:
    """Whether the sockets of this machine that log lines go to take them."""
    found = []
    if telemetry.journald.mode == "on":
        found.append(
            (
                "journal",
                telemetry.journald.socket,
                "telemetry.journald.socket: systemctl status systemd-journald",
            )
        )
    if telemetry.syslog.address.startswith("unix:"):
        path = Path(telemetry.syslog.address.removeprefix("unix:"))
        found.append(("syslog", path, "telemetry.syslog.address: is a syslog daemon running here?"))
    for name, path, advice in found:
        reason = _refuses(path)
        if reason:
            yield Finding("logs", name, Level.PROBLEM, f"{path} takes no lines ({reason})", advice)
        else:
            yield Finding("logs", name, Level.OK, f"{path} takes lines")


def _refuses(path: Path) -> str:
    """Why a local socket cannot be connected to, or nothing."""
    reason = ""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as one:
            one.setblocking(False)
            try:
                one.connect(str(path))
            except OSError as error:
                reason = error.strerror or str(error)
                if error.errno != errno.EPROTOTYPE:
                    return reason
            else:
                return ""
    return reason


def _error(line: str) -> str:
    """The event of an error's line, or nothing."""
    if '"error"' not in line and '"critical"' not in line:
        return ""
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return ""
    if not isinstance(record, dict) or record.get("level") not in {"error", "critical"}:
        return ""
    return str(record.get("event", "?"))[:80]
