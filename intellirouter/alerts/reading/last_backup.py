"""How the backups of this node stand: from `last-backup.json`, which whoever makes one leaves in the data directory (`ops/backup/marks.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from intellirouter.alerts.sample import Sample

FILE = "last-backup.json"
HOUR = 3_600.0


class Made(msgspec.Struct, frozen=True):
    """A backup that succeeded: when (Unix time), and where it lies."""

    at: float
    place: str = ""


class Failed(msgspec.Struct, frozen=True):
    """One that did not."""

    at: float
    reason: str = ""


class Drilled(msgspec.Struct, frozen=True):
    """A restore that was tried: when, and whether it came out right."""

    at: float
    ok: bool
    reason: str = ""


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last backup, the last that failed since, and the last drill; None for what never was."""

    backup: Made | None = None
    failed: Failed | None = None
    drill: Drilled | None = None


def standing(data_dir: Path) -> Standing:
    """How the backups of this node stand. Blocks: it reads a small file. Raises `OSError`, `msgspec.MsgspecError` where it cannot be read."""
    try:
        return msgspec.json.decode((data_dir / FILE).read_bytes(), type=Standing)
    except FileNotFoundError:
        return Standing()


def last_backup(data_dir: Path, node: str, now: float) -> Iterator[Sample]:
    """Nothing where this node was never backed up. Blocks: it reads a small file."""
    try:
        facts = standing(data_dir)
    except (OSError, msgspec.MsgspecError) as error:
        yield Sample("backup_failed", 1.0, node, note=f"{FILE} cannot be read ({type(error).__name__})")
        return
    if facts == Standing():
        return
    made = facts.backup
    if made is not None:
        yield Sample("backup_age", (now - made.at) / HOUR, node, note=made.place)
    failed = facts.failed
    if failed is not None and (made is None or failed.at > made.at):
        yield Sample("backup_failed", 1.0, node, note=failed.reason)
    elif facts.drill is not None and not facts.drill.ok:
        yield Sample("backup_failed", 1.0, node, note=f"the restore drill: {facts.drill.reason}")
    else:
        yield Sample("backup_failed", 0.0, node)
