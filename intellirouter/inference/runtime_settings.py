"""Settings made at run time: one overlay on the file for all nodes, in versions, of which each can be brought back.

A new version is laid on the file of the node that is asked, checked as a whole, prepared by every part of the node, then kept, then
taken over: all of it, or nothing. The other nodes hear of it and do the same with their files; one whose file contradicts it
keeps what it had, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import structlog

from intellirouter.config.load import Loaded
from intellirouter.config.overlay import Overlay, laid_on, masked, masks_left, problems_of, unmasked
from intellirouter.config.schema.settings import Settings
from intellirouter.config.shown import flatten
from intellirouter.errors import (
    ConfigError,
    Conflict,
    IntelliRouterError,
    InvalidRequest,
    NotFound,
    StateError,
)
from intellirouter.inference.following import following
from intellirouter.memory.store import StateStore

KEY = "settings:current"
VERSION = "settings:version:"
CHANNEL = "admin:all:settings"
KEPT_VERSIONS = 200
MAX_BYTES = 1024 * 1024

log = structlog.get_logger(__name__)

Prepared = Callable[[], None]


class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version. `changes` is, by dotted key, what was in force before and after, secrets masked."""

    version: int
    at: float
    who: str = ""
    note: str = ""
    settings: Overlay = {}
    changes: dict[str, Any] = {}

    def shown(self, *, whole: bool = True) -> dict[str, Any]:
        """For people: secrets masked."""
        facts: dict[str, Any] = {"version": self.version, "at": self.at, "who": self.who, "note": self.note}
        facts["changes"] = self.changes
        return {**facts, "settings": masked(self.settings)} if whole else facts


NONE = Version(version=0, at=0.0)
"""The file alone."""


class RuntimeSettings:
    """The settings of this node's installation. Methods raise `StateUnavailable`.

    `read` reads the node's file with an overlay on top; `prepare` has every part of the node prepare for settings and gives back
    what makes them take over. `failing` says why the version that all nodes have is not in force here.
    """

    def __init__(
        self,
        store: StateStore,
        read: Callable[[Overlay], Loaded],
        prepare: Callable[[Settings], Awaitable[Prepared]],
    ) -> None:
        self._store = store
        self._read = read
        self._prepare = prepare
        self._one = asyncio.Lock()
        self.current = NONE
        self.failing = ""

    async def begin(self) -> None:
        """Take over what is kept, before anything is served. A version that does not hold here, or a store that is away, is told."""
        try:
            await self.refresh()
        except StateError as error:
            log.warning("settings.not_read", reason=error.message)

    async def refresh(self) -> None:
        """Take over the version that is kept, where it is another."""
        async with self._one:
            kept = (await self._kept())[0]
            if kept.version == self.current.version and not self.failing:
                return
            try:
                commit = await self._checked(kept.settings)
            except IntelliRouterError as error:
                if not self.failing:
                    log.error("settings.refused", version=kept.version, message=error.message)  # noqa: TRY400
                self.failing = f"version {kept.version} does not hold on this node's file: {error.message}"
                return
            commit()
            if kept.version or self.current.version:
                log.info("settings.taken", version=kept.version)
            self.current, self.failing = kept, ""

    async def change(
        self,
        make: Callable[[Overlay], Overlay],
        *,
        who: str,
        note: str = "",
        expected: int | None = None,
        dry_run: bool = False,
    ) -> tuple[Version, Version]:
        """A new version; the one before and it. Raises `InvalidRequest` for what does not hold, `Conflict` where `expected` is old."""
        async with self._one:
            before, mark = await self._kept()
            if expected is not None and expected != before.version:
                raise Conflict(
                    f"The settings are at version {before.version} by now, not {expected}.", param="version"
                )
            overlay = unmasked(make(before.settings), before.settings)
            self._check(overlay)
            try:
                commit = await self._checked(overlay)
                changes = await asyncio.to_thread(self._changes, before.settings, overlay)
            except ConfigError as error:
                raise InvalidRequest(
                    f"These settings do not hold:\n{error.message}", param="settings"
                ) from error
            new = Version(
                version=before.version + 1,
                at=time.time(),
                who=who,
                note=note[:500],
                settings=overlay,
                changes=changes,
            )
            if dry_run:
                return before, new
            data = msgspec.json.encode(new)
            await self._store.set(f"{VERSION}{new.version}", data)
            if await self._store.put_if(KEY, data, mark) is None:
                raise Conflict("Somebody else changed the settings in the same moment: try again.")
            commit()
            self.current, self.failing = new, ""
            if new.version > KEPT_VERSIONS:
                await self._store.delete(f"{VERSION}{new.version - KEPT_VERSIONS}")
            await self._store.publish(CHANNEL, str(new.version).encode())
            return before, new

    async def history(self) -> list[Version]:
        """The versions that are kept, the newest first."""
        keys = [key async for key in self._store.scan(VERSION)]
        found = [_decoded(value) for value in await self._store.get_many(keys) if value is not None]
        last = (await self._kept())[0].version
        # a version that somebody lost the race with was kept and never in force
        return sorted(
            (one for one in found if one.version <= last), key=lambda one: one.version, reverse=True
        )

    async def version(self, number: int) -> Version:
        """One version; 0 is the file alone. Raises `NotFound`."""
        if number == 0:
            return NONE
        value = await self._store.get(f"{VERSION}{number}")
        if value is None:
            raise NotFound(f"There is no version {number} of the settings.", param="version")
        return _decoded(value)

    def in_force(self) -> list[dict[str, Any]]:
        """What the overlay changes of the file: dotted key, what the file says, and what holds. Blocks: it reads the file."""
        changes = self._changes({}, self.current.settings)
        return [{"key": key, "file": old, "now": new} for key, (old, new) in changes.items()]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the other nodes while the context is open."""
        async with following(self._store, CHANNEL, self.refresh, name="settings"):
            yield

    async def _kept(self) -> tuple[Version, int]:
        found = await self._store.get_versioned(KEY)
        return (NONE if found.value is None else _decoded(found.value)), found.version

    async def _checked(self, overlay: Overlay) -> Prepared:
        """What takes the overlay over; nothing is changed yet. Raises `ConfigError` and what a part refuses with."""
        loaded = (await asyncio.to_thread(self._read, overlay)).startable()
        return await self._prepare(loaded.settings)

    def _check(self, overlay: Overlay) -> None:
        found = [f"{path}: {reason}" for path, reason in problems_of(overlay)]
        found += [
            f"{path}: is a mask, and no secret is known there, or of another address: give it anew."
            for path in masks_left(overlay)
        ]
        if found:
            raise InvalidRequest("\n".join(found), param="settings")
        if len(msgspec.json.encode(overlay)) > MAX_BYTES:
            raise InvalidRequest(
                f"Settings made at run time hold at most {MAX_BYTES} bytes.", param="settings"
            )

    def _changes(self, before: Overlay, after: Overlay) -> dict[str, Any]:
        old, new = (dict(flatten(self._read(overlay).settings)) for overlay in (before, after))
        return {
            key: [old.get(key), new.get(key)]
            for key in dict.fromkeys((*old, *new))
            if old.get(key) != new.get(key)
        }


def merged(settings: Overlay, more: Overlay) -> Overlay:
    """Settings with more of them on top, as an overlay lies on a file."""
    return laid_on(settings, more)


def _decoded(value: bytes) -> Version:
    return msgspec.json.decode(value, type=Version)
