"""Writes down what came of the last backup and the last drill of a node, for alerts, the console and `status`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from intellirouter.alerts.reading.last_backup import FILE, Drilled, Failed, Made, Standing, standing

_REASON = 500


def read(data_dir: Path) -> Standing:
    """What was written down last; nothing where it cannot be read: what comes now replaces it."""
    try:
        return standing(data_dir)
    except (OSError, msgspec.MsgspecError):
        return Standing()


def made(data_dir: Path, where: str) -> None:
    """A backup succeeded."""
    _write(data_dir, msgspec.structs.replace(read(data_dir), backup=Made(time.time(), where), failed=None))


def failed(data_dir: Path, reason: str) -> None:
    """One did not."""
    _write(data_dir, msgspec.structs.replace(read(data_dir), failed=Failed(time.time(), reason[:_REASON])))


def drilled(data_dir: Path, *, ok: bool, reason: str = "") -> None:
    """A restore was tried."""
    _write(
        data_dir, msgspec.structs.replace(read(data_dir), drill=Drilled(time.time(), ok, reason[:_REASON]))
    )


def _write(data_dir: Path, marks: Standing) -> None:
    part = data_dir / f".{FILE}.{os.getpid()}.partial"
    part.write_bytes(msgspec.json.encode(marks))
    part.replace(data_dir / FILE)
