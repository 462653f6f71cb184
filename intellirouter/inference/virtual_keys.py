"""Virtual keys: API keys made at run time, kept in the shared store by their hash, known to every node within moments.

The secret is shown once, when it is made. A node holds all keys in memory, because authentication must not wait for a
store; it reads them at start, hears of changes, and reads again now and then in case it did not hear.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog

from intellirouter.config.schema.auth import unknown_scopes
from intellirouter.errors import Conflict, InvalidRequest, NotFound
from intellirouter.inference.following import following
from intellirouter.memory.store import StateStore
from intellirouter.security.api_keys import KeyRing, hash_key
from intellirouter.security.authority import Standing
from intellirouter.security.caller import NOBODY, OPERATOR_REF, Caller, Quota
from intellirouter.security.fence import NO_FENCE, Fence

PREFIX = "virtual-key:"
CHANNEL = "admin:all:keys"
RESERVED = frozenset({NOBODY, OPERATOR_REF})
GRACE_SECONDS = 86_400.0
MAX_TRIES = 10
SECRET_PREFIX = "sk-ir-"  # noqa: S105  what secrets start with, so that scanners find a leaked one

log = structlog.get_logger(__name__)


class VirtualKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key. Times in Unix seconds; `hint` is the end of the secret, for people to tell keys apart.

    `roles` stand in place of scopes; `owner` is the id of the user or service account it belongs to, and it may no more than
    that may. `previous` is the hash of the secret before a rotation, good until `previous_until`.
    """

    id: str
    name: str
    sha256: str
    hint: str
    created: float
    scopes: tuple[str, ...] = ("inference",)
    roles: tuple[str, ...] = ()
    owner: str = ""
    models: tuple[str, ...] = ()
    tenant: str = "default"
    team: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budgets: dict[str, float] = {}
    priority: int = 0
    record: Literal["off", "errors", "all"] | None = None
    endpoints: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    max_parallel: int | None = None
    not_before: float | None = None
    expires: float | None = None
    blocked: float | None = None
    revoked: float | None = None
    previous: str | None = None
    previous_until: float = 0.0

    def live_until(self, now: float) -> float | None:
        """When the key ends, infinity for never; None when it has ended."""
        if self.revoked is not None or (self.expires is not None and self.expires <= now):
            return None
        return self.expires if self.expires is not None else float("inf")

    def fence(self) -> Fence | None:
        """Where it may be used; None for everywhere."""
        fence = Fence(self.endpoints, self.addresses, self.collections, self.max_parallel)
        return None if fence == NO_FENCE else fence

    def caller(self) -> Caller:
        """The identity it stands for."""
        quota = Quota(self.requests_per_minute, self.tokens_per_minute, tuple(self.budgets.items()))
        return Caller(
            key_id=self.name,
            tenant=self.tenant,
            team=self.team,
            scopes=frozenset(self.scopes),
            models=self.models,
            quota=None if quota == Quota() else quota,
            priority=self.priority,
            ref=self.id,
            record=self.record,
            fence=self.fence(),
        )

    def standing(self) -> Standing:
        """How the key itself stands, whatever becomes of its secrets."""
        until = self.expires if self.expires is not None else float("inf")
        ended = (
            "was revoked" if self.revoked is not None else "is blocked" if self.blocked is not None else ""
        )
        return Standing(self.caller(), until, ended, self.not_before or 0.0, self.owner, self.roles)

    def status(self, now: float) -> str:
        """`live`, `waiting` for its time, `blocked`, `revoked` or `expired`."""
        if self.revoked is not None:
            return "revoked"
        if self.live_until(now) is None:
            return "expired"
        if self.blocked is not None:
            return "blocked"
        return "waiting" if (self.not_before or 0.0) > now else "live"

    def shown(self) -> dict[str, object]:
        """For people and the admin API: everything but the hashes."""
        facts: dict[str, object] = msgspec.to_builtins(self)
        for secret in ("sha256", "previous"):
            facts.pop(secret, None)
        facts["status"] = self.status(time.time())
        return facts


def new_secret() -> str:
    """192 random bits, URL-safe."""
    return SECRET_PREFIX + secrets.token_urlsafe(24)


