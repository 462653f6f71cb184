"""What is known of the last backup and the last drill of a node: `last-backup.json` in its data directory, for alerts and `status`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

FILE = "last-backup.json"
_REASON = 500


class Made(msgspec.Struct, frozen=True):
    """A backup that succeeded: when (Unix time), and where it lies."""

    at: float
    place: str


class Failed(msgspec.Struct, frozen=True):
    """One that did not."""

    at: float
    reason: str


class Drilled(msgspec.Struct, frozen=True):
    """A restore that was tried: when, and whether it came out right."""

    at: float
    ok: bool
    reason: str = ""


class Marks(msgspec.Struct, frozen=True, omit_defaults=True):
    """`failed` is absent once a backup has succeeded behind it."""

    backup: Made | None = None
    failed: Failed | None = None
    drill: Drilled | None = None


def read(data_dir: Path) -> Marks:
    """What the file says; nothing where there is none that can be read."""
    try:
        return msgspec.json.decode((data_dir / FILE).read_bytes(), type=Marks)
    except (OSError, msgspec.MsgspecError):
        return Marks()


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


def _write(data_dir: Path, marks: Marks) -> None:
    part = data_dir / f".{FILE}.{os.getpid()}.partial"
    part.write_bytes(msgspec.json.encode(marks))
    part.replace(data_dir / FILE)
