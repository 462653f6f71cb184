"""The last errors of this node's log."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import msgspec

from intellirouter.ops.diagnose.finding import Finding, Level

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
        return Finding(
            "logs", "log", Level.OK, message, "Under systemd: journalctl -u 'intellirouter-*' -p warning"
        )
    folder = file.parent
    if not folder.is_dir():
        advice = f"Make it, for the user of the node: install -d -o intellirouter {folder}"
        return Finding(
            "logs", "log", Level.PROBLEM, f"{folder}: there is no such directory for the log", advice
        )
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
        return Finding("logs", "errors", Level.OK, f"none in the last {len(lines)} lines of {file}")
    told = ", ".join(f"{event} ({count})" for event, count in events.most_common(5))
    return Finding("logs", "errors", Level.WARNING, f"{told} in {file}", f'grep \'"level":"error"\' {file}')


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
