"""`[features]`: what is on, off, or on for a share of requests, by key and team; one call changes it on every node at once.

The configuration file says how things stand; what an operator switched at run time is kept in the shared store and holds
before it, until it is switched back to the file's. Reading is in memory: a switch costs a request nothing to speak of.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import structlog

from intellirouter.config.schema.features import FEATURES, FeaturesSection, SwitchSection
from intellirouter.errors import InvalidRequest
from intellirouter.inference.following import following
from intellirouter.inference.job import Job
from intellirouter.memory.store import StateStore

KEY = "features:switches"
CHANNEL = "admin:all:features"

log = structlog.get_logger(__name__)


class Switch(msgspec.Struct, frozen=True):
    """`share` of requests it is on for, 0 to 1; with `keys` or `teams`, for theirs alone."""

    share: float = 1.0
    keys: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()

    def holds(self, name: str, key_id: str, team: str | None, subject: str) -> bool:
        """Whether it is on for a request. The same `subject` has the same answer while the share stays."""
        if self.share <= 0 or (
            (self.keys or self.teams) and key_id not in self.keys and team not in self.teams
        ):
            return False
        if self.share >= 1:
            return True
        digest = hashlib.blake2b(f"{name}\0{subject}".encode("utf-8", "replace"), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64 < self.share


def switch_of(section: SwitchSection) -> Switch:
    """A switch as the configuration has it."""
    return Switch(section.share, section.keys, section.teams)


class Switches:
    """The switches in force in this process."""

    def __init__(self, section: FeaturesSection, store: StateStore) -> None:
        self._store = store
        self._changed: dict[str, Switch] = {}
        self.configure(section)

    def configure(self, section: FeaturesSection) -> None:
        """A new configuration file; what was switched at run time stays."""
        self._file = {name: switch_of(getattr(section, name)) for name in FEATURES}
        self._apply()

    def _apply(self) -> None:
        self._now = {**self._file, **self._changed}

    def on(self, name: str, job: Job) -> bool:
        """Whether a feature is on for a request."""
        switch = self._now[name]
        if switch.share >= 1 and not switch.keys and not switch.teams:
            return True
        return switch.holds(name, job.caller.key_id, job.caller.team, job.request_id)

    def words(self, name: str, job: Job) -> str:
        """How a feature that is not on for everybody stands for a caller; else empty."""
        switch = self._now[name]
        if switch.share >= 1 and (not (switch.keys or switch.teams) or self.on(name, job)):
            return ""
        if switch.share <= 0:
            return "off"
        if (switch.keys or switch.teams) and not msgspec.structs.replace(switch, share=1.0).holds(
            name, job.caller.key_id, job.caller.team, ""
        ):
            return "on for other keys and teams alone"
        return f"on for {100 * switch.share:g} % of requests"

    def shown(self) -> list[dict[str, Any]]:
        """Every switch, for people."""
        return [
            {
                "feature": name,
                "share": switch.share,
                "keys": list(switch.keys),
                "teams": list(switch.teams),
                "from": "command" if name in self._changed else "configuration",
            }
            for name, switch in self._now.items()
        ]

    async def set(self, name: str, switch: Switch | None) -> None:
        """Switch on every node; None takes back what was switched. `all` is every feature. Raises `InvalidRequest`."""
        if name != "all" and name not in FEATURES:
            raise InvalidRequest(
                f"There is no feature '{name[:60]}'. Features: {', '.join(FEATURES)}, all.", param="feature"
            )
        names = FEATURES if name == "all" else (name,)

        def change(now: dict[str, Switch]) -> dict[str, Switch]:
            rest = {one: kept for one, kept in now.items() if one not in names}
            return rest if switch is None else {**rest, **dict.fromkeys(names, switch)}

        await self._write(change)

    async def _write(self, change: Callable[[dict[str, Switch]], dict[str, Switch]]) -> None:
        while True:
            read = await self._store.get_versioned(KEY)
            new = change(_decoded(read.value))
            if await self._store.put_if(KEY, msgspec.json.encode(new), read.version) is not None:
                self._changed = new
                self._apply()
                await self._store.publish(CHANNEL, b"")
                return

    async def refresh(self) -> None:
        """Read what was switched. Raises `StateUnavailable`."""
        changed = _decoded(await self._store.get(KEY))
        if changed != self._changed:
            self._changed = changed
            self._apply()
            log.info("features.switched", **{name: switch.share for name, switch in changed.items()})

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Stay up to date while the context is open."""
        async with following(self._store, CHANNEL, self.refresh, name="features"):
            yield


def _decoded(value: bytes | None) -> dict[str, Switch]:
    if value is None:
        return {}
    try:
        found = msgspec.json.decode(value, type=dict[str, Switch])
    except msgspec.MsgspecError:
        log.warning("features.unreadable")
        return {}
    return {name: switch for name, switch in found.items() if name in FEATURES}
