"""Looks for new files in folders that the operator named. A file is taken when it has been the same at two looks: nobody writes it any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from intellirouter.config.schema.chain_engine import ChainFolder
from intellirouter.errors import IntelliRouterError, PeerUnavailable, RateLimited, StateUnavailable
from intellirouter.roles.chain_engine.triggers.firing import Firing
from intellirouter.roles.chain_engine.triggers.store import Trigger, TriggerStore

LOOK_SECONDS = 2.0
MAX_FILES = 10_000
"""Of one folder, in the order of their names."""
MAX_TEXT = 200_000
"""Bytes of a file whose text is handed over; of a larger one only where it lies."""
_UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".swp", "~")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Folders:
    """One a node. `look` is in seconds."""

    folders: Mapping[str, ChainFolder]
    store: TriggerStore
    firing: Firing
    look: float = LOOK_SECONDS
    _before: dict[tuple[str, str, float], dict[str, str]] = field(default_factory=dict)

    async def run(self) -> None:
        """Look again and again, until cancelled; never where there is no folder."""
        while self.folders:
            try:
                await self.once()
            except sa.exc.SQLAlchemyError as error:  # the database is away: look again
                log.warning("chain.folders_wait", error=type(error).__name__)
            await asyncio.sleep(self.look)

    async def once(self) -> None:
        """One look at every folder that a trigger watches."""
        triggers = await asyncio.to_thread(self.store.all, None, ("folder",))
        known = {_key(trigger) for trigger in triggers}
        self._before = {key: files for key, files in self._before.items() if key in known}
        for trigger in triggers:
            if not trigger.paused:
                await self._look(trigger)

    async def _look(self, trigger: Trigger) -> None:
        told = trigger.settings()
        folder = self.folders.get(told["folder"])
        if folder is None or (folder.tenants and trigger.tenant not in folder.tenants):
            return
        try:
            there = await asyncio.to_thread(listed, Path(folder.path), told["pattern"])
        except OSError as error:  # a disk that is not mounted: nothing is gone, look again
            log.warning("chain.folder_unread", folder=told["folder"], reason=error.strerror)
            return
        before, self._before[_key(trigger)] = self._before.get(_key(trigger), {}), there
        seen = await asyncio.to_thread(self.store.seen, trigger)
        for name in seen.keys() - there.keys():
            await asyncio.to_thread(self.store.note, trigger, name, None)
        for name, stamp in there.items():
            if before.get(name) != stamp or seen.get(name) == stamp:
                continue
            event = await asyncio.to_thread(told_of, Path(folder.path), name)
            if event is None:
                continue
            try:
                await self.firing.fire(trigger, f"{name}/{stamp}", event)
            except (RateLimited, PeerUnavailable, StateUnavailable):  # the others wait as well
                return
            except IntelliRouterError:  # this file's own fault: it stands with the trigger
                log.info("chain.file_refused", trigger=trigger.name)
            await asyncio.to_thread(self.store.note, trigger, name, stamp)


def _key(trigger: Trigger) -> tuple[str, str, float]:
    return trigger.tenant, trigger.name, trigger.created


def listed(folder: Path, pattern: str) -> dict[str, str]:
    """The finished files of a folder, and what tells them from what they were: when they were written, and how large they are. Blocking."""
    found: dict[str, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(_UNFINISHED) or len(entry.name) > 255:
                continue
            if not fnmatchcase(entry.name, pattern):
                continue
            with contextlib.suppress(FileNotFoundError):
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode):  # a link may lead anywhere
                    found[entry.name] = f"{facts.st_mtime_ns}:{facts.st_size}"
    return dict(sorted(found.items())[:MAX_FILES])


def told_of(folder: Path, name: str) -> dict[str, Any] | None:
    """What a chain is told of a file; None where it is gone. `text` is null of what is no text, or too long. Blocking."""
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        data = file.read(MAX_TEXT + 1) if stat.S_ISREG(facts.st_mode) else b""
    text: str | None = None
    if len(data) <= MAX_TEXT:
        with contextlib.suppress(UnicodeDecodeError):
            text = data.decode()
    return {
        "path": str(folder / name),
        "name": name,
        "size": facts.st_size,
        "modified_at": round(facts.st_mtime, 3),
        "text": text,
    }
