"""What a restore must not undo: what was revoked, rotated, narrowed, blocked, deleted or signed out after the backup was made.

The record of a key or of somebody that is in the store now is younger than the archive's, and stays; what was deleted left its name
behind. Sign-ins of the archive never come back: whoever has ended one since, nobody can say once the store is lost. Then the node's copy
of the keys (`keys.json`) still says which of those had ended; so it does where the store that is there now is itself an older one.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import msgspec

from intellirouter.config.schema.settings import Settings
from intellirouter.identity.store import GONE
from intellirouter.inference.virtual_keys import CHANNEL, PREFIX, ended_in
from intellirouter.memory.open import FILE, open_state

COPY = "keys.json"
PEOPLE = "people:"
YOUNGER = (PREFIX, PEOPLE, "console:", "grant:")
"""What stays as it is where it is there now."""
SIGN_INS = ("people:session:", "people:code:", "people:signing-key", "console:", "grant:")
"""What does not come back where it is not."""

__all__ = ["SINCE", "carry_over", "keep_ended"]


class _Since:
    """See `memory.since.Since`."""

    def stays(self, key: str) -> bool:
        """Whether the value that is there now is the younger one."""
        return key.startswith(YOUNGER)

    def comes_back(self, key: str, there: Container[str]) -> bool:
        """Whether one of the archive that is not there now is put back; `there` are the keys that stay."""
        deleted = key.startswith(PEOPLE) and GONE + key.removeprefix(PEOPLE) in there
        return not deleted and not key.startswith(SIGN_INS)


SINCE = _Since()


def carry_over(data_dir: Path, staged: Path) -> None:
    """Put what the node's file holds of it now into the one that will take its place. Raises `sqlite3.Error`."""
    if not staged.exists():
        return
    now, ended = _records(data_dir / FILE), _ended(data_dir)
    with contextlib.closing(sqlite3.connect(staged)) as connection, connection:
        columns = [row[1] for row in connection.execute("pragma table_info(entry)")]
        for (name,) in connection.execute("select key from entry").fetchall():
            if not SINCE.comes_back(name, now):
                connection.execute("delete from entry where key = ?", (name,))
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
    """By its key, every row that stays; none where there is no file, or one that is damaged, which may be why it is restored."""
    if not file.exists():
        return {}
    wanted = " or ".join("substr(key, 1, ?) = ?" for _ in YOUNGER)
    values = [value for prefix in YOUNGER for value in (len(prefix), prefix)]
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(f"select * from entry where {wanted}", values)  # noqa: S608  our own words
            return {row["key"]: dict(row) for row in found}
    except sqlite3.Error:
        return {}


def _ended(data_dir: Path) -> dict[str, float]:
    """By the name of their record: the keys that the node's copy says are revoked, and since when."""
    return {f"{PREFIX}{id_}": when for id_, when in ended_in(data_dir / COPY).items()}


def _revoked(record: bytes, when: float) -> bytes:
    key = msgspec.json.decode(record, type=dict[str, Any])
    return msgspec.json.encode({**key, "revoked": key.get("revoked") or when, "previous": None})