class KeyStore:
    """Makes, changes and lists keys. Methods raise `StateUnavailable`.

    `heard` is told of each change before the method returns, so that it holds on this node from then on.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self.heard: Callable[[VirtualKey], Awaitable[None]] | None = None

    async def create(self, key: VirtualKey) -> None:
        """Keep a new key. Raises `Conflict` when the name is taken."""
        if key.name.startswith(("user:", "service:")):  # limits, budgets and spending go by the name
            raise Conflict("Names that begin with 'user:' or 'service:' are those of accounts.", param="name")
        if key.name in RESERVED:
            raise Conflict(f"'{key.name}' is what the node calls requests without a key.", param="name")
        if any(other.name == key.name and other.revoked is None for other in await self.all()):
            raise Conflict(f"There is a key named '{key.name}' already.", param="name")
        await self._write(key)
        twins = [other for other in await self.all() if other.name == key.name and other.revoked is None]
        if min(twins, key=lambda twin: (twin.created, twin.id), default=key).id != key.id:
            await self.revoke(key.id)  # somebody else took the name in the same moment
            raise Conflict(f"There is a key named '{key.name}' already.", param="name")

    async def all(self) -> list[VirtualKey]:
        """Every key, the oldest first."""
        names = [name async for name in self._store.scan(PREFIX)]
        values: list[bytes | None] = []
        for start in range(0, len(names), 500):
            values += await self._store.get_many(names[start : start + 500])
        keys = [msgspec.json.decode(value, type=VirtualKey) for value in values if value is not None]
        return sorted(keys, key=lambda key: key.created)

    async def find(self, name: str) -> VirtualKey:
        """A key by id, or else by name; a live one before a revoked one of the same name. Raises `NotFound`.

        Whoever names a key as another's id is not taken for it.
        """
        found = [key for key in await self.all() if name in (key.id, key.name)]
        if not found:
            raise NotFound(f"There is no key '{name[:100]}'.")
        return min(found, key=lambda key: (key.id != name, key.revoked is not None, -key.created))

    async def rotate(self, name: str, grace: float = GRACE_SECONDS) -> tuple[VirtualKey, str]:
        """A new secret; the old one stays good for `grace` seconds. Raises `NotFound`, `Conflict`."""
        secret = new_secret()

        def rotated(key: VirtualKey) -> VirtualKey:
            return msgspec.structs.replace(
                _not_revoked(key),
                sha256=hash_key(secret),
                hint=secret[-4:],
                previous=key.sha256,
                previous_until=time.time() + grace,
            )

        return await self._change(name, rotated), secret

    async def update(self, name: str, **fields: Any) -> VirtualKey:
        """Change what a key may; all else stays. Raises `NotFound`, `Conflict`."""
        return await self._change(name, lambda key: msgspec.structs.replace(_not_revoked(key), **fields))

    async def block(self, name: str) -> VirtualKey:
        """Take nothing from a key until it is unblocked. Raises `NotFound`, `Conflict`."""
        return await self.update(name, blocked=time.time())

    async def unblock(self, name: str) -> VirtualKey:
        """Take a blocked key again. Raises `NotFound`, `Conflict`."""
        return await self.update(name, blocked=None)

    async def revoke(self, name: str) -> VirtualKey:
        """End a key at once. Raises `NotFound`."""
        return await self._change(
            name, lambda key: msgspec.structs.replace(key, revoked=time.time(), previous=None)
        )

    async def _change(self, name: str, change: Callable[[VirtualKey], VirtualKey]) -> VirtualKey:
        """Change a key as it stands when it is written: of two changes at once none takes the other back."""
        place = PREFIX + (await self.find(name)).id
        for _ in range(MAX_TRIES):
            there = await self._store.get_versioned(place)
            if there.value is None:
                raise NotFound(f"There is no key '{name[:100]}'.")
            key = change(msgspec.json.decode(there.value, type=VirtualKey))
            if await self._store.put_if(place, msgspec.json.encode(key), there.version) is not None:
                await self._told(key)
                return key
        raise Conflict(f"The key '{name[:100]}' is being changed by others: try again.")

    async def _write(self, key: VirtualKey) -> None:
        await self._store.set(PREFIX + key.id, msgspec.json.encode(key))
        await self._told(key)

    async def _told(self, key: VirtualKey) -> None:
        if self.heard is not None:
            await self.heard(key)
        await self._store.publish(CHANNEL, key.id.encode())


def _not_revoked(key: VirtualKey) -> VirtualKey:
    if key.revoked is not None:
        raise Conflict(f"The key '{key.name}' is revoked.")
    return key


def make_key(name: str, **more: object) -> tuple[VirtualKey, str]:
    """A key that is not kept yet, and its secret. Raises `InvalidRequest` for a scope that does not exist."""
    scopes = more.get("scopes")
    if isinstance(scopes, (tuple, list)) and (told := unknown_scopes(map(str, scopes))):
        raise InvalidRequest(f"{told[:1].upper()}{told[1:]}.", param="scopes")
    secret = new_secret()
    key = VirtualKey(
        id=f"key_{secrets.token_hex(8)}",
        name=name,
        sha256=hash_key(secret),
        hint=secret[-4:],
        created=time.time(),
    )
    return msgspec.structs.replace(key, **more), secret


class Follower:
    """Keeps a ring's virtual keys as the store has them.

    `copy` is a file of this node that holds the keys as last read (hashes, no secrets). A node that starts while the store is
    away takes it if it was read within `copy_seconds`: what was revoked since then is not in it, and an older copy cannot
    vouch that little was.
    """

    def __init__(self, ring: KeyRing, keys: KeyStore, copy: Path, copy_seconds: float) -> None:
        self._ring = ring
        self._keys = keys
        self._copy = copy
        self._copy_seconds = copy_seconds
        self._known: dict[str, VirtualKey] = {}
        self._ended: dict[str, float] | None = None
        """Since when keys are revoked, as this node ever read it; None before the first reading."""
        self._one = asyncio.Lock()
        """Held while the store is read, so that an older reading never comes after a newer change."""

    async def apply(self, key: VirtualKey) -> None:
        """Take one key that was just written, at once."""
        async with self._one:
            self._take({**self._known, key.id: key})
            await self._save()

    async def read(self) -> None:
        """Take what the store has. Raises `StateError`."""
        if self._ended is None:
            self._ended = await asyncio.to_thread(ended_in, self._copy)
        async with self._one:
            found = {key.id: key for key in await self._keys.all()}
            back = [one for one in self._ended if one in found and found[one].revoked is None]
            for one in back:
                found[one] = msgspec.structs.replace(found[one], revoked=self._ended[one], previous=None)
            self._take(found)
            await self._save()
        for one in back:  # the store is an older one than this node knew: what was revoked stays so
            log.warning("keys.revoked_again", key=found[one].name, id=one)
            await self._keys.revoke(one)

    @contextlib.asynccontextmanager
    async def running(self, store: StateStore) -> AsyncIterator[None]:
        """Follow the store while the context is open. It listens before it reads: what changes in between is heard."""
        self._keys.heard = self.apply
        try:
            async with following(store, CHANNEL, self.read, name="keys", away=self._take_copy):
                yield
        finally:
            self._keys.heard = None

    async def _take_copy(self) -> None:
        self._take(await asyncio.to_thread(_load, self._copy, self._copy_seconds))

    def _take(self, keys: dict[str, VirtualKey]) -> None:
        self._known = keys
        if self._ended is not None:
            self._ended |= {key.id: key.revoked for key in keys.values() if key.revoked is not None}
        self._ring.take(*standings_of(keys.values()))

    async def _save(self) -> None:
        await asyncio.to_thread(_save, self._copy, Copy(time.time(), list(self._known.values())))


class Copy(msgspec.Struct, frozen=True):
    """The keys as a node last read them, at a Unix time."""

    read_at: float
    keys: list[VirtualKey]


def standings_of(keys: Iterable[VirtualKey]) -> tuple[dict[str, Standing], dict[str, Standing]]:
    """By hash every secret, and by id every key; those that have ended say so, so that who sends one is told."""
    secrets_: dict[str, Standing] = {}
    records: dict[str, Standing] = {}
    for key in keys:
        standing = records[key.id] = key.standing()
        secrets_[key.sha256] = standing
        if key.previous is not None:
            rotated = replace(standing, until=min(standing.until, key.previous_until))
            secrets_[key.previous] = rotated
    return secrets_, records


def _save(file: Path, copy: Copy) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        part.touch(mode=0o600)
        part.write_bytes(msgspec.json.encode(copy))
        part.replace(file)
    except OSError as error:
        log.warning("keys.copy_not_written", file=str(file), reason=str(error))


def ended_in(file: Path) -> dict[str, float]:
    """By its id: the keys that a node's copy says are revoked, and since when, however old the copy is; none where there is none."""
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Copy).keys
    except (OSError, msgspec.MsgspecError):
        return {}
    return {key.id: key.revoked for key in kept if key.revoked is not None}


def _load(file: Path, seconds: float) -> dict[str, VirtualKey]:
    try:
        copy = msgspec.json.decode(file.read_bytes(), type=Copy)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("keys.copy_unreadable", file=str(file), reason=str(error))
        return {}
    age = time.time() - copy.read_at
    if not 0 <= age <= seconds:
        log.warning("keys.copy_too_old", file=str(file), age_seconds=round(age), most=seconds)
        return {}
    log.info("keys.from_copy", keys=len(copy.keys), age_seconds=round(age))
    return {key.id: key for key in copy.keys}
