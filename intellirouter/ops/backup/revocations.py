"""What a restore must not undo: a key that was revoked, rotated or narrowed after the backup was made.

The record of a key that is in the store now is younger than the archive's, and stays. Where the store itself is lost, the node's copy
of the keys (`keys.json`) still says which ones had ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from intellirouter.config.schema.settings import Settings
from intellirouter.inference.virtual_keys import CHANNEL, PREFIX
from intellirouter.memory.open import FILE, open_state

COPY = "keys.json"

__all__ = ["PREFIX", "carry_over", "keep_ended"]


def carry_over(data_dir: Path, staged: Path) -> None:
    """Put the keys that the node's file holds now into the one that will take its place. Raises `sqlite3.Error`."""
    if not staged.exists():
        return
    now = _records(data_dir / FILE)
    ended = {name: when for name, when in _ended(data_dir).items() if name not in now}
    with contextlib.closing(sqlite3.connect(staged)) as connection, connection:
        columns = [row[1] for row in connection.execute("pragma table_info(entry)")]
        words = (
            f"insert or replace into entry ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"  # noqa: S608  our own columns
        )
        for row in now.values():
            connection.execute(words, [row.get(column) for column in columns])
        for name, when in ended.items():
            found = connection.execute("select value from entry where key = ?", (name,)).fetchone()
            if found is not None:
                connection.execute(
                    "update entry set value = ? where key = ?", (_revoked(found[0], when), name)
                )


def keep_ended(settings: Settings) -> None:
    """End in the shared store what this node knows has ended, and tell the nodes that run. Raises `StateError`."""

    async def run() -> None:
        data_dir = settings.paths.data_dir
        async with open_state(settings.memory.unhurried(), data_dir) as store:
            ended = _ended(data_dir)
            for name, record in zip(ended, await store.get_many([*ended]), strict=True):
                if record is not None:
                    await store.set(name, _revoked(record, ended[name]))
            await store.publish(CHANNEL, b"restored")

    asyncio.run(run())


def _records(file: Path) -> dict[str, Mapping[str, Any]]:
    """By its key, the row of every API key; none where there is no file, or one that is damaged, which may be why it is restored."""
    if not file.exists():
        return {}
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(
                "select * from entry where substr(key, 1, ?) = ?", (len(PREFIX), PREFIX)
            )
            return {row["key"]: dict(row) for row in found}
    except sqlite3.Error:
        return {}


def _ended(data_dir: Path) -> dict[str, float]:
    """By the name of their record: the keys that the node's copy says are revoked, and since when."""
    try:
        kept = msgspec.json.decode((data_dir / COPY).read_bytes(), type=list[dict[str, Any]])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {f"{PREFIX}{key['id']}": key["revoked"] for key in kept if key.get("revoked") and "id" in key}


def _revoked(record: bytes, when: float) -> bytes:
    key = msgspec.json.decode(record, type=dict[str, Any])
    return msgspec.json.encode({**key, "revoked": key.get("revoked") or when, "previous": None})
