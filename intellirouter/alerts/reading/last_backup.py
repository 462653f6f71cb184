"""How old the last backup of this node is: from the file that whoever makes one leaves beside the data.

`last-backup.json` in the data directory: `{"backup": {"at": …, "place": …}, "failed": {"at": …, "reason": …}, "drill": {"at": …, "ok": …}}`,
times in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from intellirouter.alerts.sample import Sample

FILE = "last-backup.json"
HOUR = 3_600.0


class _Made(msgspec.Struct):
    at: float
    place: str = ""


class _Failed(msgspec.Struct):
    at: float
    reason: str = ""


class _Drill(msgspec.Struct):
    at: float
    ok: bool
    reason: str = ""


class Standing(msgspec.Struct):
    """The last backup, the last that failed, and the last drill; None for what never was. Times in Unix seconds."""

    backup: _Made | None = None
    failed: _Failed | None = None
    drill: _Drill | None = None


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
